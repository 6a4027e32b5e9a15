--- flows.import.retry: how often an import tries again, and when.

local time = require "host.time"

local M = {}

local MAX_RETRIES = 5
local FIRST = 5 -- seconds until the second attempt; twice as many until each after it

--- retry.LONGEST: seconds between two attempts, at most.
M.LONGEST = 300

--- retry.next(import, ctx, after) -> attempt | nil, tried
-- Of an import whose attempt has just failed. Nil: that was the last of `tried`.
--
--   after           seconds  that it has to wait (default: longer each time)
--   attempt.after   seconds until it
--   attempt.text    "attempt 2 of 6 at 2026-01-02T03:04:05Z"
--   attempt.fields  of the status: attempt, nextAttemptTime
function M.next(import, ctx, after)
  local tried = (import.status and import.status.attempt or 0) + 1
  local most = import.spec.maxRetries or ctx.options.max_retries or MAX_RETRIES
  if tried > most then
    return nil, tried
  end
  local first = ctx.options.retry_first or FIRST
  after = after or math.min(first * 2 ^ (tried - 1), M.LONGEST)
  local at = time.rfc3339(ctx.now() + after)
  return {
    after = after,
    text = ("attempt %d of %d at %s"):format(tried + 1, most + 1, at),
    fields = { attempt = tried, nextAttemptTime = at },
  }
end

return M
