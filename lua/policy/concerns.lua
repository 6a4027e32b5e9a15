--- policy.concerns: what may not survive the move, and what the user should know.
--
-- The source knows its own traps and puts them into machine.concerns; here are those that
-- only show when machine, spec and plan are seen together.

local finding = require "policy.finding"
local disk = require "policy.disk"
local network = require "policy.network"

-- KubeVirt's bound for disks and interfaces alike.
local DEVICES_MAX = 256

local M = {}

local function count(machine)
  local findings = {}
  if #machine.disks == 0 then
    findings[#findings + 1] = finding.blocks("NoDisks", "machine",
      "The machine has no disk to import.")
  end
  for _, kind in ipairs({ "disks", "nics" }) do
    local n = #machine[kind]
    if n > DEVICES_MAX then
      findings[#findings + 1] = finding.blocks("TooManyDevices", "machine " .. kind,
        ("The machine has %d %s; KubeVirt takes %d."):format(n, kind, DEVICES_MAX),
        "Remove some at the source.")
    end
  end
  return findings
end

local function snapshots(machine)
  if machine.snapshots == 0 then
    return nil
  end
  return {
    finding.informs("HasSnapshots", "machine",
      ("The machine has %d snapshots; its present state alone is imported."):format(
        machine.snapshots)),
  }
end

local function disconnected(machine, plan)
  local findings, here = {}, {}
  for _, entry in ipairs(plan.nics) do
    here[entry.id] = true
  end
  for _, nic in ipairs(machine.nics) do
    if here[nic.id] and not nic.connected then
      findings[#findings + 1] = finding.warns("NicDisconnected", "nic " .. nic.id,
        ("\"%s\" is not connected at the source, and will be here."):format(nic.name),
        "Set spec.targetPowerState: Stopped and remove the NIC here if that is unwanted.")
    end
  end
  return findings
end

local function kept_macs(plan)
  for _, entry in ipairs(plan.nics) do
    if entry.mac then
      return {
        finding.informs("MacAddressesKept", "machine",
          "The machine keeps its MAC addresses: together with the source, both would "
            .. "lose their network.",
          "Leave the source off once the machine runs here."),
      }
    end
  end
  return nil
end

--- concerns.decide(input, plan) -> findings
-- Those of the source, of the mappings, and of machine and plan together.
function M.decide(input, plan)
  local findings = {}
  finding.add(findings, input.machine.concerns)
  finding.add(findings, disk.check_mapping(input))
  finding.add(findings, network.check_mapping(input))
  finding.add(findings, count(input.machine))
  finding.add(findings, snapshots(input.machine))
  finding.add(findings, disconnected(input.machine, plan))
  finding.add(findings, kept_macs(plan))
  return findings
end

--- concerns.check(value) -> findings | nil, message
function M.check(value)
  if type(value) ~= "table" then
    return nil, "a list of findings is expected"
  end
  for i, item in ipairs(value) do
    local ok, message = finding.check(item)
    if not ok then
      return nil, ("[%d]: %s"):format(i, message)
    end
  end
  return finding.sorted(value)
end

return M
