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

  it("reads back from status as it was recorded", function()
    local p = built(sample.input({
      description = "two\nlines",
      firmware = { uefi = true, tpm = true },
      nics = { sample.nic(0), sample.nic(1) },
    }))
    assert.same(p, json.decode(json.encode(p)))
    local bare = built(sample.input({ nics = {} }, { networkMapping = {} }))
    assert.same(bare, json.decode(json.encode(bare)))
  end)

  it("stays small enough for status with 12 disks and 8 NICs", function()
    local changes, spec = { disks = {}, nics = {} }, { networkMapping = {} }
    for i = 0, 11 do
      changes.disks[i + 1] = sample.disk(i)
    end
    for i = 0, 7 do
      changes.nics[i + 1] = sample.nic(i)
      spec.networkMapping[i + 1] = {
        sourceNetwork = "net" .. i,
        destinationNetwork = "default/vlan" .. i,
      }
    end
    local p = built(sample.input(changes, spec))
    p.findings = nil -- recorded apart
    assert.is_true(#json.encode(p) <= 16 * 1024, #json.encode(p))
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

  -- Values that a hook may return, and others. `field` reads the result in the plan.
  local function at(...)
    local path = { ... }
    return function(p)
      for _, key in ipairs(path) do
        p = p[key]
      end
      return p
    end
  end
  local disk, nic = "disks", "nics"
  local cases = {
    name = { at("name"), right = { "a", "web-02" },
      wrong = { "Not A Name", "", 3, {} } },
    namespace = { at("namespace"), right = { "team" },
      wrong = { "a/b", "a.b", "", "kube-system" } },
    os = { at("os"), right = { "windows" }, unset = true, wrong = { "beos", 1 } },
    description = { at("description"), right = { "über" }, unset = true,
      wrong = { 3, "\xff", {} } },
    labels = { at("labels"), right = { { a = "b" }, {} },
      wrong = { { ["a b"] = "x" }, { a = "x y" }, { a = 3 }, { "x" }, "a=b" } },
    annotations = { at("annotations"), right = { { ["e.com/a"] = "any text" }, {} },
      wrong = { { a = 3 }, { a = "\xff" }, { ["a b"] = "x" }, "a",
        { ["hooks.kubevirt.io/hookSidecars"] = "[]" } } },
    cpu = { at("cpu"), right = { { sockets = 1, cores = 1 } },
      wrong = { { sockets = 0, cores = 1 }, { sockets = 1 }, { sockets = 1.0, cores = 1 },
        8 } },
    memory = { at("memory_mib"), right = { 1, 8192 }, wrong = { 1.5, 0, "4Gi" } },
    firmware = { at("firmware"),
      right = { { uefi = true, secure_boot = true, tpm = true } },
      wrong = { { uefi = false, secure_boot = true, tpm = false }, { uefi = true },
        { uefi = 1, secure_boot = false, tpm = false }, "efi" } },
    power_state = { at("power_state"), right = { "Stopped" }, wrong = { "On", "" } },
    disk_bus = { at(disk, 1, "bus"), right = { "scsi", "usb", "virtio" },
      wrong = { "ide", "", "SATA" } },
    disk_storage_class = { at(disk, 1, "storage_class"), right = { "fast" }, unset = true,
      wrong = { "No Class", 3 } },
    boot_order = { at(disk, 1, "boot_order"), right = { { "2001", "2000" } }, is = 2,
      wrong = { { "2000", "2000" }, { "2000" }, { "2000", "9" }, "2000",
        { "2000", "2001", "2001" } } },
    nic_network = { at(nic, 1, "network"), right = { "a/b" },
      wrong = { "a/b/c", "", true, {} } },
    nic_model = { at(nic, 1, "model"), right = { "rtl8139" },
      wrong = { "vmxnet3", "" } },
    nic_mac = { at(nic, 1, "mac"), right = { "02:11:22:33:44:55" }, unset = true,
      wrong = { "01:00:5e:00:00:01", "x", 3 } },
    nic_state = { at(nic, 1, "state"), right = { "down" }, unset = true,
      wrong = { "absent", "x", 3, false } },
    cloud_init = { at("cloud_init"), right = { { network_data = "x" } }, unset = true,
      wrong = { { user_data = ("x"):rep(2049) }, "x" } },
    virtual_machine = { at("virtual_machine"), right = {},
      wrong = { { kind = "Pod" }, "x", { metadata = "x" } } },
    findings = { at("findings"), right = { {}, { finding.warns("A", "s", "m") } },
      wrong = { { { code = "X" } }, { "x" }, "x" } },
  }

  local function hooked(name, value)
    local input = sample.input({
      disks = { sample.disk(0), sample.disk(1) },
      nics = { sample.nic(0), sample.nic(1) },
    }, { storageClass = "slow" })
    input.site = { namespaces = { "team" } }
    local done = false
    return plan.build(input, only(name, function(_, builtin)
      if done then
        return builtin
      end
      done = true
      return value
    end))
  end

  it("have each decision among those tried here", function()
    for _, decision in ipairs(plan.decisions) do
      if decision.name then
        assert.is_not_nil(cases[decision.name], decision.name)
      end
    end
  end)

  for name, case in pairs(cases) do
    it(name .. " counts when it returns what is possible", function()
      for _, value in ipairs(case.right) do
        local p = assert(hooked(name, value))
        assert.same(case.is or value, case[1](p))
      end
    end)

    it(name .. " is refused as strictly as what a user writes", function()
      for _, value in ipairs(case.wrong) do
        local p, err = hooked(name, value)
        assert.is_nil(p, tostring(value))
        assert.equal("invalid", err.kind)
        assert.matches("hook " .. name, err.message, 1, true)
      end
    end)

    if case.unset then
      it(name .. " unsets with \"\"", function()
        assert.is_nil(case[1](assert(hooked(name, ""))))
      end)
    end
  end

  it("are named with the disk or NIC whose answer is wrong", function()
    local _, err = hooked("disk_bus", "ide")
    assert.matches("hook disk_bus of 2000: ", err.message, 1, true)
    assert.matches("sata, scsi, usb, virtio", err.message, 1, true)
  end)

  it("leave the findings when they return what is equal to the built-in value", function()
    local p = assert(plan.build(sample.input({ firmware = { uefi = true, tpm = true } }),
      only("firmware", function()
        return { uefi = true, secure_boot = false, tpm = true }
      end)))
    assert.is_not_nil(sample.find(p.findings, "TpmStateLeft"))
  end)

  it("may ask what is thought of a value before they return it", function()
    local seen = {}
    built(sample.input(), function(name, _, _, accept)
      if name == "disk_bus" then
        seen = { accept("scsi"), select(2, accept("floppy")) }
      end
    end)
    assert.equal("scsi", seen[1])
    assert.matches("allowed: ", seen[2], 1, true)
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
