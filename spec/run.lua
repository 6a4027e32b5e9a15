--- run: the specs, under busted, as one task of the host.
--
--   vm-import-controller script spec/run.lua [FILE or FOLDER ...]
--
-- Run from the top of the source tree. Folders are searched for *_spec.lua; without
-- arguments all of spec/ but spec/e2e.

package.path = "spec/?.lua;" .. package.path
package.cpath = (os.getenv("VIC_BUILD") or "build") .. "/spec/?.so;" .. package.cpath

local files = { ... }
if #files == 0 then
  local all = io.popen("find spec -path spec/e2e -prune -o -name '*_spec.lua' -print")
  for path in all:lines() do
    files[#files + 1] = path
  end
  all:close()
  table.sort(files)
end

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
