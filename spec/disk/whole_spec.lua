--- disk.whole: every format, and every way in which an image is not its whole disk.

local convert = require "disk.convert"
local disks = require "support.disks"
local file = require "host.file"
local whole = require "disk.whole"

local folder, remove = disks.folder()
local out, remove_out = disks.folder()
local DRIVERS = { vhd = "vpc" }

-- A small disk with something at both ends, as an image of that format; its bytes.
local raw = disks.write(folder .. "/disk.img",
  ("\1\2\3\4"):rep(4096) .. ("\0"):rep(1 << 20) .. ("\5\6\7\8"):rep(4096))

local function image(format, options)
  disks.run(("qemu-img convert -q -f raw -O %s %s '%s' '%s/image'"):format(
    DRIVERS[format] or format, options or "", raw, folder))
  local f <close> = assert(io.open(folder .. "/image", "rb"))
  return f:read("a")
end

local qcow2, vdi, vhdx = image("qcow2"), image("vdi"), image("vhdx")
local vmdk, vhd = image("vmdk"), image("vhd", "-o force_size=on")
local fixed = image("vhd", "-o subformat=fixed,force_size=on")

local function check(format, bytes)
  return whole.check(format, function(offset, size)
    return bytes:sub(offset + 1, offset + size)
  end, #bytes)
end

-- With `value` packed as `form` at byte `at`, from 0.
local function with(bytes, at, form, value)
  return disks.put(bytes, at, string.pack(form, value))
end

-- The VMDK with another text in its descriptor, of 20 sectors from the first on.
local function said(from, to)
  local text = vmdk:sub(513, 21 * 512):match("^[^\0]+")
  local first, last = text:find(from, 1, true)
  text = text:sub(1, first - 1) .. to .. text:sub(last + 1)
  return disks.put(vmdk, 512, text .. ("\0"):rep(20 * 512 - #text))
end

-- The VHD with another field in both copies of its footer, and the sums right.
local function vhd_with(at, form, value)
  local footer = vhd:sub(-512)
  footer = with(with(footer, at, form, value), 64, ">I4", 0)
  local sum = 0
  for i = 1, 512 do
    sum = sum + footer:byte(i)
  end
  footer = with(footer, 64, ">I4", ~sum & 0xffffffff)
  return footer .. vhd:sub(513, -513) .. footer
end

local PARAMETERS = "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"
local LOCATOR = "\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c"

-- The VHDX with the flag of a parent; and with a parent's locator in its metadata.
local entry_at = assert(vhdx:find(PARAMETERS, 1, true)) - 1
local metadata_at = assert(vhdx:find("metadata", 1, true)) - 1
local flags_at = metadata_at + string.unpack("<I4", vhdx, entry_at + 17) + 4

local SOUND = {
  qcow2 = { qcow2, image("qcow2", "-o compat=0.10"), image("qcow2", "-c") },
  vmdk = { vmdk }, vdi = { vdi, image("vdi", "-o static=on") },
  vhd = { vhd, fixed }, vhdx = { vhdx, image("vhdx", "-o subformat=fixed") },
}

-- {format, what it is, bytes, kind, text of the refusal}
local PARTS = {
  { "qcow2", "with a backing file", with(qcow2, 8, ">I8", 512), "unsupported", "backing file" },
  { "qcow2", "with a backing file without a name", with(with(qcow2, 8, ">I8", 512), 16, ">I4",
    0), "unsupported", "backing file" },
  { "qcow2", "with its data elsewhere", with(qcow2, 72, ">I8", 4), "unsupported", "another file" },
  { "qcow2", "that was not closed", with(qcow2, 72, ">I8", 1), "unsupported", "was not closed" },
  { "qcow2", "that is marked as damaged", with(qcow2, 72, ">I8", 2), "unsupported", "damaged" },
  { "qcow2", "that is encrypted", with(qcow2, 32, ">I4", 2), "unsupported", "encrypted" },
  { "qcow2", "of version 1", with(qcow2, 4, ">I4", 1), "unsupported", "version 1" },
  { "qcow2", "cut in its header", qcow2:sub(1, 103), "format", "within its header" },

  { "vmdk", "with the id of a parent, but no name", said("parentCID=ffffffff",
    "parentCID=1234abcd"), "unsupported", "parentCID 1234abcd" },
  { "vmdk", "with the name of a parent", said("createType",
    'parentFileNameHint="a.vmdk"\ncreateType'), "unsupported", "name of a parent" },
  { "vmdk", "that says its type twice", said("createType=", 'createType="vmfs"\ncreateType='),
    "format", "createtype twice" },
  { "vmdk", "of no size, whose descriptor qemu-img would follow",
    with(vmdk, 12, "<I8", 0), "format", "of no size" },
  { "vmdk", "without parentCID", said("parentCID", "parentcjd"), "format", "no parentCID" },
  { "vmdk", "that is one extent of several", with(with(vmdk, 28, "<I8", 0), 36, "<I8", 0),
    "unsupported", "one extent" },
  { "vmdk", "of a split disk", said("monolithicSparse", "twoGbMaxExtentSparse"), "unsupported",
    "the type twogb" },
  { "vmdk", "with a second extent", said("# The Disk Data Base", "RW 9 SPARSE \"x.vmdk\"\n"),
    "unsupported", "2 extents" },
  { "vmdk", "that was not closed", with(vmdk, 72, "B", 1), "unsupported", "was not closed" },
  { "vmdk", "of ESX's snapshots", "COWD" .. ("\0"):rep(4096), "unsupported", "COWD" },
  { "vmdk", "that is a descriptor", "# Disk DescriptorFile\nversion=1\n", "unsupported",
    "a descriptor" },
  { "vmdk", "with a descriptor behind everything", with(vmdk, 28, "<I8", 1 << 40), "format",
    "byte 28" },
  { "vmdk", "cut in its header", vmdk:sub(1, 511), "format", "within its header" },

  { "vdi", "of type undo", with(vdi, 0x4c, "<I4", 3), "unsupported", "type 3" },
  { "vdi", "of type differencing", with(vdi, 0x4c, "<I4", 4), "unsupported", "type 4" },
  { "vdi", "with a parent", with(vdi, 0x1a8, "<I4", 7), "unsupported", "a parent" },
  { "vdi", "cut in its blocks", vdi:sub(1, -2), "format", "its blocks do at " .. #vdi },
  { "vdi", "cut in its header", vdi:sub(1, 0x1c0), "format", "within its header" },
  { "vdi", "with blocks without end", with(vdi, 0x184, "<I4", 0xffffffff), "format",
    "its blocks do at" },

  { "vhd", "that is differencing", vhd_with(60, ">I4", 4), "unsupported", "differencing" },
  { "vhd", "of an unknown type", vhd_with(60, ">I4", 5), "unsupported", "of type 5" },
  { "vhd", "of a saved machine", vhd_with(84, "B", 1), "unsupported", "saved state" },
  { "vhd", "cut by a sector", vhd:sub(1, -513), "format", "no footer" },
  { "vhd", "with a byte put to it", vhd .. "\0", "format", "no footer" },
  { "vhd", "with another footer at its end", with(vhd, #vhd - 500, "B", 9), "format",
    "wrong checksum" },
  { "vhd", "with two footers that differ", with(vhd, 70, "B", 9), "format", "copies" },
  { "vhd", "of fixed size, cut", fixed:sub(513), "format", "but " .. #fixed - 1024 .. " are" },
  { "vhd", "of fixed size, with more before its footer", fixed:sub(1, -513) .. ("\0"):rep(512)
    .. fixed:sub(-512), "format", "holds a disk" },
  { "vhd", "that is nothing", "", "format", "no footer" },

  { "vhdx", "with the flag of a parent", with(vhdx, flags_at, "<I4", 2), "unsupported",
    "differencing VHDX" },
  { "vhdx", "with the locator of a parent", disks.put(with(vhdx, metadata_at + 10, "<I2", 20),
    metadata_at + 32 + 32 * 19, LOCATOR .. ("\1"):rep(16)), "unsupported", "differencing VHDX" },
}

teardown(function()
  remove()
  remove_out()
end)

describe("whole.check", function()
  for format, list in pairs(SOUND) do
    it("takes each sound " .. format, function()
      for _, bytes in ipairs(list) do
        assert(check(format, bytes))
      end
    end)
  end

  it("leaves to qemu-img a VHDX in which nothing can be found", function()
    assert.is_true(check("vhdx", "vhdxfile"))
    assert.is_true(check("vhdx", with(vhdx, metadata_at, "c8", "nothing!")))
  end)

  for _, case in ipairs(PARTS) do
    local format, what, bytes, kind, text = table.unpack(case)
    it(("refuses a %s %s"):format(format, what), function()
      local got, err = check(format, bytes)
      assert.is_nil(got)
      assert.equal(kind, err.kind)
      assert.truthy(err.message:find(text, 1, true), err.message)
      -- And so does all that leads to a disk, with nothing left of it.
      local conversion <close> = convert.start({
        input = disks.write(folder .. "/part", bytes), format = format,
        output = out .. "/disk.raw",
      })
      assert.is_nil((conversion:wait()))
      assert.equal("", disks.names(out))
    end)
  end

  it("finds nothing wrong with an image that has snapshots of its own", function()
    disks.write(folder .. "/snap", qcow2)
    disks.run("qemu-img snapshot -c one '" .. folder .. "/snap'")
    assert(check("qcow2", assert(file.read(folder .. "/snap"))))
  end)
end)
