local http = require "host.http"
local httpd = require "httpd"
local web = require "support.web"

local answer = web.answer
local redirect = web.redirect
local refused = web.refused

describe("host.http redirects", function()
  local site, server, pool, url, get, other

  before_each(function()
    site = web.open({ cookies = true })
    server, pool, url, get = site.server, site.pool, site.url, site.get
    other = httpd.new()
  end)

  after_each(function()
    site.close()
    other:close()
  end)

  local function other_url(path)
    return ("http://127.0.0.1:%d%s"):format(other:port(), path)
  end

  local function start_line(text)
    return text:match("^[^\r]*")
  end

  it("are not followed unless asked", function()
    server:on("/", { redirect(302, "/next") })
    local got = assert(get("/"))
    assert.equal(302, got.status)
    assert.equal("/next", got.headers.location)
    assert.equal("away", got.body)
  end)

  it("lead on within the host with all that was given", function()
    server:on("/a", { redirect(301, "b/../c?x=1") })
    server:on("/c", { redirect(307, url("/d")) })
    server:on("/d", { answer("there") })
    local headers = { Authorization = "Bearer x" }
    local got = assert(get("/a", { follow = 2, headers = headers }))
    assert.equal("there", got.body)
    assert.equal(url("/d"), got.url)
    assert.is_nil(got.headers.location)
    for _, text in ipairs(server:requests()) do
      assert.truthy(text:find("Bearer x", 1, true))
    end
  end)

  it("end at the number that was asked for", function()
    server:on("/", { redirect(302, "/") })
    refused("http", "more than 3 redirects", get("/", { follow = 3 }))
    assert.equal(4, #server:requests())
  end)

  it("turn POST into GET as they always did, and keep others", function()
    server:on("/301", { redirect(301, "/end") })
    server:on("/303", { redirect(303, "/end") })
    server:on("/307", { redirect(307, "/end") })
    server:on("/end", { answer("") })
    local function last(path, method)
      assert(get(path, { follow = 1, method = method, body = "data" }))
      local all = server:requests()
      return start_line(all[#all]), all[#all]:match("\r\n\r\n(.*)$")
    end
    assert.same({ "GET /end HTTP/1.1", "" }, { last("/301", "POST") })
    assert.same({ "GET /end HTTP/1.1", "" }, { last("/303", "PUT") })
    assert.same({ "PUT /end HTTP/1.1", "data" }, { last("/301", "PUT") })
    assert.same({ "POST /end HTTP/1.1", "data" }, { last("/307", "POST") })
  end)

  it("take no credential to another host, whatever header it is in", function()
    server:on("/login", { answer("", "Set-Cookie: session=mine; Path=/\r\n") })
    server:on("/", { redirect(302, other_url("/"):gsub("127.0.0.1", "localhost")) })
    other:on("/", { answer("") })
    assert(get("/login"))
    assert(get("/", {
      follow = 1,
      headers = {
        Authorization = "Bearer secret", Cookie = "a=secret", ["X-Auth-Token"] = "secret",
        ["Proxy-Authorization"] = "secret", Accept = "text/x-kept", Range = "bytes=0-1",
      },
    }))
    assert.truthy(server:requests()[2]:find("session=mine", 1, true))
    local text = other:requests()[1]
    assert.is_nil(text:find("secret", 1, true))
    assert.is_nil(text:find("session=mine", 1, true))
    assert.truthy(text:find("text/x-kept", 1, true))
    assert.truthy(text:find("bytes=0-1", 1, true))
  end)

  it("count another port as another host", function()
    server:on("/", { redirect(302, other_url("/")) })
    other:on("/", { answer("") })
    assert(get("/", { follow = 1, headers = { Authorization = "secret" } }))
    assert.is_nil(other:requests()[1]:find("secret", 1, true))
  end)

  it("do not take a password of the URL along", function()
    server:on("/", { redirect(302, other_url("/")) })
    other:on("/", { answer("") })
    assert(pool:request({ url = url("/"):gsub("//", "//user:pw@"), follow = 1 }))
    assert.truthy(server:requests()[1]:find("Authorization: Basic", 1, true))
    assert.is_nil(other:requests()[1]:find("Authorization", 1, true))
  end)

  it("never carry a body to another host", function()
    server:on("/", { redirect(307, other_url("/")) })
    refused("http", "with its body",
      get("/", { follow = 1, method = "POST", body = "password" }))
    assert.equal(0, #other:requests())
  end)

  it("refuse what is no plain http URL", function()
    for i, location in ipairs({
      "file:///etc/passwd", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://",
      "gopher://127.0.0.1/",
    }) do
      server:on("/" .. i, { redirect(302, location) })
      refused("http", "no plain URL", get("/" .. i, { follow = 1 }))
    end
  end)
end)

describe("host.http cookies", function()
  local site, server, pool, url, get

  before_each(function()
    site = web.open({ cookies = true })
    server, pool, url, get = site.server, site.pool, site.url, site.get
    local cookie = 'Set-Cookie: vmware_soap_session="abc def"; Path=/; HttpOnly\r\n'
    server:on("/login", { answer("", cookie) })
    server:on("/", { answer("") })
  end)

  after_each(function()
    site.close()
  end)

  local function last()
    local all = server:requests()
    return all[#all]
  end

  it("come back as they were given, quotes and all", function()
    assert(get("/login"))
    assert(get("/"))
    assert.truthy(last():find('Cookie: vmware_soap_session="abc def"\r\n', 1, true))
  end)

  it("are forgotten when told", function()
    assert(get("/login"))
    pool:clear_cookies()
    assert(get("/"))
    assert.is_nil(last():find("Cookie", 1, true))
    assert(get("/login"))
    assert(get("/"))
    assert.truthy(last():find("Cookie: ", 1, true))
  end)

  it("belong to one pool, and only to one that keeps them", function()
    assert(get("/login"))
    local second <close> = assert(http.pool({ cookies = true }))
    assert(second:request({ url = url("/") }))
    assert.is_nil(last():find("Cookie", 1, true))
    local none <close> = assert(http.pool())
    assert(none:request({ url = url("/login") }))
    assert(none:request({ url = url("/") }))
    assert.is_nil(last():find("Cookie", 1, true))
    none:clear_cookies()
  end)

  it("marked Secure do not go over http", function()
    -- 127.0.0.1 counts as secure, whatever the scheme.
    local plain <close> = httpd.new({ address = "127.0.0.2" })
    plain:on("/", { answer("", "Set-Cookie: a=b; Secure; Path=/\r\n") })
    for _ = 1, 2 do
      assert(pool:request({ url = ("http://127.0.0.2:%d/"):format(plain:port()) }))
    end
    assert.is_nil(plain:requests()[2]:find("a=b", 1, true))
  end)
end)
