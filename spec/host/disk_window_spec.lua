--- host.disk: a stream that is a part of a larger file (a member of an archive).

local digest = require "host.digest"
local disk = require "host.disk"
local disks = require "support.disks"
local httpd = require "httpd"
local web = require "support.web"

local OK = "HTTP/1.1 200 OK\r\n"
local BEFORE, AFTER = ("b"):rep(70000), ("a"):rep(90001)
local BYTES = ("window!!"):rep(4096)
local FILE = BEFORE .. BYTES .. AFTER
local FIRST, LAST = #BEFORE, #BEFORE + #BYTES - 1

local folder, remove = disks.folder()
local output = folder .. "/disk.raw"

-- An answer of some of the file's bytes, of which `sent` come (default: all).
local function part(from, to, sent, etag)
  return ("HTTP/1.1 206 OK\r\n%sContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n%s")
    :format(etag or "", from, to, #FILE, to - from + 1,
      FILE:sub(from + 1, math.min(to, from + (sent or #FILE) - 1) + 1))
end

describe("a window", function()
  local server, url

  before_each(function()
    server = httpd.new()
    url = ("http://127.0.0.1:%d/ova"):format(server:port())
  end)

  after_each(function()
    server:close()
    os.remove(output)
  end)

  teardown(remove)

  local function fetch(source, changes)
    source.offset, source.length = source.offset or #BEFORE, source.length or #BYTES
    local opts = { source = source, format = "raw", output = output, digests = { "sha256" } }
    for key, value in pairs(changes or {}) do
      opts[key] = value
    end
    local running <close>, refused = disk.transfer(opts)
    if not running then
      return nil, refused
    end
    return running:wait()
  end

  local function assert_asked(number, from, to)
    local text = server:requests()[number]
    assert.truthy(text:find(("\r\nRange: bytes=%d-%d\r\n"):format(from, to), 1, true), text)
  end

  local function is_it(result, err)
    assert(result, tostring(err))
    assert.equal(#BYTES, result.received)
    assert.equal(digest.sha256(BYTES), result.digests.sha256)
    local handle <close> = assert(io.open(output, "rb"))
    assert.is_true(BYTES == handle:read("a"))
  end

  local function refused(kind, text, ...)
    web.refused(kind, text, ...)
    assert.equal("", disks.names(folder))
  end

  it("is asked for by a Range", function()
    server:on("/ova", { part(FIRST, LAST) })
    is_it(fetch { url = url })
    assert_asked(1, FIRST, LAST)
  end)

  it("is cut out of all of the file where the server gives that, however long it is", function()
    server:on("/ova", { web.answer(FILE) })
    is_it(fetch { url = url })
    server:on("/endless", { OK .. "\r\n" .. BEFORE .. BYTES,
      { send = AFTER, times = 1 << 20 } })
    is_it(fetch { url = url:gsub("ova$", "endless") })
  end)

  it("is no more than asked for where the server gives more", function()
    server:on("/ova", { part(FIRST, #FILE - 1) })
    is_it(fetch { url = url })
  end)

  it("goes on inside of itself where it broke off", function()
    local half = #BYTES // 2
    server:on("/ova", { part(FIRST, LAST, half, 'ETag: "one"\r\n'), "<close>" })
    server:on("/ova", { part(FIRST + half, LAST) })
    is_it(fetch { url = url, resumable = true })
    assert_asked(2, FIRST + half, LAST)
    assert.matches('\r\nIf%-Range: "one"\r\n', server:requests()[2])
  end)

  it("goes on where an answer was shorter than what was asked for", function()
    local half = #BYTES // 2
    server:on("/ova", { part(FIRST, FIRST + half - 1) })
    server:on("/ova", { part(FIRST + half, LAST) })
    is_it(fetch { url = url, resumable = true })
  end)

  it("does not go on where the server gives no part of a file", function()
    server:on("/ova", { OK .. "Content-Length: " .. #FILE .. "\r\n\r\n" .. BEFORE .. "win",
      "<close>" })
    refused("connect", "after 3 bytes", fetch { url = url, resumable = true })
    assert.equal(1, #server:requests())
  end)

  it("is refused when other bytes come, or the file is too short for it", function()
    for name, case in pairs {
      shifted = { "http", ("bytes from %d on"):format(FIRST + 1), part(FIRST + 1, LAST) },
      unsaid = { "http", "bytes from 0 on",
        "HTTP/1.1 206 OK\r\nContent-Length: 3\r\n\r\nabc" },
      short = { "format", "should end at byte " .. LAST + 1, web.answer(BEFORE .. "x") },
      total = { "format", "the file has 80000 bytes", ("HTTP/1.1 206 OK\r\nContent-Range: "
        .. "bytes %d-79999/80000\r\nContent-Length: 1\r\n\r\nx"):format(FIRST) },
      past = { "http", "416", "HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n" },
      cut = { "connect", "ended after 4 of", OK .. "\r\n" .. BEFORE .. "wind", "<close>" },
    } do
      server:on("/" .. name, { table.unpack(case, 3) })
      refused(case[1], case[2], fetch { url = (url:gsub("ova$", name)) })
    end
  end)

  it("is refused on another digest", function()
    server:on("/ova", { part(FIRST, LAST) })
    refused("format", "the stream's sha256 is", fetch({ url = url }, { digest = {
      algorithm = "sha256", value = ("0"):rep(64) } }))
  end)

  it("is a part of a file, too", function()
    local other, remove_other = disks.folder()
    local path = disks.write(other .. "/file.ova", FILE)
    is_it(fetch { file = path })
    os.remove(output)
    refused("format", "ended after 1 of", fetch { file = path, offset = #FILE - 1 })
    refused("format", "ended after 0 of", fetch { file = path, offset = 1 << 40 })
    remove_other()
  end)

  it("has a length, and ends below 2^62", function()
    for _, case in ipairs { { 5, 0 }, { 1 << 62, 1 }, { 0, 1 << 62 } } do
      refused("invalid", "no window", fetch { url = url, offset = case[1], length = case[2] })
    end
  end)

  it("is what a spool goes on with", function()
    local sample = disks.sample()
    local vmdk = disks.footer_style(sample)
    FILE = BEFORE .. vmdk .. AFTER
    local last, half = FIRST + #vmdk - 1, #vmdk // 2
    server:on("/ova", { part(FIRST, last, half, 'ETag: "one"\r\n'), "<close>" })
    server:on("/ova", { part(FIRST + half, last) })
    local spool <close> = assert(disk.spool { path = folder .. "/spool",
      capacity = sample.capacity * 512 })
    local function fill()
      local running <close> = assert(disk.transfer { spool = spool, format = "vmdk",
        capacity = sample.capacity * 512,
        source = { url = url, offset = FIRST, length = #vmdk } })
      return running:wait()
    end
    assert.equal("connect", select(2, fill()).kind)
    assert(fill())
    assert.is_true(spool:is_whole())
    assert_asked(2, FIRST + half, last)
    os.execute("rm " .. folder .. "/spool.*")
  end)
end)
