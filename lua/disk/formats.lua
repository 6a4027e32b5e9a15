--- disk.formats: what images of disks look like, and which ones are refused. Pure.
--
-- A format that its source states is never guessed again; a header that contradicts it,
-- or names another file, is refused here, before any other program sees the image.

local disk = require "host.disk"
local errors = require "host.error"

local M = {}

M.HEAD_BYTES = 4096 -- of an image, what its header is judged by

local MAX_CAPACITY = 64 << 40 -- bytes; more is damage, not a disk
local MAX_NAME = 200          -- bytes of a name that an image gives, in messages

-- Our name -> what qemu-img calls it, and what disk.magic() does.
local DECODED_BY_QEMU = {
  qcow2 = { driver = "qcow2", magic = "qcow2" },
  vdi = { driver = "vdi", magic = "VDI" },
  vhd = { driver = "vpc" }, -- of a fixed size: the mark is at its end
  vhdx = { driver = "vhdx", magic = "VHDX" },
  vmdk = { driver = "vmdk", magic = "VMDK" },
}
local BY_MAGIC = {
  qcow2 = "qcow2", VDI = "vdi", VHD = "vhd", VHDX = "vhdx", VMDK = "vmdk",
}
local ALIASES = { vpc = "vhd", iso = "raw" }

M.NAMES = "auto, vmdk, raw, qcow2, vdi, vhd or vhdx"

local QCOW2_BACKING, QCOW2_CRYPT, QCOW2_FEATURES = 9, 33, 73 -- offsets, from 1
local VDI_DATA, VDI_BLOCK, VDI_ALLOCATED = 0x159, 0x179, 0x185
local QCOW2_DATA_FILE = 4          -- bit of the features
local VMDK_MARKED_STREAM = 0x30000 -- flags: compressed grains, with markers

local function fail(kind, fmt, ...)
  return nil, errors.new(kind, fmt:format(...))
end

local function printable(text)
  return (tostring(text):sub(1, MAX_NAME):gsub("[^\32-\126]", "?"))
end

--- formats.canonical(name) -> format | nil, err
-- "vpc" and "iso" are the names that OpenStack has for two of ours.
function M.canonical(name)
  name = ALIASES[name] or name
  if name == "auto" or name == "raw" or DECODED_BY_QEMU[name] then
    return name
  end
  return fail("invalid", "no format '%s': %s", printable(name), M.NAMES)
end

--- formats.driver(format) -> what qemu-img calls it
function M.driver(format)
  return DECODED_BY_QEMU[format].driver
end

--- formats.guess(head) -> format | nil, err
-- For an image whose format nobody stated. What has no header is raw.
function M.guess(head)
  local magic = disk.magic(head)
  if not magic then
    return "raw"
  end
  local format = BY_MAGIC[magic]
  if not format then
    return fail("unsupported", "an image of the format %s; known are %s", magic, M.NAMES)
  end
  return format
end

--- formats.streams(format, head) -> boolean
-- Whether our own decoders take it, in one pass.
function M.streams(format, head)
  if format == "vmdk" then
    return head:sub(1, 4) == "KDMV" and #head >= 12
      and string.unpack("<I4", head, 9) & VMDK_MARKED_STREAM == VMDK_MARKED_STREAM
  end
  return format == "raw"
end

local function check_qcow2(head)
  if #head < 104 then
    return fail("format", "the image ends within its header")
  end
  local version = string.unpack(">I4", head, 5)
  if version ~= 2 and version ~= 3 then
    return fail("unsupported", "a qcow of version %d; 2 and 3 are decoded", version)
  elseif string.unpack(">I8", head, QCOW2_BACKING) ~= 0 then
    return fail("unsupported", "the image is not whole: it has a backing file; flatten "
      .. "it where it comes from (qemu-img convert)")
  elseif string.unpack(">I4", head, QCOW2_CRYPT) ~= 0 then
    return fail("unsupported", "the image is encrypted")
  elseif version == 3
    and string.unpack(">I8", head, QCOW2_FEATURES) & QCOW2_DATA_FILE ~= 0 then
    return fail("unsupported", "the image is not whole: its data are in another file")
  end
  return true
end

local function check_vmdk(head)
  if head:sub(1, 4) ~= "KDMV" and head:sub(1, 4) ~= "COWD" then
    return fail("unsupported", "a descriptor, whose extents are in other files; export "
      .. "the machine as a stream-optimised VMDK")
  end
  return true
end

--- formats.check_head(format, head) -> true | nil, err
-- That an image of a stated format begins like one, and is all in one file.
function M.check_head(format, head)
  local found = disk.magic(head)
  local wanted = DECODED_BY_QEMU[format].magic
  if wanted and found ~= wanted or not wanted and found and BY_MAGIC[found] ~= format then
    return fail("format", "byte 0: no %s begins so%s", format,
      found and (", but a " .. found .. " does") or "")
  elseif format == "qcow2" then
    return check_qcow2(head)
  elseif format == "vmdk" then
    return check_vmdk(head)
  end
  return true
end

--- formats.has_check(format) -> boolean
-- Whether `qemu-img check` knows more of it than `info`.
function M.has_check(format)
  return format ~= "vhd"
end

--- formats.check_size(format, head, size) -> true | nil, err
-- That an image of `size` bytes has all the blocks that its header counts, where its
-- decoder does not look.
-- Source: VirtualBox, VDICore.h (VDIHEADER1PLUS)
function M.check_size(format, head, size)
  if format ~= "vdi" then
    return true
  elseif #head < VDI_ALLOCATED + 3 then
    return fail("format", "the image ends within its header")
  end
  local data = string.unpack("<I4", head, VDI_DATA)
  local block, extra = string.unpack("<I4I4", head, VDI_BLOCK)
  local needed = data + string.unpack("<I4", head, VDI_ALLOCATED) * (block + extra)
  if size < needed then
    return fail("format", "byte %d: the image ends, its blocks do at %d", size, needed)
  end
  return true
end

-- Of a VMDK: every extent is in the image itself.
local function check_extents(info, path)
  local specific = info["format-specific"]
  specific = type(specific) == "table" and specific.data
  local extents = type(specific) == "table" and specific.extents or {}
  for _, extent in ipairs(type(extents) == "table" and extents or {}) do
    if extent.filename ~= path then
      return fail("unsupported", "the image is not whole: an extent is in %s",
        printable(extent.filename))
    end
  end
  return true
end

--- formats.check_info(info, format, path, opts) -> capacity | nil, err
-- What `qemu-img info --output=json` said of the image at `path`.
--
--   opts.capacity      bytes  that the disk must have                          (any)
--   opts.max_capacity  bytes  that it may have                              (64 TiB)
function M.check_info(info, format, path, opts)
  local capacity = type(info) == "table" and info["virtual-size"]
  if math.type(capacity) ~= "integer" or capacity <= 0 then
    return fail("format", "the image tells no size of its disk")
  elseif info.format ~= M.driver(format) then
    return fail("format", "no %s, but %s", format, printable(info.format))
  elseif info["backing-filename"] then
    return fail("unsupported", "the image is not whole: it has the backing file %s",
      printable(info["backing-filename"]))
  elseif info.encrypted then
    return fail("unsupported", "the image is encrypted")
  end
  local whole, err = check_extents(info, path)
  if not whole then
    return nil, err
  elseif capacity > (opts.max_capacity or MAX_CAPACITY) then
    return fail("unsupported", "a disk of %d bytes, at most %d are allowed", capacity,
      opts.max_capacity or MAX_CAPACITY)
  elseif opts.capacity and capacity ~= opts.capacity then
    return fail("format", "the image holds a disk of %d bytes, expected %d", capacity,
      opts.capacity)
  end
  return capacity
end

M.printable = printable

return M
