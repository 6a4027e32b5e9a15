local client = require "kube.client"
local httpd = require "httpd"
local json = require "host.json"
local web = require "support.web"
local errors = require "host.error"

local KINDS = {
  Thing = { group = "g.example.com", version = "v1", plural = "things", kind = "Thing",
    api_version = "g.example.com/v1" },
  Core = { group = "", version = "v1", plural = "cores", kind = "Core", api_version = "v1" },
}
local THINGS = "/apis/g.example.com/v1/namespaces/n/things"

local function page(names, version, continue)
  local items = {}
  for i, name in ipairs(names) do
    items[i] = { metadata = { name = name, namespace = "n" } }
  end
  return web.answer(json.encode({
    items = json.array(items),
    metadata = { resourceVersion = version, continue = continue },
  }))
end

local function status(code, reason)
  local body = ('{"kind":"Status","reason":"%s"}'):format(reason)
  return ("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s"):format(code, #body, body)
end

describe("kube.client", function()
  local server, api

  before_each(function()
    server = httpd.new()
    api = assert(client.new({
      kinds = KINDS,
      config = {
        url = "http://127.0.0.1:" .. server:port(),
        tls = {},
        headers = function()
          return {}
        end,
      },
    }))
  end)

  after_each(function()
    api:close()
    server:close()
  end)

  local function request_line(n)
    return server:requests()[n]:match("^[^\r]*")
  end

  local function names_of(objects)
    local names = {}
    for i, object in ipairs(objects) do
      names[i] = object.metadata.name
    end
    return table.concat(names, " ")
  end

  it("asks for kinds where they are", function()
    for _, path in ipairs({ THINGS .. "/a", "/apis/g.example.com/v1/things/a",
      "/api/v1/namespaces/n/cores/a" }) do
      server:on(path, { web.answer("{}") })
    end
    assert(api:get("Thing", "n", "a"))
    assert(api:get("Thing", nil, "a"))
    assert(api:get("Core", "n", "a"))
    assert.has_error(function()
      api:get("Other", "n", "a")
    end)
  end)

  it("lists page by page", function()
    server:on(THINGS, { page({ "a", "b" }, "5", "t/1=") }, { page({ "c" }, "5") })
    local objects, version = api:list("Thing", "n", { label_selector = "a=b,c" })
    assert.equal("a b c", names_of(objects))
    assert.equal("5", version)
    assert.equal("Thing", objects[1].kind)
    assert.equal("g.example.com/v1", objects[1].apiVersion)
    assert.equal("GET " .. THINGS .. "?labelSelector=a%3Db%2Cc&limit=500 HTTP/1.1",
      request_line(1))
    assert.truthy(request_line(2):find("continue=t%2F1%3D&labelSelector=a%3Db%2Cc&limit=500",
      1, true))
  end)

  it("lists fewer objects at a time where so many take too much memory", function()
    local heavy = web.answer('{"metadata":{"resourceVersion":"5"},"items":['
      .. ("{},"):rep(800000) .. "{}]}")
    server:on(THINGS, { heavy }, { heavy }, { page({ "a" }, "5", "t") }, { page({ "b" }, "5") })
    local objects = assert(api:list("Thing", "n"))
    assert.equal("a b", names_of(objects))
    for i, limit in ipairs({ 500, 125, 31, 31 }) do
      assert.truthy(request_line(i):find("limit=" .. limit .. " ", 1, true))
    end
    server:on("/api/v1/namespaces/n/cores", { web.answer("no JSON") })
    local list, err = api:list("Core", "n")
    assert.is_nil(list)
    assert.equal("format", err.kind)
  end)

  it("begins a list anew when the server has forgotten where it was", function()
    server:on(THINGS, { page({ "old" }, "5", "t") }, { status(410, "Expired") },
      { page({ "a" }, "7", "u") }, { page({ "b" }, "7") })
    local objects, version = api:list("Thing", "n")
    assert.equal("a b", names_of(objects))
    assert.equal("7", version)
    assert.equal("GET " .. THINGS .. "?limit=500 HTTP/1.1", request_line(3))
  end)

  it("gives up a list that is forgotten again and again", function()
    server:on(THINGS, { status(410, "Expired") })
    local _, err = api:list("Thing", "n")
    assert.equal("gone", err.kind)
    assert.equal(3, #server:requests())
  end)

  it("takes nothing else for a list", function()
    server:on(THINGS, { web.answer("{}") })
    local _, err = api:list("Thing", "n")
    assert.equal("format", err.kind)
  end)

  it("repeats a create only when the name keeps it from happening twice", function()
    local lost = { "<reset>" }
    server:on(THINGS, lost, { status(409, "AlreadyExists") }, lost)
    local _, err = api:create("Thing", { metadata = { namespace = "n", name = "a" } })
    assert.equal("AlreadyExists", err.reason)
    assert.is_true(err.unclear)
    _, err = api:create("Thing", { metadata = { namespace = "n", generateName = "a-" } })
    assert.equal("connect", err.kind)
    assert.equal(3, #server:requests())
  end)

  it("takes an object that is gone at the second try for deleted", function()
    server:on(THINGS .. "/a", { "<reset>" }, { status(404, "NotFound") })
    assert.is_true(api:delete("Thing", "n", "a", { uid = "u" }))
    assert.truthy(server:requests()[2]:find('"preconditions":{"uid":"u"}', 1, true))
    server:on(THINGS .. "/b", { status(404, "NotFound") })
    local got, err = api:delete("Thing", "n", "b")
    assert.is_nil(got)
    assert.equal("notfound", err.kind)
  end)

  it("asks for no path that a name could make", function()
    for _, name in ipairs({ "", ".", ".." }) do
      for _, call in ipairs({ "get", "patch", "delete" }) do
        local got, err = api[call](api, "Thing", "n", name, {})
        assert.is_nil(got)
        assert.equal("invalid", err.kind)
        got, err = api[call](api, "Thing", name, "a", {})
        assert.is_nil(got)
        assert.equal("invalid", err.kind)
      end
      local got, err = api:create("Thing", { metadata = { namespace = name, name = "a" } })
      assert.is_nil(got)
      assert.equal("invalid", err.kind)
    end
    assert.has_error(function()
      api:delete("Thing", "n", nil)
    end)
    assert.equal(0, #server:requests())
  end)

  it("watches one object from a version on", function()
    server:on(THINGS, { "HTTP/1.1 200 OK\r\n\r\n", "{}\n", "<hang>" })
    local stream <close> = assert(api:watch("Thing", { namespace = "n", name = "a",
      version = "5", seconds = 8 }))
    assert.equal("{}", stream:next())
    assert.equal("GET " .. THINGS .. "?allowWatchBookmarks=true&fieldSelector="
      .. "metadata.name%3Da&resourceVersion=5&timeoutSeconds=8&watch=1 HTTP/1.1",
      request_line(1))
  end)
end)

describe("kube.client, in detail,", function()
  local sent, answers, c

  -- The engine below answers from a list, and keeps the requests that it got.
  before_each(function()
    sent, answers = {}, {}
    c = assert(client.new({ config = { url = "http://127.0.0.1:1", tls = {}, headers = function()
      return {}
    end }, kinds = { Secret = { group = "", version = "v1",
      plural = "secrets", kind = "Secret", api_version = "v1" } } }))
    c:close()
    c.requests = {
      send = function(_, method, path, opts)
        sent[#sent + 1] = { method = method, path = path, opts = opts }
        local answer = table.remove(answers, 1)
        if answer and answer.message then
          return nil, answer
        end
        return answer or {}
      end,
      lines = function(_, path, opts)
        sent[#sent + 1] = { method = "WATCH", path = path, opts = opts }
        return {}
      end,
      in_line = function() return 7 end,
      close = function() end,
    }
  end)

  local function body()
    return json.decode(sent[#sent].opts.body)
  end

  it("says the kind of what it asks", function()
    c:get("Secret", "n", "a")
    assert.equal("GET /api/v1/namespaces/n/secrets/a", sent[1].method .. " " .. sent[1].path)
    assert.equal("Secret", sent[1].opts.kind)
    assert.equal(7, c:in_line())
  end)

  it("lists in pages of 500, by selectors, and names the kind of each", function()
    answers = { { metadata = { continue = "c/1" }, items = { { a = 1 } } },
      { metadata = { resourceVersion = "9", continue = "" }, items = { { kind = "X",
        apiVersion = "y" } } } }
    local list, version = c:list("Secret", "n", { label_selector = "a=b",
      field_selector = "c=d" })
    assert.equal("9", version)
    assert.equal("Secret v1 X y", ("%s %s %s %s"):format(list[1].kind, list[1].apiVersion,
      list[2].kind, list[2].apiVersion))
    assert.equal("/api/v1/namespaces/n/secrets?fieldSelector=c%3Dd&labelSelector=a%3Db&"
      .. "limit=500", sent[1].path)
    assert.equal("/api/v1/namespaces/n/secrets?continue=c%2F1&fieldSelector=c%3Dd&"
      .. "labelSelector=a%3Db&limit=500", sent[2].path)
    assert.equal(64 * 2 ^ 20, sent[1].opts.max_body)
    assert.is_nil(sent[3])
  end)

  it("gives each to who goes through them", function()
    answers = { { metadata = { resourceVersion = "9" }, items = { { a = 1 }, { a = 2 } } } }
    local seen = {}
    local list = c:list("Secret", nil, { page = 2, each = function(object)
      seen[#seen + 1] = object.a
    end })
    assert.same({ 1, 2 }, seen)
    assert.same({}, list)
    assert.equal("/api/v1/secrets?limit=2", sent[1].path)
  end)

  it("lists three times at most, and again only what was forgotten", function()
    local gone = errors.new("gone", "expired")
    answers = { gone, gone, { metadata = { resourceVersion = "9" } } }
    assert.same({}, (c:list("Secret", "n")))
    answers = { gone, gone, gone, {} }
    local list, err = c:list("Secret", "n")
    assert.is_nil(list)
    assert.equal(gone, err)
    assert.equal(1, #answers)
    answers = { errors.new("denied", "no"), {} }
    list, err = c:list("Secret", "n")
    assert.is_nil(list)
    assert.equal("denied", err.kind)
    answers = { { items = {} } }
    list, err = c:list("Secret", "n")
    assert.is_nil(list)
    assert.equal("format", err.kind)
  end)

  it("creates, in earnest or not, as strictly as is asked for", function()
    c:create("Secret", { metadata = { namespace = "n", name = "a" } })
    assert.equal("POST /api/v1/namespaces/n/secrets", sent[1].method .. " " .. sent[1].path)
    assert.is_true(sent[1].opts.repeatable)
    c.validation = "Strict"
    c:create("Secret", { metadata = { namespace = "n" } }, { dry_run = true })
    assert.equal("/api/v1/namespaces/n/secrets?dryRun=All&fieldValidation=Strict", sent[2].path)
    assert.is_false(sent[2].opts.repeatable)
    c:patch("Secret", "n", "a", { a = 1 }, { status = true })
    assert.equal("PATCH /api/v1/namespaces/n/secrets/a/status?fieldValidation=Strict",
      sent[3].method .. " " .. sent[3].path)
    assert.equal("application/merge-patch+json", sent[3].opts.content_type)
    c:patch("Secret", "n", "a", { a = 1 })
    assert.equal("/api/v1/namespaces/n/secrets/a?fieldValidation=Strict", sent[4].path)
    assert.same({ a = 1 }, body())
  end)

  it("deletes this object, and what hangs on it", function()
    assert.is_true(c:delete("Secret", "n", "a"))
    assert.same({ apiVersion = "v1", kind = "DeleteOptions", propagationPolicy = "Background" },
      body())
    c:delete("Secret", "n", "a", { uid = "u", propagation = "Orphan" })
    assert.same({ apiVersion = "v1", kind = "DeleteOptions", propagationPolicy = "Orphan",
      preconditions = { uid = "u" } }, body())
    answers = { errors.new("notfound", "gone", { unclear = true }) }
    assert.is_true(c:delete("Secret", "n", "a"))
    for _, err in ipairs { errors.new("notfound", "gone"),
      errors.new("denied", "no", { unclear = true }) } do
      answers = { err }
      local ok, why = c:delete("Secret", "n", "a")
      assert.is_nil(ok)
      assert.equal(err, why)
    end
  end)

  it("watches from a version on, one object or those of a label", function()
    c:watch("Secret", { namespace = "n", version = "5", seconds = 300, name = "a",
      label_selector = "b" })
    assert.equal("/api/v1/namespaces/n/secrets?allowWatchBookmarks=true&"
      .. "fieldSelector=metadata.name%3Da&labelSelector=b&resourceVersion=5&timeoutSeconds=300&"
      .. "watch=1", sent[1].path)
    assert.equal(100, sent[1].opts.idle)
    assert.equal(16 * 2 ^ 20, sent[1].opts.max_line)
    c:watch("Secret", { idle = 3 })
    assert.equal("/api/v1/secrets?allowWatchBookmarks=true&watch=1", sent[2].path)
    assert.equal(3, sent[2].opts.idle)
  end)

  it("asks nothing for what is no name", function()
    for _, name in ipairs { "", ".", ".." } do
      for _, call in ipairs {
        function() return c:get("Secret", "n", name) end,
        function() return c:get("Secret", name, "a") end,
        function() return c:list("Secret", name) end,
        function() return c:create("Secret", { metadata = { namespace = name } }) end,
        function() return c:patch("Secret", "n", name, {}) end,
        function() return c:delete("Secret", "n", name) end,
        function() return c:watch("Secret", { namespace = name }) end,
      } do
        local answer, err = call()
        assert.is_nil(answer)
        assert.equal("invalid", err.kind)
      end
    end
    assert.has_error(function() c:get("Secret", "n", nil) end)
    assert.same({}, sent)
  end)
end)
