--- base.shape: whether a value from outside has the types that it should have. Pure.
--
-- A type is "string", "integer", "boolean", "array", "object"; or the fields of an
-- object, {field = type}; or {type}, a list whose rows are all of that type. shape.EACH
-- is the type of fields that are not named (without it they may be anything), and
-- shape.NEEDED a list of those that must be there.

local json = require "host.json"

local M = { EACH = {}, NEEDED = {} }

local check

local function type_of(value)
  if type(value) == "table" then
    return json.is_array(value) and "array" or "object"
  end
  return math.type(value) == "integer" and "integer" or type(value)
end

-- What is wrong with a value that should be of this type, or nil. An object and a list
-- that are empty are one.
local function mismatch(value, should, path)
  local is = type_of(value)
  local empty = type(value) == "table" and next(value) == nil
  if is == should or empty and (should == "array" or should == "object") then
    return nil
  end
  return ("%s: must be of type %s, and is of type %s%s"):format(path, should, is,
    should == "string" and type(value) ~= "table" and ": put it into quotes" or "")
end

local function check_rows(list, row, path)
  local problem = mismatch(list, "array", path)
  for i, value in ipairs(problem and {} or list) do
    problem = problem or check(value, row, ("%s[%d]"):format(path, i - 1))
  end
  return problem
end

local function check_fields(object, fields, path)
  local problem = mismatch(object, "object", path)
  for _, name in ipairs(not problem and fields[M.NEEDED] or {}) do
    if object[name] == nil then
      return ("%s.%s: is missing"):format(path, name)
    end
  end
  for name, value in pairs(problem and {} or object) do
    local wanted = fields[name] or fields[M.EACH]
    problem = problem or wanted and check(value, wanted, path .. "." .. tostring(name))
  end
  return problem
end

function check(value, wanted, path)
  if type(wanted) == "string" then
    return mismatch(value, wanted, path)
  elseif wanted[1] then
    return check_rows(value, wanted[1], path)
  end
  return check_fields(value, wanted, path)
end

--- shape.problem(value, wanted, path) -> text | nil
-- The first thing that is wrong: "spec.folder: must be of type string, ...". A value that
-- is nil is sound.
--
--   path  string  what `value` is called
function M.problem(value, wanted, path)
  return value ~= nil and check(value, wanted, path) or nil
end

return M
