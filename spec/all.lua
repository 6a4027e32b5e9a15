--- all: every spec but those of spec/e2e, each file in a process of its own, two at a time.
--
--   vm-import-controller script spec/all.lua
--
-- Run from the top of the source tree. Prints what a file that fails has printed, and how
-- many specs there were. With CI set, files that failed run once more, one by one: what
-- machines that others use too do to a spec, they seldom do to it twice. Second tries are
-- said last; a file that needs one twice within a run (support.tries) has failed.

package.path = "spec/?.lua;" .. package.path

local env = require "host.env"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"
local tries = require "support.tries"
local unit_specs = require "support.unit_specs"

local PROGRAM = env.get("VIC_PROGRAM") or "build/vm-import-controller"
local AT_ONCE, WITHIN = 2, 600 -- processes, seconds
local LONG = 10 -- seconds: a file that takes longer is named, with its time

-- Those that take longest begin first.
local LONGEST = { "spec/cli/left_behind_spec.lua", "spec/host/disk_spec.lua",
  "spec/host/disk_vmdk_spec.lua", "spec/host/spool_spec.lua", "spec/host/stream_spec.lua",
  "spec/site/scripts_spec.lua", "spec/host/images_spec.lua", "spec/disk/fetch_spec.lua",
  "spec/disk/convert_spec.lua" }

-- Where those that files run note their second tries, and we ours.
local TRIES = env.get("VIC_TRIES") or os.tmpname()

local function all_files()
  local first, files = {}, {}
  for _, path in ipairs(LONGEST) do
    first[path] = true
  end
  for _, path in ipairs(unit_specs.files()) do
    files[#files + 1] = not first[path] and path or nil
  end
  return table.move(files, 1, #files, #LONGEST + 1, { table.unpack(LONGEST) })
end

-- What busted says last: how many specs have passed, as an integer.
local function count(text)
  local n
  for passed in text:gmatch("(%d+) success") do
    n = passed
  end
  return math.tointeger(n) or 0
end

local function run(path)
  local began = time.monotonic()
  local ended, err = process.run({
    argv = { PROGRAM, "script", "spec/run.lua", path },
    inherit = true,
    env = { VIC_TRIES = TRIES },
    timeout = WITHIN,
  })
  local took = time.monotonic() - began
  if not ended then
    print(("%s: %s"):format(path, err.message))
    return false, 0
  end
  if ended.status ~= 0 then
    print(("%s: %s\n%s%s"):format(path, ended.signal and "signal " .. ended.signal
      or "failed", ended.stdout, ended.stderr))
  elseif took > LONG then
    print(("%s: %.0f s"):format(path, took))
  end
  return ended.status == 0, count(ended.stdout)
end

-- How many specs the files that have passed hold, as an integer; and which files have failed.
local function run_all(files, at_once)
  local next_file, passed, failed = 1, 0, {}
  local function work()
    while files[next_file] do
      local path = files[next_file]
      next_file = next_file + 1
      local ok, n = run(path)
      if ok then
        passed = passed + n
      else
        failed[#failed + 1] = path
      end
    end
  end
  local workers = {}
  for i = 1, at_once do
    workers[i] = task.spawn(work)
  end
  for _, worker in ipairs(workers) do
    assert(worker:join())
  end
  return passed, failed
end

-- Once more, those that have not needed that before.
local function run_again(failed)
  local again, twice = {}, {}
  for _, path in ipairs(failed) do
    local list = tries.again(path, TRIES) and again or twice
    list[#list + 1] = path
  end
  print("once more: " .. table.concat(again, " "))
  local passed, still = run_all(again, 1)
  return passed, table.move(twice, 1, #twice, #still + 1, still)
end

local files = all_files()
local passed, failed = run_all(files, AT_ONCE)
if env.get("CI") and #failed > 0 then
  local more
  more, failed = run_again(failed)
  passed = passed + more
end
local said = tries.said(TRIES)
if not env.get("VIC_TRIES") then
  os.remove(TRIES)
end
if said then
  print(said)
end
print(("%d specs of %d files have passed, %d files have failed %s"):format(passed, #files,
  #failed, table.concat(failed, " ")))
return #failed == 0 and 0 or 1
