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
