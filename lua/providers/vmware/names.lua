--- providers.vmware.names: names in a vSphere inventory. Pure.
--
-- vCenter stores `/`, `\` and `%` of a name as %2f, %5c, %25 (hex in either case), in
-- the property `name` as in inventory paths. People type either form, so names are
-- compared decoded.

local DECODED = { ["2f"] = "/", ["5c"] = "\\", ["25"] = "%" }
local ENCODED = { ["/"] = "%2f", ["\\"] = "%5c", ["%"] = "%25" }
local MOST_NEAR = 5

local M = {}

--- names.decode(name) -> name
-- As a person writes it.
function M.decode(name)
  return (name:gsub("%%(%x%x)", function(hex)
    return DECODED[hex:lower()]
  end))
end

--- names.encode(name) -> name
-- As the inventory stores it.
function M.encode(name)
  return (name:gsub("[/\\%%]", ENCODED))
end

--- names.same(stored, typed) -> boolean
-- Whether a name of the inventory is the one somebody typed, in either form.
function M.same(stored, typed)
  if stored == typed then
    return true
  end
  local plain = M.decode(stored)
  return plain == typed or plain == M.decode(typed)
end

--- names.split(path) -> list
-- The parts of an inventory path, as they are; empty ones do not count.
function M.split(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    parts[#parts + 1] = part
  end
  return parts
end

--- names.same_path(stored, typed) -> boolean
-- names.same for two lists of parts.
function M.same_path(stored, typed)
  if #stored ~= #typed then
    return false
  end
  for i, part in ipairs(stored) do
    if not M.same(part, typed[i]) then
      return false
    end
  end
  return true
end

-- How many bytes one has that the other has not: never more than twice the distance
-- below, and much cheaper.
local function difference(a, b)
  local count = {}
  for i = 1, #a do
    local c = a:byte(i)
    count[c] = (count[c] or 0) + 1
  end
  for i = 1, #b do
    local c = b:byte(i)
    count[c] = (count[c] or 0) - 1
  end
  local n = 0
  for _, times in pairs(count) do
    n = n + math.abs(times)
  end
  return n
end

-- Levenshtein's distance of two short strings.
local function distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local corner = row[0]
    row[0] = i
    for j = 1, #b do
      local swap = corner + (a:byte(i) == b:byte(j) and 0 or 1)
      corner = row[j]
      row[j] = math.min(swap, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

-- How far apart two names are, from 0; nil: nothing like it.
local function apart(name, wanted)
  local a, b = M.decode(name):lower(), M.decode(wanted):lower()
  if a == b then
    return 0
  end
  local most = #b < 5 and 1 or 2
  if math.abs(#a - #b) <= most and difference(a, b) <= 2 * most then
    local d = distance(a, b)
    -- Two letters swapped are two changes but one mistake.
    if d <= most or (d == 2 and difference(a, b) == 0) then
      return d
    end
  end
  if #b >= 3 and (a:find(b, 1, true) or (#a >= 3 and b:find(a, 1, true))) then
    return 3
  end
  return nil
end

--- names.near(entries, wanted) -> entries
-- Those whose `name` resembles `wanted`, nearest first, at most five.
--
--   entries  list  of tables with `name` (and `path`, by which equals are ordered)
function M.near(entries, wanted)
  local found = {}
  for _, entry in ipairs(entries) do
    local d = apart(entry.name, wanted)
    if d then
      found[#found + 1] = { entry = entry, apart = d, path = entry.path or entry.name }
    end
  end
  table.sort(found, function(a, b)
    if a.apart ~= b.apart then
      return a.apart < b.apart
    end
    return a.path < b.path
  end)
  local near = {}
  for i = 1, math.min(#found, MOST_NEAR) do
    near[i] = found[i].entry
  end
  return near
end

return M
