--- flows.import.steps.admit: the source is ready, and there is a place under the limits.

local origin = require "base.origin"
local place = require "flows.import.steps.place"
local waits = require "flows.waits"

local M = {}

local function wait_for_source(ref, why)
  return {
    wait = "SourceNotReady",
    trouble = true,
    after = waits.SOURCE,
    message = ("waiting for %s: %s"):format(origin.text(ref), why),
  }
end

-- What keeps the source from being used, or nil.
local function not_ready(ctx, ref)
  local source, err = ctx.store:get(ref.kind, ref.namespace, ref.name)
  if not source and err.kind == "notfound" then
    return "it does not exist"
  elseif not source then
    error(err)
  elseif not source.status or source.status.status ~= "clusterReady" then
    return "it is not clusterReady"
  end
end

-- What was free when the import was planned may be taken by now: an outcome, while the
-- source still runs.
local function wait_for_room(import, ctx)
  local problem = ctx.target.can.run
    and ctx.target:room_problem(import.status.plan, import.spec.skipPreflightChecks)
  return problem and { wait = problem.code, after = waits.ROOM, trouble = true,
    message = ("%s: %s; the source is not touched until then"):format(problem.message,
      problem.action) } or nil
end

--- admit.run(import, ctx) -> outcome                                    [waits]
function M.run(import, ctx)
  if import.spec.dryRun then
    return { rest = "DryRun", message = "spec.dryRun is set: checked, planned, nothing "
      .. "moved; see status.findings and status.plan" }
  end
  local ref = origin.of(import)
  local why = not_ready(ctx, ref)
  if why then
    return wait_for_source(ref, why)
  end
  local early = wait_for_room(import, ctx)
  if early then
    return early
  end
  local full = place.run(import, ctx)
  if full then
    return full
  end
  return "sourceReady"
end

return M
