--- flows.import.size: a disk that turns out to be larger than its source had said.
--
-- A backend that rounds volumes up gives more bytes than the size that was planned with,
-- and the guest may have used them. What is really there counts: the plan is corrected
-- before the disk is fetched, and whoever makes a claim or an image of it finds that.

local errors = require "host.error"
local finding = require "policy.finding"
local findings = require "flows.import.findings"

local M = {}

local MOST = 2 -- times the planned size; more is a mistake of somebody's
local SMALL = 64 * 2 ^ 30 -- bytes that are no mistake, however small the disk

local function said(disk, capacity)
  return finding.warns("DiskLargerThanSaid", "disk " .. disk.id, ("\"%s\" has %d "
    .. "bytes, not %d as its source said: it has grown since, or a backend rounds sizes "
    .. "up; all of them are imported"):format(disk.display_name or disk.name, capacity,
    disk.capacity_bytes))
end

local function corrected(list, disk, capacity)
  local result = {}
  for i, other in ipairs(list) do
    result[i] = other
    if other.id == disk.id then
      local copy = {}
      for key, value in pairs(other) do
        copy[key] = value
      end
      copy.planned_bytes = other.planned_bytes or other.capacity_bytes
      copy.capacity_bytes = capacity
      result[i] = copy
    end
  end
  return result
end

local function record(ctx, disk, capacity)
  ctx.record(function(status)
    local entries = {}
    for i, entry in ipairs(status.diskImportStatus or {}) do
      local copy = {}
      for key, value in pairs(entry) do
        copy[key] = value
      end
      copy.diskSize = entry.diskName == disk.name and capacity or entry.diskSize
      entries[i] = copy
    end
    local list = { said(disk, capacity) }
    finding.add(list, status.findings)
    return {
      plan = { disks = corrected(status.plan.disks, disk, capacity) },
      diskImportStatus = #entries > 0 and entries or nil,
      findings = findings.arrange(list, {}),
    }
  end)
end

--- size.settle(import, ctx, disk, stream) -> disk of the plan           [waits]
-- As it is fetched: as planned, or as large as the stream says that it must be.
--
--   stream  as a provider's export:stream() returns it
-- Throws (invalid) what is larger out of all reason.
function M.settle(import, ctx, disk, stream)
  local capacity = stream.capacity or 0
  local planned = disk.planned_bytes or disk.capacity_bytes
  if capacity <= disk.capacity_bytes then
    return disk
  elseif capacity > math.max(MOST * planned, planned + SMALL) then
    local text = ("disk %s of %s: its source says that it has %d bytes, and gives %d")
      :format(disk.id, import.status.machine.name, planned, capacity)
    error(errors.final(errors.new("invalid", text, { reason = "DiskSizeDiffers" })))
  end
  record(ctx, disk, capacity)
  for _, now in ipairs(import.status.plan.disks) do
    if now.id == disk.id then
      return now
    end
  end
  return disk
end

--- size.keep(import, machine, plan) -> findings
-- Of a machine that is planned anew: what was found of its disks still holds, while its
-- source says of them what it said then. `plan` is corrected.
function M.keep(import, machine, plan)
  local status, found = import.status or {}, {}
  local same = status.machine and status.plan and status.machine.id == machine.id
  for _, old in ipairs(same and status.plan.disks or {}) do
    for _, new in ipairs(plan.disks) do
      if old.id == new.id and old.planned_bytes == new.capacity_bytes then
        found[#found + 1] = said(new, old.capacity_bytes)
        new.planned_bytes, new.capacity_bytes = old.planned_bytes, old.capacity_bytes
      end
    end
  end
  return found
end

return M
