--- What is no regular file, given as a disk or named by an image: a pipe that nobody writes
-- to, a device, a socket, a folder. Refused at once, with qemu-img as it is.

local convert = require "disk.convert"
local disks = require "support.disks"
local fetch = require "disk.fetch"
local file = require "host.file"
local process = require "host.process"
local time = require "host.time"

local AT_ONCE = 10 -- seconds, on a busy machine: who opened the pipe would stay for 60

local folder, remove = disks.folder()
local pipe, socket = folder .. "/pipe", folder .. "/socket"

-- f() -> ok, err: no, with a reason, and without waiting for anybody.
local function refused(what, f)
  local began = time.monotonic()
  local ok, err = f()
  assert(not ok, what .. " was taken")
  assert(err.kind ~= "timeout" and err.kind ~= "internal", what .. ": " .. err.message)
  assert.is_true(time.monotonic() - began < AT_ONCE, what)
end

local function conversion(path, format)
  return function()
    local running <close> = convert.start({ input = path, format = format,
      output = folder .. "/disk.raw" })
    return running:wait()
  end
end

local function fetching(path, format)
  return function()
    local running <close> = fetch.start({ source = { file = path }, format = format,
      output = folder .. "/disk.raw" })
    return running:wait()
  end
end

-- The same, and qemu-img was not asked.
local function refused_unseen(what, f)
  refused(what, function()
    local ok, err = f()
    assert(ok or not err.message:find("qemu%-img %l+:"), ok or err.message)
    return ok, err
  end)
end

local function write(name, bytes)
  assert(file.write(folder .. "/" .. name, bytes))
  return folder .. "/" .. name
end

-- A VMDK that is whole to qemu-img, and whose data are in `path`, as it says.
local function descriptor(path, kind)
  return ("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
    .. "createType=\"%s\"\nRW 2048 %s \"%s\" 0\n"):format(kind,
    kind == "monolithicFlat" and "FLAT" or "SPARSE", path)
end

-- The same within an image: its header says where the text is.
local function embedded(text, sectors)
  local head = string.pack("<c4I4I4I8I8I8I8I4I8I8I8B", "KDMV", 1, 3, sectors, 128, 1, 20, 512,
    0, 21, 128, 0)
  return head .. ("\0"):rep(512 - #head) .. text .. ("\0"):rep(20 * 512 - #text)
    .. ("\0"):rep(1 << 20)
end

local function qcow2(name, options)
  local path = folder .. "/" .. name
  disks.run(("qemu-img create -q -f qcow2 -u %s '%s' 1M"):format(options, path))
  return path
end

describe("what is no regular file", function()
  setup(function()
    disks.run(("mkfifo '%s'; python3 -c 'import socket; "
      .. "socket.socket(socket.AF_UNIX).bind(\"%s\")'"):format(pipe, socket))
  end)

  teardown(remove)

  for what, path in pairs { pipe = pipe, socket = socket, folder = folder,
    device = "/dev/zero", ["an empty device"] = "/dev/null", terminal = "/dev/ptmx" } do
    it("is no disk: " .. what, function()
      for _, format in ipairs { "auto", "raw", "vmdk", "qcow2", "vdi", "vhd", "vhdx" } do
        refused(what .. " as " .. format, fetching(path, format))
      end
    end)
  end

  it("is not opened because an image names it", function()
    for _, path in ipairs { pipe, socket, "/dev/zero", folder } do
      for _, kind in ipairs { "monolithicFlat", "monolithicSparse" } do
        local text = descriptor(path, kind)
        refused_unseen(kind .. " " .. path, conversion(write("d.vmdk", text), "vmdk"))
        refused_unseen(kind .. " of no size, within: " .. path,
          conversion(write("e.vmdk", embedded(text, 0)), "vmdk"))
      end
      refused_unseen("a backing file, " .. path,
        conversion(qcow2("b.qcow2", ("-b '%s' -F raw"):format(path)), "qcow2"))
    end
  end)

  it("is not opened by qemu-img either where the image has the data itself", function()
    local began = time.monotonic()
    assert(conversion(write("e.vmdk", embedded(descriptor(pipe, "monolithicSparse"), 2048)),
      "vmdk")())
    assert.is_true(time.monotonic() - began < AT_ONCE)
  end)

  it("is not opened either by a qemu-img that is let loose on such an image", function()
    if not process.confinement().landlock then
      return pending("this kernel has no Landlock")
    end
    for name, bytes in pairs { ["d.vmdk"] = descriptor(pipe, "monolithicFlat"),
      ["e.vmdk"] = embedded(descriptor(pipe, "monolithicFlat"), 0) } do
      local image = write(name, bytes)
      local result
      refused(name, function()
        result = assert(process.run({ argv = { "qemu-img", "info", image }, timeout = 60,
          limits = { memory = 1 << 30, read = { image } } }))
        return result.status == 0, { kind = "format", message = result.stderr }
      end)
      assert.matches("Permission denied", result.stderr, 1, true)
    end
  end)
end)
