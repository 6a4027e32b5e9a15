--- flows.import.steps.last_look: the source is looked at once more before the machine
-- is made.
--
-- The copy must not run beside the machine it was copied from, and must not lack what
-- that one has written since. In a cluster a source that runs is waited for: shut down
-- again, its disks are fetched anew. The copy is not made stopped instead, which would
-- look like an end and be the older of two states. In a directory somebody has just run
-- a command and reads what it says: it fails.

local errors = require "host.error"
local moment = require "flows.import.moment"
local origin = require "base.origin"
local waits = require "flows.waits"

local M = {}

-- From here on the copy is there and may have been started: nothing of it is taken back.
local function is_made(import, ctx)
  local namespace = import.status.plan.namespace
  for _, entry in ipairs(import.status.recorded or {}) do
    if entry.kind == "VirtualMachine" then
      local state, err = ctx.target:machine_state(namespace, entry.name)
      return state ~= nil or err.kind ~= "notfound" and error(err)
    end
  end
  return false
end

local function running(import, ctx, state)
  local text = ("%s is %s at its source: the copy would be a second one of it, and lack "
    .. "what it writes"):format(import.status.machine.name,
    state == "on" and "running again" or state)
  if not ctx.target.can.run then
    error(errors.new("busy", text .. "; shut it down there and run this again: its disks "
      .. "are fetched again then", { reason = "SourceRunning", final = true }))
  end
  return { wait = "SourceRunning", after = waits.SOURCE, event = "Warning", message = text
    .. "; shut it down there, and its disks are fetched again, or delete the import" }
end

-- The machine was removed at its source: nothing runs beside the copy, which may be all
-- that is left of it.
local function gone(import, ctx)
  ctx.writer:event("Warning", "SourceGone", ("%s does not exist at its source any more; "
    .. "the copy is made of what was fetched"):format(import.status.machine.name))
  return nil
end

-- Whether the machine runs can only be seen through its source: what was fetched waits
-- until that is there again.
local function open(import, ctx)
  local source, err = ctx.open_source(origin.of(import))
  if not source and err.reason == "SourceNotFound" and ctx.target.can.run then
    error(errors.new(err.kind, err.message .. "; create it again, so that it can be seen "
      .. "that the machine is still off there, or delete the import",
      { waits = "SourceNotFound", after = waits.SOURCE }))
  end
  return assert(source, err)
end

--- last_look.run(import, ctx) -> outcome                                [waits]
function M.run(import, ctx)
  if ctx.target.can.run and is_made(import, ctx) then
    return nil
  end
  local source <close> = open(import, ctx)
  local state, err = source:power_state(import.status.machine.id)
  if not state and err.kind == "gone" then
    return gone(import, ctx)
  elseif assert(state, err) ~= "off" then
    return running(import, ctx, state)
  elseif moment.differs(import, source) then
    return moment.changed(import, ctx)
  end
  return nil
end

return M
