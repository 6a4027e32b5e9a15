--- flows.import.clock: how long something takes, by the clock that nobody can set.
--
-- The wall clock may jump, and a recorded time is one of a wall clock: it is for people.
-- The end of a wait is counted by this clock, within one process; a process that finds a
-- wait which another has begun begins it anew.

local time = require "host.time"

local M = {}

--- clock.now(ctx) -> seconds, of no date; they go on while the host is asleep
function M.now(ctx)
  return (ctx.boottime or time.boottime)()
end

return M
