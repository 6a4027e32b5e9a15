--- flows.import.admit: the source is ready, and there is a place under the limits.

local M = {}

local AGAIN = 10 -- seconds

--- admit.run(import, ctx) -> outcome                                    [waits]
function M.run(import, ctx)
  if import.spec.dryRun then
    return { wait = "DryRun", message = "spec.dryRun is set: checked, planned, nothing "
      .. "moved; see status.findings and status.plan", after = 3600 }
  end
  local ref = import.spec.sourceCluster
  local source = assert(ctx.store:get(ref.kind, ref.namespace, ref.name))
  if not source.status or source.status.status ~= "clusterReady" then
    return { wait = "SourceNotReady", after = AGAIN,
      message = ("waiting for %s %s/%s to be clusterReady"):format(
        ref.kind, ref.namespace, ref.name) }
  end
  if ctx.take_place then
    local ok, why = ctx.take_place(import)
    if not ok then
      return { wait = "WaitingForPlace", message = why, after = 3 * AGAIN }
    end
  end
  return "sourceReady"
end

return M
