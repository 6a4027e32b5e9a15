--- disk.whole: is an image all of its disk? Pure but for what it is given to look with.
--
-- qemu-img reads many images that are only a part: it takes a differencing VHD, an extent
-- of a disk in several files or a VHDX with a parent for a disk with holes. So each
-- format's own header is read here, before any other program sees the image: parents,
-- files beside it, machines that still have it open, what is cut off.

local errors = require "host.error"
local formats = require "disk.formats"

local M = {}

local SECTOR = 512
local MAX_DESCRIPTOR = 1 << 20 -- bytes

local FLATTEN = "merge its snapshots where it comes from, or convert it there with its "
  .. "parents beside it (qemu-img convert)"
local SHUT_DOWN = "shut its machine down first"

local function fail(kind, fmt, ...)
  return nil, errors.new(kind, fmt:format(...))
end

local function has_parent(fmt, ...)
  return fail("unsupported", "the image is not whole: %s; %s", fmt:format(...), FLATTEN)
end

local function ends(text, size)
  if #text < size then
    return fail("format", "the image ends within its header")
  end
  return true
end

-- Source: QEMU, docs/interop/qcow2.txt
local QCOW2_BACKING, QCOW2_CRYPT, QCOW2_FEATURES = 9, 33, 73 -- offsets, from 1
local QCOW2_DIRTY, QCOW2_CORRUPT, QCOW2_DATA_FILE = 1, 2, 4  -- bits of the features

local function qcow2_features(features)
  if features & QCOW2_DATA_FILE ~= 0 then
    return fail("unsupported", "the image is not whole: its data are in another file")
  elseif features & (QCOW2_DIRTY | QCOW2_CORRUPT) ~= 0 then
    return fail("unsupported", "the qcow2 %s; %s, or mend a copy of it: "
      .. "qemu-img check -r all COPY.qcow2",
      features & QCOW2_CORRUPT ~= 0 and "is marked as damaged" or "was not closed",
      SHUT_DOWN)
  end
  return true
end

local function qcow2(peek)
  local head = peek(0, 104)
  local long, err = ends(head, 104)
  if not long then
    return nil, err
  end
  local version = string.unpack(">I4", head, 5)
  if version ~= 2 and version ~= 3 then
    return fail("unsupported", "a qcow of version %d; 2 and 3 are decoded", version)
  elseif string.unpack(">I8", head, QCOW2_BACKING) ~= 0 then
    return has_parent("it has a backing file")
  elseif string.unpack(">I4", head, QCOW2_CRYPT) ~= 0 then
    return fail("unsupported", "the image is encrypted")
  end
  return qcow2_features(version == 2 and 0 or string.unpack(">I8", head, QCOW2_FEATURES))
end

-- Source: VMware, Virtual Disk Format 5.0
local VMDK_KEYS = {
  createtype = "type", parentcid = "parent", parentfilenamehint = "hint",
}
local VMDK_TYPES = { monolithicsparse = true, streamoptimized = true }

local function descriptor_line(line, said)
  local key, value = line:match("^%s*(%w+)%s*=%s*\"?([^\"]-)\"?%s*$")
  key = (key or ""):lower()
  -- Of two lines of one key qemu-img takes another one than we do.
  if VMDK_KEYS[key] then
    said.twice = said.twice or said[VMDK_KEYS[key]] and key
    said[VMDK_KEYS[key]] = value:lower()
  elseif line:find("^%s*[RN][%u]+%s+%d+%s+%u+") then
    said.extents = said.extents + 1
  end
end

local function vmdk_descriptor(text)
  local said = { extents = 0 }
  for line in text:gmatch("[^\r\n\0]+") do
    descriptor_line(line, said)
  end
  if said.twice then
    return fail("format", "the descriptor in the VMDK says %s twice", said.twice)
  elseif said.hint or said.parent and said.parent ~= "ffffffff" then
    return has_parent("it is a delta (parentCID %s%s)", said.parent or "none",
      said.hint and ", with the name of a parent" or "")
  elseif not said.parent then
    return fail("format", "the descriptor in the VMDK has no parentCID")
  elseif not VMDK_TYPES[said.type] or said.extents ~= 1 then
    return fail("unsupported", "the image is not whole: its descriptor has %d extents "
      .. "and the type %s; export the machine as a stream-optimised VMDK", said.extents,
      formats.printable(said.type or "none"))
  end
  return true
end

local function vmdk(peek)
  local head = peek(0, SECTOR)
  local magic = head:sub(1, 4)
  if magic == "COWD" then
    return has_parent("it is a snapshot of ESX (COWD)")
  elseif magic ~= "KDMV" then
    return fail("unsupported", "a descriptor, whose extents are in other files; export "
      .. "the machine as a stream-optimised VMDK")
  end
  local long, err = ends(head, SECTOR)
  if not long then
    return nil, err
  end
  local at, size = string.unpack("<I8I8", head, 29)
  if string.unpack("<I8", head, 13) == 0 then
    -- Then qemu-img believes the descriptor, and opens what that names.
    return fail("format", "byte 12: a VMDK of no size")
  elseif at == 0 or size == 0 then
    return fail("unsupported", "the image is not whole: it is one extent of a disk in "
      .. "several files; export the machine as a stream-optimised VMDK")
  elseif at > 1 << 20 or size * SECTOR > MAX_DESCRIPTOR or size >> 32 ~= 0 then
    return fail("format", "byte 28: an impossible place of the descriptor")
  elseif head:byte(73) ~= 0 then
    return fail("unsupported", "the VMDK was not closed; %s", SHUT_DOWN)
  end
  return vmdk_descriptor(peek(at * SECTOR, size * SECTOR))
end

-- Source: VirtualBox, VDICore.h (VDIHEADER1PLUS)
local VDI_TYPE, VDI_DATA, VDI_BLOCK = 0x4d, 0x159, 0x179 -- offsets, from 1
local VDI_ALLOCATED, VDI_LINK, VDI_HEADER = 0x185, 0x1a9, 0x1c8
local VDI_WHOLE = { [1] = true, [2] = true } -- dynamic, fixed
local NO_UUID = ("\0"):rep(16)

-- All the blocks that its header counts, as its decoder does not look.
local function vdi(peek, size)
  local head = peek(0, VDI_HEADER)
  local long, err = ends(head, VDI_HEADER)
  if not long then
    return nil, err
  end
  local kind = string.unpack("<I4", head, VDI_TYPE)
  if not VDI_WHOLE[kind] then
    return has_parent("it is a VDI of type %d (3: undo, 4: differencing)", kind)
  elseif head:sub(VDI_LINK, VDI_LINK + 15) ~= NO_UUID then
    return has_parent("it is a VDI with a parent")
  end
  local data = string.unpack("<I4", head, VDI_DATA)
  local block, extra = string.unpack("<I4I4", head, VDI_BLOCK)
  local needed = data + string.unpack("<I4", head, VDI_ALLOCATED) * (block + extra)
  if size < needed then
    return fail("format", "byte %d: the image ends, its blocks do at %d", size, needed)
  end
  return true
end

-- Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0
local VHD_SIZE, VHD_TYPE, VHD_SUM, VHD_SAVED = 49, 61, 65, 85
local FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4

local function vhd_sum(footer)
  local sum = 0
  for i = 1, SECTOR do
    sum = sum + ((i < VHD_SUM or i > VHD_SUM + 3) and footer:byte(i) or 0)
  end
  return ~sum & 0xffffffff
end

local function vhd_kind(footer, head, size)
  local kind = string.unpack(">I4", footer, VHD_TYPE)
  local disk = string.unpack(">I8", footer, VHD_SIZE)
  if kind == DIFFERENCING then
    return has_parent("it is a differencing VHD")
  elseif kind == FIXED and disk ~= size - SECTOR then
    return fail("format", "byte %d: the VHD holds a disk of %d bytes, but %d are there",
      size - SECTOR, disk, size - SECTOR)
  elseif kind == DYNAMIC and footer ~= head then
    return fail("format", "byte 0: the VHD's two copies of its footer differ: it is cut "
      .. "off, or something was put to it")
  elseif kind ~= FIXED and kind ~= DYNAMIC then
    return fail("unsupported", "a VHD of type %d", kind)
  elseif footer:byte(VHD_SAVED) ~= 0 then
    return fail("unsupported", "the VHD is of a machine in saved state; %s", SHUT_DOWN)
  end
  return true
end

local function vhd(peek, size)
  local footer = size > SECTOR and peek(size - SECTOR, SECTOR) or ""
  if footer:sub(1, 8) ~= "conectix" then
    return fail("format", "byte %d: no footer of a VHD: it is cut off, or something was "
      .. "put to it", math.max(size - SECTOR, 0))
  elseif string.unpack(">I4", footer, VHD_SUM) ~= vhd_sum(footer) then
    return fail("format", "byte %d: the VHD's footer has a wrong checksum", size - SECTOR)
  end
  return vhd_kind(footer, peek(0, SECTOR), size)
end

-- Source: Microsoft, [MS-VHDX]
local VHDX_REGIONS = { 192 << 10, 256 << 10 }
local VHDX_TABLE = 64 << 10
local METADATA = "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"
local PARAMETERS = "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"
local LOCATOR = "\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c"
local HAS_PARENT = 2

-- Where the entry with that id, of 32 bytes each from `first` on, says that its thing is.
local function vhdx_entry(text, first, count, id, form)
  for i = 0, math.min(count, 2047) - 1 do
    local at = first + 32 * i
    if text:sub(at, at + 15) == id and #text >= at + 31 then
      return (string.unpack(form, text, at + 16))
    end
  end
  return nil
end

local function vhdx_metadata(peek)
  for _, place in ipairs(VHDX_REGIONS) do
    local text = peek(place, VHDX_TABLE)
    local at = text:sub(1, 4) == "regi"
      and vhdx_entry(text, 17, string.unpack("<I4", text, 9), METADATA, "<I8")
    if at and at > 0 and at < 1 << 50 then
      return at, peek(at, VHDX_TABLE)
    end
  end
  return nil, ""
end

-- A part that is not found here, qemu-img does not find either.
local function vhdx(peek)
  local place, text = vhdx_metadata(peek)
  if text:sub(1, 8) ~= "metadata" or #text < 32 then
    return true
  end
  local count = string.unpack("<I2", text, 11)
  local at = vhdx_entry(text, 33, count, PARAMETERS, "<I4")
  local parameters = at and peek(place + at, 8) or ""
  local flags = #parameters == 8 and string.unpack("<I4", parameters, 5) or 0
  if flags & HAS_PARENT ~= 0 or vhdx_entry(text, 33, count, LOCATOR, "<I4") then
    return has_parent("it is a differencing VHDX")
  end
  return true
end

local CHECKS = { qcow2 = qcow2, vmdk = vmdk, vdi = vdi, vhd = vhd, vhdx = vhdx }

--- whole.check(format, peek, size) -> true | nil, err
--
--   format  string    of the image: "qcow2", "vdi", "vhd", "vhdx", "vmdk"
--   peek    function  (offset, size) -> bytes; fewer where the image ends
--   size    bytes     of the image
--   err  unsupported  it is a part, still open, or encrypted; format: it is cut
function M.check(format, peek, size)
  return CHECKS[format](peek, size)
end

return M
