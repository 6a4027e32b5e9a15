--- flows.import.disk_status: status.diskImportStatus, an entry per disk of the plan.

local conditions = require "kube.conditions"
local digest = require "host.digest"
local json = require "host.json"
local time = require "host.time"

local M = {}

--- disk_status.FILE: kind of a recorded entry that is a disk's file in scratch.
M.FILE = "ScratchFile"

--- disk_status.file_entry(disk) -> entry of status.recorded
function M.file_entry(disk)
  return { kind = M.FILE, name = disk.name, diskID = disk.id }
end

local function copy(entry)
  local result = {}
  for key, value in pairs(entry) do
    result[key] = value
  end
  return result
end

local function by_name(list)
  local found = {}
  for _, entry in ipairs(list or {}) do
    found[entry.diskName] = entry
  end
  return found
end

--- disk_status.change(import, ctx, f)                                   [waits]
-- Records f(entry, disk) of every disk of the plan, in its order; entries that are not
-- there yet are made. `f` changes the copy it is given.
function M.change(import, ctx, f)
  ctx.record(function(status)
    local before, list = by_name(status.diskImportStatus), json.array({})
    for i, disk in ipairs(import.status.plan.disks) do
      local entry = copy(before[disk.name] or {
        diskName = disk.name,
        diskSize = disk.capacity_bytes,
        busType = disk.bus,
        diskConditions = json.array({}),
      })
      f(entry, disk)
      list[i] = entry
    end
    return { diskImportStatus = list }
  end)
end

--- disk_status.of(import, disk) -> entry
function M.of(import, disk)
  return by_name(import.status.diskImportStatus)[disk.name] or {}
end

--- disk_status.set(entry, ctx, type, status, reason, message)
-- One of upstream's diskConditions.
function M.set(entry, ctx, type, status, reason, message)
  entry.diskConditions = conditions.set(entry.diskConditions, {
    type = type,
    status = status,
    reason = reason or "",
    message = message or "",
  }, time.rfc3339(ctx.now()), { update_time = true })
end

--- disk_status.ensure_routes(import, ctx)                               [waits]
-- Gives every disk the path its image is served at: unguessable, made once, recorded
-- before it is used.
function M.ensure_routes(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    if not M.of(import, disk).diskRoute then
      M.change(import, ctx, function(entry)
        entry.diskRoute = entry.diskRoute
          or ("/%s/%s.raw"):format(digest.random(16), entry.diskName)
      end)
      return
    end
  end
end

return M
