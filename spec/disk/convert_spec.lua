--- disk.convert: images that qemu-img made, sound and hostile, become raw files by
-- qemu-img, or nothing at all.

local convert = require "disk.convert"
local disks = require "support.disks"
local file = require "host.file"
local web = require "support.web"

local images, remove_images = disks.folder()
local folder, remove = disks.folder()
local output = folder .. "/disk.raw"
local sample = disks.sample()
local raw = disks.write_raw(images .. "/disk.img", sample)
local size = sample.capacity * 512

local function qemu_img(fmt, ...)
  return disks.run("qemu-img " .. fmt:format(...))
end

-- The sample as an image of that format.
local function image(name, format, options)
  local path = images .. "/" .. name
  qemu_img("convert -q -f raw -O %s %s '%s' '%s'", format, options or "", raw, path)
  return path
end

local function run(input, format, changes)
  local opts = { input = input, format = format, output = output }
  for key, value in pairs(changes or {}) do
    opts[key] = value
  end
  local conversion <close> = convert.start(opts)
  return conversion:wait()
end

local function refused(kind, text, got, err)
  web.refused(kind, text, got, err)
  assert.equal("", disks.names(folder))
end

-- Writes `bytes` into a file, at `offset` from 0.
local function patch(path, offset, bytes)
  local f = assert(io.open(path, "r+b"))
  f:seek("set", offset)
  f:write(bytes)
  f:close()
  return path
end

teardown(function()
  remove()
  remove_images()
end)

after_each(function()
  os.execute("rm -rf '" .. folder .. "'/*")
end)

describe("disk.convert", function()
  for format, driver in pairs({ qcow2 = "qcow2", vdi = "vdi", vhdx = "vhdx", vmdk = "vmdk" }) do
    it("turns a " .. format .. " into the disk that went in", function()
      local result = assert(run(image("sound." .. format, driver), format))
      assert.equal("disk.raw", disks.names(folder))
      assert.equal(size, result.capacity)
      assert.equal(size, file.stat(output).size)
      assert.equal(disks.digest("sha256", raw), disks.digest("sha256", output))
    end)
  end

  it("turns a VHD into the disk that went in, at the size the VHD gives it", function()
    local path = image("sound.vhd", "vpc", "-o force_size=on")
    assert(run(path, "vhd"))
    disks.run(("cmp -n %d '%s' '%s'"):format(size, raw, output))
  end)

  it("takes all of a VHD whose cylinders and heads are less than its size", function()
    -- As VirtualBox writes: of its writers qemu-img believes the geometry.
    local small = disks.write(images .. "/small.img", ("\1\2"):rep(1 << 19))
    for _, kind in ipairs { "fixed", "dynamic" } do
      local path = images .. "/vbox.vhd"
      qemu_img("convert -q -f raw -O vpc -o force_size=on,subformat=%s '%s' '%s'", kind, small,
        path)
      local content = assert(file.read(path)):sub(1, -513)
      local footer = disks.vhd_footer(1 << 20, {
        type = kind == "fixed" and 2 or 3, creator = "vbox", cylinders = 2, spare = 0x0411,
        data = kind == "fixed" and -1 or 512,
      })
      if kind == "dynamic" then
        content = footer .. content:sub(513)
      end
      disks.write(path, content .. footer)
      assert.equal(1 << 20, assert(run(path, "vhd")).capacity)
      assert.equal(disks.digest("sha256", small), disks.digest("sha256", output))
    end
  end)

  it("takes compressed clusters, and says what it took and gave", function()
    local path = image("small, a:b.qcow2", "qcow2", "-c")
    local result = assert(run(path, "qcow2", { sha512 = true, capacity = size }))
    assert.equal(disks.digest("sha512", raw), result.sha512)
    assert.equal(file.stat(path).size, result.received)
    assert.equal(file.stat(output).blocks_bytes, result.written)
    assert.is_true(result.written < size // 2, "its holes are filled")
  end)

  it("keeps the file from others, and replaces one that is there", function()
    disks.write(output, "old")
    assert(run(image("sound.qcow2", "qcow2"), "qcow2"))
    assert.equal(6 * 64, file.stat(output).mode & 511) -- 0600
    assert.equal(size, file.stat(output).size)
  end)

  it("says how far it is, at the end all", function()
    local conversion <close> = convert.start({
      input = image("sound.qcow2", "qcow2"), format = "qcow2", output = output,
    })
    assert.equal(0, conversion:progress().position)
    assert(conversion:wait())
    assert.same({ received = size, position = size, capacity = size, rate = 0 },
      conversion:progress())
  end)

  it("leaves nothing when it is closed", function()
    local path = images .. "/large.qcow2"
    qemu_img("create -q -f qcow2 -o preallocation=metadata '%s' 64G", path)
    local conversion <close> = convert.start({
      input = path, format = "qcow2", output = output,
    })
    assert.is_true(web.eventually(function()
      return disks.names(folder) == "disk.raw.part"
    end))
    conversion:close()
    refused("cancelled", "", conversion:wait())
  end)

  it("refuses to write what another one writes", function()
    local lock <close> = assert(file.lock(output .. ".part"))
    local got, err = run(image("sound.qcow2", "qcow2"), "qcow2")
    web.refused("busy", "", got, err)
    lock:close()
    os.remove(output .. ".part")
  end)

  it("says what is wrong with which image", function()
    local _, err = run(images .. "/none", "qcow2")
    assert.equal("notfound", err.kind)
    refused("format", images .. "/disk.img: byte 0", run(raw, "qcow2"))
    refused("format", "expected 512", run(image("a.qcow2", "qcow2"), "qcow2", { capacity = 512 }))
    refused("unsupported", "at most 512",
      run(image("a.qcow2", "qcow2"), "qcow2", { max_capacity = 512 }))
  end)
end)

describe("disk.convert of a hostile image", function()
  -- Text of a file that must never get into a disk.
  local secret = disks.write(images .. "/secret", ("secret!\n"):rep(8192))

  it("does not follow a backing file", function()
    local path = images .. "/backed.qcow2"
    qemu_img("create -q -f qcow2 -F raw -b '%s' '%s'", secret, path)
    refused("unsupported", "backing file", run(path, "qcow2"))
  end)

  it("does not open an external data file", function()
    local path = images .. "/split.qcow2"
    qemu_img("create -q -f qcow2 -o data_file='%s/data',data_file_raw=on '%s' 1M", images, path)
    refused("unsupported", "another file", run(path, "qcow2"))
  end)

  it("does not read the extents of a VMDK elsewhere", function()
    local form = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
      .. "createType=\"monolithicFlat\"\nRW 128 FLAT \"%s\" 0\n"
    local path = disks.write(images .. "/flat.vmdk", form:format(secret))
    refused("unsupported", "a descriptor", run(path, "vmdk"))
  end)

  it("does not read a VMDK's parent", function()
    local path = image("child.vmdk", "vmdk")
    local text = file.read(path)
    local at = assert(text:find("createType", 1, true))
    patch(path, at - 1, ('createType="monolithicSparse"\nparentFileNameHint="%s"\n')
      :format(secret))
    local got, err = run(path, "vmdk")
    assert.is_nil(got)
    assert.equal("", disks.names(folder), err.message)
  end)

  it("refuses a disk whose first bytes others would take for an image", function()
    local inner = disks.write(images .. "/inner", "QFI\xfb" .. ("\0"):rep(1 << 20))
    local path = images .. "/outer.qcow2"
    qemu_img("convert -q -f raw -O qcow2 '%s' '%s'", inner, path)
    refused("unsupported", "another image format (qcow2)", run(path, "qcow2"))
  end)

  it("refuses a qcow2 that claims a table of terabytes", function()
    local path = patch(image("table.qcow2", "qcow2"), 24, string.pack(">I8I4I4", 1 << 62, 0,
      0xffffffff))
    refused("format", "", run(path, "qcow2"))
  end)

  it("refuses a disk larger than any", function()
    local path = images .. "/huge.qcow2"
    qemu_img("create -q -f qcow2 -o cluster_size=2M '%s' 100T", path)
    refused("unsupported", "at most", run(path, "qcow2"))
  end)

  it("refuses a cluster that is damaged", function()
    local path = image("packed.qcow2", "qcow2", "-c")
    patch(path, 5 << 16, ("\255"):rep(1 << 16)) -- behind the header and four tables
    refused("format", "qemu-img", run(path, "qcow2"))
  end)

  it("refuses a file that is cut, and not just in its header", function()
    -- A part of the last block can be missing unseen where a block may be shorter.
    local TAILS = {
      qcow2 = 64 << 10, vdi = 512, vmdk = 64 << 10, vhdx = 16 << 20, vpc = 64 << 10,
    }
    for format, tail in pairs(TAILS) do
      local path = image("cut." .. format, format)
      local length = file.stat(path).size
      for _, rest in ipairs({ 300, length - tail }) do
        path = image("cut." .. format, format)
        disks.run(("truncate -s %d '%s'"):format(rest, path))
        refused("format", "", run(path, format == "vpc" and "vhd" or format))
      end
    end
  end)

  -- As Hyper-V leaves it when its host ends: a log with one entry, which changes nothing.
  it("says what to do with a VHDX whose log must be replayed", function()
    local path, id = image("log.vhdx", "vhdx"), ("\7"):rep(16)
    local log
    for _, at in ipairs { 64 << 10, 128 << 10 } do
      local head = assert(file.read(path, { offset = at, first = 4096 }))
      log = string.unpack("<I8", head, 73)
      patch(path, at, disks.crc32c(disks.put(head, 48, id), 4))
    end
    local size_now = file.stat(path).size
    local entry = string.pack("<c4I4I4I4I8I4I4c16I8I8", "loge", 0, 4096, 0, 1, 0, 0, id,
      size_now, size_now)
    patch(path, log, disks.crc32c(entry .. ("\0"):rep(4096 - #entry), 4))
    local _, err = run(path, "vhdx")
    refused("unsupported", "its log must be replayed", nil, err)
    assert.matches("qemu%-img check %-r all COPY%.vhdx$", err.message)
  end)

  it("survives headers of noise in every format", function()
    for _, format in ipairs({ "qcow2", "vdi", "vhdx", "vmdk" }) do
      local path = image("noise." .. format, format)
      local text = assert(file.read(path, { first = 4096 }))
      for seed = 1, 2 do
        local at = 70 + seed * 97
        patch(path, at, text:sub(at, at + 40):reverse() .. ("\xf7"):rep(seed * 16))
        local got = run(path, format)
        assert.equal(got and "disk.raw" or "", disks.names(folder), format .. seed)
        os.remove(output)
      end
    end
  end)
end)
