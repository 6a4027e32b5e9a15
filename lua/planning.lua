--- planning: how many imports of one source are planned at once.
--
-- When hundreds are new, the requests of those that move disks must not stand in line
-- behind all of theirs; and who waits for one source holds up no other.

local task = require "host.task"

local methods = {}
local mt = { __name = "planning", __index = methods }

local M = {}

--- planning:permit(source) -> permit, to be closed                      [waits]
--
--   source  string  which source it is
function methods:permit(source)
  self.lines[source] = self.lines[source] or task.semaphore(self.most)
  return assert(self.lines[source]:acquire())
end

--- planning.new(most) -> planning
function M.new(most)
  return setmetatable({ most = most, lines = {} }, mt)
end

return M
