local client = require "kube.client"
local httpd = require "httpd"
local json = require "host.json"
local web = require "support.web"

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
