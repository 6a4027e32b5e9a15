--- support.zlib: zlib streams written by hand: stored, or a run of one byte.

local M = {}

local function adler32(data)
  local a, b = 1, 0
  for at = 1, #data, 4096 do
    for _, byte in ipairs({ data:byte(at, math.min(at + 4095, #data)) }) do
      a = a + byte
      b = b + a
    end
    a, b = a % 65521, b % 65521
  end
  return b << 16 | a
end

--- zlib.stored(data) -> bytes
-- Not compressed at all: 5 bytes more for each 65535.
function M.stored(data)
  local parts = { "\x78\x01" }
  local at = 1
  repeat
    local chunk = data:sub(at, at + 65534)
    at = at + #chunk
    local last = at > #data and 1 or 0
    parts[#parts + 1] = string.pack("<BI2I2", last, #chunk, ~#chunk & 0xffff)
    parts[#parts + 1] = chunk
  until at > #data
  parts[#parts + 1] = string.pack(">I4", adler32(data))
  return table.concat(parts)
end

-- Bits, least significant first, as deflate packs them.
local function bit_writer()
  local bytes, word, count = {}, 0, 0
  local writer = {}
  function writer.bits(value, n)
    word = word | value << count
    count = count + n
    while count >= 8 do
      bytes[#bytes + 1] = string.char(word & 0xff)
      word, count = word >> 8, count - 8
    end
  end
  function writer.code(value, n) -- Huffman codes go most significant bit first
    for i = n - 1, 0, -1 do
      writer.bits(value >> i & 1, 1)
    end
  end
  function writer.done()
    if count > 0 then
      writer.bits(0, 8 - count)
    end
    return table.concat(bytes)
  end
  return writer
end

-- Adler-32 of `n` equal bytes, without making them.
local function adler32_of_run(byte, n)
  local a = (1 + n * byte) % 65521
  local sum = (n % (2 * 65521)) * ((n + 1) % (2 * 65521)) // 2
  local b = (n + byte * sum) % 65521
  return b << 16 | a
end

--- zlib.run(byte, n) -> bytes
-- `n` times the byte (below 144), in about n / 1000 bytes: fixed codes, one literal and
-- matches of 258 at distance 1. n - 1 is a multiple of 258, or the rest is literal.
function M.run(byte, n)
  local w = bit_writer()
  w.bits(1, 1) -- last block
  w.bits(1, 2) -- fixed codes
  local function literal()
    w.code(0x30 + byte, 8)
  end
  literal()
  for _ = 1, (n - 1) // 258 do
    w.code(0xc5, 8) -- length 258
    w.code(0, 5) -- distance 1
  end
  for _ = 1, (n - 1) % 258 do
    literal()
  end
  w.code(0, 7) -- end of block
  return "\x78\x01" .. w.done() .. string.pack(">I4", adler32_of_run(byte, n))
end

return M
