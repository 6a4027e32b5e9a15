--- support.pace: how much time a spec gives the machine it runs on.
--
-- VIC_PACE says how many times slower than usual this machine is (spec/sanitize sets it);
-- what a spec gives or expects in seconds, it gives and expects times that.

local task = require "host.task"
local time = require "host.time"

local M = {}

local FACTOR = tonumber(os.getenv("VIC_PACE")) or 1
local EVENTUALLY = 30 -- seconds
local TRIES = 3

--- pace.seconds(seconds) -> seconds
-- As many as they are here.
function M.seconds(seconds)
  return seconds * FACTOR
end

--- pace.eventually(fn) -> bool                                                [waits]
-- Whether fn() comes true; false only after far more time than it can take.
function M.eventually(fn)
  local ends = time.monotonic() + M.seconds(EVENTUALLY)
  repeat
    if fn() then
      return true
    end
    task.sleep(0.005)
  until time.monotonic() > ends
  return false
end

--- pace.within(seconds, fn, prepare?) -> what fn returns                      [waits]
-- Fails when fn() takes longer each of three times. One time may be the machine's doing,
-- which has other things to do; what is too slow by itself is so every time.
--
--   seconds  number  times VIC_PACE
--   prepare  function ()  called before each fn(), takes as long as it likes
function M.within(seconds, fn, prepare)
  local limit, took = M.seconds(seconds), {}
  for i = 1, TRIES do
    if prepare then
      prepare()
    end
    local begun = time.monotonic()
    local results = table.pack(fn())
    took[i] = time.monotonic() - begun
    if took[i] <= limit then
      return table.unpack(results, 1, results.n)
    end
  end
  error(("it took %.3f s, %.3f s and %.3f s; allowed are %.3f s"):format(took[1], took[2],
    took[3], limit), 2)
end

return M
