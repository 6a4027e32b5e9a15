--- support.killed: an import that is killed with SIGKILL at a random moment.

local program = require "support.program"
local task = require "host.task"

local M = {}

--- killed.at_random(folder, args, lasts)                                       [waits]
-- Starts the program, and kills it at a moment of the time that a whole run takes.
--
--   folder  path     as program.start's
--   args    list     of the command line
--   lasts   seconds  of a whole run
function M.at_random(folder, args, lasts)
  local running <close> = program.start(folder, args)
  task.sleep(math.random() * lasts)
  if not running:done() then
    running:signal("KILL")
  end
  running:wait(10)
end

--- killed.round(name, seed, i, round)                                          [waits]
-- Calls round(); where that throws, the round and the seed that repeats it are printed.
function M.round(name, seed, i, round)
  local ok, problem = xpcall(round, function(thrown)
    return type(thrown) == "table" and thrown or debug.traceback(thrown)
  end)
  if not ok then
    print(("%s: round %d of VIC_KILL_SEED=%d"):format(name, i, seed))
    error(problem, 0)
  end
end

return M
