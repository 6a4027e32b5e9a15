--- disk.fetch: whatever the format and wherever from, the same raw file.

local disks = require "support.disks"
local fetch = require "disk.fetch"
local httpd = require "httpd"
local web = require "support.web"

local images, remove_images = disks.folder()
local folder, remove = disks.folder()
local output = folder .. "/disk.raw"
local sample = disks.sample()
local raw = disks.write_raw(images .. "/disk.img", sample)
local size = sample.capacity * 512
local vmdk = disks.footer_style(sample)

local function image(name, format)
  local path = images .. "/" .. name
  disks.run(("qemu-img convert -q -c -f raw -O %s '%s' '%s' 2>/dev/null || "
    .. "qemu-img convert -q -f raw -O %s '%s' '%s'"):format(format, raw, path, format, raw, path))
  return path
end

local function bytes_of(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local function run(source, format, changes)
  local opts = { source = source, format = format, output = output }
  for key, value in pairs(changes or {}) do
    opts[key] = value
  end
  local running <close> = fetch.start(opts)
  return running:wait()
end

local function whole(result, err)
  assert(result, err)
  assert.equal(size, result.capacity)
  assert.equal("disk.raw", disks.names(folder))
  assert.equal(disks.digest("sha256", raw), disks.digest("sha256", output))
  return result
end

local function refused(kind, text, got, err)
  web.refused(kind, text, got, err)
  assert.equal("", disks.names(folder))
end

teardown(function()
  remove()
  remove_images()
end)

after_each(function()
  os.execute("rm -rf '" .. folder .. "'/*")
end)

describe("disk.fetch from a file", function()
  it("finds out the format when nobody states it", function()
    whole(run({ file = raw }, "auto"))
    whole(run({ file = disks.write(images .. "/a.vmdk", vmdk) }, "auto"))
    whole(run({ file = image("a.qcow2", "qcow2") }, "auto"))
    whole(run({ file = image("sparse.vmdk", "vmdk") }, "auto"))
  end)

  it("does not guess again what was stated", function()
    refused("unsupported", "header of another image format",
      run({ file = image("a.qcow2", "qcow2") }, "raw"))
    refused("format", "no vdi begins so", run({ file = image("a.qcow2", "qcow2") }, "vdi"))
    refused("invalid", "no format 'tape'", run({ file = raw }, "tape"))
  end)

  it("says what is missing", function()
    refused("notfound", "", run({ file = images .. "/none" }, "auto"))
  end)
end)

describe("disk.fetch from a server", function()
  local server, url

  before_each(function()
    server = httpd.new()
    url = ("http://127.0.0.1:%d/disk"):format(server:port())
  end)

  after_each(function()
    server:close()
  end)

  it("brings an image here and converts it; digests are of what came", function()
    local path = image("a.qcow2", "qcow2")
    server:on("/disk", { web.answer(bytes_of(path)) })
    local result = whole(run({ url = url }, "qcow2", {
      digests = { "sha256" }, capacity = size, sha512 = true,
      digest = { algorithm = "sha512", value = disks.digest("sha512", path) },
    }))
    assert.equal(disks.digest("sha256", path), result.digests.sha256)
    assert.equal(disks.digest("sha512", raw), result.sha512)
    assert.equal(#bytes_of(path), result.received)
  end)

  it("leaves nothing of an image that is not what was announced", function()
    server:on("/disk", { web.answer(bytes_of(image("a.qcow2", "qcow2"))) })
    refused("format", "sha256", run({ url = url }, "qcow2", {
      digest = { algorithm = "sha256", value = ("0"):rep(64) },
    }))
  end)

  it("takes a VMDK in one pass", function()
    server:on("/disk", { web.answer(vmdk) })
    whole(run({ url = url }, "vmdk"))
    assert.equal(1, #server:requests())
  end)

  it("asks for the first bytes when nobody states the format", function()
    local head = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4096\r\n\r\n"
    server:on("/disk", { head .. vmdk:sub(1, 4096) }, { web.answer(vmdk) })
    whole(run({ url = url }, "auto"))
    assert.matches("\r\nRange: bytes=0%-4095\r\n", server:requests()[1])
  end)

  it("finds out the format where the server has no ranges", function()
    for _, bytes in ipairs { vmdk, bytes_of(image("a.qcow2", "qcow2")) } do
      server:on("/disk", { web.answer(bytes) })
      local result = whole(run({ url = url }, "auto", { digests = { "sha256" } }))
      assert.equal(#bytes, result.received)
      assert.equal(disks.digest("sha256", disks.write(images .. "/sent", bytes)),
        result.digests.sha256)
    end
  end)

  it("converts a VMDK that is no stream once it knows that", function()
    local bytes = bytes_of(image("sparse.vmdk", "vmdk"))
    local head = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4096\r\n\r\n"
    server:on("/disk", { head .. bytes:sub(1, 4096) }, { web.answer(bytes) })
    whole(run({ url = url }, "auto"))
  end)

  it("takes what is a part of something larger", function()
    local path = image("a.qcow2", "qcow2")
    local bytes = bytes_of(path)
    local all, from, to = "before" .. bytes .. "behind", 6, 6 + #bytes - 1
    local function window(source)
      source.offset, source.length = from, #bytes
      whole(run(source, "auto"))
    end
    window { file = disks.write(images .. "/all", all) }
    local form = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n"
      .. "Content-Length: %d\r\n\r\n%s"
    server:on("/disk", { form:format(from, 4101, #all, 4096, bytes:sub(1, 4096)) },
      { form:format(from, to, #all, #bytes, bytes) })
    window { url = url }
    assert.matches("\r\nRange: bytes=6%-4101\r\n", server:requests()[1])
    server:on("/all", { web.answer(all) })
    window { url = (url:gsub("disk$", "all")) }
  end)

  it("brings no more of an image here than its disk can take", function()
    local head = bytes_of(image("a.qcow2", "qcow2"))
    local much = { send = ("x"):rep(65536), times = 1 << 20 }
    server:on("/disk", { "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", head, much })
    refused("format", "the stream goes on after the 69468160 bytes that it may have",
      run({ url = url }, "qcow2", { capacity = 2097152 }))
  end)

  it("says why the server gives nothing", function()
    refused("http", "404", run({ url = url .. "/none" }, "auto"))
    server:close()
    refused("connect", "", run({ url = url }, "auto"))
    server = httpd.new()
  end)
end)

describe("disk.fetch of what nobody states the format of", function()
  local server, url

  before_each(function()
    server = httpd.new()
    url = ("http://127.0.0.1:%d"):format(server:port())
  end)

  after_each(function()
    server:close()
  end)

  -- Every way in which bytes come here; each calls f(result, err).
  local function each_way(bytes, f)
    local path = disks.write(images .. "/unknown", bytes)
    local result, problem = run({ file = path }, "auto")
    assert.truthy(result or problem.message:find(path, 1, true), "the file is not named")
    f(result, problem)
    os.remove(output)
    server:on("/disk", { web.answer(bytes) })
    f(run({ url = url .. "/disk" }, "auto"))
    os.remove(output)
    local head = bytes:sub(1, 4096)
    server:on("/ranges", { ("HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n%s")
      :format(#head, head) }, { web.answer(bytes) })
    f(run({ url = url .. "/ranges" }, "auto"))
    os.remove(output)
  end

  local filler = ("\1\0"):rep(4096)
  local REFUSED = {
    { "an archive", "\x1f\x8b\8\0" .. filler, "unsupported", "gzip" },
    { "a page", "<html>\n" .. ("please log in "):rep(512), "unsupported", "text" },
    { "ESXi's snapshot", string.pack("<I8I8", 0xcafebabe, 1) .. filler, "unsupported",
      "SESparse" },
    { "a DMG", filler .. "koly" .. ("\0"):rep(508), "unsupported", "DMG" },
    { "a byte", "\1", "format", "within a sector" },
    { "a piece of a sector", filler .. "\1", "format", "within a sector" },
    { "a VHD whose beginning is lost", filler .. disks.vhd_footer(#filler, { type = 3 }),
      "format", "type 3" },
    { "a QED", "QED\0" .. filler, "unsupported", "QED" },
  }
  for _, case in ipairs(REFUSED) do
    it("refuses " .. case[1] .. " whichever way it comes", function()
      each_way(case[2], function(got, err)
        refused(case[3], case[4], got, err)
      end)
    end)
  end

  it("takes a fixed VHD without its footer whichever way it comes", function()
    each_way(filler .. disks.vhd_footer(#filler), function(result, err)
      assert(result, err)
      assert.equal(#filler, result.capacity)
      assert.equal(filler, bytes_of(output))
    end)
  end)

  it("takes for raw what is stated to be", function()
    local bytes = "\x1f\x8b\8\0" .. ("\1\0"):rep(254)
    assert(run({ file = disks.write(images .. "/unknown", bytes) }, "raw"))
    assert.equal(bytes, bytes_of(output))
  end)
end)
