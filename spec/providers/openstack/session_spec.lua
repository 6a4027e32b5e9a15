local errors = require "host.error"
local json = require "host.json"
local rest = require "support.rest"
local session_of = require "providers.openstack.session"
local shape = require "providers.shape"
local time = require "host.time"

local TOKENS = "POST /identity/v3/auth/tokens"
local THING = "GET /compute/v2.1/thing"
local LOOKED_AT = { shape = shape.object { a = shape.number } }
local AWAY = function()
  return nil, errors.new("connect", "refused")
end

-- A token by its id, for so many seconds.
local function token(id, life)
  local answer = rest.token({ issued_at = time.rfc3339(time.now()),
    expires_at = time.rfc3339(time.now() + (life or 3600)) })
  answer.headers = { ["x-subject-token"] = id }
  return answer
end

-- A session of a cloud with these answers, and its pool.
local function open(answers, more)
  answers[TOKENS] = answers[TOKENS] or token("t-1")
  local pool = rest.pool(answers)
  local opts = { pool = pool, url = "https://cloud/identity/v3", region = "RegionOne",
    credentials = { username = "demo", password = "p", project_name = "x" },
    backoff = { 0.001, 0.001 } }
  for key, value in pairs(more or {}) do
    opts[key] = value
  end
  local session, err = session_of.open(opts)
  return session, pool, err
end

local function calls(pool, method)
  local n = 0
  for _, call in ipairs(pool.calls) do
    n = n + (call.method == method and 1 or 0)
  end
  return n
end

describe("providers.openstack.session", function()
  it("asks in the name of its token, for JSON", function()
    local session, pool = open { [THING] = rest.answer(200, { a = 1 }) }
    local document, response = session:call("compute", "GET", "/thing", LOOKED_AT)
    assert.same({ a = 1 }, document)
    assert.equal(200, response.status)
    local call = pool.calls[2]
    assert.same({ ["X-Auth-Token"] = "t-1", Accept = "application/json" }, call.headers)
    assert.equal(60, call.timeout)
    assert.is_nil(call.body)
    assert.is_false(call.once)
    assert.is_nil(call.before)
  end)

  it("sends bodies and versions, for so long", function()
    local session, pool = open { ["POST /compute/v2.1/thing"] = rest.answer(202, "") }
    session:call("compute", "POST", "/thing", { body = { b = 2 }, version = "compute 2.47",
      timeout = 5 })
    local call = pool.calls[2]
    assert.same({ b = 2 }, json.decode(call.body))
    assert.same({ ["X-Auth-Token"] = "t-1", Accept = "application/json",
      ["Content-Type"] = "application/json", ["OpenStack-API-Version"] = "compute 2.47",
      ["X-OpenStack-Nova-API-Version"] = "2.47" }, call.headers)
    assert.equal(5, call.timeout)
    assert.is_true(call.once)
    session.pool = rest.pool { ["GET " .. session.urls.volume:match("//[^/]+(/.*)") .. "/thing"] =
      rest.answer(200, {}) }
    session:call("volume", "GET", "/thing", { version = "volume 3.5" })
    assert.is_nil(session.pool.calls[1].headers["X-OpenStack-Nova-API-Version"])
  end)

  it("says what was asked, without its query", function()
    local session = open { [THING] = rest.answer(404, {}) }
    local document, err = session:call("compute", "GET", "/thing?secret=1")
    assert.is_nil(document)
    assert.equal("notfound", err.kind)
    assert.truthy(err.message:find("GET https://[^?]*/compute/v2.1/thing"), err.message)
    assert.is_nil(err.message:find("secret", 1, true))
  end)

  describe("tries again", function()
    local FINE = rest.answer(200, { a = 1 })

    for what, first in pairs { ["what cannot be reached"] = AWAY, ["what is busy"] =
      rest.answer(503, {}), ["too many requests"] = rest.answer(429, {}) } do
      it(what, function()
        local n = 0
        local session, pool = open { [THING] = function(request)
          n = n + 1
          if n > 2 then
            return FINE
          elseif type(first) == "function" then
            return first(request)
          end
          return first
        end }
        assert.same({ a = 1 }, (session:call("compute", "GET", "/thing", LOOKED_AT)))
        assert.equal(3, calls(pool, "GET"))
      end)
    end

    it("as often as it has patience, and not where it shall not", function()
      local session, pool = open { [THING] = AWAY }
      local document, err = session:call("compute", "GET", "/thing")
      assert.is_nil(document)
      assert.equal("connect", err.kind)
      assert.equal(3, calls(pool, "GET"))
      session:call("compute", "GET", "/thing", { once = true })
      assert.equal(4, calls(pool, "GET"))
    end)

    it("nothing that was answered for good", function()
      for _, status in ipairs { 400, 403, 404 } do
        local session, pool = open { [THING] = rest.answer(status, {}) }
        assert.is_nil((session:call("compute", "GET", "/thing", LOOKED_AT)))
        assert.equal(1, calls(pool, "GET"), status)
      end
    end)

    it("no POST, but for what surely did nothing", function()
      local POST = "POST /compute/v2.1/thing"
      for status, times in pairs { [503] = 3, [429] = 3, [502] = 1, [500] = 1 } do
        local session, pool = open { [POST] = rest.answer(status, {}) }
        session:call("compute", "POST", "/thing", { body = {} })
        assert.equal(times + 1, calls(pool, "POST"), status) -- and the log-in
      end
      local session, pool = open { [POST] = AWAY }
      session:call("compute", "POST", "/thing", { body = {} })
      assert.equal(2, calls(pool, "POST"))
    end)

    it("no sooner than it is told", function()
      local n = 0
      local session = open { [THING] = function()
        n = n + 1
        return n > 1 and FINE or rest.answer(503, {}, { ["retry-after"] = "0.05" })
      end }
      assert(session:call("compute", "GET", "/thing"))
      assert.equal(2, n)
    end)
  end)

  it("knows what may pass", function()
    for kind, passing in pairs { busy = true, connect = true, timeout = true, http = true,
      denied = false, notfound = false } do
      assert.equal(passing, session_of.passing({ kind = kind }))
    end
    assert.is_false(session_of.passing({ kind = "http", status = 500 }))
    assert.is_true(session_of.passing({ kind = "busy", status = 503 }))
  end)

  describe("logs in", function()
    it("again where Keystone does not take it for now, and nowhere else", function()
      local session, pool = open { [TOKENS] = { rest.answer(429, {}), token("t-2") } }
      assert.equal("t-2", session:fresh_token())
      assert.equal(2, calls(pool, "POST"))
      for _, answer in ipairs { AWAY, rest.answer(400, {}) } do
        local none, other, err = open { [TOKENS] = answer }
        assert.is_nil(none)
        assert.truthy(err)
        assert.equal(1, calls(other, "POST"))
      end
    end)

    it("to no region that is not there", function()
      local session, _, err = open({}, { region = "Nowhere" })
      assert.is_nil(session)
      assert.equal("RegionNotFound", err.code)
    end)

    it("again before its token ends", function()
      local session, pool = open { [TOKENS] = { token("t-1", 3600), token("t-2") } }
      session.token.ends = time.boottime() + 301
      assert.equal("t-1", session:fresh_token())
      session.token.ends = time.boottime() + 299
      assert.equal("t-2", session:fresh_token())
      assert.equal(2, calls(pool, "POST"))
    end)

    it("again when a fifth of a short life is left", function()
      local session = open { [TOKENS] = { token("t-1"), token("t-2") } }
      session.token.life, session.token.ends = 100, time.boottime() + 21
      assert.equal("t-1", session:fresh_token())
      session.token.ends = time.boottime() + 19
      assert.equal("t-2", session:fresh_token())
    end)

    it("again, and goes on with its token while that lives", function()
      local session = open { [TOKENS] = { token("t-1"), rest.answer(500, {}) } }
      session.token.ends = time.boottime() + 1
      assert.equal("t-1", session:fresh_token())
      session.token.ends = time.boottime() - 1
      local none, err = session:fresh_token()
      assert.is_nil(none)
      assert.truthy(err.message:find("logging in", 1, true))
    end)

    it("again when a service does not take its token, once", function()
      local session, pool = open { [TOKENS] = { token("t-1"), token("t-2") },
        [THING] = { rest.answer(401, {}), rest.answer(200, { a = 1 }) } }
      assert.same({ a = 1 }, (session:call("compute", "GET", "/thing", LOOKED_AT)))
      assert.equal("t-2", pool.calls[4].headers["X-Auth-Token"])
      session, pool = open { [TOKENS] = { token("t-1"), token("t-2") },
        [THING] = rest.answer(401, {}) }
      local none, err = session:call("compute", "GET", "/thing")
      assert.is_nil(none)
      assert.equal(401, err.status)
      assert.equal(2, calls(pool, "POST"))
      session = open { [TOKENS] = { token("t-1"), rest.answer(500, {}) },
        [THING] = rest.answer(401, {}) }
      none, err = session:call("compute", "GET", "/thing", { once = true })
      assert.is_nil(none)
      assert.truthy(err.message:find("logging in", 1, true))
    end)

    it("again for who has a token that is not taken, unless another is there", function()
      local session, pool = open { [TOKENS] = { token("t-1"), token("t-2"),
        rest.answer(500, {}) } }
      assert.equal("t-1", session:other_token("t-0"))
      assert.equal("t-2", session:other_token("t-1"))
      assert.equal("t-2", session:other_token("t-1"))
      assert.equal(2, calls(pool, "POST"))
      local none, err = session:other_token("t-2")
      assert.is_nil(none)
      assert.truthy(err)
    end)
  end)

  describe("asks its fence", function()
    local POST = "POST /compute/v2.1/thing"
    local FENCED = errors.new("conflict", "not leading", { reason = "NotLeader" })

    it("before whatever changes something, and until when it may be sent", function()
      local asked = 0
      local session, pool = open({ [POST] = rest.answer(200, {}), [THING] = rest.answer(200, {}) },
        { fence = function()
          asked = asked + 1
          return 12345
        end })
      session:call("compute", "GET", "/thing")
      assert.equal(0, asked)
      assert.is_nil(pool.calls[2].before)
      session:call("compute", "POST", "/thing")
      assert.equal(1, asked)
      assert.equal(12345, pool.calls[3].before)
    end)

    it("and sends nothing when it may not", function()
      local session, pool = open({ [POST] = rest.answer(200, {}) }, { fence = function()
        return nil, FENCED
      end })
      local none, err = session:call("compute", "POST", "/thing")
      assert.is_nil(none)
      assert.equal("NotLeader", err.reason)
      assert.equal(1, calls(pool, "POST"))
    end)

    it("again when it was too late to send it", function()
      local n = 0
      local session = open({ [POST] = function()
        return nil, errors.new("cancelled", "too late")
      end }, { fence = function()
        n = n + 1
        return n == 1 and 12345 or nil, n > 1 and FENCED or nil
      end })
      local none, err = session:call("compute", "POST", "/thing")
      assert.is_nil(none)
      assert.equal("NotLeader", err.reason)
      session.fence = function() return 12345 end
      none, err = session:call("compute", "POST", "/thing")
      assert.is_nil(none)
      assert.equal("cancelled", err.kind)
    end)
  end)

  describe("gives a URL up", function()
    it("where the catalogue has another", function()
      local session = open {}
      assert.is_false(session:give_up("compute"))
      local catalog = { { type = "compute", endpoints = {} } }
      for i, kind in ipairs { "compute", "volumev3", "image", "network" } do
        catalog[i] = { type = kind, endpoints = { { region = "R", interface = "public",
          url = "https://a/v3" }, { region = "R", interface = "public",
          url = "https://b/v3" } } }
      end
      session.token.catalog, session.region = catalog, "R"
      session.urls, session.others = { volume = "https://a/v3" }, { volume = true }
      assert.is_true(session:give_up("volume"))
      assert.equal("https://b/v3", session.urls.volume)
      assert.is_false(session:give_up("volume"))
    end)
  end)

  describe("lists", function()
    local LIST = "GET /compute/v2.1/things"

    it("all pages, of either kind of link, and believes their query alone", function()
      local session, pool = open { [LIST] = {
        rest.answer(200, { things = { 1 }, things_links = { { rel = "self", href = "x?a=0" },
          { rel = "next", href = "http://evil/other?marker=1" } } }),
        rest.answer(200, { things = { 2 }, next = "/x?marker=2" }),
        rest.answer(200, { things = {}, things_links = { { rel = "next",
          href = "no query" } } }) } }
      assert.same({ 1, 2 }, session:list("compute", "/things?limit=1", "things"))
      assert.truthy(pool.calls[2].url:find("/compute/v2.1/things%?limit=1$"))
      assert.truthy(pool.calls[3].url:find("/compute/v2.1/things%?marker=1$"))
      assert.truthy(pool.calls[4].url:find("/compute/v2.1/things%?marker=2$"))
      assert.is_nil(pool.calls[5])
    end)

    it("nothing where a page cannot be had, and no list without an end", function()
      local session = open { [LIST] = rest.answer(404, {}) }
      local list, err = session:list("compute", "/things", "things")
      assert.is_nil(list)
      assert.equal("notfound", err.kind)
      local n = 0
      session = open { [LIST] = function()
        n = n + 1
        return rest.answer(200, { things = {}, next = "/x?marker=1" })
      end }
      list, err = session:list("compute", "/things", "things")
      assert.is_nil(list)
      assert.equal("/things: a list without end", err.message)
      assert.equal(1001, n)
    end)

    it("knows the next page", function()
      assert.equal("a=1", session_of.next_page({ next = "/x?a=1" }, "k"))
      assert.is_nil(session_of.next_page({ next = 7 }, "k"))
      assert.is_nil(session_of.next_page({}, "k"))
      assert.is_nil(session_of.next_page({ k_links = { { rel = "previous", href = "x?a" } } },
        "k"))
    end)
  end)

  it("closes its pool once", function()
    local session, pool = open {}
    local closed = 0
    function pool.close() closed = closed + 1 end
    session:close()
    session:close()
    assert.equal(1, closed)
  end)
end)
