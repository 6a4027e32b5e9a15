--- flows.import.steps.place: an import that reads its source has a place under the
-- limits, and leaves it to others while it waits for that source.

local waits = require "flows.waits"

local M = {}

--- place.run(import, ctx) -> outcome | nil
function M.run(import, ctx)
  if not ctx.take_place then
    return nil
  end
  local ok, message = ctx.take_place(import)
  if ok then
    return nil
  end
  return { wait = "WaitingForPlace", message = message, after = waits.PLACE,
    outage = import.status and import.status.outage and true or nil }
end

--- place.leave(import, ctx)
-- After a failure: the import tries again later, or waits until its source is back.
function M.leave(import, ctx)
  if ctx.leave_place and import.status.importStatus == "sourceReady" then
    ctx.leave_place(import)
  end
end

return M
