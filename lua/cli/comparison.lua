--- cli.comparison: what the built-in policy decided beside what a site's scripts made of
-- it, as a table for people. Pure.

local json = require "host.json"

local M = {}

local WIDEST = 60 -- characters of a column
local HEAD = { "DECISION", "BUILT-IN", "SITE" }

-- A field's name in a path; label keys hold dots and slashes.
local function step(path, key)
  if math.type(key) then
    return ("%s[%d]"):format(path, key)
  elseif key:find("^[%w_]+$") then
    return path .. "." .. key
  end
  return ("%s[%s]"):format(path, key)
end

-- path -> leaf, of any value; an empty table is a leaf.
local function leaves(value, path, into)
  if type(value) ~= "table" or next(value) == nil then
    into[path] = value
    return into
  end
  for key, item in pairs(value) do
    leaves(item, step(path, key), into)
  end
  return into
end

local function text_of(value)
  if value == nil then
    return "-"
  end
  local text = type(value) == "string" and value or json.encode(value)
  text = text:gsub("%c", " ")
  if utf8.len(text) > WIDEST then
    text = text:sub(1, utf8.offset(text, WIDEST - 2) - 1) .. "..."
  end
  return text
end

local function equal(a, b)
  if type(a) == "table" and type(b) == "table" then
    return json.encode(a) == json.encode(b)
  end
  return a == b
end

-- Rows of the fields in which two values differ.
local function differences(name, a, b)
  local before, after, paths = leaves(a, name, {}), leaves(b, name, {}), {}
  for path in pairs(before) do
    paths[path] = true
  end
  for path in pairs(after) do
    paths[path] = true
  end
  local sorted, rows = {}, {}
  for path in pairs(paths) do
    sorted[#sorted + 1] = path
  end
  table.sort(sorted)
  for _, path in ipairs(sorted) do
    if not equal(before[path], after[path]) then
      rows[#rows + 1] = { path, text_of(before[path]), text_of(after[path]) }
    end
  end
  return rows
end

local function rows_of(decision)
  local name = decision.name
  if decision.subject then
    name = name .. " of " .. decision.subject
  end
  if not decision.changed or equal(decision.builtin, decision.site) then
    return { { name, text_of(decision.builtin), "=" } }
  elseif type(decision.builtin) == "table" and type(decision.site) == "table" then
    return differences(name, decision.builtin, decision.site)
  end
  return { { name, text_of(decision.builtin), text_of(decision.site) } }
end

--- comparison.text(decisions) -> text
-- A line per decision; where a table was changed, a line per field that differs. "=":
-- the built-in decision stands; "-": nothing.
--
--   decisions  list of {name, subject or nil, builtin, changed, site}
function M.text(decisions)
  local rows = { HEAD }
  for _, decision in ipairs(decisions) do
    for _, row in ipairs(rows_of(decision)) do
      rows[#rows + 1] = row
    end
  end
  local widths = { 0, 0 }
  for _, row in ipairs(rows) do
    for i in ipairs(widths) do
      widths[i] = math.max(widths[i], utf8.len(row[i]))
    end
  end
  local lines = {}
  for n, row in ipairs(rows) do
    local cells = {}
    for i, width in ipairs(widths) do
      cells[i] = row[i] .. (" "):rep(width - utf8.len(row[i]))
    end
    lines[n] = table.concat(cells, "  ") .. "  " .. row[3]
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
