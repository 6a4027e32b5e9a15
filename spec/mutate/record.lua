--- mutate.record: runs a spec file and writes down which lines of lua/ each spec runs.
--
--   vm-import-controller script spec/mutate/record.lua OUT SPEC
--
-- OUT is JSON: {sources, active, all, specs}. sources: list of the files of lua/ and spec/
-- of which something has run. active: {[file] = lines of the functions that have run
-- which hold code}; all: {[file] = lines} of what ran outside of any spec; specs: {[name of
-- a spec] = {[file] = lines}}. What runs between two specs counts as of the second.

package.path = "spec/?.lua;" .. package.path

local json = require "host.json"
local lines = require "mutate.lines"
local task = require "host.task"

local out, spec = ...

-- A hook is a coroutine's own: each task gets it, and keeps it when a limit that was set
-- with a hook is taken off again.
local sethook, spawn = debug.sethook, task.spawn
debug.sethook = function(...) -- luacheck: ignore
  if select("#", ...) == 0 then
    sethook(lines.hook, "l")
  else
    sethook(...)
  end
end
-- Of a task's name, function and arguments, in which the function is replaced.
local function watched(fn, ...)
  if type(fn) ~= "function" then
    return fn, watched(...)
  end
  return function(...)
    sethook(lines.hook, "l")
    return fn(...)
  end, ...
end
task.spawn = function(...)
  return spawn(watched(...))
end

sethook(lines.hook, "l")
local code = loadfile("spec/run.lua")("--helper=spec/mutate/named.lua", spec)
sethook()
local file <close> = assert(io.open(out, "wb"))
file:write(json.encode(lines.result()))
return code
