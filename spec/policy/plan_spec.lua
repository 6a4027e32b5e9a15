local json = require "host.json"

local finding = require "policy.finding"
local plan = require "policy.plan"
local sample = require "support.sample"

local function built(input, hook)
  return assert(plan.build(input, hook))
end

describe("policy.plan", function()
  it("plans an ordinary machine without anything that blocks", function()
    local p = built(sample.input())
    assert.equal("web-01", p.name)
    assert.equal("default", p.namespace)
    assert.equal("linux", p.os)
    assert.same({ sockets = 2, cores = 4 }, p.cpu)
    assert.equal(4096, p.memory_mib)
    assert.equal("Running", p.power_state)
    assert.same({
      {
        id = "2000",
        name = "web-01-1a2b3c4d-disk-0",
        display_name = "web-01-1a2b3c4d-disk-0",
        capacity_bytes = 10 * sample.GIB,
        bus = "sata",
        boot_order = 1,
      },
    }, p.disks)
    assert.same({
      {
        id = "4000",
        name = "migrated-0",
        network = "default/vlan1",
        binding = "bridge",
        model = "virtio",
        mac = "00:50:56:aa:bb:00",
      },
    }, p.nics)
    assert.is_false(finding.blocking(p.findings))
  end)

  it("comes to the same plan every time", function()
    local changes = {
      nics = { sample.nic(0), sample.nic(1), sample.nic(2) },
      disks = { sample.disk(0), sample.disk(1), sample.disk(2) },
    }
    local first = json.encode(built(sample.input(changes)))
    for _ = 1, 20 do
      assert.equal(first, json.encode(built(sample.input(changes))))
    end
  end)

  it("leaves what it was given as it was", function()
    local input = sample.input(nil, { storageClass = "", defaultDiskBusType = "" })
    built(input)
    assert.same(sample.input(nil, { storageClass = "", defaultDiskBusType = "" }), input)
  end)

  it("treats \"\" as unset in every field", function()
    local p = built(sample.input(nil, {
      networkMapping = {
        {
          sourceNetwork = "net0",
          destinationNetwork = "vlan1",
          networkInterfaceModel = "",
        },
      },
      diskMapping = { { disk = "0", storageClass = "", busType = "" } },
      storageClass = "",
      defaultDiskBusType = "",
      defaultNetworkInterfaceModel = "",
      targetName = "",
      targetPowerState = "",
    }))
    assert.same(built(sample.input()).disks, p.disks)
    assert.same(built(sample.input()).nics, p.nics)
    assert.equal("Running", p.power_state)
    assert.is_false(finding.blocking(p.findings))
  end)

  it("makes a whole plan and says everything when much is wrong at once", function()
    local p = built(sample.input({ disks = { sample.disk(0, { capacity_bytes = 0 }) } }, {
      targetName = "Web 01",
      targetPowerState = "On",
      storageClass = "Fast Disks",
      diskMapping = { { disk = "9", busType = "ide" } },
    }))
    for _, code in ipairs({ "TargetNameInvalid", "TargetPowerStateInvalid",
      "StorageClassInvalid", "MappedDiskUnknown", "DiskBusInvalid",
      "DiskCapacityInvalid" }) do
      assert.equal("Blocks", (sample.find(p.findings, code) or {}).severity, code)
    end
    assert.equal("VirtualMachine", p.virtual_machine.kind)
  end)

  it("puts the worst findings first", function()
    local rank = { Blocks = 1, Warns = 2, Informs = 3 }
    local p = built(sample.input({
      name = "Web",
      nics = { sample.nic(0), sample.nic(1), sample.nic(2) },
      concerns = { { code = "A", severity = "Informs", subject = "x", message = "m" } },
    }))
    local last = 1
    assert.is_true(#p.findings >= 4)
    for _, item in ipairs(p.findings) do
      assert.is_true(rank[item.severity] >= last)
      last = rank[item.severity]
    end
  end)

  it("passes the source's concerns on", function()
    local p = built(sample.input({
      concerns = {
        { code = "SharedDisk", severity = "Blocks", subject = "disk 2", message = "m" },
      },
    }))
    assert.equal("SharedDisk", p.findings[1].code)
  end)

  it("refuses a spec whose fields have the wrong type, naming the field", function()
    local p, err = plan.build(sample.input(nil, { networkMapping = { "net0" } }))
    assert.is_nil(p)
    assert.equal("invalid", err.kind)
    assert.matches("spec.networkMapping[0]", tostring(err), 1, true)
  end)
end)

describe("policy.plan hooks:", function()
  -- A hook that answers one decision and has no opinion otherwise.
  local function only(name, answer)
    return function(asked, item_input, builtin)
      if asked == name then
        return answer(item_input, builtin)
      end
      return builtin
    end
  end

  it("are asked for every decision, once per disk and NIC where it is per one", function()
    local asked = {}
    built(sample.input({
      disks = { sample.disk(0), sample.disk(1) },
      nics = { sample.nic(0), sample.nic(1) },
    }), function(name, _, builtin)
      asked[name] = (asked[name] or 0) + 1
      return builtin
    end)
    local expected = { findings = 1 }
    for _, decision in ipairs(plan.decisions) do
      if decision.name then
        expected[decision.name] = decision.per and 2 or 1
      end
    end
    assert.same(expected, asked)
  end)

  it("change what later decisions see", function()
    local p = built(sample.input(), only("name", function()
      return "other"
    end))
    assert.equal("other-1a2b3c4d-disk-0", p.disks[1].name)
    assert.equal("other", p.virtual_machine.metadata.name)
  end)

  it("leave the built-in decision with nil", function()
    local p = built(sample.input(), function()
      return nil
    end)
    assert.same(built(sample.input()), p)
  end)

  it("answer the findings of the value they replace, and of no other", function()
    local changes = { nics = { sample.nic(0), sample.nic(1), sample.nic(2) } }
    local plain = built(sample.input(changes))
    assert.is_not_nil(sample.find(plain.findings, "NicNotMapped"))
    local p = built(sample.input(changes), only("nic_network", function(item, builtin)
      return item.nic.id == "4002" and "vlan9" or builtin
    end))
    assert.is_nil(sample.find(p.findings, "NicNotMapped"))
    assert.is_not_nil(sample.find(p.findings, "NicOnManagementNetwork"))
    assert.equal("default/vlan9", p.nics[3].network)
  end)

  it("are checked as strictly as what a user writes", function()
    local wrong = {
      name = "Not A Name",
      namespace = "a/b",
      os = "beos",
      description = 3,
      labels = { ["a b"] = "x" },
      annotations = { a = 3 },
      cpu = { sockets = 0, cores = 1 },
      memory = 1.5,
      firmware = { uefi = false, secure_boot = true, tpm = false },
      power_state = "On",
      disk_bus = "ide",
      disk_storage_class = "No Class",
      boot_order = { "2000", "2000" },
      nic_network = "a/b/c",
      nic_model = "vmxnet3",
      nic_mac = "01:00:5e:00:00:01",
      cloud_init = { user_data = ("x"):rep(2049) },
      virtual_machine = { kind = "Pod" },
      findings = { { code = "X" } },
    }
    for _, decision in ipairs(plan.decisions) do
      if decision.name then
        assert.is_not_nil(wrong[decision.name], decision.name)
      end
    end
    for name, value in pairs(wrong) do
      local p, err = plan.build(sample.input(), only(name, function()
        return value
      end))
      assert.is_nil(p, name)
      assert.equal("invalid", err.kind)
      assert.matches("hook " .. name, err.message, 1, true)
    end
  end)

  it("end the planning with their own error", function()
    local p, err = plan.build(sample.input(), function()
      return nil, { kind = "timeout", message = "hook slow.lua" }
    end)
    assert.is_nil(p)
    assert.equal("timeout", err.kind)
  end)

  it("can refuse an import and accept a concern", function()
    local blocking = {
      concerns = {
        { code = "Rdm", severity = "Blocks", subject = "disk 2", message = "m" },
      },
    }
    local p = built(sample.input(blocking), only("findings", function()
      return {}
    end))
    assert.same({}, p.findings)
    p = built(sample.input(), only("findings", function(_, builtin)
      builtin[#builtin + 1] = finding.blocks("NotOurs", "machine", "m")
      return { table.unpack(builtin) }
    end))
    assert.equal("NotOurs", p.findings[1].code)
  end)
end)
