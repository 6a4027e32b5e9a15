--- flows.import.steps.again: a finished import in a directory that is run again.
--
-- It looks again: what can be decided anew without fetching (networks, buses, names
-- here) is, and the manifests are written anew. What cannot is refused, and leaves all as
-- it is: another machine, one that was on since, or whose disks have changed. Nobody who
-- runs a command twice wants a machine shut down that is in use again.

local conditions = require "kube.conditions"
local moment = require "flows.import.moment"
local origin = require "base.origin"
local preflight = require "flows.import.steps.preflight"

local M = {}

local REFUSED = "NotRunAgain"
local ADVICE = "; the disks and manifests here stay as they are: import it into another "
  .. "folder"

--- again.is_finished(import) -> boolean: has it ended well in a directory?
function M.is_finished(import)
  local status = import.status or {}
  local stalled = conditions.find(status.conditions, "Stalled") or {}
  return status.importStatus == "disksExported"
    and (conditions.is_true(status.conditions, "Ready") or stalled.reason == REFUSED)
end

--- again.is_due(import, ctx) -> boolean
function M.is_due(import, ctx)
  return not ctx.target.can.run and M.is_finished(import)
end

-- Why it cannot be told anew without fetching; nil: it can.
local function problem(import, source)
  local spec, machine = import.spec, import.status.machine
  local id, err = source:find({ name = spec.virtualMachineName, folder = spec.folder })
  if not id and err.kind ~= "notfound" and err.kind ~= "invalid" then
    error(err)
  elseif not id then
    return ("%s, of which the disks here are, is not found any more: %s"):format(
      machine.name, err.message)
  elseif id ~= machine.id then
    return ("the disks here are of %s (%s), and spec.virtualMachineName is %s (%s) now")
      :format(machine.name, machine.id, spec.virtualMachineName, id)
  end
  local state = assert(source:power_state(id))
  if state ~= "off" then
    return ("%s is %s at its source, and was off when its disks were fetched"):format(
      machine.name, state)
  elseif moment.differs(import, source) then
    return ("%s was on, or its disks have changed, since they were fetched"):format(
      machine.name)
  end
end

local function refuse(import, ctx, text)
  ctx.writer:stalled(REFUSED, text .. ADVICE, {
    observedGeneration = import.metadata.generation,
  })
  return { leave = true }
end

--- again.run(import, ctx) -> outcome                                    [waits]
function M.run(import, ctx)
  do
    local source <close> = assert(ctx.open_source(origin.of(import)))
    local text = problem(import, source)
    if text then
      return refuse(import, ctx, text)
    end
  end
  local outcome = preflight.run(import, ctx)
  if outcome then
    return outcome
  end
  ctx.record({ importedVirtualMachineName = import.status.plan.name })
  return nil
end

return M
