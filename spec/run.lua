--- run: the specs, under busted, as one task of the host.
--
--   vm-import-controller script spec/run.lua FILE or FOLDER ...
--
-- Run from the top of the source tree. Folders are searched for *_spec.lua. All at once:
-- spec/all.lua.

package.path = "spec/?.lua;" .. package.path
package.cpath = (os.getenv("VIC_BUILD") or "build") .. "/spec/?.so;" .. package.cpath

local files = { ... }

-- busted's runner reads the global `arg` and ends with os.exit; the host must end
-- by returning, so that what tasks hold is closed.
local code = 0
local exit = os.exit
arg = { [0] = "busted", "--pattern=_spec", table.unpack(files) }
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
return code
