--- providers.shape: what an answer must look like before anybody uses it. Pure.
--
-- A shape is a function (value, path) -> nil | problem. Fields that no shape names may be
-- anything: a service says more than we read. null is as good as nothing.

local json = require "host.json"
local text = require "base.text"

local M = {}

local MOST_NAME = 60 -- bytes of a name that the answer has chosen

local NAMES = { string = "text", number = "a number", boolean = "true or false" }

local function named(value)
  if type(value) == "table" then
    return json.is_array(value) and "a list" or "an object"
  end
  return NAMES[type(value)] or "null"
end

local function problem(path, value, wanted)
  path = path == "" and "the answer" or path
  if value == nil then
    return path .. " is missing"
  end
  return ("%s is %s, not %s"):format(path, named(value), wanted)
end

-- Of the types of Lua, by their names.
local function plain(wanted, ...)
  local types = {}
  for _, name in ipairs { ... } do
    types[name] = true
  end
  return function(value, path)
    if not types[type(value)] then
      return problem(path, value, wanted)
    end
  end
end

--- shape.any
function M.any()
  return nil
end

--- shape.text, shape.number, shape.flag; shape.scalar: any of the three
M.text = plain("text", "string")
M.number = plain("a number", "number")
M.flag = plain("true or false", "boolean")
M.scalar = plain("text, a number, true or false", "string", "number", "boolean")

--- shape.whole: a whole number; shape.size: one that is not below 0. As text it will do.
function M.whole(value, path)
  if type(value) == "table" or not math.tointeger(value) then
    return problem(path, value, "a whole number")
  end
end

function M.size(value, path)
  local wrong = M.whole(value, path)
  if not wrong and math.tointeger(value) < 0 then
    return ("%s is below 0"):format(path)
  end
  return wrong
end

--- shape.needed(shape) -> field of shape.object that must be there
function M.needed(shape)
  return { needed = shape }
end

--- shape.either(a, b, ...) -> shape
-- The last one says what is wrong.
function M.either(...)
  local shapes = { ... }
  return function(value, path)
    local wrong
    for _, shape in ipairs(shapes) do
      wrong = shape(value, path)
      if not wrong then
        return nil
      end
    end
    return wrong
  end
end

--- shape.list(of) -> shape
function M.list(of)
  return function(value, path)
    if not json.is_array(value) then
      return problem(path, value, "a list")
    end
    for i, item in ipairs(value) do
      local wrong = of(item, ("%s[%d]"):format(path, i))
      if wrong then
        return wrong
      end
    end
  end
end

local function below(path, name)
  name = text.cut(tostring(name), MOST_NAME)
  return path == "" and name or path .. "." .. name
end

local function is_object(value)
  return type(value) == "table" and not json.is_array(value)
end

--- shape.map(of) -> shape
-- An object with fields of any names.
function M.map(of)
  return function(value, path)
    if not is_object(value) then
      return problem(path, value, "an object")
    end
    for name, item in pairs(value) do
      local wrong = of(item, below(path, name))
      if wrong then
        return wrong
      end
    end
  end
end

local function wrong_field(field, value, path)
  local needed = type(field) == "table" and field.needed
  if needed then
    return needed(value, path)
  end
  return value ~= nil and field(value, path) or nil
end

--- shape.object(fields) -> shape
--
--   fields  name -> shape, or shape.needed(shape)
function M.object(fields)
  local names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  return function(value, path)
    if not is_object(value) then
      return problem(path, value, "an object")
    end
    for _, name in ipairs(names) do
      local wrong = wrong_field(fields[name], value[name], below(path, name))
      if wrong then
        return wrong
      end
    end
  end
end

return M
