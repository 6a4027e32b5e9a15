--- providers.vmware.concerns: what of a machine may not survive the move. Pure.
--
-- Only what vSphere alone knows: what shows in the neutral Machine, policy/ finds. A rule
-- is one finding: code, severity, and a function that says for whom it holds. What
-- depends on the moment (power, questions, tasks) is preflight.lua's.

local finding = require "base.finding"

local M = {}

-- Calls say(subject, message, action) for every disk for which holds(disk, facts).
local function each_disk(machine, found, holds, say)
  for _, disk in ipairs(machine.disks) do
    if holds(found.facts[disk.id]) then
      say("disk " .. disk.id, disk)
    end
  end
end

local function each(labels, say)
  for _, name in ipairs(labels or {}) do
    say(name)
  end
end

local RULES = {}

local function rule(code, severity, apply)
  RULES[#RULES + 1] = { code = code, severity = severity, apply = apply }
end

rule("MissingDatastore", "Blocks", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.backing and not facts.placed and not facts.raw_device
  end, function(subject)
    say(subject, "lies on no datastore that the host can reach",
      "make the datastore accessible again")
  end)
end)

rule("RawDevicePhysical", "Blocks", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.raw_device == "physicalMode"
  end, function(subject)
    say(subject, "a raw device in physical mode: vSphere does not export it",
      "detach it and move its contents in another way")
  end)
end)

rule("RawDeviceVirtual", "Warns", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.raw_device == "virtualMode"
  end, function(subject)
    say(subject, "a raw device in virtual mode: becomes an ordinary disk",
      "see whether something else uses the device")
  end)
end)

rule("IndependentDisk", "Warns", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.mode:find("^independent") ~= nil or facts.mode == "nonpersistent"
  end, function(subject, disk)
    say(subject, "some releases of vSphere do not export a disk of this mode",
      "set the mode to persistent before", found.facts[disk.id].mode)
  end)
end)

rule("SharedDisk", "Warns", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.multi_writer or (facts.sharing or "noSharing") ~= "noSharing"
  end, function(subject)
    say(subject, "can be shared with other machines; each import gets a copy of its own",
      "stop the other machines, and share the disk again afterwards")
  end)
end)

rule("EncryptedDisk", "Warns", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.encrypted
  end, function(subject)
    say(subject, "encrypted by vSphere; some releases refuse to export such a disk",
      "remove the encryption policy in vSphere if the export fails")
  end)
end)

rule("LinkedDisk", "Informs", function(machine, found, _, say)
  each_disk(machine, found, function(facts)
    return facts.delta and machine.snapshots == 0
  end, function(subject)
    say(subject, "a linked clone; the whole disk is imported, with its base")
  end)
end)

rule("EncryptedMachine", "Warns", function(machine, _, state, say)
  if state.encrypted or machine.firmware.tpm then
    say("machine", ("vSphere encrypts the machine%s; some releases refuse to export such "
      .. "a one"):format(machine.firmware.tpm and " because of its virtual TPM" or ""),
      "decrypt it in vSphere if the export fails")
  end
end)

rule("Passthrough", "Warns", function(_, found, _, say)
  each(found.special.passthrough, function(name)
    say(name, "a device of the host; the imported machine lacks it",
      "add a device of the target's hosts if it is needed")
  end)
end)

rule("SRIOV", "Warns", function(_, found, _, say)
  each(found.special.sriov, function(name)
    say(name, "an SR-IOV adapter; becomes an ordinary one",
      "add an SR-IOV network on the target if it is needed")
  end)
end)

rule("USBDevice", "Warns", function(_, found, _, say)
  each(found.special.usb_device, function(name)
    say(name, "a USB device; the imported machine lacks it",
      "attach it to the imported machine")
  end)
end)

rule("USBController", "Informs", function(_, found, _, say)
  each(found.special.usb_controller, function(name)
    say(name, "not carried over", "add USB devices here if some are used")
  end)
end)

rule("ConsolidationNeeded", "Warns", function(_, _, state, say)
  if state.consolidation then
    say("machine", "its disks need consolidation after a failed snapshot",
      "consolidate them in vSphere before")
  end
end)

rule("FaultTolerance", "Warns", function(_, _, state, say)
  local mode = state.fault_tolerance
  if mode and mode ~= "notConfigured" then
    say("machine", "Fault Tolerance is on; vSphere does not export such a machine",
      "turn Fault Tolerance off before")
  end
end)

rule("Template", "Informs", function(_, _, state, say)
  if state.template then
    say("machine", "it is a template; the import makes a machine of it")
  end
end)

rule("Hotplug", "Informs", function(_, _, state, say)
  local what = state.cpu_hotplug and state.memory_hotplug and "CPUs and memory"
    or state.cpu_hotplug and "CPUs" or state.memory_hotplug and "memory"
  if what then
    say("machine", ("%s can be added while it runs; that is not carried over")
      :format(what))
  end
end)

--- concerns.find(machine, found, state) -> findings
--
--   machine  table  the neutral Machine, complete but for its concerns
--   found    table  of devices.read
--   state    table  encrypted, template, cpu_hotplug, memory_hotplug, consolidation
--                   booleans; fault_tolerance  string
--   findings list   {code, severity, subject, message, action}, the worst first
function M.find(machine, found, state)
  local by_severity = { Blocks = {}, Warns = {}, Informs = {} }
  for _, r in ipairs(RULES) do
    r.apply(machine, found, state, function(subject, message, action, detail)
      table.insert(by_severity[r.severity],
        finding.new(r.severity, r.code, subject, message, action, detail))
    end)
  end
  local findings = {}
  for _, severity in ipairs { "Blocks", "Warns", "Informs" } do
    table.move(by_severity[severity], 1, #by_severity[severity], #findings + 1, findings)
  end
  return findings
end

return M
