local support = require "support.ovf"

local function guest(name, changes)
  return support.machine(name, changes).guest
end

describe("guest.read", function()
  it("takes vSphere's identifier, VirtualBox's, or what oVirt writes", function()
    assert.same({ id = "ubuntu64Guest", name = "Ubuntu Linux (64-bit)", family = "linux",
      tools_running = false }, guest("vmware"))
    assert.equal("Windows2019_64", guest("virtualbox").id)
    assert.equal("windows", guest("virtualbox").family)
    assert.equal("rhel_8x64", guest("ovirt").id)
  end)

  it("knows a family by the words, or by the standard's number", function()
    assert.equal("windows", guest("hyperv").family)
    local words = "Microsoft Windows Server 2019 (64-bit)"
    for number, family in pairs { ["112"] = "windows", ["58"] = "windows", ["95"] = "linux",
      ["36"] = "linux", ["42"] = "other", ["1"] = "other", ["x"] = "other" } do
      assert.equal(family, guest("hyperv",
        { [words] = "OS", ['o:id="112"'] = ('o:id="%s"'):format(number) }).family, number)
    end
  end)

  it("is nobody's where the OVF says nothing", function()
    local machine = support.machine("appliance", nil, { name = "back" })
    assert.same({ id = "", name = "", family = "other", tools_running = false },
      machine.guest)
  end)
end)

describe("guest.uuid", function()
  it("is VMware's, VirtualBox's, oVirt's or Hyper-V's, and nothing like it", function()
    assert.equal("423aae68-f1f4-2096-7462-e05905ba0b71", support.machine("vmware", {
      ['vmw:key="cpuHotAddEnabled" vmw:value="false"'] =
        'vmw:key="uuid" vmw:value="423aae68-f1f4-2096-7462-e05905ba0b71"',
    }).uuid)
    assert.equal("39a69c87-0433-4945-8e25-b89431544a28", support.machine("virtualbox").uuid)
    assert.equal("6b29fc40-ca47-1067-b31d-00dd010662da", support.machine("hyperv").uuid)
    assert.is_nil(support.machine("hyperv", { ["{6B29FC40-"] = "{6B29FC4-" }).uuid)
    assert.is_nil(support.machine("vmware").uuid)
  end)
end)
