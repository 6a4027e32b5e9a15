--- disk.formats: headers as bytes, and what qemu-img would say of an image.

local formats = require "disk.formats"

local function refused(kind, text, got, err)
  assert.is_nil(got)
  assert.equal(kind, err.kind)
  assert.truthy(err.message:find(text, 1, true), err.message)
end

-- The header of a qcow2; `fields`: version, backing, crypt, features.
local function qcow2(fields)
  local head = string.pack(">c4I4I8I4I4I8I4I4I8I8I4I4I8I8I8I8I4I4", "QFI\xfb",
    fields.version or 3, fields.backing or 0, 0, 16, 1 << 20, fields.crypt or 0, 1, 0x30000,
    0x10000, 1, 0, 0, fields.features or 0, 0, 0, 4, 104)
  return head .. ("\0"):rep(formats.HEAD_BYTES - #head)
end

local function vmdk(flags)
  local head = string.pack("<c4I4I4", "KDMV", 3, flags)
  return head .. ("\0"):rep(formats.HEAD_BYTES - #head)
end

local function head(bytes, at)
  local text = ("\0"):rep(at or 0) .. bytes
  return text .. ("\0"):rep(formats.HEAD_BYTES - #text)
end

describe("formats.canonical", function()
  it("takes the names of OpenStack too", function()
    assert.equal("vhd", formats.canonical("vpc"))
    assert.equal("raw", formats.canonical("iso"))
    assert.equal("qcow2", formats.canonical("qcow2"))
  end)

  it("refuses a format that nobody here decodes", function()
    refused("invalid", "no format 'ploop'", formats.canonical("ploop"))
    refused("invalid", "no format 'nbd", formats.canonical("nbd:\27[2J"))
  end)
end)

describe("formats.guess", function()
  it("goes by the header, and takes what has none for a raw disk", function()
    assert.equal("qcow2", formats.guess(qcow2({})))
    assert.equal("vmdk", formats.guess(vmdk(0x30001)))
    assert.equal("vhdx", formats.guess(head("vhdxfile")))
    assert.equal("vdi", formats.guess(head("\x7f\x10\xda\xbe", 64)))
    assert.equal("vhd", formats.guess(head("conectix")))
    assert.equal("raw", formats.guess(head("")))
    assert.equal("raw", formats.guess(head("\xeb\x63\x90")))
    assert.equal("raw", formats.guess(""))
  end)

  it("refuses a format that it knows by name only", function()
    refused("unsupported", "QED", formats.guess(head("QED\0")))
  end)
end)

describe("formats.streams", function()
  it("tells the VMDK that goes in one pass from others", function()
    assert.is_true(formats.streams("vmdk", vmdk(0x30001)))
    assert.is_false(formats.streams("vmdk", vmdk(3)))
    assert.is_false(formats.streams("vmdk", head("# Disk DescriptorFile\nversion=1\n")))
    assert.is_false(formats.streams("vmdk", "KDMV"))
    assert.is_true(formats.streams("raw", ""))
    assert.is_false(formats.streams("qcow2", qcow2({})))
  end)
end)

describe("formats.check_head", function()
  it("takes what begins as it was said to", function()
    assert.is_true(formats.check_head("qcow2", qcow2({})))
    assert.is_true(formats.check_head("qcow2", qcow2({ version = 2, features = 4 })))
    assert.is_true(formats.check_head("vmdk", vmdk(3)))
    assert.is_true(formats.check_head("vhd", head("conectix")))
    assert.is_true(formats.check_head("vhd", head("a fixed one begins with the disk")))
  end)

  it("refuses what begins as something else", function()
    refused("format", "no qcow2 begins so", formats.check_head("qcow2", head("")))
    refused("format", "a VMDK does", formats.check_head("qcow2", vmdk(3)))
    refused("format", "a qcow2 does", formats.check_head("vhd", qcow2({})))
    refused("format", "no vdi", formats.check_head("vdi", qcow2({})))
  end)

  it("says what begins so instead, and what to do with it", function()
    refused("format", "a gzip archive does; unpack",
      formats.check_head("qcow2", head("\x1f\x8b\8")))
  end)
end)

describe("formats.printable", function()
  it("keeps beginning and end of what is long, and nothing that a terminal would obey", function()
    assert.equal("a?[2Jb", formats.printable("a\27[2Jb"))
    local text = formats.printable("begin " .. ("x"):rep(2000) .. " end")
    assert.is_true(#text <= 200)
    assert.matches("^begin x+ %.%.%. x+ end$", text)
    assert.equal(40, #formats.printable(("x"):rep(40), 40))
  end)
end)

describe("formats.check_info", function()
  local function info(changes)
    local all = { ["virtual-size"] = 1 << 30, format = "qcow2" }
    for key, value in pairs(changes or {}) do
      all[key] = value
    end
    return all
  end

  local function check(changes, opts, format)
    return formats.check_info(info(changes), format or "qcow2", "./a", opts or {})
  end

  it("gives the size of the disk", function()
    assert.equal(1 << 30, check())
    assert.equal(1 << 30, check({ format = "vpc" }, nil, "vhd"))
  end)

  it("refuses an image that is of another format, not whole, or encrypted", function()
    refused("format", "no qcow2, but raw", check({ format = "raw" }))
    refused("unsupported", "backing file /etc/shadow?",
      check({ ["backing-filename"] = "/etc/shadow\n" }))
    refused("unsupported", "encrypted", check({ encrypted = true }))
    refused("format", "no size", check({ ["virtual-size"] = 0 }))
    refused("format", "no size", check({ ["virtual-size"] = 1.5 }))
    refused("format", "no size", formats.check_info("text", "qcow2", "./a", {}))
  end)

  it("refuses a VMDK with an extent elsewhere", function()
    local function vmdk_with(name)
      return check({
        format = "vmdk",
        ["format-specific"] = { data = { extents = { { filename = name } } } },
      }, nil, "vmdk")
    end
    assert.equal(1 << 30, vmdk_with("./a"))
    refused("unsupported", "an extent is in /etc/passwd", vmdk_with("/etc/passwd"))
  end)

  it("refuses a disk of another size than is wanted or allowed", function()
    assert.equal(1 << 30, check({}, { capacity = 1 << 30, max_capacity = 1 << 30 }))
    refused("format", "expected 512", check({}, { capacity = 512 }))
    refused("unsupported", "at most 512", check({}, { max_capacity = 512 }))
    refused("unsupported", "at most", check({ ["virtual-size"] = (64 << 40) + 512 }))
  end)
end)
