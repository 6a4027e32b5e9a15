--- mutate.coverage: which spec files run which lines.

local digest = require "host.digest"
local file = require "host.file"
local json = require "host.json"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"
local unit_specs = require "support.unit_specs"

local methods = {}
local mt = { __name = "mutate.coverage", __index = methods }

local M = {}

local WITHIN = 300 -- seconds, for one spec file

-- What these run is C, or a program of its own: no line of lua/ that is looked at; those of
-- the last line run lines that others see better, and take a third of all the time.
local ELSEWHERE = { "^spec/host/", "^spec/disk/", "^spec/deploy/", "^spec/mutate/",
  "^spec/support/", "^spec/cli/left_behind_spec", "^spec/%l+_spec",
  "^spec/site/", "^spec/policy/recorded_spec" }

local function is_looked_at(path)
  for _, pattern in ipairs(ELSEWHERE) do
    if path:find(pattern) then
      return false
    end
  end
  return true
end

-- {[file] = list of lines} -> {[file] = {[line] = true}}
local function sets_of(files)
  local sets = {}
  for path, lines in pairs(files) do
    sets[path] = {}
    for _, line in ipairs(lines) do
      sets[path][line] = true
    end
  end
  return sets
end

-- Of what a file holds now; "" where there is none.
local function sum(self, path)
  if not self.sums[path] then
    local text = file.read(path)
    self.sums[path] = text and digest.sha256(text) or ""
  end
  return self.sums[path]
end

-- What was seen of a spec file by an earlier run, or nil: a file that it runs has changed.
local function seen_before(self, path)
  local entry = json.decode(file.read(path) or "")
  for source, was in pairs(entry and entry.sums or { [path] = "none" }) do
    if sum(self, source) ~= was then
      return nil
    end
  end
  return entry
end

-- Runs one spec file: {sums, took, lines}; or nil, what is wrong with it, and whether that is
-- that it takes longer than WITHIN.
local function run(self, program, path, spec)
  local began = time.monotonic()
  local ended, err = process.run({ inherit = true, timeout = WITHIN,
    argv = { program, "script", "spec/mutate/record.lua", path, spec } })
  if not ended or ended.status ~= 0 then
    return nil, err and err.message or ended.stdout, err ~= nil and err.kind == "timeout"
  end
  local entry = { sums = {}, took = time.monotonic() - began,
    lines = assert(json.decode(assert(file.read(path)))) }
  for _, source in ipairs(entry.lines.sources) do
    entry.sums[source] = sum(self, source)
  end
  assert(file.write(path, json.encode(entry)))
  return entry
end

local function add(self, spec, entry)
  local known = { took = entry.took, all = sets_of(entry.lines.all), specs = {}, count = 0 }
  for name, files in pairs(entry.lines.specs) do
    known.specs[name] = sets_of(files)
    known.count = known.count + 1
  end
  self.files[spec] = known
  for path, lines in pairs(sets_of(entry.lines.active)) do
    self.active[path] = self.active[path] or {}
    for line in pairs(lines) do
      self.active[path][line] = true
    end
  end
end

local function record(self, program, folder, spec)
  local path = ("%s/%s.json"):format(folder, (spec:gsub("/", ".")))
  local entry, problem, slow = seen_before(self, path), nil, nil
  if not entry then
    entry, problem, slow = run(self, program, path, spec)
  end
  if entry then
    add(self, spec, entry)
  else
    table.insert(slow and self.slow or self.failed, spec .. ": " .. problem)
  end
end

--- coverage.record(program, folder, at_once) -> coverage                        [waits]
--
--   program  path     the binary
--   folder   path     one to keep what is seen in, for the next time
--   at_once  integer  processes
--
-- coverage.failed and coverage.slow are lists of those that fail as it is, and that take so
-- long under the hook that they were not waited for; they judge nothing.
function M.record(program, folder, at_once)
  local self = setmetatable({ files = {}, active = {}, failed = {}, slow = {}, sums = {} }, mt)
  local specs = {}
  for _, path in ipairs(unit_specs.files()) do
    specs[#specs + 1] = is_looked_at(path) and path or nil
  end
  local workers = {}
  for i = 1, at_once do
    workers[i] = task.spawn(function()
      while #specs > 0 do
        record(self, program, folder, table.remove(specs))
      end
    end)
  end
  for _, worker in ipairs(workers) do
    assert(worker:join())
  end
  return self
end

-- The line that holds the code of `line`: itself, or the last before it which holds any.
local function holder(active, line)
  for at = line, 1, -1 do
    if active[at] then
      return at
    end
  end
  return line
end

-- Which specs of a file run the line: a list of names, "*" for all.
local function names_of(known, path, line)
  if known.all[path] and known.all[path][line] then
    return { "*" }, known.count
  end
  local names = {}
  for name, files in pairs(known.specs) do
    names[#names + 1] = files[path] and files[path][line] and name or nil
  end
  return names, #names
end

--- coverage:judges(path, line) -> list of {spec, names, took}
-- The spec files with specs that run a line of lua/PATH, the one of the module's name
-- first, then the quickest; took: seconds that they need, about.
function methods:judges(path, line)
  local at = holder(self.active[path] or {}, line)
  local own = "spec/" .. path:gsub("%.lua$", "_spec.lua")
  local list = {}
  for spec, known in pairs(self.files) do
    local names, count = names_of(known, path, at)
    if count > 0 then
      list[#list + 1] = { spec = spec, names = names,
        took = known.took * count / known.count }
    end
  end
  local function rank(judge)
    return judge.spec == own and -1 or judge.took
  end
  table.sort(list, function(a, b)
    return rank(a) < rank(b)
  end)
  return list
end

return M
