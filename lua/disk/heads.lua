--- disk.heads: what begins as something that is no disk. Pure.
--
-- Asked only where nobody has stated the format: a guest may write whatever it likes to
-- the start of its disk, but what somebody hands us without a word and begins as an
-- archive is an archive. File systems without partitions, also ISO 9660, are disks.

local M = {}

local UNPACK = "unpack it, and give the disk that is in it"
local CONVERT = "convert it to raw or qcow2 first"
local EXPORT = "export the machine it belongs to as a whole (as OVF or a "
  .. "stream-optimised VMDK)"
local ENCRYPTED = "if its guest encrypted it, it is a raw disk; if not, decrypt it first"

-- {what, place from 0, bytes, what to do}.
local HEADS = {
  { "a gzip archive", 0, "\x1f\x8b\8", UNPACK },
  { "an xz archive", 0, "\xfd7zXZ\0", UNPACK },
  { "a bzip2 archive", 4, "1AY&SY", UNPACK },
  { "a zstd archive", 0, "\x28\xb5\x2f\xfd", UNPACK },
  { "an lz4 archive", 0, "\x04\x22\x4d\x18", UNPACK },
  { "an lzma archive", 0, "\x5d\0\0", UNPACK },
  { "an lzop archive", 0, "\x89LZO\0\r\n", UNPACK },
  { "an lzip archive", 0, "LZIP\1", UNPACK },
  { "a compress (.Z) archive", 0, "\x1f\x9d\x90", UNPACK },
  { "a ZIP archive", 0, "PK\3\4", UNPACK },
  { "a 7-Zip archive", 0, "7z\xbc\xaf\x27\x1c", UNPACK },
  { "a RAR archive", 0, "Rar!\x1a\7", UNPACK },
  { "a cpio archive", 0, "07070", UNPACK },
  { "an ar archive or package", 0, "!<arch>\n", UNPACK },
  { "an RPM package", 0, "\xed\xab\xee\xdb", UNPACK },
  { "a cabinet archive", 0, "MSCF\0\0\0\0", UNPACK },
  { "a WIM archive", 0, "MSWIM\0\0\0", UNPACK },
  { "a Proxmox backup (VMA)", 0, "VMA\0", UNPACK },
  { "an SESparse snapshot of ESXi", 0, "\xbe\xba\xfe\xca\0\0\0\0", EXPORT },
  { "an Apple disk image (DMG)", 0, "koly", CONVERT },
  { "an encrypted Apple disk image (DMG)", 0, "encrcdsa", CONVERT },
  { "an Apple sparse image", 0, "sprs", CONVERT },
  { "an Android sparse image", 0, "\x3a\xff\x26\xed", CONVERT },
  { "a Partclone image", 0, "partclone-image", CONVERT },
  { "an ntfsclone image", 0, "\0ntfsclone-image", CONVERT },
  { "an EnCase image (E01)", 0, "EVF\x09\x0d\x0a\xff\0", CONVERT },
  { "an old QEMU image (COW)", 0, "OOOM", CONVERT },
  { "a LUKS container", 0, "LUKS\xba\xbe", ENCRYPTED },
  { "a cloop image", 0, "#!/bin/sh\n#V2.0 Format", CONVERT },
}

local TAR_SUM, TAR_SUM_END = 149, 156 -- where the header's checksum stands, from 1
local SECTOR = 512

-- Also the oldest, which have no name in the header: but a checksum of it they all have.
local function is_tar(head)
  local told = #head >= SECTOR
    and tonumber(head:sub(TAR_SUM, TAR_SUM_END):match("^%s*([0-7]+)[%s%z]") or "", 8)
  if not told or told == 0 then
    return false
  end
  local sum = 0
  for i = 1, SECTOR do
    sum = sum + (i >= TAR_SUM and i <= TAR_SUM_END and 32 or head:byte(i))
  end
  return sum == told
end

-- Pages of a server, OVF, lists, scripts: a sector without any byte that no text has.
local function is_text(head)
  return #head > 0 and not head:sub(1, SECTOR):find("[\0-\8\11\14-\31\127]")
end

--- heads.find(head) -> {what, advice} | nil
--
--   head    bytes   the first 512 or more
--   what    string  "a gzip archive"
--   advice  string  what to do with it
function M.find(head)
  for _, entry in ipairs(HEADS) do
    local what, at, bytes, advice = table.unpack(entry)
    if head:sub(at + 1, at + #bytes) == bytes then
      return { what = what, advice = advice }
    end
  end
  if is_tar(head) then
    return { what = "a tar archive (an OVA is one)", advice = UNPACK }
  elseif is_text(head) then
    return { what = "text", advice = "see whether it is the answer of a server, or the "
      .. "description of a disk that is in other files" }
  end
  return nil
end

return M
