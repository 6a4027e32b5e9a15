--- providers.ova.image: what a file of a disk is, by its first bytes. Pure.
--
-- Its own header says how large the disk is, whatever the OVF says of it.

local disk = require "host.disk"
local vmdk = require "base.vmdk"

local M = {}

M.HEAD_BYTES = 4096

-- Place of the disk's size, how it is packed, and what it counts.
local SIZES = {
  VMDK = { 13, "<I8", 512 },
  qcow2 = { 25, ">I8", 1 },
  VDI = { 0x171, "<I8", 1 },
  VHD = { 49, ">I8", 1 },
}
local COMPRESSED = { vmdk = true, raw = true } -- that are decoded while they come
local MOST = 64 << 40 -- bytes; more is damage

local function size_in(magic, head)
  local place = SIZES[magic]
  if not place or #head < place[1] + 7 then
    return nil
  end
  local size = string.unpack(place[2], head, place[1])
  return size > 0 and size <= MOST // place[3] and size * place[3] or nil
end

--- image.look(head, file) -> {format, direct, capacity}
--
--   head      bytes    of the file, HEAD_BYTES of them or all there are
--   file      table    {format, compression, size}: as providers.ova.ovf has it, size as
--                      it is
--   format    string   for host.disk and disk.fetch: "vmdk", "raw", "auto" ...
--   direct    boolean  it is decoded while it comes
--   capacity  bytes    of the disk in it, nil: not known from here
function M.look(head, file)
  local magic = disk.magic(head)
  if file.compression then -- its decoder says if it is not what the OVF says
    return { format = file.format, direct = COMPRESSED[file.format] or false }
  elseif magic == "VMDK" then
    local stream = vmdk.is_stream(head)
    return { format = stream and "vmdk" or "auto", direct = stream,
      capacity = head:sub(1, 4) == "KDMV" and size_in(magic, head) or nil }
  elseif magic then
    return { format = "auto", direct = false, capacity = size_in(magic, head) }
  elseif file.format == "raw" then
    return { format = "raw", direct = true, capacity = file.size }
  elseif file.format == "vmdk" then
    return { format = "vmdk", direct = true } -- its decoder says what is wrong with it
  end
  return { format = file.format, direct = false }
end

return M
