--- mutate.mutants: a Lua text with one token changed, in every way that is tried.

local tokens = require "mutate.tokens"

local M = {}

local SWAPPED = {
  ["=="] = "~=", ["~="] = "==", ["<"] = "<=", ["<="] = "<", [">"] = ">=", [">="] = ">",
  ["and"] = "or", ["or"] = "and", ["true"] = "false", ["false"] = "true", ["not"] = "",
  ["+"] = "-", ["-"] = "+", ["*"] = "/",
}

-- After these a minus is no subtraction: there is nothing that it could be swapped with.
local BEFORE_SIGN = { ["("] = true, ["="] = true, [","] = true, ["return"] = true,
  ["{"] = true, ["and"] = true, ["or"] = true, ["["] = true }

-- The tokens that one may become: a list, empty where it stays.
local function changes(token, before)
  if token.kind == "string" then
    return {}
  elseif token.kind == "number" then
    local n = math.tointeger(tonumber(token.text))
    return n and { ("%d"):format(n + (math.random(2) == 1 and 1 or -1)) } or {}
  elseif token.text == "-" and (not before or BEFORE_SIGN[before.text]) then
    return {}
  elseif token.attribute then
    return {}
  end
  return { SWAPPED[token.text] }
end

-- The brackets of <const> and <close> are no comparisons.
local function mark_attributes(list)
  for i, token in ipairs(list) do
    if token.text == "<" and list[i + 2] and list[i + 2].text == ">"
      and (list[i + 1].text == "const" or list[i + 1].text == "close") then
      token.attribute, list[i + 2].attribute = true, true
    end
  end
end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

local function with(text, token, now)
  return text:sub(1, token.first - 1) .. now .. text:sub(token.last + 1)
end

--- mutants.of(text) -> list of {line, column, was, now, code, rest, text}
--
--   line, column  integers  where the token stands
--   was, now      strings   the token; now "": it is dropped
--   code          string    its line, without the space around it
--   rest          string    what follows the token there
--   text          string    the whole, changed
--
-- Each of them compiles. A number becomes one more or one less, by chance.
function M.of(text)
  local list, before = {}, nil
  local all = tokens.of(text)
  local lines = lines_of(text)
  mark_attributes(all)
  for _, token in ipairs(all) do
    for _, now in ipairs(changes(token, before)) do
      local changed = with(text, token, now)
      if load(changed, "=mutant", "t", {}) then
        local begins = #text:sub(1, token.first):match("[^\n]*$")
        list[#list + 1] = { line = token.line, column = begins, was = token.text, now = now,
          code = lines[token.line]:match("^%s*(.-)%s*$"),
          rest = text:match("^[^\n]*", token.last + 1), text = changed }
      end
    end
    before = token
  end
  return list
end

return M
