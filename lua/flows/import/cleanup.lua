--- flows.import.cleanup: what an import made remotely goes, then the finalizer.

local errors = require "host.error"
local json = require "host.json"
local log = require "host.log"

local M = {}

-- What the source still holds of `recorded`; a source that cannot be reached keeps all.
local function clean_source(import, ctx, recorded)
  local source, err = ctx.open_source(import.spec.sourceCluster)
  if not source then
    return recorded, err
  end
  local borrowed <close> = source
  return borrowed:cleanup(recorded)
end

--- cleanup.run(import, ctx) -> true | nil, err                          [waits]
-- Idempotent. What stays is kept in status.recorded; err says why.
function M.run(import, ctx)
  local recorded = import.status and import.status.recorded or {}
  if #recorded == 0 then
    return true
  end
  local remaining, err = clean_source(import, ctx, recorded)
  ctx.record({ recorded = json.array(remaining or recorded) })
  if remaining and #remaining == 0 then
    ctx.writer:release()
    return true
  end
  err = err or errors.new("busy", "the source still holds what this import made")
  log.warn("cleaning up an import: " .. err.message, {
    namespace = import.metadata.namespace,
    name = import.metadata.name,
  })
  return nil, err
end

--- cleanup.deleted(import, ctx) -> nil | {after = s}                    [waits]
-- The import is being deleted: removes, then lets it go.
function M.deleted(import, ctx)
  local ok = M.run(import, ctx)
  if not ok then
    return { after = 30 }
  end
  ctx.writer:release()
  return nil
end

return M
