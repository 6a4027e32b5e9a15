--- mutate: how many one-token changes of the code do the unit specs notice?
--
--   vm-import-controller script spec/mutate/run.lua [OPTION ...]
--
--   --seconds N   tries as many as fit into that time       (110; with VIC_FULL set 600)
--   --seed N      which ones are tried                      (from the clock)
--   --at-once N   processes                                 (2)
--   --only TEXT   those in files whose path below lua/ holds TEXT, all of them unless
--                 --seconds says how long; no share is asked for
--
-- Run from the top of the source tree, which is not touched: what is changed is loaded from
-- a folder of its own. A mutant is killed when a spec that runs its line fails, or does not
-- end. Fails when in one of the areas fewer of those tried are than chance explains where
-- LEAST of all of them are (what a small sample says is only so sure), when a spec file fails
-- as it is, and when more than MOST_SLOW of them are too slow to be looked at: a busy machine
-- makes a few so, which then judge nothing.

package.path = "spec/?.lua;" .. package.path

local coverage = require "mutate.coverage"
local equivalent = require "mutate.equivalent"
local mutants = require "mutate.mutants"

local env = require "host.env"
local file = require "host.file"
local json = require "host.json"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"

local PROGRAM = env.get("VIC_PROGRAM") or "build/vm-import-controller"
local WORK = (env.get("VIC_BUILD") or "build") .. "/mutate"
local AREAS = { "flows", "policy", "kube", "providers" }
local LEAST = 0.9                 -- of each area's
local MOST_SLOW = 5               -- spec files
local SHORT, FULL = 110, 600      -- seconds
local SLOWER, SPARE = 5, 5        -- a spec may take so many times its time, and seconds more
local LATE = 5                    -- seconds that one may take when the time is over
local MEMORY = 4 * 1024 * 1024    -- KiB of addresses: a loop may fill a table

local function options(words)
  local opts = { ["at-once"] = 2 }
  for i = 1, #words, 2 do
    local name = assert(words[i]:match("^%-%-([%l-]+)$"), words[i])
    local value = assert(words[i + 1], "--" .. name .. " takes a value")
    opts[name] = name == "only" and value or assert(math.tointeger(tonumber(value)), name)
  end
  opts.seed = opts.seed or math.floor(time.now())
  if not opts.only then
    local full = (env.get("VIC_FULL") or "") ~= ""
    opts.seconds = opts.seconds or full and FULL or SHORT
  end
  return opts
end

local function paths(area)
  local found = assert(process.run({ argv = { "find", "lua/" .. area, "-name", "*.lua" } }))
  local list = {}
  for path in found.stdout:gmatch("lua/([^\n]+)") do
    list[#list + 1] = path
  end
  table.sort(list)
  return list
end

local function shuffle(list)
  for i = #list, 2, -1 do
    local k = math.random(i)
    list[i], list[k] = list[k], list[i]
  end
end

-- All mutants of an area; counts those that nobody can see.
local function mutants_of(area, only)
  local list, unseen = {}, 0
  for _, path in ipairs(paths(area)) do
    for _, mutant in ipairs(mutants.of(assert(file.read("lua/" .. path)))) do
      mutant.path = path
      if equivalent.reason(path, mutant) then
        unseen = unseen + 1
      elseif not only or path:find(only, 1, true) then
        list[#list + 1] = mutant
      end
    end
  end
  shuffle(list)
  return { name = area, mutants = list, unseen = unseen, tried = 0, killed = 0, alive = {} }
end

-- A folder that holds nothing but the changed module.
local function lay_out(folder, mutant)
  assert(file.remove(folder, { recursive = true, missing_ok = true }))
  local path = folder .. "/" .. mutant.path
  assert(file.mkdir(path:match("^(.*)/"), { parents = true }))
  local written <close> = assert(io.open(path, "wb")) -- file.write waits for the disk
  written:write(mutant.text)
end

-- Whether a spec notices; nil: the time was over before it could. All of the process'
-- group is ended with it.
local function notices(judge, folder, ends)
  local may_take = judge.took * SLOWER + SPARE
  local left = ends and math.max(ends + LATE - time.monotonic(), 0) or may_take
  local ended = process.run({ inherit = true, timeout = math.min(may_take, left),
    max_output = 64 * 1024 * 1024, stdin = json.encode(judge.names),
    argv = { "bash", "-c", "ulimit -v " .. MEMORY .. " -c 0; exec \"$@\"", "judge", PROGRAM,
      "script", "spec/mutate/judge.lua", folder, judge.spec } })
  if not ended and left < may_take then
    return nil
  end
  return not ended or ended.status ~= 0
end

-- nil: the time was over before all had judged.
local function is_killed(mutant, covered, folder, ends)
  lay_out(folder, mutant)
  for _, judge in ipairs(covered:judges(mutant.path, mutant.line)) do
    local noticed = notices(judge, folder, ends)
    if noticed ~= false then
      return noticed
    end
  end
  return false
end

-- An iterator of area and mutant: one of each area in turn, while there is time.
local function in_turn(areas, ends)
  return function()
    local least
    for _, area in ipairs(areas) do
      if #area.mutants > 0 and (not least or area.tried < least.tried) then
        least = area
      end
    end
    if least and not (ends and time.monotonic() > ends) then
      least.tried = least.tried + 1
      return least, table.remove(least.mutants)
    end
  end
end

local function try_all(areas, covered, opts, ends)
  local workers = {}
  for i = 1, opts["at-once"] do
    workers[i] = task.spawn(function()
      for area, mutant in in_turn(areas, ends) do
        local killed = is_killed(mutant, covered, ("%s/%d"):format(WORK, i), ends)
        if killed then
          area.killed = area.killed + 1
        elseif killed == nil then
          area.tried = area.tried - 1
        else
          area.alive[#area.alive + 1] = mutant
        end
      end
    end)
  end
  for _, worker in ipairs(workers) do
    assert(worker:join())
  end
end

-- The fewest that may be killed: two standard deviations below LEAST of those tried.
local function fewest(area)
  local tried = area.tried
  return tried * LEAST - 2 * (tried * LEAST * (1 - LEAST)) ^ 0.5
end

local function print_alive(area)
  table.sort(area.alive, function(a, b)
    return a.path .. ("%06d%06d"):format(a.line, a.column)
      < b.path .. ("%06d%06d"):format(b.line, b.column)
  end)
  for _, mutant in ipairs(area.alive) do
    print(("alive: lua/%s:%d:%d: %s -> %s: %s"):format(mutant.path, mutant.line, mutant.column,
      mutant.was, mutant.now == "" and "nothing" or mutant.now, mutant.code))
  end
end

local function main(words)
  local opts = options(words)
  math.randomseed(opts.seed)
  local ends = opts.seconds and time.monotonic() + opts.seconds
  assert(file.mkdir(WORK .. "/coverage", { parents = true }))
  local areas = {}
  for i, area in ipairs(AREAS) do
    areas[i] = mutants_of(area, opts.only)
  end
  local covered = coverage.record(PROGRAM, WORK .. "/coverage", opts["at-once"])
  try_all(areas, covered, opts, ends)
  local enough = #covered.failed == 0 and #covered.slow <= MOST_SLOW
  for _, area in ipairs(areas) do
    print_alive(area)
  end
  for _, problem in ipairs(covered.failed) do
    print("fails as it is, and judges nothing: " .. problem)
  end
  for _, problem in ipairs(covered.slow) do
    print("too slow to be looked at, and judges nothing: " .. problem)
  end
  for _, area in ipairs(areas) do
    local share = area.killed / math.max(area.tried, 1)
    print(("%-9s %d of %d killed (%.1f %%), of %d; %d that nobody can see"):format(area.name,
      area.killed, area.tried, 100 * share, area.tried + #area.mutants, area.unseen))
    enough = enough and (opts.only ~= nil or area.killed >= fewest(area))
  end
  print("seed " .. opts.seed)
  return enough and 0 or 1
end

return main({ ... })
