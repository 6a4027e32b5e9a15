local errors = require "host.error"
local http = require "host.http"
local task = require "host.task"
local web = require "support.web"

local answer = web.answer
local eventually = web.eventually
local refused = web.refused

describe("host.http", function()
  local site, server, pool, url, get

  before_each(function()
    site = web.open()
    server, pool, url, get = site.server, site.pool, site.url, site.get
  end)

  after_each(function()
    site.close()
  end)

  describe("a request", function()
    it("sends method, path, query, headers and body as they are given", function()
      server:on("/sdk", { answer("") })
      assert(get("/sdk?a=1&b=%20", {
        method = "POST",
        headers = { SOAPAction = "urn:vim25/8.0", ["X-Number"] = 7, ["X-Empty"] = "" },
        body = "<a>\0</a>",
      }))
      local text = server:requests()[1]
      assert.equal("POST /sdk?a=1&b=%20 HTTP/1.1\r\n", text:match("^[^\n]*\n"))
      assert.truthy(text:find("\r\nSOAPAction: urn:vim25/8.0\r\n", 1, true))
      assert.truthy(text:find("\r\nX-Number: 7\r\n", 1, true))
      assert.truthy(text:find("\r\nX-Empty:", 1, true))
      assert.truthy(text:find("\r\nContent-Length: 8\r\n", 1, true))
      assert.equal("<a>\0</a>", text:match("\r\n\r\n(.*)$"))
    end)

    it("adds nothing but host, user agent and accept", function()
      server:on("/", { answer("") })
      assert(get("/", { method = "POST", body = ("x"):rep(2 << 20) }))
      local names = {}
      for name in server:requests()[1]:match("^(.-)\r\n\r\n"):gmatch("\n([%w-]+):") do
        names[#names + 1] = name
      end
      table.sort(names)
      assert.same({ "Accept", "Content-Length", "Host", "User-Agent" }, names)
    end)

    it("uses any method, HEAD without waiting for a body", function()
      server:on("/", { answer("") })
      for _, method in ipairs({ "PUT", "DELETE", "PATCH", "OPTIONS" }) do
        assert(get("/", { method = method, body = method == "PATCH" and "{}" or nil }))
      end
      server:on("/head", { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" })
      local got = assert(get("/head", { method = "HEAD", timeout = 5 }))
      assert.equal("1000", got.headers["content-length"])
      assert.equal("", got.body)
      assert.equal("PATCH / ", server:requests()[3]:sub(1, 8))
    end)

    it("gives any status as an answer", function()
      for _, status in ipairs({ 201, 302, 401, 404, 500, 503 }) do
        server:on("/" .. status, {
          ("HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno"):format(status),
        })
        local got = assert(get("/" .. status))
        assert.equal(status, got.status)
        assert.equal("no", got.body)
      end
      server:on("/204", { "HTTP/1.1 204 No Content\r\n\r\n" })
      assert.equal("", assert(get("/204")).body)
    end)

    it("names headers in lower case and joins repeated ones", function()
      server:on("/", { answer("", "X-One:  a \r\nx-one: b\r\nX-None:\r\n"
        .. "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n") })
      local headers = assert(get("/")).headers
      assert.equal("a, b", headers["x-one"])
      assert.equal("", headers["x-none"])
      assert.equal("a=1\nb=2", headers["set-cookie"])
    end)

    it("reads a chunked body and leaves trailers aside", function()
      local head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      server:on("/", { head .. "3\r\nabc\r\n",
        { wait = 0.005 }, "2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n" })
      local got = assert(get("/"))
      assert.equal("abcde", got.body)
      assert.is_nil(got.headers["x-trailer"])
    end)

    it("goes past informational answers", function()
      server:on("/", { "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n", answer("ok") })
      local got = assert(get("/"))
      assert.equal(200, got.status)
      assert.is_nil(got.headers["x-early"])
    end)

    it("leaves a compressed body as it came", function()
      server:on("/", { answer("\31\139raw", "Content-Encoding: gzip\r\n") })
      assert.equal("\31\139raw", assert(get("/")).body)
      assert.is_nil(server:requests()[1]:find("Accept-Encoding", 1, true))
    end)

    it("reads a body that ends with the connection", function()
      server:on("/", { "HTTP/1.1 200 OK\r\n\r\nall of it", "<close>" })
      assert.equal("all of it", assert(get("/")).body)
    end)

    it("sends user and password of the URL, and shows them to nobody", function()
      server:on("/", { answer("") })
      local at = "127.0.0.1:" .. server:port() .. "/"
      local full = "http://user:secret@" .. at .. "?token=x"
      local got = assert(pool:request({ url = full }))
      assert.truthy(server:requests()[1]:find("Basic dXNlcjpzZWNyZXQ=", 1, true))
      assert.equal("http://" .. at .. "?token=x", got.url)
    end)

    it("needs no pool", function()
      server:on("/", { answer("alone") })
      assert.equal("alone", assert(http.request({ url = url("/") })).body)
      assert.equal("alone", assert(http.request({ url = url("/"), pool = pool })).body)
    end)

    it("sends a large body whole, to a slow reader, within its idle time", function()
      server:on("/", { answer("ok") })
      local body = ("0123456789abcdef"):rep(1 << 20)
      assert(get("/", { method = "PUT", body = body, timeout = 5 }))
      assert.is_true(server:requests()[1]:match("\r\n\r\n(.*)$") == body)
    end)
  end)

  describe("connections", function()
    it("are used again", function()
      server:on("/", { answer("x") })
      for _ = 1, 5 do
        assert(get("/"))
      end
      assert.equal(1, server:connections())
    end)

    it("are made anew when the server has closed them", function()
      server:on("/", { answer("x"), "<close>" })
      for _ = 1, 3 do
        assert(get("/", { method = "POST", body = "again" }))
        assert.is_true(eventually(function()
          return server:idle()
        end))
      end
      assert.equal(3, server:connections())
    end)

    it("lose no answer on a kept one, unless the request may be sent once only", function()
      server:on("/", { answer("x") })
      server:on("/lost", { "<close>" }, { answer("again") })
      assert(get("/"))
      assert.equal("again", assert(get("/lost", { method = "POST", body = "x" })).body)
      server:on("/once", { "<close>" }, { answer("again") })
      local got, err = get("/once", { method = "POST", body = "x", once = true })
      assert.is_nil(got)
      assert.equal("connect", err.kind)
      assert.equal(4, #server:requests())
    end)

    it("are at most max_connections; who comes later waits for its turn", function()
      local small <close> = assert(http.pool({ max_connections = 2 }))
      server:on("/", { { wait = 0.02 }, answer("x") })
      local tasks = {}
      for i = 1, 6 do
        tasks[i] = task.spawn(small.request, small, { url = url("/"), timeout = 1 })
      end
      for _, t in ipairs(tasks) do
        local ok, got = t:join()
        assert.is_true(ok)
        assert.equal("x", got.body)
      end
      assert.equal(2, server:connections())
    end)

    it("let the next one go when a waiting or running one is cancelled", function()
      local small <close> = assert(http.pool({ max_connections = 1 }))
      server:on("/hang", { "<hang>" })
      server:on("/", { answer("x") })
      local first = task.spawn(small.request, small, { url = url("/hang") })
      local second = task.spawn(small.request, small, { url = url("/hang") })
      local third = task.spawn(small.request, small, { url = url("/") })
      assert.is_true(eventually(function()
        return #server:requests() == 1
      end))
      assert.is_true(second:cancel(5))
      assert.is_true(first:cancel(5))
      local ok, got = third:join()
      assert.is_true(ok)
      assert.equal("x", got.body)
      assert.equal(2, #server:requests())
    end)

    it("outlive the pool that is closed over them", function()
      server:on("/", { { wait = 0.01 }, answer("late") })
      local own = assert(http.pool())
      local t = task.spawn(own.request, own, { url = url("/") })
      task.sleep(0.002)
      own:close()
      collectgarbage()
      local _, got = t:join()
      assert.equal("late", got.body)
      assert.has_error(function()
        own:request({ url = url("/") })
      end)
    end)
  end)

  describe("cancelling", function()
    it("ends the request at once and lets the server know", function()
      server:on("/", { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "<hang>" })
      local t = task.spawn(get, "/")
      assert.is_true(eventually(function()
        return #server:requests() == 1
      end))
      assert.is_true(t:cancel(5))
      local ok, err = t:join()
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.is_true(eventually(function()
        return server:idle()
      end))
    end)
  end)

  describe("errors", function()
    it("say what was asked and no secret of it", function()
      local got, err = pool:request({ url = "http://u:pw@127.0.0.1:1/a/b?key=hush#frag" })
      refused("connect", "Connection refused", got, err)
      assert.equal("GET http://127.0.0.1:1/a/b: cannot connect: Connection refused",
        err.message)
      assert.equal(err.message, errors.of(err).message)
    end)

    it("tell a name that does not resolve", function()
      refused("dns", "GET http://no-such-host.invalid/: ",
        pool:request({ url = "http://no-such-host.invalid/" }))
    end)
  end)

  describe("what cannot be sent", function()
    it("is refused before anybody is asked", function()
      server:on("/", { answer("") })
      for _, opts in ipairs({
        { headers = { ["X-A"] = "b\r\nX-Injected: 1" } },
        { headers = { ["X-A"] = "b\nX-Injected: 1" } },
        { headers = { ["X-A: b\r\nX-Injected"] = "1" } },
        { headers = { [""] = "1" } },
        { headers = { ["X-A"] = "a\0b" } },
        { headers = { ["Content-Length"] = "5" } },
        { headers = { ["transfer-encoding"] = "chunked" } },
        { method = "GET / HTTP/1.1\r\nX-Injected: 1\r\n" },
        { method = "get" },
        { method = "" },
      }) do
        local got, err = get("/", opts)
        assert.is_nil(got)
        assert.equal("invalid", err.kind)
      end
      for _, bad in ipairs({
        "", "127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://",
        "gopher://x/", "http://[::1/", "http://127.0.0.1:99999/",
        url("/ HTTP/1.1\r\nX-Injected: 1"), url("/a b"), url("/\n"),
      }) do
        local got, err = pool:request({ url = bad })
        assert.is_nil(got, bad)
        assert.equal("invalid", err.kind)
      end
      assert.equal(0, #server:requests())
    end)

    it("says what is wrong with a URL, and nothing secret of it", function()
      for bad, words in pairs({
        ["https://u:secret@127.0.0.1:99999/?k=secret"] = "Port number was not",
        ["http://:1/secret"] = "No host part in the URL",
        ["ftp://u:secret@127.0.0.1/"] = "ftp://127.0.0.1/: not an http or https URL",
      }) do
        local _, err = pool:request({ url = bad })
        assert.truthy(err.message:find(words, 1, true), err.message)
        assert.is_nil(err.message:find("secret", 1, true))
      end
    end)

    it("throws if it is no request at all", function()
      for _, opts in ipairs({
        {}, { url = 1 }, { url = url("/"), typo = 1 }, { url = url("/"), timeout = "x" },
        { url = url("/"), timeout = -1 }, { url = url("/"), headers = { "a" } },
        { url = url("/"), headers = { A = {} } }, { url = url("/"), max_body = 1.5 },
        { url = "http://a\0b/" },
      }) do
        assert.has_error(function()
          pool:request(opts)
        end)
      end
      assert.has_error(function()
        pool:request()
      end)
    end)
  end)
end)
