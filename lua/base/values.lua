--- base.values: plain tables compared, copied and weighed. Pure.

local TABLE, FIELD, STRING = 72, 56, 40 -- bytes, as src/text/budget.h has them

local M = {}

--- values.same(a, b) -> bool
-- Whether both hold the same, however deep; whether a table is a list is not compared.
function M.same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not M.same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

--- values.copy(value) -> value
-- A copy however deep, with the marks of lists; what is no table is itself.
function M.copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for key, item in pairs(value) do
    result[key] = M.copy(item)
  end
  return setmetatable(result, getmetatable(value))
end

--- values.joined(fields, more?) -> table
-- A new one with the fields of both; those of `more` win. Unlike kube.merge_patch it
-- keeps json.null, for a store to see.
function M.joined(fields, more)
  local result = {}
  for key, value in pairs(fields) do
    result[key] = value
  end
  for key, value in pairs(more or {}) do
    result[key] = value
  end
  return result
end

--- values.weight(value) -> bytes
-- The memory that it takes, however deep, about: what is in it twice counts twice.
function M.weight(value)
  if type(value) == "string" then
    return STRING + #value
  elseif type(value) ~= "table" then
    return 0
  end
  local bytes = TABLE
  for key, item in pairs(value) do
    bytes = bytes + FIELD + M.weight(item) + (type(key) == "string" and #key or 0)
  end
  return bytes
end

return M
