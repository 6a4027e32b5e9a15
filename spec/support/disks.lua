--- support.disks: small disks with something at every border, as raw files and as
-- VMDKs; and a folder of a spec's own to put them in.

local vmdk = require("support.vmdk")
local zlib = require("support.zlib")

local M = {}

local GRAIN = 64 * 1024

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  assert(pipe:close(), command)
  return text
end

--- disks.folder() -> path, remove
function M.folder()
  local path = output_of("mktemp -d"):gsub("\n", "")
  return path, function()
    os.execute("rm -rf '" .. path .. "'")
  end
end

--- disks.write(path, bytes) -> path
function M.write(path, bytes)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
  return path
end

--- disks.digest(algorithm, path) -> hex
-- By coreutils: "sha1", "sha256", "sha512", "md5".
function M.digest(algorithm, path)
  return output_of(algorithm .. "sum '" .. path .. "'"):match("^%x+")
end

--- disks.names(folder) -> what is in it, sorted, one line
function M.names(folder)
  return (output_of("ls -A '" .. folder .. "'"):gsub("%s+$", ""):gsub("\n", " "))
end

--- disks.run(command) -> what it printed; throws if it fails
M.run = output_of

-- `size` bytes that do not compress, the same ones for the same seed.
local function noise(seed, size)
  local state, parts = seed * 2 + 1, {}
  for i = 1, size // 8 do
    state = state * 6364136223846793005 + 1442695040888963407
    parts[i] = string.pack("<i8", state ~ state >> 29)
  end
  return table.concat(parts)
end

--- disks.sample(changes) -> disk
-- 80 MiB and 7 sectors, so three grain tables (the last not full) and a short last
-- grain. Grains at both sides of each border; one does not compress, one is partly
-- zeros. disk.raw is a list of {byte, bytes} for a raw file.
--
--   changes.whole_last  boolean  the last grain is stored whole, past the disk's end
function M.sample(changes)
  local capacity = 80 * 2048 + 7
  local last = capacity // 128
  local disk = { capacity = capacity, grains = {}, raw = {} }
  local function add(number, data, compressed)
    disk.grains[#disk.grains + 1] = { number, compressed or zlib.stored(data) }
    disk.raw[#disk.raw + 1] = { number * GRAIN, data }
  end
  local function add_run(number, byte)
    add(number, string.char(byte):rep(GRAIN), zlib.run(byte, GRAIN))
  end
  add_run(0, 1)
  add(1, noise(1, GRAIN))
  add_run(2, 2)
  local zeros = ("\0"):rep(8192)
  add(4, noise(2, 4096) .. zeros .. noise(3, 4096) .. zeros:rep(6))
  add_run(511, 3)
  add_run(512, 4)
  add_run(700, 5)
  add_run(1023, 6)
  local tail = (capacity - last * 128) * 512
  local stored = changes and changes.whole_last and GRAIN or tail
  add(last, ("\7"):rep(tail), zlib.run(7, stored))
  return disk
end

--- disks.long() -> disk
-- Twice 10 MiB, more than a transfer holds at once, with 300 MiB of nothing between them. No
-- grain is like one that comes soon after it.
function M.long()
  local disk = { capacity = (320 + 4800) * 128, grains = {}, raw = {} }
  local compressed = {}
  for i = 0, 319 do
    local byte = i % 140 + 1
    compressed[byte] = compressed[byte] or zlib.run(byte, GRAIN)
    local number = i < 160 and i or i + 4800
    disk.grains[i + 1] = { number, compressed[byte] }
    disk.raw[i + 1] = { number * GRAIN, string.char(byte):rep(GRAIN) }
  end
  return disk
end

--- disks.write_raw(path, disk) -> path
function M.write_raw(path, disk)
  local f = assert(io.open(path, "wb"))
  for _, piece in ipairs(disk.raw) do
    f:seek("set", piece[1])
    f:write(piece[2])
  end
  f:close()
  return path
end

--- disks.shuffled(disk) -> the same with its grains out of order
function M.shuffled(disk)
  local grains = table.move(disk.grains, 1, #disk.grains, 1, {})
  for i = 1, #grains - 1, 2 do
    grains[i], grains[i + 1] = grains[i + 1], grains[i]
  end
  return { capacity = disk.capacity, grains = grains, raw = disk.raw }
end

--- disks.put(bytes, at, replacement) -> bytes with that in place of as many others
function M.put(bytes, at, replacement)
  return bytes:sub(1, at) .. replacement .. bytes:sub(at + #replacement + 1)
end

--- disks.cut(bytes, part) -> bytes without that part of the map
function M.cut(bytes, part)
  return bytes:sub(1, part.at) .. bytes:sub(part.at + part.size + 1)
end

--- disks.part(bytes, part) -> its bytes
function M.part(bytes, part)
  return bytes:sub(part.at + 1, part.at + part.size)
end

--- disks.insert(bytes, at, more) -> bytes with more before byte `at`
function M.insert(bytes, at, more)
  return bytes:sub(1, at) .. more .. bytes:sub(at + 1)
end

--- disks.vhd_footer(size, fields) -> 512 bytes
-- Of a VHD with a disk of `size` bytes. `fields`: type (2: fixed), size, saved, checksum,
-- creator, cylinders, heads and sectors (spare), and where its dynamic header is (data).
function M.vhd_footer(size, fields)
  fields = fields or {}
  local bytes = string.pack(">c8I4I4i8I4c4I4c4I8I8I2I2I4I4c16B", "conectix", 2, 0x10000,
    fields.data or -1, 0, fields.creator or "win ", 0x60001, "Wi2k", size, fields.size or size,
    fields.cylinders or 0, fields.spare or 0, fields.type or 2, 0, ("\7"):rep(16),
    fields.saved or 0)
  bytes = bytes .. ("\0"):rep(512 - #bytes)
  local sum = 0
  for i = 1, #bytes do
    sum = sum + bytes:byte(i)
  end
  return M.put(bytes, 64, string.pack(">I4", fields.checksum or ~sum & 0xffffffff))
end

--- disks.crc32c(bytes, at) -> bytes with their CRC-32C at byte `at`
-- As VHDX has it: of all of them, with zeros in its place.
function M.crc32c(bytes, at)
  bytes = M.put(bytes, at, "\0\0\0\0")
  local crc = 0xffffffff
  for i = 1, #bytes do
    crc = crc ~ bytes:byte(i)
    for _ = 1, 8 do
      crc = crc >> 1 ~ (crc & 1 == 1 and 0x82f63b78 or 0)
    end
  end
  return M.put(bytes, at, string.pack("<I4", crc ~ 0xffffffff))
end

M.footer_style = vmdk.footer_style
M.head_style = vmdk.head_style
M.marker = vmdk.marker
M.grain = vmdk.grain

return M
