--- support.tar: archives of any kind, also those that no program makes.

local M = {}

local BLOCK = 512

local function octal(number, width)
  return ("%0" .. width - 1 .. "o\0"):format(number)
end

--- tar.padded(bytes) -> bytes, to a whole block
function M.padded(bytes)
  return bytes .. ("\0"):rep(-#bytes % BLOCK)
end

--- tar.big(number) -> a size as GNU tar writes what is too large for octal digits
function M.big(number)
  return "\x80" .. string.pack(">I3I8", 0, number)
end

--- tar.header(name, size, fields?) -> block
--
--   fields.type    string  (default "0")
--   fields.size    string  12 bytes in place of the octal digits
--   fields.magic   string  8 bytes                           (default "ustar\0" "00")
--   fields.prefix  string
--   fields.sum     integer  a wrong checksum
function M.header(name, size, fields)
  fields = fields or {}
  local head = name .. ("\0"):rep(100 - #name) .. octal(420, 8) .. octal(0, 8) .. octal(0, 8)
    .. (fields.size or octal(size, 12)) .. octal(0, 12)
  local prefix = fields.prefix or ""
  local rest = (fields.type or "0") .. (fields.link or ""):sub(1, 100)
    .. ("\0"):rep(100 - #(fields.link or "")) .. (fields.magic or "ustar\00000")
    .. ("\0"):rep(80) .. prefix .. ("\0"):rep(155 - #prefix + 12)
  local sum = 0
  for _, byte in ipairs { (head .. (" "):rep(8) .. rest):byte(1, BLOCK) } do
    sum = sum + byte
  end
  return head .. ("%06o\0 "):format(fields.sum or sum) .. rest
end

--- tar.member(name, data, fields?) -> bytes
function M.member(name, data, fields)
  return M.header(name, #data, fields) .. M.padded(data)
end

--- tar.pax(records, type?) -> bytes: a header of {keyword = value}
function M.pax(records, type)
  local text = ""
  for key, value in pairs(records) do
    local rest = (" %s=%s\n"):format(key, value)
    local length = #rest + 1
    while #tostring(length) + #rest ~= length do
      length = #tostring(length) + #rest
    end
    text = text .. length .. rest
  end
  return M.member("PaxHeaders/x", text, { type = type or "x" })
end

--- tar.archive(...) -> bytes: members, given as bytes, and the mark of the end
function M.archive(...)
  return table.concat { ... } .. ("\0"):rep(2 * BLOCK)
end

--- tar.reader(bytes) -> read, as archive.list wants it; and a table that counts
function M.reader(bytes)
  local seen = { calls = 0, bytes = 0, last = 0 }
  return function(offset, size)
    assert(offset >= seen.last, "it went back")
    seen.calls, seen.bytes, seen.last = seen.calls + 1, seen.bytes + size, offset
    return bytes:sub(offset + 1, offset + size)
  end, seen
end

return M
