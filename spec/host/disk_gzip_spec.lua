--- host.disk: a stream that is compressed besides; and one of nothing but zeros.

local disk = require "host.disk"
local disks = require "support.disks"
local web = require "support.web"

local folder, remove = disks.folder()
local output = folder .. "/out/disk.raw"
local sample = disks.sample()
local raw = disks.write_raw(folder .. "/raw", sample)
local size = sample.capacity * 512
disks.run(("truncate -s %d '%s' && mkdir '%s/out'"):format(size, raw, folder))
disks.write(folder .. "/vmdk", (disks.footer_style(sample)))
disks.run(("cd '%s' && gzip -k raw vmdk"):format(folder))

local function bytes_of(path)
  local handle <close> = assert(io.open(path, "rb"))
  return handle:read("a")
end

local function fetch(opts)
  opts.output = output
  local running <close>, refused = disk.transfer(opts)
  if not running then
    return nil, refused
  end
  return running:wait()
end

local function unpack_(path, format, changes)
  local opts = { source = { file = path }, format = format, compression = "gzip",
    capacity = size, digests = { "sha256" } }
  for key, value in pairs(changes or {}) do
    opts[key] = value
  end
  return fetch(opts)
end

local function refused(kind, text, ...)
  web.refused(kind, text, ...)
  assert.equal("", disks.names(folder .. "/out"))
end

describe("a compressed stream", function()
  teardown(remove)

  after_each(function()
    os.remove(output)
  end)

  for _, format in ipairs { "raw", "vmdk" } do
    it("of the format " .. format .. " becomes its disk; digests are of what came", function()
      local path = ("%s/%s.gz"):format(folder, format)
      local result = assert(unpack_(path, format))
      assert.same({ size, #bytes_of(path) }, { result.capacity, result.received })
      assert.equal(disks.digest("sha256", path), result.digests.sha256)
      assert.equal(disks.digest("sha256", raw), disks.digest("sha256", output))
    end)
  end

  it("may be of several members", function()
    local half = size // 2
    disks.run(("cd '%s' && (head -c %d raw | gzip; tail -c +%d raw | gzip) > two.gz"):format(
      folder, half, half + 1))
    assert(unpack_(folder .. "/two.gz", "raw"))
    assert.equal(disks.digest("sha256", raw), disks.digest("sha256", output))
  end)

  it("is refused when it is damaged, cut off, more than its disk, or none", function()
    local all = bytes_of(folder .. "/raw.gz")
    local function of(bytes)
      return disks.write(folder .. "/odd", bytes)
    end
    refused("format", "cut off", unpack_(of(all:sub(1, -9)), "raw"))
    refused("format", "damaged gzip", unpack_(of(all:sub(1, -9) .. "12345678"), "raw"))
    refused("format", "damaged gzip", unpack_(of(all .. "more"), "raw"))
    refused("format", "damaged gzip", unpack_(raw, "raw"))
    refused("format", "", unpack_(of(all), "raw", { capacity = size - 512 }))
    refused("format", "", unpack_(of(all), "raw", { capacity = size + 512 }))
    refused("format", "cut off", unpack_(of(""), "raw"))
    refused("format", "", unpack_(of(all), "vmdk"))
  end)

  it("is of gzip alone, and no spool's", function()
    assert.has_error(function()
      unpack_(raw, "raw", { compression = "zstd" })
    end)
    local spool <close> = assert(disk.spool { path = folder .. "/spool", capacity = size })
    assert.has_error(function()
      disk.transfer { source = { file = raw }, format = "vmdk", compression = "gzip",
        capacity = size, spool = spool }
    end)
  end)
end)

describe("a stream of zeros", function()
  it("is a disk that nobody has written to", function()
    local path = folder .. "/zeros.raw"
    os.execute(("mkdir -p '%s'"):format(folder))
    local running <close> = assert(disk.transfer { source = { zeros = size }, format = "raw",
      output = path, capacity = size })
    local result = assert(running:wait())
    assert.same({ size, 0 }, { result.capacity, result.written })
    disks.run(("truncate -s %d '%s.want' && cmp '%s' '%s.want'"):format(size, path, path, path))
    remove()
  end)

  it("is no file besides", function()
    assert.has_error(function()
      disk.transfer { source = { zeros = 1, file = raw }, format = "raw", output = output }
    end)
  end)
end)
