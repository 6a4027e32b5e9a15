--- run: the specs, under busted, as one task of the host.
--
--   vm-import-controller script spec/run.lua FILE or FOLDER ...
--
-- Run from the top of the source tree. Folders are searched for *_spec.lua. All at once:
-- spec/all.lua. A run in which no spec has run fails: a filter that fits nothing any more
-- must not pass.

package.path = "spec/?.lua;" .. package.path
package.cpath = (os.getenv("VIC_BUILD") or "build") .. "/spec/?.so;" .. package.cpath

local files = { ... }

-- busted's runner reads the global `arg` and ends with os.exit; the host must end
-- by returning, so that what tasks hold is closed.
local code = 0
local exit = os.exit
arg = { [0] = "busted", "--pattern=_spec", "--helper=spec/support/counted.lua",
  table.unpack(files) }
os.exit = function(status)
  if status == false or (type(status) == "number" and status ~= 0) then
    code = 1
  end
  error({ finished = true })
end
local ok, problem = pcall(function()
  require("busted.runner")({ standalone = false })
end)
os.exit = exit
if not ok and not (type(problem) == "table" and problem.finished) then
  error(problem, 0)
end
local counted = package.loaded["support.counted"]
if code == 0 and (not counted or counted.specs == 0) then
  print("no spec has run: " .. table.concat(files, " "))
  code = 1
end
return code
