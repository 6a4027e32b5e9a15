--- flows.import.entries: status.recorded: what an import has made, or is about to. Pure.
--
-- An entry is {kind, name, id, diskID}; its (kind, name) is what makes it one.

local json = require "host.json"

local M = {}

local function id_of(entry)
  return entry.kind .. "/" .. entry.name
end

local function by_id(entries)
  local found = {}
  for _, entry in ipairs(entries) do
    found[id_of(entry)] = entry
  end
  return found
end

--- entries.with(list, given) -> list
-- With each of `given` in its place, or at the end.
function M.with(list, given)
  local new, result = by_id(given), json.array({})
  for _, entry in ipairs(list or {}) do
    local id = id_of(entry)
    result[#result + 1], new[id] = new[id] or entry, nil
  end
  for _, entry in ipairs(given) do
    if new[id_of(entry)] then
      result[#result + 1] = entry
    end
  end
  return result
end

--- entries.without(list, given) -> list
function M.without(list, given)
  local gone, result = by_id(given), json.array({})
  for _, entry in ipairs(list or {}) do
    if not gone[id_of(entry)] then
      result[#result + 1] = entry
    end
  end
  return result
end

return M
