local credentials = require "providers.openstack.credentials"
local keystone = require "providers.openstack.keystone"
local rest = require "support.rest"
local time = require "host.time"

local SECRET = { username = "demo", password = "s3cret", project_name = "admin",
  domain_name = "default" }

local function log_in(answers)
  local pool = rest.pool(answers)
  local token, err = keystone.log_in(pool, "https://cloud/identity/v3",
    assert(credentials.read(SECRET)))
  return token, err, pool
end

describe("keystone.endpoint", function()
  for typed, wanted in pairs {
    ["https://devstack/identity"] = "https://devstack/identity/v3",
    ["https://devstack/identity/v3/"] = "https://devstack/identity/v3",
    [" http://127.0.0.1:5000/v2.0 "] = "http://127.0.0.1:5000/v3",
    ["cloud.example.com:5000"] = "https://cloud.example.com:5000/v3",
    ["https://cloud.example.com:5000//v3//"] = "https://cloud.example.com:5000/v3",
    ["https://cloud.example.com:5000/v3/auth/tokens"] = "https://cloud.example.com:5000/v3",
    ["https://devstack/identity/auth/tokens/"] = "https://devstack/identity/v3",
    ["https://[2001:db8::1]:5000/"] = "https://[2001:db8::1]:5000/v3",
    ["https://cloud.example.com/dashboards"] = "https://cloud.example.com/dashboards/v3",
  } do
    it("reads " .. typed, function()
      assert.equal(wanted, keystone.endpoint(typed))
    end)
  end

  for typed, words in pairs {
    [""] = "is empty", ["ftp://x/v3"] = "ftp:// is not spoken",
    ["https://user:pw@host/v3"] = "holds a user name", ["https://"] = "no host",
    ["https:/user:pw@host/v3"] = "holds a user name",
    ["https://cloud:50000000/v3"] = "no port 50000000",
    ["https://2001:db8::1/v3"] = "in brackets",
    ["http://10.0.0.1:5000/v3"] = "cross the network in the clear; use https, or set",
    ["HTTP://cloud"] = "in the clear", ["http://localhost.example"] = "in the clear",
    ["http://127.0.0.1.example/v3"] = "in the clear",
    ["https://cloud/horizon"] = "is the dashboard; it must be Keystone's URL",
    ["https://cloud/horizon/auth/login/?next=/"] = "is the dashboard",
    ["https://cloud/dashboard/project/api_access"] = "is the dashboard",
  } do
    it("refuses \"" .. typed .. "\"", function()
      local url, err = keystone.endpoint(typed)
      assert.is_nil(url)
      assert.equal("endpoint", err.check)
      assert.equal("spec.endpoint", err.message:sub(1, 13))
      assert.truthy(err.message:find(words, 1, true), err.message)
      assert.is_nil(err.message:find("user:pw", 1, true))
    end)
  end
end)

describe("keystone.log_in", function()
  it("gives token, its end and the catalogue", function()
    local token = assert(log_in { ["POST /identity/v3/auth/tokens"] = rest.token() })
    assert.equal("gAAAAA-secret", token.id)
    assert.equal("admin", token.project.name)
  end)

  it("counts a token's life by Keystone's clock, its end by one that nobody sets", function()
    local before = time.boottime()
    local token = assert(log_in { ["POST /identity/v3/auth/tokens"] = rest.token {
      issued_at = "2001-01-01T00:00:00.000000Z", expires_at = "2001-01-01T02:00:00.000000Z",
    } })
    assert.equal(7200, token.life)
    assert.truthy(token.ends >= before + 7200 and token.ends <= time.boottime() + 7200)
  end)

  it("tells a wrong password, without saying it", function()
    local token, err = log_in {
      ["POST /identity/v3/auth/tokens"] = rest.answer(401, rest.data("login_refused")),
    }
    assert.is_nil(token)
    assert.equal("LoginRefused", err.code)
    assert.truthy(err.message:find("requires authentication", 1, true))
    assert.is_nil(err.message:find("s3cret", 1, true))
  end)

  it("tells a wrong project from it, and names the right ones", function()
    local token, err = log_in {
      ["POST /identity/v3/auth/tokens"] = function(request)
        if request.body:find('"scope"', 1, true) then
          return rest.answer(401, rest.data("login_refused"))
        end
        return rest.token()
      end,
      ["GET /identity/v3/auth/projects"] = rest.answer(200,
        { projects = { { name = "web" }, { name = "db" } } }),
    }
    assert.is_nil(token)
    assert.equal("ProjectRefused", err.code)
    assert.same({ "db", "web" }, err.candidates)
  end)

  -- What is no Keystone, and the words for it.
  for words, response in pairs {
    ["it redirects to https://cloud:5000/v3/auth/tokens (301)"] = rest.answer(301, "",
      { location = "https://cloud:5000/v3/auth/tokens" }),
    ["it redirects to /dashboard/auth/login/ (302)"] = rest.answer(302, "",
      { location = "/dashboard/auth/login/?next=/v3" }),
    ["300: several versions are offered"] = rest.answer(300, { versions = {} }),
    ["403: CSRF verification failed"] = rest.answer(403,
      "<!DOCTYPE html><html><body>CSRF verification failed</body></html>"),
    ["404: no such page"] = rest.answer(404, "no such page"),
    ["405: no reason given"] = rest.answer(405, ""),
  } do
    it("names the field where there is none: " .. words, function()
      local token, err = log_in { ["POST /identity/v3/auth/tokens"] = response }
      assert.is_nil(token)
      assert.equal("endpoint", err.check)
      assert.truthy(err.message:find(words, 1, true), err.message)
      assert.truthy(err.message:find("; spec.endpoint must be Keystone's URL", 1, true))
      assert.is_nil(err.message:find("s3cret", 1, true))
    end)
  end

  it("says so when there is something else at the URL", function()
    local token, err = log_in {
      ["POST /identity/v3/auth/tokens"] = rest.answer(404, "<html><h1>Not Found</h1></html>"),
    }
    assert.is_nil(token)
    assert.equal("notfound", err.kind)
    assert.truthy(err.message:find("404: Not Found", 1, true))
  end)
end)

describe("keystone.services", function()
  local catalog = rest.data("token").token.catalog

  it("takes region and interface, and adds the versions spoken", function()
    local urls = assert(keystone.services(catalog, "RegionOne", "public"))
    assert.truthy(urls.compute:find("^https://.*/compute/v2%.1$"))
    assert.truthy(urls.volume:find("^https://.*/volume/v3/%x+$"))
    assert.truthy(urls.image:find("/image/v2$"))
    assert.truthy(urls.network:find("/network/v2%.0$"))
    assert.truthy(keystone.services(catalog, "RegionOne", "internalURL",
      { insecure = true }).compute
      :find("^http://"))
  end)

  -- URL in the catalogue, of which service, and what is asked.
  for _, case in ipairs {
    { "compute", "https://nova:8774", "https://nova:8774/v2.1" },
    { "compute", "https://nova:8774/v2.1/", "https://nova:8774/v2.1" },
    { "compute", "https://nova:8774/v2/abc", "https://nova:8774/v2/abc" },
    { "volume", "https://cinder:8776/", "https://cinder:8776/v3/p1" },
    { "volume", "https://cinder:8776/v3/p1", "https://cinder:8776/v3/p1" },
    { "image", "https://glance:9292", "https://glance:9292/v2" },
    { "image", "https://glance:9292/v1", "https://glance:9292/v2" },
    { "network", "https://neutron:9696/", "https://neutron:9696/v2.0" },
  } do
    it(("asks %s %s at %s"):format(case[1], case[2], case[3]), function()
      local one = {}
      for name, kind in pairs { compute = "compute", volume = "volumev3", image = "image",
        network = "network" } do
        one[#one + 1] = { type = kind, endpoints = { { region = "R", interface = "public",
          url = name == case[1] and case[2] or "https://x/v3" } } }
      end
      local urls = assert(keystone.services(one, "R", "public", { project = "p1" }))
      assert.equal(case[3], urls[case[1]])
    end)
  end

  it("says which regions there are", function()
    local urls, err = keystone.services(catalog, "Nowhere")
    assert.is_nil(urls)
    assert.equal("RegionNotFound", err.code)
    assert.same({ "Direct", "RegionOne" }, err.candidates)
    urls, err = keystone.services(catalog, nil)
    assert.is_nil(urls)
    assert.truthy(err.message:find("spec.region is not set", 1, true))
  end)

  it("takes the only region there is, and says which service lacks", function()
    local one = { { type = "compute", endpoints = {
      { region = "R", interface = "public", url = "https://c/v2.1/" } } } }
    local urls, err = keystone.services(one, nil)
    assert.is_nil(urls)
    assert.equal("ServiceNotFound", err.code)
    assert.truthy(err.message:find("in region R", 1, true))
  end)
end)

describe("keystone.log_in, in detail,", function()
  local TOKENS, PROJECTS = "POST /identity/v3/auth/tokens", "GET /identity/v3/auth/projects"

  local function refused(unscoped, listed, secret)
    local pool = rest.pool {
      [TOKENS] = function(request)
        if request.body:find('"scope"', 1, true) or secret then
          return rest.answer(401, rest.data("login_refused"))
        end
        return unscoped
      end,
      [PROJECTS] = listed,
    }
    local token, err = keystone.log_in(pool, "https://cloud/identity/v3",
      assert(credentials.read(secret or SECRET)))
    assert.is_nil(token)
    assert.is_true(err.final)
    assert.equal("denied", err.kind)
    return err, pool
  end

  it("names ten projects at most", function()
    local many = {}
    for i = 1, 11 do
      many[i] = { id = ("p%02d"):format(i), name = i < 11 and ("n%02d"):format(i) or nil }
    end
    local err, pool = refused(rest.token(), rest.answer(200, { projects = many }))
    assert.equal(11, #err.candidates)
    assert.equal("n10", err.candidates[10])
    assert.equal("...", err.candidates[11])
    assert.equal("gAAAAA-secret", pool.calls[3].headers["X-Auth-Token"])
    many[11] = nil
    err = refused(rest.token(), rest.answer(200, { projects = many }))
    assert.equal(10, #err.candidates)
    assert.equal("project", err.check)
    assert.truthy(err.message:find("the account has no role in project admin; it has one in: "
      .. "n01, n02", 1, true))
    err = refused(rest.token(), rest.answer(200, { projects = { { id = "p1" } } }))
    assert.same({ "p1" }, err.candidates)
  end)

  it("names none where nobody tells", function()
    for _, listed in ipairs { rest.answer(403, {}), rest.answer(200, {}) } do
      local err = refused(rest.token(), listed)
      assert.equal("ProjectRefused", err.code)
      assert.truthy(err.message:find("it has one in: none$"))
    end
  end)

  it("takes for a wrong password what gives no token either", function()
    for _, unscoped in ipairs { rest.answer(401, {}), rest.answer(201, {}),
      rest.answer(200, {}, { ["x-subject-token"] = "t" }) } do
      local err = refused(unscoped, rest.answer(200, {}))
      assert.equal("LoginRefused", err.code)
      assert.equal("login", err.check)
      assert.truthy(err.message:find("(are user name, password and domain right?)", 1, true))
    end
  end)

  it("takes for one, too, what is forbidden", function()
    local token, err = log_in { [TOKENS] = rest.answer(403, {}) }
    assert.is_nil(token)
    assert.equal("LoginRefused", err.code)
  end)

  it("asks of an application credential whether it is right", function()
    local err, pool = refused(rest.token(), rest.answer(200, {}), {
      application_credential_id = "a", application_credential_secret = "s" })
    assert.equal("LoginRefused", err.code)
    assert.truthy(err.message:find("(is the application credential right, and not expired?)", 1,
      true))
    assert.equal(1, #pool.calls)
  end)

  it("passes on what else is answered", function()
    for _, status in ipairs { 400, 429, 500, 200 } do
      local token, err = log_in { [TOKENS] = rest.answer(status, {}) }
      assert.is_nil(token)
      assert.equal("login", err.check)
      assert.truthy(err.message:find("^logging in to https://cloud/identity/v3"))
    end
    local token, err = log_in { [TOKENS] = function()
      return nil, { kind = "connect", message = "refused" }
    end }
    assert.is_nil(token)
    assert.equal("logging in to https://cloud/identity/v3: refused", err.message)
  end)

  it("believes no answer without a token", function()
    for _, answer in ipairs { rest.answer(201, { token = {} }),
      rest.answer(201, { token = "x" }, { ["x-subject-token"] = "t" }),
      rest.answer(201, "no JSON", { ["x-subject-token"] = "t" }) } do
      local token, err = log_in { [TOKENS] = answer }
      assert.is_nil(token)
      assert.equal("format", err.kind)
    end
  end)

  it("thinks that a token lives an hour where nobody says it, and never less than nothing",
    function()
      local function life(more)
        return assert(log_in { [TOKENS] = rest.answer(201, { token = more },
          { ["x-subject-token"] = "t" }) })
      end
      local token = life({ methods = { "password" } })
      assert.equal(3600, token.life)
      assert.same({}, token.catalog)
      assert.same({}, token.project)
      assert.equal(0, life({ issued_at = "2001-01-01T02:00:00Z",
        expires_at = "2001-01-01T00:00:00Z" }).life)
      local now = life({ expires_at = time.rfc3339(time.now() + 100) }).life
      assert.is_true(now > 90 and now <= 101, now)
    end)

  it("asks a Keystone in JSON", function()
    local _, _, pool = log_in { [TOKENS] = rest.token() }
    local call = pool.calls[1]
    assert.equal(60, call.timeout)
    assert.same({ ["Content-Type"] = "application/json", Accept = "application/json" },
      call.headers)
  end)
end)

describe("keystone.services, in detail,", function()
  local function service(type, ...)
    local endpoints = {}
    for i, url in ipairs { ... } do
      endpoints[i] = { region = "R", interface = "public", url = url }
    end
    return { type = type, endpoints = endpoints }
  end

  local function catalog(...)
    return { service("compute", "https://nova"), service("image", "https://glance"),
      service("network", "https://neutron"), ... }
  end

  it("takes the best type that has a URL", function()
    local urls = assert(keystone.services(catalog(service("volume", "https://old/v3"),
      service("block-storage", "https://new/v3"), service("volumev3")), "R"))
    assert.equal("https://new/v3", urls.volume)
  end)

  it("takes URLs of that region and interface alone, by either name of a region", function()
    local volume = { type = "volumev3", endpoints = {
      { region = "S", interface = "public", url = "https://s/v3" },
      { region = "R", interface = "admin", url = "https://admin/v3" },
      { region = "R", interface = "public" },
      { region_id = "R", interface = "public", url = "https://r/v3" } } }
    assert.equal("https://r/v3", assert(keystone.services(catalog(volume), "R")).volume)
    local all = catalog(volume)
    for _, entry in ipairs(all) do
      table.insert(entry.endpoints, { region = "R", interface = "admin", url = "https://a/v3" })
    end
    assert.equal("https://admin/v3",
      assert(keystone.services(all, "R", "adminURL")).volume)
    assert.same({ "R", "S" }, keystone.regions(all))
  end)

  it("takes another URL when one is dead, and says whether there is another", function()
    local two = catalog(service("volumev3", "https://a/v3", "https://b/v3"))
    local urls, others = keystone.services(two, "R")
    assert.equal("https://a/v3", urls.volume)
    assert.same({ volume = true }, others)
    urls, others = keystone.services(two, "R", "public", { dead = { ["https://a/v3"] = true } })
    assert.equal("https://b/v3", urls.volume)
    assert.same({}, others)
    urls, others = keystone.services(two, "R", "public", { dead = { ["https://b/v3"] = true } })
    assert.equal("https://a/v3", urls.volume)
    assert.same({}, others)
    local same = catalog(service("volumev3", "https://a/v3", "https://a/v3/"))
    urls, others = keystone.services(same, "R")
    assert.equal("https://a/v3", urls.volume)
    assert.same({}, others)
  end)

  it("takes the only region there is", function()
    assert(keystone.services(catalog(service("volumev3", "https://a/v3")), nil))
    local urls, err = keystone.services({}, nil)
    assert.is_nil(urls)
    assert.equal("spec.region is not set; the catalogue has: ", err.message)
    urls, err = keystone.services(catalog(), "X")
    assert.is_nil(urls)
    assert.equal("there is no region X; the catalogue has: R", err.message)
    assert.is_true(err.final)
    assert.equal("region", err.check)
  end)

  it("says which service is missing", function()
    local urls, err = keystone.services(catalog(), "R")
    assert.is_nil(urls)
    assert.equal("ServiceNotFound", err.code)
    assert.equal("catalogue", err.check)
    assert.is_true(err.final)
    assert.equal("the catalogue has no volume service (volumev3, block-storage, block-store, "
      .. "volume) with interface public in region R", err.message)
  end)

  it("names no project where there is none", function()
    assert.equal("https://a/v3/", assert(keystone.services(catalog(service("volumev3",
      "https://a")), "R")).volume)
  end)

  describe("sends no token in the clear:", function()
    local function asked(url, opts)
      return keystone.services(catalog(service("volumev3", url)), "R", "public", opts)
    end

    for _, url in ipairs { "http://cinder:8776/v3", "HTTP://cinder/v3",
      "http://127.0.0.1.example/v3", "http://[2001:db8::1]/v3", "https://u:pw@cinder/v3",
      "ftp://cinder/v3", "https://", "https:///v3", "https://cinder/ v3" } do
      it(url .. " is not asked", function()
        local urls, err = asked(url)
        assert.is_nil(urls)
        assert.is_true(err.final)
        assert.equal("InsecureEndpoint", err.code)
        assert.truthy(err.message:find("the catalogue's URL of the volume service", 1, true))
        assert.is_nil(err.message:find("u:pw", 1, true))
      end)
    end

    it("another URL is taken where there is one", function()
      local both = catalog(service("volumev3", "http://a/v3", "https://b/v3"))
      local urls, others = keystone.services(both, "R")
      assert.equal("https://b/v3", urls.volume)
      assert.same({}, others)
    end)

    it("this machine's, or one that is allowed, is asked", function()
      assert.equal("http://127.0.0.1:8776/v3", asked("http://127.0.0.1:8776/v3").volume)
      assert.equal("http://cinder/v3", asked("http://cinder/v3", { insecure = true }).volume)
      assert.equal("http://cloud/v3", keystone.endpoint("http://cloud", true))
      assert.is_true(keystone.in_clear("http://cloud/v3"))
      assert.is_false(keystone.in_clear("http://127.0.0.1/v3"))
    end)
  end)
end)
