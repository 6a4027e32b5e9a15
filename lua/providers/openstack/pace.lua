--- providers.openstack.pace: how long a wait looks away. A service that needs a second
-- for something is seen to have done it soon; one that needs an hour is not asked all the
-- time.

local task = require "host.task"

local M = {}

local FIRST = 8  -- parts of the longest pause that the first one is
local GROWS = 1.5

--- pace.new(longest) -> function () -> seconds                          [waits]
-- Each call is a pause, longer than the last one, at most `longest` seconds.
function M.new(longest)
  local pause = longest / FIRST
  return function()
    local now = pause
    pause = math.min(pause * GROWS, longest)
    task.sleep(now)
    return now
  end
end

return M
