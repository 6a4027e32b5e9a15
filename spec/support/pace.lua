--- support.pace: how much time a spec gives the machine it runs on.
--
-- VIC_PACE says how many times slower than usual this machine is (spec/sanitize sets it);
-- what a spec gives or expects in seconds, it gives and expects times that.

local task = require "host.task"
local time = require "host.time"
local tries = require "support.tries"

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

--- pace.of_three(name, fn) -> what fn returns                               [waits]
-- Fails, as the last did, when fn() throws each of three times. One time may be the
-- machine's doing, which has other things to do; what is too slow by itself is so always.
-- That it was not the first is a finding (support.tries).
--
--   name  of the spec, as no other is called
function M.of_three(name, fn)
  local results
  for try = 1, TRIES do
    results = table.pack(pcall(fn))
    if results[1] and (try == 1 or tries.again(name)) then
      return table.unpack(results, 2, results.n)
    elseif results[1] then
      error(name .. " has needed a second try twice", 0)
    end
  end
  error(results[2], 0)
end

return M
