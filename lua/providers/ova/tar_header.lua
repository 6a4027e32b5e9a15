--- providers.ova.tar_header: what a block of a tar archive says of its member. Pure.
--
-- Source: POSIX.1-2017, pax (ustar and pax interchange formats); GNU tar manual, "Basic
-- Tar Format".

local M = {}

M.BLOCK = 512

local MOST_SIZE = 1 << 60
local MOST_SHOWN = 80 -- bytes of a name in a message

-- Where fields stand, from 1: first and last byte.
local NAME, SIZE, SUM, TYPE = { 1, 100 }, { 125, 136 }, { 149, 156 }, { 157, 157 }
local MAGIC, PREFIX = { 258, 263 }, { 346, 500 }

local function field(block, place)
  return block:sub(place[1], place[2])
end

local function text(block, place)
  return field(block, place):match("^[^\0]*")
end

--- tar_header.shown(name) -> text that may stand in a message
function M.shown(name)
  return (name:sub(1, MOST_SHOWN):gsub("[^\32-\126]", "?"))
end

--- tar_header.decimal(text) -> integer | nil
function M.decimal(digits)
  return digits:find("^%d+$") and #digits <= 18 and math.tointeger(tonumber(digits))
    or nil
end

-- Octal digits, or, where its first bit is set, a binary number.
local function number(bytes)
  local first = bytes:byte(1)
  if first == 0x80 then
    local high, low = string.unpack(">I3I8", bytes, 2)
    return high == 0 and low >= 0 and low or nil
  end
  local digits = bytes:match("^ *([0-7]+)[ \0]*$")
  return digits and tonumber(digits, 8) or bytes:find("^[ \0]+$") and 0 or nil
end

-- The sum of all bytes, its own field as blanks: as unsigned ones, and, as old programs
-- counted, as signed ones.
local function sums(block)
  local plain, signed = 0, 0
  for i = 1, M.BLOCK do
    local byte = i >= SUM[1] and i <= SUM[2] and 32 or block:byte(i)
    plain, signed = plain + byte, signed + (byte > 127 and byte - 256 or byte)
  end
  return plain, signed
end

local function name_of(block)
  local name, prefix = text(block, NAME), text(block, PREFIX)
  if field(block, MAGIC) == "ustar\0" and prefix ~= "" then
    return prefix .. "/" .. name
  end
  return name
end

--- tar_header.read(block) -> {name, size, type} | nil, problem
--
--   block  string  512 bytes
function M.read(block)
  local said, plain, signed = number(field(block, SUM)), sums(block)
  if said ~= plain and said ~= signed then
    return nil, "no header of a member, or a damaged one (its checksum is wrong)"
  end
  local size = number(field(block, SIZE))
  if not size or size > MOST_SIZE then
    return nil, ("the size of the member %s is none"):format(M.shown(name_of(block)))
  end
  return { name = name_of(block), size = size, type = field(block, TYPE) }
end

--- tar_header.pax(text) -> {keyword = value} | nil, problem
-- Records "LENGTH KEYWORD=VALUE\n"; the length counts itself.
function M.pax(records)
  local fields, at = {}, 1
  while at <= #records do
    local digits = records:match("^(%d+) ", at)
    local length = digits and #digits <= 6 and tonumber(digits) or 0
    local record = records:sub(at, at + length - 1)
    local key, value = record:match("^%d+ ([^=]+)=(.*)\n$")
    if not key or #record ~= length then
      return nil, "a damaged pax header"
    elseif value:find("\0", 1, true) and not key:find("%.") then
      return nil, ("a NUL in the pax header's %s"):format(M.shown(key))
    end
    fields[key] = value
    at = at + length
  end
  return fields
end

return M
