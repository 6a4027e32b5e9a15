--- flows.import.steps.cleanup: what an import made remotely goes, then the finalizer.

local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local json = require "host.json"
local origin = require "base.origin"
local time = require "host.time"
local waits = require "flows.waits"

local M = {}

local SOURCE_TRIES = 60 -- so long nothing lives at a source that nobody keeps

-- The machine first: what it uses cannot go before it.
local OURS = { "VirtualMachine", "DataVolume", "PersistentVolumeClaim",
  "VirtualMachineImage" }

--- cleanup.is_ours(entry) -> boolean
-- Of status.recorded: is it here, and not at the source?
function M.is_ours(entry)
  for _, kind in ipairs(OURS) do
    if entry.kind == kind then
      return true
    end
  end
  return entry.kind == disk_status.FILE
end

-- Objects in this cluster, and what there is at the source.
local function split(recorded)
  local here, there = {}, {}
  for _, entry in ipairs(recorded) do
    if entry.kind ~= disk_status.FILE then
      local list = M.is_ours(entry) and here or there
      list[#list + 1] = entry
    end
  end
  return here, there
end

-- Entries of objects in this cluster that could not be removed, and why.
local function clean_target(import, ctx, entries)
  local left, problem = {}, nil
  for _, kind in ipairs(OURS) do
    for _, entry in ipairs(entries) do
      if entry.kind == kind then
        local gone, err = ctx.target:delete(kind, import.metadata.namespace, entry.name,
          import)
        if not gone then
          left[#left + 1] = entry
          problem = problem or err
        end
      end
    end
  end
  return left, problem
end

-- What is at a source that cannot be asked any more is left to its own expiry: a vSphere
-- export ends minutes after nobody keeps it. Tries are counted, as clocks are set.
local function is_hopeless(import, err)
  return err.reason == "SourceNotFound" or err.kind == "unsupported"
    or import.metadata.deletionTimestamp ~= nil
    and (import.status.cleanings or 0) >= SOURCE_TRIES
end

-- Entries of objects at the source that could not be removed, and why.
local function clean_source(import, ctx, entries)
  if #entries == 0 then
    return entries
  end
  local source, err = ctx.open_source(origin.of(import))
  if not source and is_hopeless(import, err) then
    ctx.writer:event("Warning", "LeftAtSource", ("what the import began at its source is "
      .. "left to end by itself: %s"):format(err.message))
    return {}
  elseif not source then
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

local function say_removed(ctx, before, left)
  local stays = {}
  for _, entry in ipairs(left) do
    stays[entry.kind .. "/" .. entry.name] = true
  end
  for _, entry in ipairs(before) do
    if not stays[entry.kind .. "/" .. entry.name] then
      ctx.writer.story:removed(entry.kind, entry.name, entry.diskID)
    end
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
  local left, problem = clean_target(import, ctx, here)
  local remaining, err = clean_source(import, ctx, there)
  left = json.array(left)
  table.move(remaining, 1, #remaining, #left + 1, left)
  ctx.record({ recorded = left })
  say_removed(ctx, recorded, left)
  if #left == 0 then
    ctx.writer:release()
    return true
  end
  return nil, problem or err
    or errors.new("busy", ("%s %s is still there"):format(left[1].kind, left[1].name))
end

--- cleanup.again: the step of an import that has ended while something was left.
M.again = {}

function M.again.run(import, ctx)
  local ok, err = M.run(import, ctx)
  if ok then
    ctx.record({ nextAttemptTime = json.null })
    return { leave = true }
  end
  ctx.writer:event("Warning", "CleaningUp", err.message)
  ctx.record({ nextAttemptTime = time.rfc3339(ctx.now() + waits.LEFTOVERS) })
  return { leave = true, after = waits.LEFTOVERS }
end

--- cleanup.deleted(import, ctx) -> nil | {after = s}                    [waits]
-- The import is being deleted: removes, then lets it go.
function M.deleted(import, ctx)
  local ok, err = M.run(import, ctx)
  if not ok then
    ctx.writer:working("CleaningUp", "before it is deleted: " .. err.message, {
      nextAttemptTime = time.rfc3339(ctx.now() + waits.LEFTOVERS),
      cleanings = (import.status and import.status.cleanings or 0) + 1,
    }, { event = "Warning" })
    return { after = waits.LEFTOVERS }
  end
  ctx.writer:line("info", "Deleted", "the import is deleted, and nothing is left that "
    .. "would have to go with it")
  ctx.writer:release()
  return nil
end

return M
