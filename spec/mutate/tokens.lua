--- mutate.tokens: the tokens of a Lua text, with their places.

local M = {}

local LONG = "^%[(=*)%[" -- how a long string or comment begins
local OPERATORS = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>" }

-- Where the long bracket that begins at `at` ends; nil: none begins there.
local function end_of_long(text, at)
  local level = text:match(LONG, at)
  if level then
    local _, last = text:find("]" .. level .. "]", at, true)
    return assert(last, "a long bracket without an end")
  end
end

local function end_of_comment(text, at)
  return end_of_long(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
end

local function end_of_string(text, at)
  local quote = text:sub(at, at)
  local i = at + 1
  while text:sub(i, i) ~= quote do
    i = i + (text:sub(i, i) == "\\" and 2 or 1)
    assert(i <= #text, "a string without an end")
  end
  return i
end

local function end_of_operator(text, at)
  for _, operator in ipairs(OPERATORS) do
    if text:sub(at, at + #operator - 1) == operator then
      return at + #operator - 1
    end
  end
  return at
end

local function matched(text, pattern, at)
  local _, last = text:find(pattern, at)
  return last
end

-- The token that begins at `at`, which is no space: its kind and where it ends.
local function token_at(text, at)
  if text:find("^%-%-", at) then
    return "comment", end_of_comment(text, at)
  elseif text:find("^[\"']", at) then
    return "string", end_of_string(text, at)
  elseif text:find(LONG, at) then
    return "string", end_of_long(text, at)
  elseif text:find("^[%a_]", at) then
    return "word", matched(text, "^[%w_]+", at)
  elseif text:find("^%.?%d", at) then
    return "number", matched(text, "^0[xX]%x+", at) or matched(text, "^[%d.]+[eE][+-]?%d+", at)
      or matched(text, "^[%d.]+", at)
  end
  return "operator", end_of_operator(text, at)
end

--- tokens.of(text) -> list of {kind, text, first, last, line}
-- All but comments. kind: "word", "number", "string" or "operator"; first and last: its
-- bytes in the text.
function M.of(text)
  local list, line, counted = {}, 1, 1
  local at = text:find("%S")
  while at do
    for _ in text:sub(counted, at - 1):gmatch("\n") do
      line = line + 1
    end
    counted = at
    local kind, last = token_at(text, at)
    if kind ~= "comment" then
      list[#list + 1] = { kind = kind, text = text:sub(at, last), first = at, last = last,
        line = line }
    end
    at = text:find("%S", last + 1)
  end
  return list
end

return M
