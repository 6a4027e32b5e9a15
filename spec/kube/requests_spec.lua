local errors = require "host.error"
local httpd = require "httpd"
local pace = require "support.pace"
local requests = require "kube.requests"
local task = require "host.task"
local time = require "host.time"
local web = require "support.web"

local function status(code, reason, message, head)
  local body = ('{"kind":"Status","code":%d,"reason":"%s","message":"%s"}'):format(code,
    reason, message)
  return ("HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s"):format(code, head or "",
    #body, body)
end

local OK = web.answer('{"ok":true}')
local BUSY = status(429, "TooManyRequests", "not now", "Retry-After: 0\r\n")
local BROKEN = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"

describe("kube.requests", function()
  local server, made, headers

  before_each(function()
    server = httpd.new()
    headers = { Authorization = "Bearer one" }
  end)

  after_each(function()
    made:close()
    server:close()
  end)

  local function new(opts)
    opts = opts or {}
    opts.config = opts.config or {
      url = "http://127.0.0.1:" .. server:port(),
      tls = {},
      headers = function(again)
        if again then
          headers = { Authorization = "Bearer two" }
        end
        return headers
      end,
    }
    opts.pause = opts.pause or 0.001
    made = assert(requests.new(opts))
    return made
  end

  local function lines_of(n)
    return server:requests()[n]
  end

  it("sends what it is given, as whom it is given, and decodes the answer", function()
    server:on("/a", { OK })
    assert.is_true(assert(new():send("PATCH", "/a?b=c", { body = "{}",
      content_type = "application/merge-patch+json" })).ok)
    local text = lines_of(1)
    assert.equal("PATCH /a?b=c HTTP/1.1", text:match("^[^\r]*"))
    assert.truthy(text:find("Authorization: Bearer one", 1, true))
    assert.truthy(text:find("Content-Type: application/merge-patch+json", 1, true))
  end)

  it("takes numbers that others may have written, however large", function()
    server:on("/a", { web.answer('{"n":18446744073709551615}') })
    assert.is_true(assert(new():send("GET", "/a", {})).n > 2 ^ 63)
  end)

  it("makes an err of what the server answers", function()
    local cases = {
      [400] = "invalid", [401] = "denied", [403] = "denied", [404] = "notfound",
      [405] = "unsupported", [409] = "conflict", [410] = "gone", [415] = "unsupported",
      [422] = "invalid", [418] = "http", [302] = "http", [300] = "http",
    }
    local r = new()
    for code, kind in pairs(cases) do
      server:on("/" .. code, { status(code, "Why", "because", "Audit-Id: x-1\r\n") })
      local got, err = r:send("GET", "/" .. code .. "?limit=1", {})
      assert.is_nil(got)
      assert.equal(kind, err.kind)
      assert.equal(code, err.status)
      assert.equal("Why", err.reason)
      assert.equal("x-1", err.audit_id)
      assert.equal(("GET /%d: because"):format(code), err.message)
    end
  end)

  it("takes what a webhook refuses for refused, whatever its status, and asks once", function()
    local r, asked = new(), 0
    for code, kind in pairs({ [400] = "invalid", [403] = "denied", [404] = "invalid",
      [405] = "invalid", [409] = "invalid", [410] = "invalid", [418] = "invalid",
      [422] = "invalid", [500] = "invalid", [503] = "invalid", [504] = "invalid" }) do
      server:on("/w" .. code, { status(code, "Conflict",
        [[admission webhook \"validator.example\" denied the request: no]]) })
      local got, err = r:send("PUT", "/w" .. code, { body = "{}" })
      asked = asked + 1
      assert.is_nil(got)
      assert.equal(kind, err.kind, code)
      assert.equal("validator.example", err.webhook)
      assert.equal(asked, #server:requests())
    end
  end)

  it("believes a webhook that says it is a matter of time, or of rights", function()
    local body = '{"kind":"Status","message":"admission webhook \\"v\\" denied the request: no"}'
    for code, kind in pairs { [429] = "busy", [403] = "denied", [503] = "invalid" } do
      local err = requests.failure("PUT /x", { status = code, body = body, headers = {} })
      assert.equal(kind, err.kind)
      assert.equal("v", err.webhook)
    end
    new()
  end)

  it("makes an err of an answer that is no Status", function()
    server:on("/", { "HTTP/1.1 404 X\r\nContent-Length: 19\r\n\r\n404 page not found\n" })
    local _, err = new():send("GET", "/", {})
    assert.equal("GET /: 404 page not found", err.message)
    server:on("/empty", { "HTTP/1.1 409 X\r\nContent-Length: 0\r\n\r\n" })
    _, err = made:send("GET", "/empty", {})
    assert.equal("GET /empty: HTTP status 409", err.message)
    server:on("/html", { web.answer("<html>") })
    _, err = made:send("GET", "/html", {})
    assert.equal("format", err.kind)
  end)

  it("reads the credentials again after a 401, once", function()
    server:on("/", { status(401, "Unauthorized", "no") }, { OK })
    assert(new():send("GET", "/", {}))
    assert.truthy(lines_of(2):find("Bearer two", 1, true))
    server:on("/no", { status(401, "Unauthorized", "no") })
    local _, err = made:send("GET", "/no", {})
    assert.equal("denied", err.kind)
    assert.equal(4, #server:requests())
  end)

  it("says why there are no credentials, and asks nothing", function()
    local _, err = new({ config = { url = "http://127.0.0.1:" .. server:port(), tls = {},
      headers = function()
        return nil, errors.new("denied", "no plugin")
      end } }):send("GET", "/", {})
    assert.equal("no plugin", err.message)
    assert.equal(0, #server:requests())
  end)

  describe("tries again", function()
    it("what the server did not do", function()
      for _, method in ipairs({ "GET", "POST", "PATCH", "DELETE" }) do
        server:on("/" .. method, { BUSY }, { status(503, "ServiceUnavailable", "") }, { OK })
        assert(new():send(method, "/" .. method, {}))
      end
      assert.equal(12, #server:requests())
    end)

    it("what may happen twice, and no POST", function()
      for path, step in pairs({
        ["/broken"] = { BROKEN, "<reset>" },
        ["/error"] = { status(500, "InternalError", "etcdserver: request timed out") },
        ["/slow"] = { status(504, "Timeout", "etcd") },
      }) do
        for _, method in ipairs({ "GET", "PATCH", "DELETE", "POST" }) do
          server:on(path .. method, step, { OK })
          local got, err = new():send(method, path .. method, {})
          if method == "POST" then
            assert.is_nil(got)
            assert.is_nil(err.unclear)
          else
            assert.is_true(got.ok)
          end
        end
        server:on(path .. "again", step, { OK })
        assert(made:send("POST", path .. "again", { repeatable = true }))
      end
    end)

    it("and says that an earlier try may have happened", function()
      server:on("/", { BROKEN, "<reset>" }, { status(409, "Conflict", "changed") })
      local _, err = new():send("PATCH", "/", {})
      assert.equal("conflict", err.kind)
      assert.is_true(err.unclear)
      server:on("/busy", { BUSY }, { status(409, "Conflict", "changed") })
      _, err = made:send("PATCH", "/busy", {})
      assert.is_nil(err.unclear)
    end)

    it("what fails for no other reason", function()
      for _, code in ipairs({ 400, 403, 404, 409, 410, 422 }) do
        server:on("/" .. code, { status(code, "Why", "") })
        assert.is_nil(new():send("GET", "/" .. code, {}))
      end
      assert.equal(6, #server:requests())
    end)

    it("no sooner than Retry-After says, and not past the deadline", function()
      server:on("/", { status(429, "TooManyRequests", "", "Retry-After: 1\r\n") }, { OK })
      local started = time.monotonic()
      assert(new():send("GET", "/", {}))
      assert.is_true(time.monotonic() - started >= 1)
      server:on("/long", { status(429, "TooManyRequests", "", "Retry-After: 100\r\n") })
      local _, err = made:send("GET", "/long", {})
      assert.equal("busy", err.kind)
      assert.equal(100, err.after)
      server:on("/body", {
        'HTTP/1.1 429 X\r\nContent-Length: 56\r\n\r\n{"kind":"Status","details":'
        .. '{"retryAfterSeconds":  200 }}' })
      _, err = made:send("GET", "/body", {})
      assert.equal(200, err.after)
    end)

    it("never for an answer that was refused as it came", function()
      for path, answer in pairs { ["/garbage"] = "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        ["/large"] = web.answer(("x"):rep(2000)) } do
        server:on(path, { answer, "<close>" })
        web.refused("http", path, new():send("GET", path, { max_body = 1000 }))
      end
      assert.equal(2, #server:requests())
    end)

    it("not for long while a webhook is down: that is waited for by who asks", function()
      local down = 'Internal error occurred: failed calling webhook "w"'
      server:on("/", { status(500, "InternalError", (down:gsub('"', '\\"'))) })
      local started = time.monotonic()
      local _, err = new({ deadline = 20, webhook = 0.1 }):send("POST", "/",
        { repeatable = true })
      assert.equal("http", err.kind)
      assert.equal("webhook", err.behind)
      assert.is_true(time.monotonic() - started < pace.seconds(5))
      assert.is_true(#server:requests() > 1)
    end)

    it("until its time is over, however the server hangs", function()
      server:on("/", { "<hang>" })
      local started = time.monotonic()
      local _, err = new({ deadline = 0.1 }):send("GET", "/", {})
      assert.equal("timeout", err.kind)
      assert.is_true(time.monotonic() - started < pace.seconds(5))
    end)
  end)

  describe("with a fence", function()
    local function fence_of(answers)
      local asked = 0
      return function()
        asked = math.min(asked + 1, #answers)
        if answers[asked] then
          return answers[asked]
        end
        return nil, errors.new("conflict", "another leads", { reason = "NotLeader" })
      end
    end

    it("changes nothing behind it, and reads", function()
      server:on("/", { OK })
      new({ fence = fence_of({ false }) })
      for _, method in ipairs({ "POST", "PATCH", "DELETE" }) do
        local got, err = made:send(method, "/", {})
        assert.is_nil(got)
        assert.equal("NotLeader", err.reason)
      end
      assert.equal(0, #server:requests())
      assert(made:send("GET", "/", {}))
    end)

    it("asks it before each try", function()
      server:on("/", { BUSY }, { OK })
      local _, err = new({ fence = fence_of({ true, false }) }):send("PATCH", "/", {})
      assert.equal("NotLeader", err.reason)
      assert.equal(1, #server:requests())
    end)

    it("sends nothing once its time is over, however late that is found out", function()
      server:on("/", { OK })
      local _, err = new({ fence = fence_of({ time.boottime() - 1, false }) })
        :send("PATCH", "/", {})
      assert.equal("NotLeader", err.reason)
      assert.equal(0, #server:requests())
      made.fence = fence_of({ time.boottime() + 60 })
      assert(made:send("PATCH", "/", {}))
    end)

    it("asks it when its turn has come, not when it gets in line", function()
      server:on("/slow", { { wait = 0.04 }, OK })
      server:on("/", { OK })
      local leads = true
      new({ fence = function()
        if leads then
          return true
        end
        return nil, errors.new("conflict", "another leads", { reason = "NotLeader" })
      end })
      local slow = {}
      for i = 1, 16 do
        slow[i] = task.spawn(made.send, made, "GET", "/slow", {})
      end
      local late = task.spawn(made.send, made, "PATCH", "/", {})
      task.sleep(0.01)
      leads = false
      local _, got, err = late:join()
      assert.is_nil(got)
      assert.equal("NotLeader", err.reason)
      for _, t in ipairs(slow) do
        assert.is_true(select(2, t:join()).ok)
      end
    end)
  end)

  it("tells how many wait in line, whom it was given up for not counted", function()
    server:on("/slow", { { wait = 0.2 }, OK })
    new()
    local slow = {}
    for i = 1, 19 do
      slow[i] = task.spawn(made.send, made, "GET", "/slow", {})
    end
    assert.is_true(pace.eventually(function()
      return made:in_line() == 3
    end))
    slow[19]:cancel()
    assert.equal(2, made:in_line())
    for i = 1, 18 do
      assert.is_true(select(2, slow[i]:join()).ok)
    end
    assert.equal(0, made:in_line())
  end)

  it("says of who stood in line in vain that it was for the API server", function()
    server:on("/slow", { { wait = 0.2 }, OK })
    new()
    local slow = {}
    for i = 1, 16 do
      slow[i] = task.spawn(made.send, made, "GET", "/slow", {})
    end
    task.sleep(0)
    local got, err = made:send("GET", "/slow", { deadline = 0.01 })
    assert.is_nil(got)
    assert.equal("timeout", err.kind)
    assert.is_true(err.api)
    for i = 1, 16 do
      slow[i]:join()
    end
  end)

  it("uses a new pool when the certificates have changed", function()
    local ca, ca_key = httpd.certificate({ name = "one", ca = true })
    local cert, key = httpd.certificate({ name = "k", alt = "IP:127.0.0.1", issuer = ca,
      issuer_key = ca_key })
    local other = httpd.certificate({ name = "two", ca = true })
    local tls <close> = httpd.new({ cert = cert, key = key })
    tls:on("/", { OK })
    local conf = { url = "https://127.0.0.1:" .. tls:port(), tls = { ca = other } }
    function conf.headers(again)
      if again then
        conf.tls = { ca = ca }
      end
      return {}
    end
    assert(new({ config = conf }):send("GET", "/", {}))
    conf.headers = function()
      return {}
    end
    conf.tls = { ca = other }
    local _, err = made:send("POST", "/", {})
    assert.equal("tls", err.kind)
  end)

  it("counts what it sends", function()
    local seen = {}
    server:on("/", { BUSY }, { OK })
    server:on("/watch", { "HTTP/1.1 200 OK\r\n\r\n", "<hang>" })
    new({ on_request = function(method, kind, code, seconds)
      assert(seconds >= 0)
      seen[#seen + 1] = ("%s %s %d"):format(method, kind, code)
    end })
    assert(made:send("GET", "/", { kind = "K" }))
    local stream <close> = assert(made:lines("/watch", { idle = 1, kind = "K" }))
    assert(stream)
    assert.same({ "GET K 429", "GET K 200", "WATCH K 200" }, seen)
  end)

  describe("lines", function()
    it("come one by one, after a 401 as well", function()
      server:on("/", { status(401, "Unauthorized", "no") },
        { "HTTP/1.1 200 OK\r\n\r\n", "one\ntwo\n", "<hang>" })
      local stream <close> = assert(new():lines("/", { idle = 1 }))
      assert.equal("one", stream:next())
      assert.equal("two", stream:next())
      assert.truthy(lines_of(2):find("Bearer two", 1, true))
    end)

    it("are refused as requests are", function()
      server:on("/", { status(410, "Expired", "too old") })
      local _, err = new():lines("/", { idle = 1 })
      assert.equal("gone", err.kind)
      assert.equal("WATCH /: too old", err.message)
      assert.equal(410, err.status)
    end)

    it("end after so long a silence", function()
      server:on("/", { "HTTP/1.1 200 OK\r\n\r\n", "one\n", "<hang>" })
      local stream <close> = assert(new():lines("/", { idle = 0.4 }))
      assert.equal("one", stream:next())
      local line, err = stream:next()
      assert.is_nil(line)
      assert.equal("timeout", err.kind)
    end)
  end)

  it("says once what the server warns of", function()
    server:on("/", { web.answer("{}", 'Warning: 299 - "unknown field \\"spec.x\\""\r\n') })
    new()
    for _ = 1, 3 do
      assert(made:send("PATCH", "/", {}))
    end
    assert.equal(1, made.warnings)
  end)
end)
