local network = require "policy.network"
local support = require "support.ovf"

local MODEL = "<rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>"
local ADDRESS = "<r:Address>00155D012A03</r:Address>"

local function nic(changes)
  return support.machine("vmware", changes).nics[1]
end

describe("nics.read", function()
  it("names the network by its Connection", function()
    assert.same({ name = "VM Network", id = "VM Network", path = "VM Network" },
      nic().network)
    assert.same({}, nic({ ["<rasd:Connection>VM Network</rasd:Connection>"] = "" }).network)
  end)

  it("knows the models, of alternatives the first that it knows", function()
    for subtype, model in pairs {
      E1000 = "e1000", E1000e = "e1000e", VMXNET3 = "vmxnet3", PCNet32 = "pcnet",
      Flexible = "pcnet", VirtioNet = "virtio", ["Unheard E1000 VmxNet3"] = "e1000",
      ["Microsoft Emulated Ethernet Port"] = "tulip", Wonder = "wonder",
    } do
      assert.equal(model, nic({ [MODEL] = MODEL:gsub("VmxNet3", subtype) }).model)
    end
  end)

  it("is not connected where it is not allocated by itself", function()
    assert.is_true(nic().connected)
    assert.is_false(nic({ ["<rasd:AutomaticAllocation>true<"] =
      "<rasd:AutomaticAllocation>false<" }).connected)
    assert.is_false(support.machine("ovirt", { ["<rasd:Linked>true"] = "<rasd:Linked>false" })
      .nics[1].connected)
  end)

  it("reads addresses in every form, and takes a place on a bus for none", function()
    for address, mac in pairs {
      ["00-15-5D-01-2A-03"] = "00:15:5d:01:2a:03", ["00155d012a03"] = "00:15:5d:01:2a:03",
      ["0015.5d01.2a03"] = "00:15:5d:01:2a:03", ["7"] = false, [""] = false,
      ["0000:02:01.0"] = false, ["not an address"] = false,
    } do
      local machine = support.machine("hyperv",
        { [ADDRESS] = ("<r:Address>%s</r:Address>"):format(address) })
      assert.equal(mac or nil, machine.nics[1].mac)
      assert.same({}, machine.findings)
    end
  end)

  it("leaves an address that no adapter can have to policy, which says so", function()
    for _, address in ipairs { "00:00:00:00:00:00", "01:00:5e:00:00:01",
      "00:15:5d:01:2a" } do
      local machine = support.machine("hyperv",
        { [ADDRESS] = ("<r:Address>%s</r:Address>"):format(address) })
      assert.truthy(network.mac_fault(machine.nics[1].mac), address)
    end
  end)

  it("gives each an id of its own", function()
    local machine = support.machine("virtualbox", {
      ["<epasd:InstanceID>7<"] = "<epasd:InstanceID>6<",
    })
    assert.equal(2, #machine.nics)
    assert.not_equal(machine.nics[1].id, machine.nics[2].id)
  end)
end)
