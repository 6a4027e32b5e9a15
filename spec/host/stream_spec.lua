--- disk.stream and host.images: a disk read at its source while it is sent on.

local disk = require "host.disk"
local disks = require "support.disks"
local httpd = require "httpd"
local pace = require "support.pace"
local served = require "support.served"
local task = require "host.task"
local web = require "support.web"

local PATH = "/00112233445566778899aabbccddeeff/web-01-disk-0.raw"

local folder, remove = disks.folder()
local sample = disks.sample()
local vmdk, at = disks.footer_style(sample)
local raw_path = disks.write_raw(folder .. "/want.raw", sample)
local want = disks.digest("sha512", raw_path)
local size = sample.capacity * 512

teardown(remove)

describe("disk.stream", function()
  local site, source

  before_each(function()
    site = served.open({ wait = 0.3, sha512 = true })
    source = httpd.new()
  end)

  after_each(function()
    site:close()
    source:close()
  end)

  -- Publishes what the source answers to `steps` at PATH.
  local function publish(steps, opts)
    source:on("/nfc/disk-0.vmdk", steps)
    local all = {
      source = { url = ("http://127.0.0.1:%d/nfc/disk-0.vmdk"):format(source:port()) },
      format = "vmdk", capacity = size, digests = { "sha256" },
    }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    local stream = assert(disk.stream(all))
    site.server:publish(PATH, { stream = stream })
    return stream
  end

  -- As Longhorn pulls: what came, its SHA-512, and how curl ended.
  local function pull(more)
    local result = served.shell([[
      curl -s -o "$2/pulled" -w '%{http_code} %{size_download}' $3 "$1"; echo " $?"
      sha512sum <"$2/pulled"; rm -f "$2/pulled"]], site:url(PATH), folder, more or "")
    local status, bytes, code, sum = result.stdout:match("(%d+) (%d+) (%d+)\n(%x*)")
    return { status = tonumber(status), bytes = tonumber(bytes), code = tonumber(code),
      sha512 = sum }
  end

  local function refused(stream, kind, text)
    local pulled = pull()
    assert.is_true(pulled.bytes < size, "the puller got a whole image")
    assert.not_equal(0, pulled.code)
    local p = stream:progress()
    assert.equal(1, p.failed)
    assert.equal(0, p.sound)
    assert.equal(kind, p.error.kind)
    assert.truthy(p.error.message:find(text, 1, true), p.error.message)
    assert.is_nil(site.server:stats(PATH).sha512)
  end

  it("is sent while it is read, every byte, and twice when it is asked for twice", function()
    local stream <close> = publish({ web.answer(vmdk) })
    for reads = 1, 2 do
      local pulled = pull()
      assert.same({ status = 200, bytes = size, code = 0, sha512 = want }, pulled)
      assert.is_true(pace.eventually(function()
        return (site.server:stats(PATH) or {}).full_reads == reads
      end))
      assert.equal(want, site.server:stats(PATH).sha512)
      local p = stream:progress()
      assert.equal(reads, p.reads)
      assert.equal(reads, p.sound)
      assert.equal(size, p.position)
      assert.equal(disks.digest("sha256", disks.write(folder .. "/v", vmdk)),
        p.digests.sha256)
      assert.is_true(pace.eventually(function()
        local now = stream:progress()
        return now.fetched == reads * #vmdk and now.passed == reads * size
      end))
    end
  end)

  it("is right to the last byte when its reader is slower than its source", function()
    local long = disks.long()
    local bytes = long.capacity * 512
    local stream <close> = publish({ web.answer((disks.footer_style(long))) },
      { capacity = bytes })
    local long_want = disks.digest("sha512", disks.write_raw(folder .. "/long.raw", long))
    assert.same({ status = 200, bytes = bytes, code = 0, sha512 = long_want },
      pull("--limit-rate 200M"))
    assert.is_true(pace.eventually(function()
      return stream:progress().sound == 1
    end))
  end)

  it("answers a HEAD at once, without asking the source", function()
    local stream <close> = publish({ "<hang>" })
    assert(stream)
    local answer = assert(site:get(PATH, nil, "HEAD"))
    assert.equal(200, answer.status)
    assert.equal(tostring(size), answer.headers["content-length"])
    assert.is_nil(answer.headers["accept-ranges"])
    assert.equal("application/octet-stream", answer.headers["content-type"])
    assert.equal(0, #source:requests())
  end)

  it("gives its first bytes alone, and reads them once", function()
    local stream <close> = publish({ web.answer(vmdk) })
    assert(stream)
    for _ = 1, 3 do
      local answer = assert(site:get(PATH, { Range = "bytes=0-127" }))
      assert.equal(206, answer.status)
      assert.equal(("bytes 0-127/%d"):format(size), answer.headers["content-range"])
      assert.equal(("\1"):rep(128), answer.body)
    end
    assert.equal(1, #source:requests())
    assert.equal(0, stream:progress().reads)
    assert.equal(want, pull().sha512)
    assert.equal(2, #source:requests())
  end)

  it("ignores any other range: it has only the whole", function()
    local stream <close> = publish({ web.answer(vmdk) })
    assert(stream)
    for _, range in ipairs { "1-2", "0-65536", "-5" } do
      assert.same({ status = 200, bytes = size, code = 0, sha512 = want },
        pull("-r " .. range))
    end
  end)

  it("waits for a source that pauses", function()
    local half = #vmdk // 2
    local head = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#vmdk)
    local stream <close> = publish({ head .. vmdk:sub(1, half),
      { wait = 0.5 }, vmdk:sub(half + 1) }, { idle_timeout = 5 })
    assert(stream)
    assert.equal(want, pull().sha512)
  end)

  it("breaks off when the source says nothing for too long", function()
    local head = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#vmdk)
    local stream <close> = publish({ head .. vmdk:sub(1, #vmdk // 2), "<hang>" },
      { idle_timeout = 0.3 })
    refused(stream, "timeout", "nothing came for 0.3 s")
  end)

  it("never ends well when the stream is cut, whatever the server says of it", function()
    local stream <close> = publish({ web.answer(vmdk:sub(1, at.end_mark.at)) })
    refused(stream, "format", "the stream ends before the VMDK does")
  end)

  it("never ends well when the last grain is damaged", function()
    local last = at["grain" .. (#sample.grains - 1)]
    local byte = vmdk:byte(last.at + 21)
    local stream <close> = publish({ web.answer(disks.put(vmdk, last.at + 20,
      string.char(byte ~ 0x55))) })
    refused(stream, "format", "byte " .. last.at)
  end)

  it("never ends well when the footer is damaged", function()
    local footer = at.footer
    local byte = vmdk:byte(footer.at + 13)
    local stream <close> = publish({ web.answer(disks.put(vmdk, footer.at + 12,
      string.char(byte ~ 1))) })
    refused(stream, "format", "byte ")
  end)

  it("never ends well when its digest is another", function()
    local stream <close> = publish({ web.answer(vmdk) },
      { digest = { algorithm = "sha1", value = ("0"):rep(40) } })
    refused(stream, "format", "sha1")
  end)

  it("never ends well when the grains do not ascend", function()
    local shuffled = disks.head_style(disks.shuffled(sample))
    local stream <close> = publish({ web.answer(shuffled) })
    refused(stream, "unsupported", "do not ascend")
  end)

  it("says what the source has answered", function()
    local stream <close> = publish({ "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" })
    refused(stream, "http", "404")
    assert.equal(404, stream:progress().error.status)
  end)

  it("passes a raw stream on, too", function()
    local text = ("0123456789abcdef"):rep(1 << 18)
    source:on("/raw", { web.answer(text) })
    local stream <close> = assert(disk.stream({
      source = { url = ("http://127.0.0.1:%d/raw"):format(source:port()) },
      format = "raw", capacity = #text,
    }))
    site.server:publish(PATH, { stream = stream })
    assert.equal(#text, pull().bytes)
  end)

  it("lets the first go when a third reader comes, so that dead ones take no place",
    function()
      local stream <close> = publish({ web.answer(vmdk) })
      local slow = {}
      for i = 1, 2 do
        slow[i] = site:slow(PATH, 1000)
        assert.is_true(pace.eventually(function()
          return stream:progress().reading == i
        end))
      end
      assert.equal(want, pull().sha512)
      assert.is_true(stream:progress().reading < 2)
      for _, reader in ipairs(slow) do
        reader:cancel(0)
      end
    end)

  it("ends with its reader", function()
    local stream <close> = publish({ web.answer(vmdk) })
    local reader = site:slow(PATH, 1000)
    assert.is_true(pace.eventually(function()
      return stream:progress().reading == 1
    end))
    reader:cancel(0)
    assert.is_true(pace.eventually(function()
      return stream:progress().reading == 0
    end))
    assert.equal(0, stream:progress().failed)
  end)

  it("breaks off when it is closed, or the server is", function()
    for _, close in ipairs { "stream", "server" } do
      local head = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#vmdk)
      local stream <close> = publish({ head .. vmdk:sub(1, #vmdk // 2), "<hang>" })
      local pulling = task.spawn(pull)
      assert.is_true(pace.eventually(function()
        return stream:progress().reading == 1 and stream:progress().received > 0
      end))
      if close == "stream" then
        stream:close()
      else
        site.server:close()
      end
      local _, pulled = pulling:join()
      assert.is_true(pulled.bytes < size)
      assert.not_equal(0, pulled.code)
    end
  end)

  it("needs a capacity, and a URL that is one", function()
    assert.has_error(function()
      disk.stream({ source = { url = "http://x/" }, format = "vmdk" })
    end)
    local stream, err = disk.stream({ source = { url = "ftp://x/" }, format = "vmdk",
      capacity = 512 })
    web.refused("invalid", "", stream, err)
  end)
end)

describe("a held path", function()
  it("answers HEAD at once, and a GET when something is published", function()
    local site <close> = served.open({ wait = 20 })
    site.server:hold(PATH, 5)
    site.server:ready()
    assert.equal("5", assert(site:get(PATH, nil, "HEAD")).headers["content-length"])
    local getting = task.spawn(site.get, site, PATH)
    task.sleep(0.05)
    assert.is_false(getting:done())
    site.server:publish(PATH, { file = site:put("a", "hello"), size = 5 })
    local _, answer = getting:join()
    assert.equal("hello", answer.body)
  end)

  it("is 503 when nothing comes, and again after it was answered", function()
    local site <close> = served.open({ wait = 0.1 })
    site.server:ready()
    local file = { file = site:put("a", "hello"), size = 5 }
    for _ = 1, 2 do
      site.server:hold(PATH, 5)
      local answer = assert(site:get(PATH))
      assert.equal(503, answer.status)
      assert.truthy(answer.headers["retry-after"])
      site.server:publish(PATH, file)
      assert.equal(200, assert(site:get(PATH)).status)
    end
  end)
end)

describe("images.serve{sha512 = true}", function()
  it("has the SHA-512 of what went out whole, with holes or without", function()
    local site <close> = served.open({ sha512 = true })
    local files = { site:noise("a", 3000000), site:sparse("b", 5000000, { 1000, "x" }) }
    for i, path in ipairs(files) do
      local route = "/route/" .. i
      site.server:publish(route, { file = path, size = i == 1 and 3000000 or 5000000 })
      assert(site:get(route, { Range = "bytes=0-99" }))
      assert.is_nil(site.server:stats(route).sha512)
      assert(site:get(route))
      assert.is_true(pace.eventually(function()
        return site.server:stats(route).sha512 ~= nil
      end))
      assert.equal(disks.digest("sha512", path), site.server:stats(route).sha512)
    end
  end)
end)
