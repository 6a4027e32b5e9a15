--- flows.import.cleanup: what an import made remotely goes, then the finalizer.

local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local json = require "host.json"
local log = require "host.log"

local M = {}

local AGAIN = 10 -- seconds

-- The machine first: what it uses cannot go before it.
local OURS = { "VirtualMachine", "DataVolume", "PersistentVolumeClaim",
  "VirtualMachineImage" }

local function is_ours(entry)
  for _, kind in ipairs(OURS) do
    if entry.kind == kind then
      return true
    end
  end
  return false
end

local function split(recorded)
  local here, there = {}, {}
  for _, entry in ipairs(recorded) do
    local list = is_ours(entry) and here or there
    list[#list + 1] = entry
  end
  return here, there
end

-- What is left of the objects in this cluster.
local function clean_target(import, ctx, entries)
  local left = {}
  for _, kind in ipairs(OURS) do
    for _, entry in ipairs(entries) do
      local namespace = import.metadata.namespace
      if entry.kind == kind
        and not ctx.target:delete(kind, namespace, entry.name, import) then
        left[#left + 1] = entry
      end
    end
  end
  return left
end

-- What is left at the source; one that cannot be reached keeps all.
local function clean_source(import, ctx, entries)
  if #entries == 0 then
    return entries
  end
  local source, err = ctx.open_source(import.spec.sourceCluster)
  if not source then
    return entries, err
  end
  local borrowed <close> = source
  local left
  left, err = borrowed:cleanup(entries)
  return left or entries, err
end

-- Disks in scratch are of no use any more; in a directory they are the user's.
local function clean_scratch(import, ctx)
  local plan = import.status and import.status.plan
  if not plan or not ctx.target.can.images then
    return
  end
  for _, disk in ipairs(plan.disks) do
    local route = disk_status.of(import, disk).diskRoute
    if route then
      ctx.target:forget(route)
    end
    ctx.target.disks:remove(plan, disk)
  end
end

--- cleanup.run(import, ctx) -> true | nil, err                          [waits]
-- Idempotent. What stays is kept in status.recorded; err says why.
function M.run(import, ctx)
  clean_scratch(import, ctx)
  local recorded = import.status and import.status.recorded or {}
  if #recorded == 0 then
    return true
  end
  local here, there = split(recorded)
  local left = json.array(clean_target(import, ctx, here))
  local remaining, err = clean_source(import, ctx, there)
  table.move(remaining, 1, #remaining, #left + 1, left)
  ctx.record({ recorded = left })
  if #left == 0 then
    ctx.writer:release()
    return true
  end
  local first = left[1]
  err = err or errors.new("busy", first.kind .. " " .. first.name .. " is still there")
  log.warn("cleaning up an import: " .. err.message, {
    namespace = import.metadata.namespace,
    name = import.metadata.name,
  })
  return nil, err
end

--- cleanup.again: the step of an import that has ended while something was left.
M.again = {}

function M.again.run(import, ctx)
  local ok = M.run(import, ctx)
  return { leave = true, after = not ok and AGAIN or nil }
end

--- cleanup.deleted(import, ctx) -> nil | {after = s}                    [waits]
-- The import is being deleted: removes, then lets it go.
function M.deleted(import, ctx)
  if not M.run(import, ctx) then
    return { after = AGAIN }
  end
  ctx.writer:release()
  return nil
end

return M
