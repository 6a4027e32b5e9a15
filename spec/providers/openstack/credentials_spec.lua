local credentials = require "providers.openstack.credentials"

local PEM = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"

local function request(secret, unscoped)
  return credentials.request(assert(credentials.read(secret)), unscoped).auth
end

describe("credentials.read", function()
  it("takes upstream's keys", function()
    local auth = request { username = "u", password = " p ", project_name = "demo",
      domain_name = "default", ca_cert = PEM }
    assert.same({ name = "u", domain = { name = "default" }, password = " p " },
      auth.identity.password.user)
    assert.same({ project = { name = "demo", domain = { name = "default" } } }, auth.scope)
  end)

  it("takes the names of the environment, and ids before names", function()
    local auth = request { OS_USERNAME = "u\n", OS_PASSWORD = "p", OS_PROJECT_ID = "1f",
      OS_PROJECT_NAME = "demo", OS_USER_DOMAIN_ID = "d1", OS_USER_DOMAIN_NAME = "x" }
    assert.same({ name = "u", domain = { id = "d1" }, password = "p" },
      auth.identity.password.user)
    assert.same({ project = { id = "1f" } }, auth.scope)
  end)

  it("takes the default domain when none is named", function()
    local auth = request { username = "u", password = "p", project_name = "demo" }
    assert.same({ id = "default" }, auth.identity.password.user.domain)
    assert.same({ id = "default" }, auth.scope.project.domain)
  end)

  it("takes application credentials, which have a scope of their own", function()
    local auth = request { application_credential_id = "c1",
      application_credential_secret = "s" }
    assert.same({ id = "c1", secret = "s" }, auth.identity.application_credential)
    assert.is_nil(auth.scope)
    auth = request { application_credential_name = "n", username = "u",
      application_credential_secret = "s", domain_id = "d" }
    assert.same({ name = "n", secret = "s", user = { name = "u", domain = { id = "d" } } },
      auth.identity.application_credential)
  end)

  for written, meant in pairs {
    ["007"] = "007", ["1e3"] = "1e3", ["yes"] = "yes", ["0x1f"] = "0x1f", ["1.0"] = "1.0",
    ["123456"] = "123456", ["1_000"] = "1_000", ["'12'"] = "12", ["2026-11-30"] = "2026-11-30",
    ["99999999999999999999"] = "99999999999999999999", [".inf"] = ".inf", ["off"] = "off",
    ['"a\\tb"'] = "a\tb",
  } do
    it(("takes the password %s of a clouds.yaml as it is written"):format(written), function()
      local found = assert(credentials.read { ["clouds.yaml"] = ("clouds: {one: {auth: "
        .. "{username: u, project_name: p, password: %s}}}"):format(written) })
      assert.equal(meant, found.password)
    end)
  end

  it("takes a whole clouds.yaml", function()
    local text = [[
clouds:
  one:
    region_name: RegionOne
    auth: {auth_url: "https://x", username: u, password: "007", project_name: p,
      user_domain_name: Users, project_domain_name: Projects}
    cacert: /etc/ssl/lab.pem
]]
    local found = assert(credentials.read { ["clouds.yaml"] = text, ca_cert = PEM })
    assert.equal("RegionOne", found.region)
    assert.equal("007", found.password)
    assert.truthy(found.ca:find("BEGIN", 1, true))
    local auth = credentials.request(found).auth
    assert.same({ name = "Users" }, auth.identity.password.user.domain)
    assert.same({ name = "Projects" }, auth.scope.project.domain)
  end)

  it("says which of several clouds it needs", function()
    local found, err = credentials.read {
      ["clouds.yaml"] = "clouds: {b: {auth: {}}, a: {auth: {}}}",
    }
    assert.is_nil(found)
    assert.truthy(err.message:find("holds a, b", 1, true))
  end)

  for field, secret in pairs {
    username = { password = "p", project_name = "x" },
    password = { username = "u", project_name = "x", password = "  " },
    project_name = { username = "u", password = "p" },
    application_credential_secret = { application_credential_id = "c" },
    ["PEM"] = { username = "u", password = "p", project_name = "x", ca_cert = "/etc/ca" },
  } do
    it("says that there is no " .. field, function()
      local found, err = credentials.read(secret)
      assert.is_nil(found)
      assert.equal("invalid", err.kind)
      assert.is_true(err.final)
      assert.truthy(err.message:find(field, 1, true), err.message)
    end)
  end
end)

describe("credentials.request", function()
  it("leaves the project out to see whether the account is right", function()
    assert.is_nil(request({ username = "u", password = "p", project_name = "x" },
      true).scope)
  end)
end)

describe("credentials, in detail:", function()
  local BASE = { username = "u", password = "p", project_name = "x" }

  local function read(more, without)
    local secret = {}
    for key, value in pairs(BASE) do
      secret[key] = value
    end
    for key, value in pairs(more or {}) do
      secret[key] = value
    end
    for _, key in ipairs(without or {}) do
      secret[key] = nil
    end
    return credentials.read(secret)
  end

  local function refused(words, ...)
    local found, err = read(...)
    assert.is_nil(found)
    assert.equal("invalid", err.kind)
    assert.is_true(err.final)
    assert.equal("secret", err.check)
    assert.truthy(err.message:find(words, 1, true), err.message)
  end

  it("blanks count in passwords alone, and what says nothing is not there", function()
    local found = assert(read({ username = " u\n", password = " p ", region_name = "  ",
      project_name = 7, interface = true }))
    assert.equal("u", found.username)
    assert.equal(" p ", found.password)
    assert.equal("7", found.project_name)
    assert.is_nil(found.region or found.interface)
    found = assert(read({ application_credential_id = "a",
      application_credential_secret = " s " }))
    assert.equal(" s ", found.credential_secret)
  end)

  it("the first name of a key wins", function()
    assert.equal("u", assert(read({ OS_USERNAME = "v" })).username)
    assert.equal("v", assert(read({ OS_USERNAME = "v" }, { "username" })).username)
  end)

  it("what is missing is named", function()
    refused("the Secret has no username", nil, { "username" })
    refused("the Secret has no password", nil, { "password" })
    refused("the Secret has no project_name", nil, { "project_name" })
    refused("no application_credential_secret", { application_credential_id = "a" })
    refused("no application_credential_secret", { application_credential_name = "a" })
    refused("needs a username", { application_credential_name = "a",
      application_credential_secret = "s" }, { "username" })
    refused("is no certificate in PEM form", { ca_cert = "x" })
    refused("is no certificate in PEM form", { ca_cert = "-BEGIN CERTIFICATE-" })
    assert(read({ user_id = "i" }, { "username" }))
    assert(read({ project_id = "i" }, { "project_name" }))
    assert(read({ application_credential_id = "a", application_credential_secret = "s" },
      { "username", "password", "project_name" }))
    assert(read({ application_credential_name = "a", application_credential_secret = "s",
      user_id = "i" }, { "username" }))
    assert(read({ application_credential_name = "a", application_credential_secret = "s" }))
    assert(read({ ca_cert = "-----BEGIN CERTIFICATE-----" }))
  end)

  describe("of a clouds.yaml", function()
    local ONE = "clouds: {one: {auth: {username: a, password: b, project_name: c}, "
      .. "region_name: R, cacert: /etc/ca}}"
    local TWO = "clouds: {two: {auth: {username: a}}, one: {auth: {username: b, password: b, "
      .. "project_name: c}}}"

    local function clouds(text, more)
      local secret = { ["clouds.yaml"] = text }
      for key, value in pairs(more or {}) do
        secret[key] = value
      end
      return credentials.read(secret)
    end

    it("the only cloud is meant, and the Secret's own CA", function()
      local found = assert(clouds(ONE, { ca_cert = "-----BEGIN x" }))
      assert.equal("a R -----BEGIN x", ("%s %s %s"):format(found.username, found.region,
        found.ca))
      assert.is_nil(assert(clouds(ONE)).ca)
    end)

    it("one of several is named", function()
      assert.equal("b", assert(clouds(TWO, { cloud = "one" })).username)
      assert.equal("b", assert(clouds(TWO, { OS_CLOUD = " one " })).username)
    end)

    for words, case in pairs {
      ["holds one, two; say which with a key `cloud`"] = { TWO },
      ["holds one; say which"] = { ONE, { cloud = "other" } },
      ["holds no clouds"] = { "clouds: 7" },
      ["holds no clouds;"] = { "a: b" },
      ["holds no clouds; say"] = { "just text" },
      ["clouds.yaml of the Secret"] = { "a: [" },
      ["holds x;"] = { "clouds: {x: 7}" },
    } do
      it("or it is refused: " .. words, function()
        local found, err = clouds(table.unpack(case, 1, 2))
        assert.is_nil(found)
        assert.equal("secret", err.check)
        assert.truthy(err.message:find(words, 1, true), err.message)
      end)
    end

    it("keys need not stand under auth", function()
      assert.equal("a", assert(clouds("clouds: {one: {username: a, password: b, project_id: c, "
        .. "auth: x}}")).username)
    end)
  end)

  describe("the request", function()
    local function asked(more, without, unscoped)
      return credentials.request(assert(read(more, without)), unscoped).auth
    end

    local DEFAULT = { id = "default" }

    it("is of user and project, each with its domain", function()
      assert.same({ identity = { methods = { "password" }, password = { user = { name = "u",
        password = "p", domain = DEFAULT } } }, scope = { project = { name = "x",
        domain = DEFAULT } } }, asked())
      assert.is_nil(asked(nil, nil, true).scope)
    end)

    for what, case in pairs {
      ["by name"] = { { domain_name = "d" }, { name = "d" }, { name = "d" } },
      ["by id"] = { { domain_id = "i", domain_name = "d" }, { id = "i" }, { id = "i" } },
      ["of its own"] = { { domain_id = "i", user_domain_name = "a", project_domain_id = "b" },
        { name = "a" }, { id = "b" } },
      ["of its own id rather than its own name"] = { { user_domain_id = "a",
        user_domain_name = "b" }, { id = "a" }, DEFAULT },
    } do
      it("names the domain " .. what, function()
        local auth = asked(case[1])
        assert.same(case[2], auth.identity.password.user.domain)
        assert.same(case[3], auth.scope.project.domain)
      end)
    end

    it("needs no domain for ids", function()
      local auth = asked({ user_id = "i", project_id = "j" })
      assert.same({ id = "i", password = "p" }, auth.identity.password.user)
      assert.same({ project = { id = "j" } }, auth.scope)
    end)

    it("is of an application credential, by id or by name", function()
      assert.same({ identity = { methods = { "application_credential" },
        application_credential = { id = "a", secret = "s" } } },
        asked({ application_credential_id = "a", application_credential_secret = "s" }))
      assert.same({ name = "a", secret = "s", user = { name = "u", domain = DEFAULT } },
        asked({ application_credential_name = "a", application_credential_secret = "s" })
        .identity.application_credential)
      assert.same({ "password" }, asked({ application_credential_secret = "s" }).identity
        .methods)
    end)

    it("is of a project that messages name", function()
      assert.equal("x", credentials.project(read()))
      assert.equal("i", credentials.project({ project_id = "i" }))
      assert.equal("of the application credential", credentials.project({}))
    end)
  end)
end)
