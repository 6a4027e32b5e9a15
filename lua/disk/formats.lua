--- disk.formats: what images of disks look like, and which ones are refused. Pure.
--
-- A format that its source states is never guessed again; a header that contradicts it is
-- refused here, before any other program sees the image (and disk.whole looks further).

local disk = require "host.disk"
local errors = require "host.error"
local heads = require "disk.heads"
local vmdk = require "base.vmdk"

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

local function fail(kind, fmt, ...)
  return nil, errors.new(kind, fmt:format(...))
end

--- formats.printable(text, most?) -> text that may stand in a message
-- A text longer than `most` bytes (200) loses its middle: names begin well, and advice
-- stands at the end.
function M.printable(text, most)
  most = most or MAX_NAME
  text = tostring(text)
  if #text > most then
    local half = (most - 5) // 2
    text = text:sub(1, half) .. " ... " .. text:sub(-half)
  end
  return (text:gsub("[^\32-\126]", "?"))
end

local printable = M.printable

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
-- For an image whose format nobody stated. What has no header that we know is raw; what
-- has one of something else must be stated to be raw.
function M.guess(head)
  local magic, known = disk.magic(head), heads.find(head)
  if known and not magic then
    return fail("unsupported", "the image begins as %s, which is no disk; %s. If it is a "
      .. "raw disk nevertheless, state the format raw", known.what, known.advice)
  elseif not magic then
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
    return vmdk.is_stream(head)
  end
  return format == "raw"
end

--- formats.check_head(format, head) -> true | nil, err
-- That an image of a stated format begins like one.
function M.check_head(format, head)
  local found = disk.magic(head)
  local wanted = DECODED_BY_QEMU[format].magic
  if wanted and found ~= wanted or not wanted and found and BY_MAGIC[found] ~= format then
    local known = not found and heads.find(head)
    return fail("format", "byte 0: no %s begins so%s", format,
      found and (", but a " .. found .. " does") or known and (", but " .. known.what
      .. " does; " .. known.advice) or "")
  end
  return true
end

--- formats.has_check(format) -> boolean
-- Whether `qemu-img check` knows more of it than `info`.
function M.has_check(format)
  return format ~= "vhd"
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

return M
