local http = require "host.http"
local pace = require "support.pace"
local task = require "host.task"
local time = require "host.time"
local web = require "support.web"

local answer = web.answer
local eventually = web.eventually
local refused = web.refused

describe("host.http", function()
  local site, server, url, get

  before_each(function()
    site = web.open()
    server, url, get = site.server, site.url, site.get
  end)

  after_each(function()
    site.close()
  end)

  describe("a request that must be sent before a certain time", function()
    it("is sent when there is a connection by then", function()
      server:on("/", { answer("ok") })
      assert.equal("ok", assert(get("/", { before = time.boottime() + 60 })).body)
    end)

    it("is not sent later, on a new connection or a kept one", function()
      server:on("/", { answer("ok") })
      for _ = 1, 2 do
        refused("cancelled", "too late", get("/", { before = time.boottime() - 1 }))
      end
      assert.same({}, server:requests())
      assert(get("/"))
      refused("cancelled", "too late", get("/", { before = time.boottime() }))
      assert.equal(1, #server:requests())
      assert.equal("ok", assert(get("/")).body)
    end)

    it("is not sent to its end when that would be later", function()
      server:on("/", { answer("done") })
      local function post(seconds)
        return get("/", { method = "PATCH", body = ("x"):rep(30 << 20),
          headers = { ["Read-Body-After"] = "0.4" }, before = time.boottime() + seconds })
      end
      refused("cancelled", "too late", post(0.2))
      assert.is_true(eventually(function()
        return server:idle()
      end))
      assert.same({}, server:requests())
      assert.equal("done", assert(post(60)).body)
    end)

    it("is not sent when its turn in the pool comes too late", function()
      local small = web.open({ max_connections = 1 })
      small.server:on("/slow", { { wait = pace.seconds(0.3) }, answer("slow") })
      small.server:on("/", { answer("ok") })
      local slow = task.spawn(small.get, "/slow")
      task.sleep(0.001)
      refused("cancelled", "too late", small.get("/", { before = time.boottime() + 0.05 }))
      assert.is_true(slow:join())
      assert.equal(1, #small.server:requests())
      small.close()
    end)
  end)

  describe("the answer's body", function()
    it("may be just max_body long, and not a byte more", function()
      server:on("/", { answer(("x"):rep(100000)) })
      assert.equal(100000, #assert(get("/", { max_body = 100000 })).body)
      refused("http", "larger than 99999 bytes", get("/", { max_body = 99999 }))
      refused("http", "larger than 0 bytes", get("/", { max_body = 0 }))
    end)

    it("is given up at max_body if it has no end", function()
      local much = { send = ("x"):rep(65536), times = 1 << 30 }
      server:on("/", { "HTTP/1.1 200 OK\r\n\r\n", much })
      refused("http", "larger than 1000000 bytes", get("/", { max_body = 1000000 }))
      assert.is_true(eventually(function()
        return server:idle()
      end))
    end)

    describe("of one that shares the room for large answers", function()
      local MIB = 1 << 20
      local shared

      before_each(function()
        shared = web.open({ shares = true })
      end)

      after_each(function()
        shared.close()
      end)

      -- So much of a body that it needs a share, and then no more.
      local function stuck(length)
        return { "HTTP/1.1 200 OK\r\n" .. length .. "\r\n", ("x"):rep(400000), "<hang>" }
      end

      local function ask(path)
        return task.spawn(path, function()
          return assert(shared.get(path, { max_body = 4 * MIB })).body
        end)
      end

      -- The room's 16 MiB are held by four of 4 MiB, and one that needs them waits.
      local function fill()
        shared.server:on("/stuck", stuck("Content-Length: 8000000\r\n"))
        shared.server:on("/large", { answer(("l"):rep(300000)) })
        local tasks, waits = {}, nil
        for i = 1, 4 do
          tasks[i] = ask("/stuck")
        end
        assert.is_true(eventually(function()
          waits = ask("/large")
          return waits:join(0.2) == nil
        end))
        return tasks, waits
      end

      local function cancel(tasks)
        for _, t in ipairs(tasks) do
          t:cancel()
        end
      end

      it("waits for room until another one is done with", function()
        local tasks, large = fill()
        shared.server:on("/small", { answer(("s"):rep(200000)) })
        assert.equal(200000, #select(2, ask("/small"):join()))
        assert.is_nil((large:join(0)))
        tasks[2]:cancel()
        local ok, body = large:join()
        assert.is_true(ok)
        assert.equal(("l"):rep(300000), body)
        cancel(tasks)
      end)

      it("has its place in the line taken by the next one when it is given up", function()
        local tasks, first = fill()
        local next_one = ask("/large")
        assert.is_nil((next_one:join(0.2)))
        first:cancel()
        tasks[1]:cancel()
        assert.is_true((next_one:join()))
        cancel(tasks)
      end)

      it("does not wait where it shares nothing", function()
        local tasks, large = fill()
        server:on("/large", { answer(("l"):rep(300000)) })
        assert.equal(300000, #assert(get("/large")).body)
        assert.is_nil((large:join(0)))
        cancel(tasks)
      end)
    end)

    it("is no answer when it is cut", function()
      local length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"
      local chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort"
      server:on("/length", { length, "<close>" })
      server:on("/chunk", { chunk, "<close>" })
      server:on("/reset", { length, { wait = 0.005 }, "<reset>" })
      for _, path in ipairs({ "/length", "/chunk", "/reset" }) do
        refused("connect", "the connection broke", get(path))
      end
    end)

    it("is refused when its chunks lie", function()
      local head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      for i, chunks in ipairs({
        "zz\r\nabc\r\n", "fffffffffffffffffffff\r\nabc", "-1\r\nabc",
        "3\r\nabcdef\r\n0\r\n\r\n",
      }) do
        server:on("/" .. i, { head .. chunks, "<close>" })
        local got, err = get("/" .. i)
        assert.is_nil(got)
        assert.truthy(err.kind == "connect" or err.kind == "http")
      end
    end)
  end)

  describe("a server that speaks no proper HTTP", function()
    it("is named as such", function()
      server:on("/garbage", { "SSH-2.0-OpenSSH_9.2\r\n\r\n", "<close>" })
      refused("http", "GET " .. url("/garbage") .. ": ", get("/garbage"))
      server:on("/empty", { "<close>" })
      refused("connect", "Empty reply", get("/empty"))
      server:on("/reset", { "<reset>" })
      refused("connect", "the connection broke", get("/reset"))
      server:on("/lengths", { "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" })
      assert.is_nil((get("/lengths")))
    end)

    it("cannot fill memory with headers", function()
      local many = { send = "A: b\r\n", times = 1000000 }
      server:on("/many", { "HTTP/1.1 200 OK\r\n", many })
      local different = {}
      for i = 1, 300 do
        different[i] = "A" .. i .. ": b\r\n"
      end
      refused("http", "head is too large", get("/many"))
      server:on("/different", { answer("", table.concat(different)) })
      refused("http", "too many headers", get("/different"))
      server:on("/long", { answer("", "A: " .. ("x"):rep(300000) .. "\r\n") })
      refused("http", "", get("/long"))
      server:on("/1xx", { { send = "HTTP/1.1 100 Go on\r\n\r\n", times = 1 << 30 } })
      refused("http", "head is too large", get("/1xx"))
    end)
  end)

  describe("time-outs", function()
    it("end a request after that time without a byte", function()
      server:on("/", { "<hang>" })
      server:on("/head", { "HTTP/1.1 200 OK\r\nContent-", "<hang>" })
      server:on("/body", { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "<hang>" })
      for _, path in ipairs({ "/", "/head", "/body" }) do
        local started = time.monotonic()
        refused("timeout", "timed out after 0.1 s without a byte",
          get(path, { timeout = 0.1 }))
        assert.is_true(time.monotonic() - started >= 0.1)
      end
    end)

    it("hold for a connection that is used again, too", function()
      server:on("/", { answer("x") }, { "<hang>" })
      assert(get("/"))
      refused("timeout", "without a byte", get("/", { timeout = 0.03 }))
      assert.equal(1, server:connections())
    end)

    it("do not end what comes slowly but steadily", function()
      local steps = { "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" }
      for i = 1, 30 do
        steps[2 * i] = "x"
        steps[2 * i + 1] = { wait = pace.seconds(0.02) }
      end
      server:on("/", steps)
      assert.equal(30, #assert(get("/", { timeout = pace.seconds(0.4) })).body)
      refused("timeout", "timed out after 0.1 s",
        get("/", { timeout = 60, total_timeout = 0.1 }))
    end)

    it("do not end a request because a script kept the loop busy", function()
      local head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
      server:on("/", { head, { wait = 0.02 }, "ok" })
      local timeout = pace.seconds(0.3)
      local t = task.spawn(get, "/", { timeout = timeout })
      assert.is_true(eventually(function()
        return #server:requests() == 1
      end))
      local till = time.monotonic() + 2 * timeout
      while time.monotonic() < till do
        math.random()
      end
      local _, got = t:join()
      assert.equal("ok", got and got.body)
    end)

    it("end a TLS handshake that does not come to an end", function()
      local small <close> = assert(http.pool({ connect_timeout = 0.2 }))
      refused("timeout", "TLS handshake timed out after 0.2 s",
        small:request({ url = url("/"):gsub("^http", "https") }))
    end)

    it("do not take a handshake that is cut off for a refusal", function()
      local small <close> = assert(http.pool({ connect_timeout = 5 }))
      local asking = task.spawn(small.request, small,
        { url = url("/"):gsub("^http", "https") })
      task.sleep(0.05)
      server:close()
      local _, got, err = asking:join()
      assert.is_nil(got)
      assert.equal("connect", err.kind)
    end)

    it("run for the whole of it while it waits in line", function()
      local small <close> = assert(http.pool({ max_connections = 1 }))
      server:on("/", { "<hang>" })
      local first = task.spawn(small.request, small, { url = url("/") })
      assert.is_true(eventually(function()
        return #server:requests() == 1
      end))
      refused("timeout", "timed out after 0.1 s",
        small:request({ url = url("/"), timeout = 0.01, total_timeout = 0.1 }))
      first:cancel(5)
    end)
  end)
end)
