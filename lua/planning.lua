--- planning: how many imports of one source are planned at once.
--
-- When hundreds are new, the requests of those that move disks must not stand in line
-- behind all of theirs; and who waits for one source holds up no other.

local task = require "host.task"

local methods = {}
local mt = { __name = "planning", __index = methods }

local M = {}

--- planning:permit(source, timeout) -> permit, to be closed | nil, err  [waits]
--
--   source   string   which source it is
--   timeout  seconds  how long to wait (default: for ever)
--   err      timeout
function methods:permit(source, timeout)
  self.lines[source] = self.lines[source] or task.semaphore(self.most)
  return self.lines[source]:acquire(timeout)
end

--- planning.new(most) -> planning
function M.new(most)
  return setmetatable({ most = most, lines = {} }, mt)
end

return M
