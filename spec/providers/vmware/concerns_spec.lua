local concerns = require "providers.vmware.concerns"

local QUIET = { mode = "persistent" }

-- What is found of a machine with one disk of these facts: list of "Code of subject".
-- more: of the machine; state, special: as concerns.find has them.
local function found(case)
  local machine = { disks = { { id = "2000" } }, snapshots = 0, firmware = {} }
  for key, value in pairs(case.machine or {}) do
    machine[key] = value
  end
  local list = concerns.find(machine, { facts = { ["2000"] = case.facts or QUIET },
    special = case.special or {} }, case.state or {})
  local said = {}
  for i, one in ipairs(list) do
    said[i] = ("%s %s of %s"):format(one.severity, one.code, one.subject)
  end
  return said, list
end

local function disk_of(facts)
  facts.mode = facts.mode or "persistent"
  return { facts = facts }
end

local SAID = {
  { "Blocks MissingDatastore of disk 2000", disk_of { backing = true } },
  { "Blocks RawDevicePhysical of disk 2000", disk_of { raw_device = "physicalMode" } },
  { "Warns RawDeviceVirtual of disk 2000", disk_of { raw_device = "virtualMode" } },
  { "Warns IndependentDisk of disk 2000", disk_of { mode = "independent_persistent" } },
  { "Warns IndependentDisk of disk 2000", disk_of { mode = "nonpersistent" } },
  { "Warns SharedDisk of disk 2000", disk_of { multi_writer = true } },
  { "Warns SharedDisk of disk 2000", disk_of { sharing = "sharingMultiWriter" } },
  { "Warns EncryptedDisk of disk 2000", disk_of { encrypted = true } },
  { "Informs LinkedDisk of disk 2000", disk_of { delta = true } },
  { "Warns EncryptedMachine of machine", { state = { encrypted = true } } },
  { "Warns EncryptedMachine of machine", { machine = { firmware = { tpm = true } } } },
  { "Warns Passthrough of gpu", { special = { passthrough = { "gpu" } } } },
  { "Warns SRIOV of nic", { special = { sriov = { "nic" } } } },
  { "Warns USBDevice of stick", { special = { usb_device = { "stick" } } } },
  { "Informs USBController of xhci", { special = { usb_controller = { "xhci" } } } },
  { "Warns ConsolidationNeeded of machine", { state = { consolidation = true } } },
  { "Warns FaultTolerance of machine", { state = { fault_tolerance = "running" } } },
  { "Informs Template of machine", { state = { template = true } } },
  { "Informs Hotplug of machine", { state = { cpu_hotplug = true } } },
  { "Informs Hotplug of machine", { state = { memory_hotplug = true } } },
}

describe("providers.vmware.concerns", function()
  for i, case in ipairs(SAID) do
    it(("finds %s, and nothing else (%d)"):format(case[1], i), function()
      assert.same({ case[1] }, (found(case[2])))
    end)
  end

  for what, case in pairs {
    ["a machine that has nothing of all that"] = {},
    ["a disk that is placed"] = disk_of { backing = true, placed = true },
    ["a raw device for where it lies"] = disk_of { backing = true, raw_device = "other" },
    ["a disk that is not shared"] = disk_of { sharing = "noSharing" },
    ["a delta of a snapshot"] = { facts = { mode = "persistent", delta = true },
      machine = { snapshots = 1 } },
    ["Fault Tolerance that is off"] = { state = { fault_tolerance = "notConfigured" } },
  } do
    it("says nothing of " .. what, function()
      assert.same({}, (found(case)))
    end)
  end

  it("says which of CPUs and memory can be added", function()
    local function message(state)
      local _, list = found { state = state }
      return list[1].message:match("^(.-) can be added while it runs")
    end
    assert.equal("CPUs", message { cpu_hotplug = true })
    assert.equal("memory", message { memory_hotplug = true })
    assert.equal("CPUs and memory", message { cpu_hotplug = true, memory_hotplug = true })
  end)

  it("says whether a TPM is why the machine is encrypted", function()
    local function message(tpm)
      local _, list = found { machine = { firmware = { tpm = tpm } },
        state = { encrypted = true } }
      return list[1].message
    end
    assert.equal("vSphere encrypts the machine because of its virtual TPM; some releases "
      .. "refuse to export such a one", message(true))
    assert.equal("vSphere encrypts the machine; some releases refuse to export such a one",
      message(nil))
  end)

  it("names the mode of a disk, apart from what is true of all such", function()
    local _, list = found(disk_of { mode = "independent_nonpersistent" })
    assert.equal("independent_nonpersistent", list[1].detail)
  end)

  it("puts the worst first, in the order of the rules, and each disk by itself", function()
    local list = concerns.find({ disks = { { id = "1" }, { id = "2" } }, snapshots = 0,
      firmware = {} }, { facts = { ["1"] = { mode = "persistent", encrypted = true },
      ["2"] = { mode = "nonpersistent", raw_device = "physicalMode" } }, special = {} },
      { template = true })
    local codes = {}
    for i, one in ipairs(list) do
      codes[i] = one.code .. " " .. one.subject
    end
    assert.same({ "RawDevicePhysical disk 2", "IndependentDisk disk 2", "EncryptedDisk disk 1",
      "Template machine" }, codes)
  end)
end)
