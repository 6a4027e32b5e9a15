--- cli.service: what runs until it is asked to stop, and then has ended well.

local task = require "host.task"

local M = {}

--- service.run(f, ...) -> stopped                                       [waits]
-- Runs f(...) as a task. SIGTERM or SIGINT cancels that task alone and waits until what
-- it holds is closed, goodbyes and all; then the caller goes on. Throws what f throws.
--
--   stopped  boolean  by a signal; false: f has returned
function M.run(f, ...)
  local stop = task.on_stop()
  local work <close> = task.spawn("service", f, ...)
  local stopped = false
  local watcher <close> = task.spawn("waits for a signal to stop", function()
    local permit <close> = assert(stop:acquire())
    assert(permit)
    stopped = true
    work:cancel()
  end)
  assert(watcher)
  local ok, err = work:join()
  if not ok and not (stopped and err.kind == "cancelled") then
    error(err, 0)
  end
  return stopped
end

return M
