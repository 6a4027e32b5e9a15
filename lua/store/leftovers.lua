--- store.leftovers: what a killed run has left in a directory: half-written objects and
-- disks. Whoever calls this holds the directory.

local errors = require "host.error"
local file = require "host.file"

local M = {}

local FRESH = "^%..+%.%w%w%w%w%w%w%.new$" -- of host.file.write
-- Of disk.fetch, its names by policy.name.
local PARTS = { "%-disk%-%d+%.raw%.part$", "%-disk%-%d+%.raw%.stream$",
  "%-disk%-%d+%.raw%.stream%.part$" }

-- A disk that another process still writes stays; that one holds it.
local function remove_part(path)
  local lock, err = file.lock(path)
  if not lock and err.kind == "busy" then
    return
  end
  local held <close> = assert(lock, err)
  assert(held)
  assert(file.remove(path, { missing_ok = true }))
end

local function list(folder)
  local names, err = file.list(folder)
  if not names and err.kind ~= "notfound" then
    error(errors.wrap(err, "looking for what an earlier run left"))
  end
  return names or {}
end

local function is_part(name)
  for _, pattern in ipairs(PARTS) do
    if name:find(pattern) then
      return true
    end
  end
  return false
end

local function sweep(folder)
  for _, name in ipairs(list(folder)) do
    local path = folder .. "/" .. name
    if name:find(FRESH) then
      assert(file.remove(path, { missing_ok = true }))
    elseif is_part(name) then
      remove_part(path)
    end
  end
end

--- leftovers.remove(dir, group)                                         [waits]
-- Looks only into folders that store.directory and targets.directory write: those of
-- the namespaces that have objects here.
--
--   dir    string  the directory
--   group  string  kinds.group, the folder of our objects
function M.remove(dir, group)
  for _, namespace in ipairs(list(dir .. "/" .. group)) do
    local objects = ("%s/%s/%s"):format(dir, group, namespace)
    local stat = file.stat(objects)
    if stat and stat.kind == "directory" then
      sweep(objects)
      stat = file.stat(dir .. "/" .. namespace)
      if stat and stat.kind == "directory" then
        sweep(dir .. "/" .. namespace)
      end
    end
  end
end

return M
