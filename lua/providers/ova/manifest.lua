--- providers.ova.manifest: the checksums of an OVF package (its .mf). Pure.
--
-- Source: DMTF DSP0243 2.1.1, 5.1 (OVF package): lines "SHA256(name)= hex".

local digest = require "host.digest"
local errors = require "host.error"

local M = {}

local DIGITS = { sha1 = 40, sha256 = 64, sha512 = 128 }

local function invalid(number, fmt, ...)
  return nil, errors.new("format", ("line %d of the manifest: "):format(number)
    .. fmt:format(...))
end

-- One line into `sums`; true | nil, err.
local function add(sums, line, number)
  local algorithm, name, value = line:match("^%s*([%w-]+)%s*%((.*)%)%s*=%s*(%x+)%s*$")
  if not algorithm then
    return invalid(number, "no checksum stands there")
  end
  algorithm = algorithm:lower():gsub("-", "")
  name, value = name:gsub("^%./", ""), value:lower()
  if DIGITS[algorithm] and #value ~= DIGITS[algorithm] then
    return invalid(number, "a %s has %d digits, not %d", algorithm, DIGITS[algorithm],
      #value)
  elseif not DIGITS[algorithm] then
    sums.others[#sums.others + 1] = name
    return true
  end
  local before = sums.of[name]
  if before and (before.algorithm ~= algorithm or before.value ~= value) then
    return invalid(number, "a second checksum of the same file")
  end
  sums.of[name] = { algorithm = algorithm, value = value }
  return true
end

--- manifest.parse(text) -> {of, others} | nil, err
--
--   of      table  name -> {algorithm = "sha1" | "sha256" | "sha512", value = lower-case
--                  hex}
--   others  list   names whose checksum is of another kind, which nobody compares
--   err     format  names the line
function M.parse(text)
  local sums, number = { of = {}, others = {} }, 0
  for line in text:gmatch("[^\r\n]+") do
    number = number + 1
    local ok, err = true, nil
    if line:find("%S") then
      ok, err = add(sums, line, number)
    end
    if not ok then
      return nil, err
    end
  end
  return sums
end

--- manifest.check(sum, text, name) -> true | nil, err
-- Of a short file that is here.
--
--   sum  {algorithm, value}, or nil: nothing is known of it
function M.check(sum, text, name)
  local value = sum and digest[sum.algorithm](text)
  if not sum or value == sum.value then
    return true
  end
  return nil, errors.final(errors.new("format", ("%s: its %s is %s, the manifest says "
    .. "%s; fetch the package again from where it came"):format(name, sum.algorithm,
    value, sum.value), { code = "ManifestDiffers" }))
end

return M
