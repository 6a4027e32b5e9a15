--- flows.import.moment: the disks of one machine are of one moment, always.
--
-- status.sourceStamp says of which state of the machine everything is that was fetched of
-- it. It is recorded before the first byte is fetched; who finds that the machine has
-- another one throws all of its disks and images away first and records that one then.
-- So whatever is killed when: no disk that counts as whole is of another state.

local digest = require "host.digest"
local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local images = require "flows.import.steps.images"
local json = require "host.json"

local M = {}

-- The machine, the disks that were planned, and what the source says of them.
local function stamp_of(import, source)
  local machine = import.status.machine
  local lines = { machine.id }
  for _, disk in ipairs(import.status.plan.disks) do
    -- What was planned with: a disk that gives more (flows.import.size) is no other one.
    lines[#lines + 1] = ("%s %d"):format(disk.id,
      disk.planned_bytes or disk.capacity_bytes)
  end
  lines[#lines + 1] = assert(source:stamp(machine))
  return digest.sha256(table.concat(lines, "\n")):sub(1, 32)
end

local function has_disks(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    local entry = disk_status.of(import, disk)
    if ctx.target.disks:state(import.status.plan, disk) == "whole"
      or (entry.VirtualMachineImage or "") ~= "" then
      return true
    end
  end
  return false
end

--- moment.discard(import, ctx)                                          [waits]
-- All disks and images go; throws busy until the images are gone. Then they are of no
-- state any more.
function M.discard(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    ctx.target.disks:remove(import.status.plan, disk)
  end
  images.discard(import, ctx)
  disk_status.change(import, ctx, function(entry)
    entry.digests, entry.VirtualMachineImage, entry.lastError = nil, nil, nil
  end)
  ctx.record({ sourceStamp = json.null })
end

-- Throws everything away, and says so wherever somebody may look.
local function begin_anew(import, ctx, when)
  local text = ("%s was on, or its disks have changed, %s: all of its disks are fetched "
    .. "again"):format(import.status.machine.name, when)
  M.discard(import, ctx)
  ctx.writer:working("SourceChanged", text, nil, { event = "Warning" })
  ctx.writer:condition("VMSourceChanged", "True", "SourceChanged", text)
  return text
end

--- moment.differs(import, source) -> boolean                            [waits]
-- Is what was fetched of another state than the machine is in now? Not where nothing was.
function M.differs(import, source)
  local before = import.status.sourceStamp
  return before ~= nil and before ~= stamp_of(import, source)
end

--- moment.settle(import, ctx, source)                                   [waits]
-- Before anything is fetched: what is here of another state goes, or of one that nobody
-- wrote down.
function M.settle(import, ctx, source)
  local before, now = import.status.sourceStamp, stamp_of(import, source)
  if before == now then
    return
  elseif before or has_disks(import, ctx) then
    begin_anew(import, ctx, "since they were fetched")
  end
  ctx.record({ sourceStamp = now })
end

--- moment.check(import, ctx, source)                                    [waits]
-- While an export is open: throws, and throws all disks away, when the machine is not in
-- the state any more that moment.settle() found.
function M.check(import, ctx, source)
  if M.differs(import, source) then
    error(errors.new("busy", begin_anew(import, ctx, "while they were fetched"),
      { reason = "SourceChanged" }))
  end
end

--- moment.changed(import, ctx) -> outcome                               [waits]
-- Of an import whose disks are all here, and which moment.differs().
function M.changed(import, ctx)
  return { state = "sourceReady",
    message = begin_anew(import, ctx, "since they were fetched") }
end

return M
