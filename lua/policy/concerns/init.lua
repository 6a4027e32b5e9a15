--- policy.concerns: what may not survive the move, and what the user should know.
--
-- The source knows its own traps and puts them into machine.concerns; here are those that
-- only show when machine, spec and plan are seen together.

local finding = require "policy.finding"
local disk = require "policy.disk"
local guest = require "policy.guest"
local network = require "policy.network"
local start_risks = require "policy.concerns.start_risks"

-- What KubeVirt's admission takes of disks, volumes, interfaces and networks, each.
-- libvirt adds SATA controllers by six disks, and one for SCSI takes all of them.
local DEVICES_MAX = 256
-- Each virtio disk and each NIC takes a PCI Express port of its own. A bus has 32 places,
-- of which KubeVirt and libvirt need some: with more it depends on the machine type
-- whether it starts ("No more available PCI slots").
local PORTS_SAFE = 24

local M = {}

local function too_many(kind, n, more)
  return n > DEVICES_MAX and finding.blocks("TooManyDevices", "machine " .. kind,
    ("the machine has %d %s%s; KubeVirt takes %d"):format(n, kind, more, DEVICES_MAX),
    "remove some at the source") or nil
end

local function count_ports(plan)
  local ports, virtio = #plan.nics, 0
  for _, entry in ipairs(plan.disks) do
    virtio = virtio + (entry.bus == "virtio" and 1 or 0)
  end
  if virtio == 0 or ports + virtio <= PORTS_SAFE then
    return nil
  end
  return finding.warns("ManyVirtioDisks", "machine",
    ("%d disks on bus virtio and %d NICs take a PCI Express port each; with more than "
      .. "%d KubeVirt may not be able to start the machine"):format(virtio, ports,
      PORTS_SAFE),
    "set spec.defaultDiskBusType: scsi, which has room for all of them")
end

local function count(machine, plan)
  local findings = {}
  if #machine.disks == 0 then
    findings[#findings + 1] = finding.blocks("NoDisks", "machine",
      "the machine has no disk to import")
  end
  local extra = plan.cloud_init and 1 or 0
  findings[#findings + 1] = too_many("disks", #plan.disks + extra,
    extra > 0 and ", with that of cloud-init" or "")
  findings[#findings + 1] = too_many("NICs", #plan.nics, "")
  findings[#findings + 1] = count_ports(plan)
  return findings
end

local function snapshots(machine)
  if machine.snapshots == 0 then
    return nil
  end
  return {
    finding.informs("HasSnapshots", "machine",
      ("the machine has %d snapshots; its present state alone is imported"):format(
        machine.snapshots)),
  }
end

local function kept_macs(plan)
  for _, entry in ipairs(plan.nics) do
    if entry.mac then
      return {
        finding.informs("MacAddressesKept", "machine",
          "the machine keeps its MAC addresses: together with the source, both would "
            .. "lose their network",
          "leave the source off once the machine runs here"),
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
  finding.add(findings, count(input.machine, plan))
  finding.add(findings, snapshots(input.machine))
  finding.add(findings, start_risks.find(input.machine, plan))
  finding.add(findings, guest.concerns(plan.os, input.spec.timeZone))
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
