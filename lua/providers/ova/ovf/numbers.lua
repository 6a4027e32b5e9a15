--- providers.ova.ovf.numbers: numbers and units as OVFs write them. Pure.
--
-- A number is decimal digits, at most with ".0" behind; anything else is none.
-- A unit is DSP0004's ("byte * 2^20", "byte*1024*1024") or a word ("MegaBytes", "MB",
-- "GiB"); words count in powers of 1024, as all that write them mean it.

local LONGEST = 100 -- bytes of a number, or of a unit

local M = {}

local WORDS = { byte = 1, bytes = 1, b = 1 }
for i, names in ipairs {
  { "k", "kilo", "kibi" }, { "m", "mega", "mebi" }, { "g", "giga", "gibi" },
  { "t", "tera", "tebi" }, { "p", "peta", "pebi" },
} do
  local letter, value = names[1], 1 << (10 * i)
  for _, word in ipairs { letter .. "b", letter .. "ib", letter .. "byte" } do
    WORDS[word], WORDS[word .. "s"] = value, value
  end
  for _, long in ipairs { names[2], names[3] } do
    WORDS[long .. "byte"], WORDS[long .. "bytes"] = value, value
  end
end

--- numbers.MOST: bytes, 64 PiB; what says more is wrong
M.MOST = 1 << 56

--- numbers.whole(text, most?) -> integer | nil
--
--   most  integer  the largest that counts                    (default numbers.MOST)
function M.whole(text, most)
  if not text or #text > LONGEST then
    return nil
  end
  local digits = text:match("^%s*(%d+)%.?0*%s*$")
  digits = digits and digits:gsub("^0+(%d)", "%1")
  if not digits or #digits > 18 then
    return nil
  end
  local value = math.tointeger(tonumber(digits))
  return value <= (most or M.MOST) and value or nil
end

-- a * b, nil past MOST.
local function product(a, b)
  if b == 0 or a > M.MOST // b then
    return nil
  end
  return a * b
end

-- "2^20"
local function power(part)
  local base, exponent = part:match("^(%d+)%^(%d+)$")
  base, exponent = M.whole(base, 1024), M.whole(exponent, 64)
  local value = base and exponent and 1
  for _ = 1, value and exponent or 0 do
    value = value and product(value, base)
  end
  return value
end

--- numbers.factor(units) -> bytes | nil
-- How many bytes one of these units is.
function M.factor(units)
  if #units > LONGEST then
    return nil
  end
  local value = 1
  for part in units:lower():gsub("%s+", ""):gmatch("[^*]+") do
    local factor = WORDS[part] or power(part) or M.whole(part)
    value = factor and product(value, factor)
    if not value then
      return nil
    end
  end
  return units:find("%S") and value or nil
end

--- numbers.bytes(text, units) -> bytes | nil, message
--
--   text     string  the number
--   units    string
--   message  string  what is wrong with which of the two
function M.bytes(text, units)
  local count, factor = M.whole(text), M.factor(units)
  if not factor then
    return nil, ('"%s" is no unit of bytes'):format(units)
  elseif not count then
    return nil, ('"%s" is no number of bytes'):format(text or "")
  end
  local value = count == 0 and 0 or product(count, factor)
  if not value then
    return nil, ("%s times %s is more than 64 PiB"):format(text, units)
  end
  return value
end

return M
