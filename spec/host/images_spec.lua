local file = require "host.file"
local images = require "host.images"
local served = require "support.served"
local task = require "host.task"
local time = require "host.time"
local web = require "support.web"

local eventually = web.eventually

local PATH = "/00112233445566778899aabbccddeeff/web-01-disk-0.raw"
local OTHER = "/ffeeddccbbaa99887766554433221100/web-01-disk-1.raw"
local GIB = 1 << 30

-- Some bytes that do not repeat soon.
local function noise(size)
  local parts = {}
  for i = 1, size // 8 do
    parts[i] = string.pack("<I8", i * 0x9E3779B97F4A7C15)
  end
  return table.concat(parts)
end

describe("host.images", function()
  local site, server

  before_each(function()
    site = served.open({ wait = 0.3 })
    server = site.server
  end)

  after_each(function()
    site:close()
  end)

  local function publish(path, name, text)
    server:publish(path, { file = site:put(name, text), size = #text })
  end

  describe("of several replicas", function()
    it("the one that stands by sends every path to the one that leads", function()
      publish(PATH, "a", "old")
      server:stand_by("http://192.0.2.1:8080")
      for _, path in ipairs { PATH, OTHER } do
        for _, method in ipairs { "GET", "HEAD" } do
          local answer = assert(site:get(path, nil, method))
          assert.equal(307, answer.status)
          assert.equal("http://192.0.2.1:8080" .. path, answer.headers.location)
          assert.equal("", answer.body)
        end
      end
      assert.equal(405, assert(site:get(PATH, nil, "POST")).status)
    end)

    it("one that does not know who leads lets requests wait, and then sends them on", function()
      local patient <close> = served.open({ wait = 30 })
      patient.server:ready()
      patient.server:stand_by()
      local asked = task.spawn(patient.get, patient, PATH)
      task.sleep(0.05)
      assert.is_false(asked:done())
      patient.server:stand_by("http://192.0.2.1:8080")
      local ok, answer = asked:join(10)
      assert.is_true(ok)
      assert.equal(307, answer.status)
    end)

    it("one that leads has what it publishes, and nothing of an earlier term", function()
      publish(PATH, "a", "old")
      server:ready()
      server:stand_by("http://192.0.2.1:8080")
      server:lead()
      assert.equal(503, assert(site:get(PATH)).status)
      publish(OTHER, "b", "new")
      server:ready()
      assert.equal("new", assert(site:get(OTHER)).body)
      assert.equal(404, assert(site:get(PATH)).status)
    end)
  end)

  describe("an image", function()
    it("is there as a whole, and is not text", function()
      local text = noise(1 << 20)
      publish(PATH, "a", text)
      local answer = assert(site:get(PATH))
      assert.equal(200, answer.status)
      assert.is_true(answer.body == text)
      assert.equal("application/octet-stream", answer.headers["content-type"])
      assert.equal(tostring(#text), answer.headers["content-length"])
      assert.equal("bytes", answer.headers["accept-ranges"])
      assert.is_nil(answer.headers["content-encoding"])
    end)

    it("has holes of zeros", function()
      local data, tail = noise(300000 // 8 * 8), "the end"
      local size = (8 << 20) + 3
      local path = site:sparse("a", size, { 1 << 20, data }, { size - #tail, tail })
      server:publish(PATH, { file = path, size = size })
      local zeros = ("\0"):rep(1 << 20)
      local answer = assert(site:get(PATH))
      assert.equal(size, #answer.body)
      assert.is_true(answer.body:sub(1, 1 << 20) == zeros)
      assert.is_true(answer.body:sub((1 << 20) + 1, (1 << 20) + #data) == data)
      assert.is_nil(answer.body:sub((1 << 20) + #data + 1, size - #tail):find("[^\0]"))
      assert.equal(tail, answer.body:sub(-#tail))
    end)

    it("may be a hole from end to end, and leaves the page cache alone", function()
      local size = 64 << 20
      server:publish(PATH, { file = site:sparse("a", size), size = size })
      local result = served.shell([[curl -s "$1" | sha512sum; head -c "$2" /dev/zero | sha512sum]],
        site:url(PATH), tostring(size))
      local got, wanted = result.stdout:match("(%x+)%s+%-\n(%x+)")
      assert.equal(wanted, got)
      local cached = served.shell('fincore -nbo RES "$1"', site.folder.path .. "/a")
      assert.equal("0", cached.stdout:match("%d+"))
    end)

    it("may be empty", function()
      publish(PATH, "a", "")
      local answer = assert(site:get(PATH))
      assert.equal(200, answer.status)
      assert.equal("", answer.body)
      assert.equal("0", assert(site:get(PATH, nil, "HEAD")).headers["content-length"])
      assert.equal(416, assert(site:get(PATH, { Range = "bytes=0-" })).status)
    end)

    it("beyond 4 GiB has its exact length and its last bytes", function()
      local size = 5 * GIB + 7
      local path = site:sparse("a", size, { size - 4, "last" })
      server:publish(PATH, { file = path, size = size })
      local head = assert(site:get(PATH, nil, "HEAD"))
      assert.equal(200, head.status)
      assert.equal(tostring(size), head.headers["content-length"])
      local answer = assert(site:get(PATH, { Range = ("bytes=%d-"):format(size - 6) }))
      assert.equal(206, answer.status)
      assert.equal("\0\0last", answer.body)
      assert.equal(("bytes %d-%d/%d"):format(size - 6, size - 1, size),
        answer.headers["content-range"])
    end)

    it("is sent whole again and again over one connection", function()
      publish(PATH, "a", "0123456789")
      local request = ("%s " .. PATH .. " HTTP/1.1\\r\\nHost: x\\r\\n%s\\r\\n")
      local text = site:raw({ request:format("HEAD", "") .. request:format("GET", "")
        .. request:format("GET", "Range: bytes=2-3\\r\\n")
        .. request:format("GET", "Connection: close\\r\\n") })
      local bodies = {}
      for body in text[1]:gmatch("\r\n\r\n([^H]*)") do
        bodies[#bodies + 1] = body
      end
      assert.same({ "", "0123456789", "23", "0123456789" }, bodies)
    end)

    it("is sent to HTTP/1.0, which then is left", function()
      publish(PATH, "a", "0123456789")
      local text = site:raw({ "GET " .. PATH .. " HTTP/1.0\\r\\n\\r\\n" })[1]
      assert.truthy(text:find("^HTTP/1.[01] 200 "))
      assert.truthy(text:find("Content-Length: 10\r\n", 1, true))
      assert.truthy(text:find("\r\n\r\n0123456789$"))
    end)

    it("counts who read it to the end", function()
      publish(PATH, "a", "0123456789")
      site:get(PATH)
      site:get(PATH, { Range = "bytes=0-3" })
      site:get(PATH, nil, "HEAD")
      site:get(PATH, { Range = "bytes=99-" })
      assert.is_true(eventually(function()
        return not site:active(PATH)
      end))
      assert.same({ requests = 3, full_reads = 1, bytes = 14, active = 0 }, server:stats(PATH))
      assert.is_nil(server:stats(OTHER))
    end)
  end)

  describe("a range", function()
    local TEXT = "0123456789"
    local CASES = {
      { "bytes=0-3", 206, "0123", "bytes 0-3/10" },
      { "bytes=0-0", 206, "0", "bytes 0-0/10" },
      { "bytes=0-127", 206, TEXT, "bytes 0-9/10" },
      { "bytes=9-", 206, "9", "bytes 9-9/10" },
      { "bytes=-3", 206, "789", "bytes 7-9/10" },
      { "bytes=-99", 206, TEXT, "bytes 0-9/10" },
      { "BYTES=1-1", 206, "1", "bytes 1-1/10" },
      { "bytes=4-99999999999999999999999", 206, "456789", "bytes 4-9/10" },
      { "bytes=10-", 416, "", "bytes */10" },
      { "bytes=99999999999999999999999-", 416, "", "bytes */10" },
      { "bytes=-0", 416, "", "bytes */10" },
      { "bytes=0-1,4-5", 200, TEXT },
      { "bytes=5-2", 200, TEXT },
      { "bytes=", 200, TEXT },
      { "bytes=-", 200, TEXT },
      { "bytes=a-b", 200, TEXT },
      { "bytes=1-2x", 200, TEXT },
      { "lines=1-2", 200, TEXT },
    }
    for _, case in ipairs(CASES) do
      it(("%s is answered with %d"):format(case[1], case[2]), function()
        publish(PATH, "a", TEXT)
        local answer = assert(site:get(PATH, { Range = case[1] }))
        assert.equal(case[2], answer.status)
        assert.equal(case[3], answer.body)
        assert.equal(tostring(#case[3]), answer.headers["content-length"])
        assert.equal(case[4], answer.headers["content-range"])
      end)
    end

    it("may lie across a hole and data", function()
      local path = site:sparse("a", 1 << 20, { 500000 // 4096 * 4096, "data" })
      server:publish(PATH, { file = path, size = 1 << 20 })
      local at = 500000 // 4096 * 4096
      local range = ("bytes=%d-%d"):format(at - 2, at + 5)
      assert.equal("\0\0data\0\0", assert(site:get(PATH, { Range = range })).body)
    end)

    it("means nothing in a HEAD", function()
      publish(PATH, "a", TEXT)
      local answer = assert(site:get(PATH, { Range = "bytes=1-2" }, "HEAD"))
      assert.equal(200, answer.status)
      assert.equal("10", answer.headers["content-length"])
    end)

    it("holds only for the file that If-Range names", function()
      publish(PATH, "a", TEXT)
      local etag = assert(site:get(PATH, nil, "HEAD")).headers.etag
      local function status(mark)
        return assert(site:get(PATH, { Range = "bytes=1-2", ["If-Range"] = mark })).status
      end
      assert.equal(206, status(etag))
      assert.equal(200, status("W/" .. etag))
      assert.equal(200, status('"other"'))
      assert.equal(200, status("Sat, 29 Oct 1994 19:43:31 GMT"))
      task.sleep(0.02)
      publish(PATH, "a", "9876543210")
      assert.equal(200, status(etag))
    end)
  end)

  describe("what is no image", function()
    it("is 404, whatever resembles a path", function()
      publish(PATH, "a", "0123456789")
      server:ready()
      local token = PATH:match("^/%x+")
      local paths, requests = {
        "/", token, token .. "/", PATH .. "/", PATH .. "x", PATH:sub(1, -2), "/" .. PATH,
        PATH:upper(), token .. "/../../etc/passwd", token .. "//web-01-disk-0.raw",
        token .. "/%77eb-01-disk-0.raw", PATH .. "%00", PATH .. "%00.txt", "/%2e%2e/a", "/a",
        "http://127.0.0.1" .. PATH,
      }, {}
      for i, path in ipairs(paths) do
        requests[i] = ("GET %s HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
          :format(path)
      end
      for i, text in ipairs(site:raw(requests)) do
        assert.truthy(text:find("^HTTP/1.1 404 "), paths[i])
        assert.truthy(text:find("\r\n\r\n$"), paths[i])
      end
    end)

    it("is 404 once it is forgotten", function()
      publish(PATH, "a", "0123456789")
      server:ready()
      assert.equal(200, assert(site:get(PATH)).status)
      server:forget(PATH)
      server:forget(PATH)
      assert.equal(404, assert(site:get(PATH)).status)
    end)

    it("is 503 for a while, when the file is not there or is another", function()
      local path = site.folder.path .. "/a"
      server:publish(PATH, { file = path, size = 10 })
      local function status()
        local answer = assert(site:get(PATH))
        return answer.status, answer.headers["retry-after"]
      end
      local code, after = status()
      assert.equal(503, code)
      assert.equal("10", after)
      site:put("a", "short")
      assert.equal(503, status())
      site:put("b", "0123456789")
      assert(served.shell('rm "$1/a"; ln -s b "$1/a"', site.folder.path).status == 0)
      assert.equal(503, status())
      assert(served.shell('rm "$1/a"; mkfifo "$1/a"', site.folder.path).status == 0)
      assert.equal(503, status())
      assert(served.shell('rm "$1/a"; mv "$1/b" "$1/a"', site.folder.path).status == 0)
      assert.equal(200, status())
    end)
  end)

  it("takes nothing but GET and HEAD", function()
    publish(PATH, "a", "0123456789")
    local methods, requests = { "POST", "PUT", "DELETE", "OPTIONS", "BREW", "get" }, {}
    for i, method in ipairs(methods) do
      requests[i] = method .. " " .. PATH
        .. " HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000000\\r\\n\\r\\nabc"
    end
    for i, text in ipairs(site:raw(requests)) do
      assert.truthy(text:find("^HTTP/1.1 405 "), methods[i])
      assert.truthy(text:find("Allow: GET, HEAD\r\n", 1, true), methods[i])
    end
  end)

  it("lives on after what is not HTTP", function()
    publish(PATH, "a", "0123456789")
    for i, text in ipairs(site:raw({
      "GARBAGE\\r\\n\\r\\n", "\\r\\n\\r\\n\\r\\n", "\\x16\\x03\\x01\\x02\\x00", "GET\\r\\n\\r\\n",
      "GET  HTTP/1.1\\r\\n\\r\\n", "GET / HTTP/9.9\\r\\nHost: x\\r\\n\\r\\n", "\\x00\\x00\\x00",
      "GET / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: -1\\r\\n\\r\\n",
      "GET " .. PATH .. " HTTP/1.1\\r\\nHost: x\\r\\nRange: bytes=0-\\r\\nRange: x\\r\\n",
      "GET " .. PATH .. " HTTP/1.1\\r\\nX: " .. ("x"):rep(50000) .. "\\r\\n\\r\\n",
      "GET /" .. ("x"):rep(50000) .. " HTTP/1.1\\r\\n\\r\\n",
      ("x"):rep(50000),
    }, 0.05)) do
      assert.falsy(text:find("^HTTP/1.1 20"), i .. text)
    end
    assert.equal(200, assert(site:get(PATH)).status)
  end)

  describe("before all routes are known", function()
    local function ask(path, method)
      return task.spawn(function()
        return assert(site:get(path, nil, method)).status
      end)
    end

    local function status(asking)
      local ok, code = asking:join(10)
      return assert(ok and code, code)
    end

    it("an unknown path waits for its route, and no longer", function()
      site:close()
      site = served.open({ wait = 30 })
      server = site.server
      local asking, head, other = ask(PATH), ask(PATH, "HEAD"), ask(OTHER)
      task.sleep(0.05)
      assert.is_false(asking:done())
      publish(PATH, "a", "0123456789")
      assert.equal(200, status(asking))
      assert.equal(200, status(head))
      assert.is_false(other:done())
      server:ready()
      assert.equal(404, status(other))
      assert.equal(404, assert(site:get("/x")).status)
    end)

    it("is 503 when nothing came, and may be asked again", function()
      local since = time.monotonic()
      local answer = assert(site:get(PATH))
      assert.equal(503, answer.status)
      assert.equal("10", answer.headers["retry-after"])
      local took = time.monotonic() - since
      assert.is_true(took >= 0.29 and took < 5, took)
      assert.equal(503, assert(site:get(PATH)).status)
    end)

    it("a client that leaves does no harm", function()
      assert.equal(28, served.shell('curl -s -m 0.05 "$1"', site:url(PATH)).status)
      publish(PATH, "a", "0123456789")
      assert.equal(200, assert(site:get(PATH)).status)
      assert.is_true(eventually(function()
        return not site:active(PATH)
      end))
    end)

    it("the server can be closed while requests wait", function()
      local own = served.open({ wait = 30 })
      local asking = {}
      for i = 1, 20 do
        asking[i] = task.spawn(own.get, own, "/" .. i)
      end
      task.sleep(0.05)
      own.server:close()
      for i = 1, 20 do
        local ok, answer = asking[i]:join(10)
        assert(ok and not answer or answer.status == 503)
      end
      own:close()
    end)
  end)

  describe("a client", function()
    local SIZE = 32 << 20

    before_each(function()
      server:publish(PATH, { file = site:noise("a", SIZE), size = SIZE })
    end)

    it("that is slow holds up nobody", function()
      local slow = {}
      for i = 1, 20 do
        slow[i] = site:slow(PATH, 1000)
      end
      assert.is_true(eventually(function()
        return server:stats(PATH).active == 20
      end))
      local since = time.monotonic()
      assert.equal(200, assert(site:get(PATH, nil, "HEAD")).status)
      assert.equal(206, assert(site:get(PATH, { Range = "bytes=1-2" })).status)
      assert.is_true(time.monotonic() - since < 2)
      for i = 1, 20 do
        slow[i]:cancel()
      end
    end)

    it("that vanishes is noticed, and has read nothing", function()
      local slow = site:slow(PATH, 1000)
      assert.is_true(eventually(function()
        return site:active(PATH)
      end))
      slow:cancel()
      assert.is_true(eventually(function()
        return not site:active(PATH)
      end))
      assert.equal(0, server:stats(PATH).full_reads)
      assert.equal(0, server:stats(PATH).bytes)
    end)


    it("that stands still is cut off", function()
      local own = served.open({ idle_timeout = 1 })
      own.server:publish(PATH, { file = own:put("a", "0123456789"), size = 10 })
      local since = time.monotonic()
      local got = own:raw({ "GET " .. PATH .. " HTTP/1.1\\r\\nHost" }, 10)
      assert.same({ "" }, got)
      assert.is_true(time.monotonic() - since < 8)
      own:close()
    end)

    it("beyond the limit waits for its turn", function()
      local own = served.open({ max_connections = 2 })
      own.server:publish(PATH, { file = own:noise("a", SIZE), size = SIZE })
      local first, second = own:slow(PATH, 1000), own:slow(PATH, 1000)
      assert.is_true(eventually(function()
        return own.server:stats(PATH).active == 2
      end))
      local third = task.spawn(own.get, own, PATH, { Range = "bytes=0-0" })
      task.sleep(0.05)
      assert.is_false(third:done())
      first:cancel()
      local ok, answer = third:join(10)
      assert.is_true(ok)
      assert.equal(206, answer.status)
      second:cancel()
      own:close()
    end)

    -- How much of a file comes that is cut to 1 MiB once its first bytes have come.
    local function what_comes(own, path)
      own.server:publish(PATH, { file = path, size = SIZE })
      local result = served.shell([[
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf "GET $2 HTTP/1.0\r\n\r\n" >&3
        head -c 1000 <&3 >/dev/null
        truncate -s 1M "$3"
        timeout 20 cat <&3 | wc -c
      ]], tostring(own.server:port()), PATH, path)
      local full_reads = own.server:stats(PATH).full_reads
      own:close()
      assert.equal(0, full_reads)
      return tonumber(result.stdout)
    end

    it("never gets all of a file with holes that became shorter", function()
      local own, pieces = served.open(), {}
      for i = 1, (SIZE >> 20) - 1 do
        pieces[i] = { i << 20, "data" }
      end
      assert.is_true(what_comes(own, own:sparse("a", SIZE, table.unpack(pieces))) < SIZE - 1000)
    end)

    it("never gets all of a file without holes that became shorter", function()
      local own = served.open({ idle_timeout = 1 })
      assert.is_true(what_comes(own, own:noise("a", SIZE)) < SIZE - 1000)
    end)
  end)

  describe("serve", function()
    it("says where it listens", function()
      assert.equal("127.0.0.1:" .. server:port(), server:address())
      local all <close> = assert(images.serve())
      assert.truthy(all:address():find("^%[::%]:%d+$") or all:address():find("^0.0.0.0:%d+$"))
    end)

    it("says why it cannot", function()
      local _, err = images.serve({ host = "127.0.0.1", port = server:port() })
      assert.equal(("listening on 127.0.0.1 port %d: Address already in use"):format(
        server:port()), err.message)
      _, err = images.serve({ host = "nowhere" })
      assert.equal("invalid", err.kind)
      assert.has_error(function()
        images.serve({ port = 65536 })
      end)
      assert.has_error(function()
        images.serve({ prot = 1 })
      end)
    end)

    it("leaves nothing open when it is closed", function()
      local function count()
        return #assert(file.list("/proc/self/fd"))
      end
      local before = count()
      for _ = 1, 5 do
        local own = assert(images.serve({ host = "127.0.0.1" }))
        own:close()
        own:close()
        assert.has_error(function()
          own:port()
        end)
      end
      -- What earlier specs have left to be closed may be closed meanwhile.
      assert.is_true(eventually(function()
        return count() <= before
      end))
    end)
  end)

end)
