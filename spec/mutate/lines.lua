--- mutate.lines: which lines of lua/ run, by a line hook.

local json = require "host.json"

local M = {}

local AREAS = { flows = true, policy = true, kube = true, providers = true }

local active, specs, sources = {}, {}, {}
local now = {} -- file -> set of lines
local all = now
local file_of = setmetatable({}, { __mode = "k" }) -- function -> file | false
local getinfo = debug.getinfo

local function look_at(fn)
  local info = getinfo(fn, "SL")
  local path = info.source:match("lua/(%l+/[%w_/]+%.lua)$")
  local source = path and "lua/" .. path or info.source:match("spec/[%w_/]+%.lua$")
  sources[source or ""] = true
  path = path and AREAS[path:match("^%l+")] and path or false
  file_of[fn] = path
  if path then
    active[path] = active[path] or {}
    for line in pairs(info.activelines) do
      active[path][line] = true
    end
  end
  return path
end

--- lines.hook: for debug.sethook(hook, "l")
function M.hook(_, line)
  local fn = getinfo(2, "f").func
  local path = file_of[fn]
  if path == nil then
    path = look_at(fn)
  end
  if path then
    local set = now[path]
    if not set then
      set = {}
      now[path] = set
    end
    set[line] = true
  end
end

--- lines.begins(name): what runs from now on, and has run since the last spec's end, is its.
function M.begins(name)
  specs[name] = now ~= all and now or {}
  now = specs[name]
end

--- lines.ends(): the spec has
function M.ends()
  now = {}
end

local function listed(files)
  local result = {}
  for path, set in pairs(files) do
    local list = json.array({})
    for line in pairs(set) do
      list[#list + 1] = line
    end
    result[path] = list
  end
  return result
end

--- lines.result() -> table, as record.lua writes it
function M.result()
  local result = { active = listed(active), all = listed(all), specs = {},
    sources = json.array({}) }
  sources[""] = nil
  for source in pairs(sources) do
    table.insert(result.sources, source)
  end
  for name, files in pairs(specs) do
    result.specs[name] = listed(files)
  end
  return result
end

return M
