-- The source over a scripted cloud: sessions, finding, power.

local errors = require "host.error"
local openstack = require "providers.openstack"
local providers = require "providers"
local rest = require "support.rest"

local SECRET, SPEC = rest.cloud.secret, rest.cloud.spec
local ID, VOLUMES = rest.cloud.server, rest.cloud.volumes

local function open(more, fence, spec)
  local answers = rest.services()
  for key, value in pairs(more or {}) do
    answers[key] = value
  end
  local pool = rest.pool(answers)
  local source, err = openstack.open(spec or SPEC, SECRET, {
    http = { pool = function() return pool end },
    backoff = { 0.001, 0.001 }, poll = 0.001, stop_timeout = 0.05, delete_timeout = 0.05,
    fence = fence,
  })
  return source, err, pool, answers
end

local function count(pool, key)
  local n = 0
  for _, call in ipairs(pool.calls) do
    if (call.method .. " " .. call.url):find(key, 1, true) then
      n = n + 1
    end
  end
  return n
end

describe("openstack", function()
  it("meets the contract of a provider", function()
    assert(providers.check(openstack, "openstack"))
    assert.equal(openstack, providers.of("openstacksource"))
  end)

  it("says which service does not answer", function()
    local source, err = open { ["GET " .. VOLUMES .. "/volumes"] = rest.answer(503, "") }
    assert.is_nil(source)
    assert.equal("volume", err.check)
    assert.truthy(err.message:find("503", 1, true))
  end)

  it("says which certificate it has met, though it gets no further", function()
    local met = rest.answer(200, {})
    met.certificate = { fingerprint = "AA:BB", trusted = true, issuer = "lab" }
    local _, err = open { ["GET /identity/v3"] = met,
      ["GET " .. VOLUMES .. "/volumes"] = rest.answer(503, "") }
    assert.equal("AA:BB", err.certificate.fingerprint)
  end)

  it("takes the second URL of a service where the first is dead, and stays with it", function()
    local token = rest.token { expires_at = "2999-01-01T00:00:00Z" }
    local document = require("host.json").decode(token.body)
    for _, service in ipairs(document.token.catalog) do
      for i = #service.endpoints, 1, -1 do
        local endpoint = service.endpoints[i]
        if service.type == "compute" and endpoint.interface == "public" then
          local dead = { region = endpoint.region, interface = "public",
            url = "https://dead/gone/v2.1" }
          table.insert(service.endpoints, i, dead)
        end
      end
    end
    local source, err, pool = open {
      ["POST /identity/v3/auth/tokens"] = rest.answer(201, document,
        { ["x-subject-token"] = "gAAAAA-secret" }),
      ["GET /gone/v2.1/servers"] = function()
        return nil, errors.new("connect", "refused")
      end,
    }
    assert(source, err)
    assert.equal(1, count(pool, "https://dead/"))
    assert.truthy(source.session.urls.compute:find("/compute/v2.1", 1, true))
    assert.is_false(source.session:give_up("compute"))
  end)

  it("waits for an upload as long as its spec says, where it says something", function()
    local function waits(retries, delay)
      local spec = { uploadImageRetryCount = retries, uploadImageRetryDelay = delay }
      for key, value in pairs(SPEC) do
        spec[key] = value
      end
      local found = assert(open(nil, nil, spec)).waits
      return { found.retry_count, found.retry_delay }
    end
    assert.same({ 30, 10 }, waits())
    assert.same({ 30, 10 }, waits(0, 0))
    assert.same({ 1, 2 }, waits(1, 2))
  end)

  it("says what to do where the flavor has been deleted", function()
    local source = open {
      [("GET /compute/v2.1/servers/%s"):format(ID)] = rest.answer(200,
        { server = { id = ID, name = "old", flavor = { id = "f1" } } }),
      ["GET /compute/v2.1/flavors/f1"] = rest.answer(404,
        { itemNotFound = { message = "Flavor f1 could not be found." } }),
    }
    local _, err = source:inspect(ID)
    assert.equal("FlavorDeleted", err.code)
    assert.truthy(err.final)
    assert.truthy(err.message:find("the flavor f1 of server", 1, true))
  end)

  it("reads a server's image for what it says, and goes without where it is gone", function()
    local server = rest.data("server_volumes").server
    server.image = { id = "im" }
    local function inspect(answer)
      local source = open {
        ["GET /compute/v2.1/servers/" .. ID] = rest.answer(200, { server = server }),
        ["GET /image/v2/images/im"] = answer,
        [("GET /compute/v2.1/servers/%s/os-interface"):format(ID)] = rest.answer(200,
          { interfaceAttachments = {} }),
        ["GET /network/v2.0/ports"] = rest.answer(200, { ports = {} }),
        [("GET %s/volumes/%s"):format(VOLUMES, rest.data("volume_boot").volume.id)] =
          rest.answer(200, rest.text("volume_boot")),
        [("GET %s/volumes/%s"):format(VOLUMES, rest.data("volume_data").volume.id)] =
          rest.answer(200, rest.text("volume_data")),
      }
      return source:inspect(ID)
    end
    local machine = assert(inspect(rest.answer(200, { id = "im", status = "active",
      hw_firmware_type = "bios", os_distro = "fedora" })))
    assert.equal("root", machine.disks[1].id)
    assert.equal("fedora", machine.guest.id)
    for _, status in ipairs { 404, 403 } do
      machine = assert(inspect(rest.answer(status, "")))
      assert.equal("root", machine.disks[1].id)
    end
    local _, err = inspect(rest.answer(409, ""))
    assert.equal("conflict", err.kind)
    assert.truthy(err.message:find("reading the image of server " .. ID, 1, true))
  end)

  it("renews a token that is not taken any more, once", function()
    local source, _, pool = open {
      ["GET /network/v2.0/networks"] = { rest.answer(200, rest.text("networks")),
        rest.answer(401, ""), rest.answer(200, rest.text("networks")) },
    }
    assert.equal(2, #assert(source:networks()))
    assert.equal(2, count(pool, "POST https://cloud/identity/v3/auth/tokens"))
  end)

  local TOKENS = "POST /identity/v3/auth/tokens"
  local limited = rest.answer(413, { overLimit = { message = "rate-limited" } },
    { ["retry-after"] = "0.001" })

  for _, refusal in ipairs { rest.answer(429, ""), rest.answer(503, ""), rest.answer(502, ""),
    limited } do
    it("waits for a Keystone that answers the log-in with " .. refusal.status, function()
      local source, err, pool = open { [TOKENS] = { refusal, refusal,
        rest.token { expires_at = "2999-01-01T00:00:00Z" } } }
      assert(source, err and err.message)
      assert.equal(3, count(pool, "/auth/tokens"))
    end)

    it("waits for one that answers a renewal with " .. refusal.status, function()
      local good = rest.token { expires_at = "2999-01-01T00:00:00Z" }
      local source, _, pool = open { [TOKENS] = { good, refusal, good },
        ["GET /network/v2.0/networks"] = { rest.answer(200, rest.text("networks")),
          rest.answer(401, ""), rest.answer(200, rest.text("networks")) } }
      assert(source:networks())
      assert.equal(3, count(pool, "/auth/tokens"))
    end)
  end

  it("gives a Keystone up that stays away, and asks no wrong password twice", function()
    local source, err, pool = open { [TOKENS] = rest.answer(503, "") }
    assert.is_nil(source)
    assert.equal("busy", err.kind)
    assert.equal(3, count(pool, "/auth/tokens"))
    source, err, pool = open { [TOKENS] = rest.answer(401, "") }
    assert.is_nil(source)
    assert.equal("denied", err.kind)
    assert.equal(2, count(pool, "/auth/tokens")) -- the other one: is it the project?
  end)

  it("waits for an old Nova that has had too many requests, and asks again", function()
    local action = ("POST /compute/v2.1/servers/%s/action"):format(ID)
    local source, _, pool = open { [action] = { limited, rest.answer(202, "") } }
    assert(source:shutdown_guest(ID))
    assert.equal(2, count(pool, "/action"))
  end)

  it("renews a token before it ends", function()
    local source, _, pool = open {
      ["POST /identity/v3/auth/tokens"] = {
        rest.token { issued_at = "2999-01-01T00:00:00Z", expires_at = "2999-01-01T00:00:01Z" },
        rest.token { expires_at = "2999-01-01T00:00:00Z" },
      },
    }
    source.session.token.life = 3600
    assert(source:networks())
    assert.equal(2, count(pool, "POST https://cloud/identity/v3/auth/tokens"))
  end)

  it("changes nothing when it leads no more, and still reads", function()
    local source, _, pool = open({
      [("DELETE %s/volumes/v"):format(VOLUMES)] = rest.answer(202, ""),
      ["GET " .. VOLUMES .. "/volumes/detail"] = rest.answer(200, { volumes = {} }),
    }, function()
      return nil, errors.new("conflict", "leads no more", { reason = "NotLeader" })
    end)
    assert.equal(2, #assert(source:networks()))
    local left, err = source:cleanup { { kind = "volume", name = "n", id = "v" } }
    assert.equal("v", left[1].id)
    assert.truthy(err.message:find("leads no more", 1, true))
    source:shutdown_guest(ID)
    assert.equal(0, count(pool, "DELETE ") + count(pool, "/action"))
  end)

  it("reads all pages, and believes only the query of a link", function()
    local source = open {
      ["GET /network/v2.0/networks"] = function(request)
        local second = request.url:find("marker=a", 1, true)
        return rest.answer(200, { networks = { { id = second and "b" or "a", name = "n" } },
          networks_links = not second and { { rel = "next",
            href = "http://evil.example/v2.0/networks?marker=a" } } or nil })
      end,
    }
    assert.equal(2, #source:networks())
  end)
end)

describe("openstack source:find", function()
  local detail = "GET /compute/v2.1/servers/detail"

  it("takes a UUID", function()
    assert.equal(ID, open():find { name = ID:upper() })
  end)

  it("takes an exact name where the pattern matches others too", function()
    local source, _, pool = open { [detail] = rest.answer(200, { servers = {
      { id = "1", name = "web.1" }, { id = "2", name = "webx1" } } }) }
    assert.equal("1", source:find { name = "web.1" })
    assert.equal(1, count(pool, "name=%5Eweb%5C%2E1%24"))
  end)

  it("refuses several of one name, and says all about them", function()
    local source = open { [detail] = rest.answer(200, rest.text("twins")) }
    local id, err = source:find { name = "twin" }
    assert.is_nil(id)
    assert.equal("invalid", err.kind)
    assert.equal(2, #err.candidates)
    for _, server in ipairs(rest.data("twins").servers) do
      assert.truthy(err.message:find(server.id, 1, true))
      assert.truthy(err.message:find(server.addresses.shared[1].addr, 1, true))
    end
    assert.truthy(err.message:find("ACTIVE", 1, true))
  end)

  it("names what is called nearly so", function()
    local source = open { [detail] = function(request)
      return rest.answer(200, request.url:find("name=", 1, true) and { servers = {} }
        or rest.text("twins"))
    end }
    local id, err = source:find { name = "Twin" }
    assert.is_nil(id)
    assert.equal("notfound", err.kind)
    assert.equal("twin", err.candidates[1].name)
  end)
end)

describe("openstack source:power_off", function()
  local action = ("POST /compute/v2.1/servers/%s/action"):format(ID)
  local server = "GET /compute/v2.1/servers/" .. ID

  local function state(status, doing)
    return rest.answer(200, { server = { id = ID, name = "web", status = status,
      ["OS-EXT-STS:task_state"] = doing } })
  end

  it("waits for SHUTOFF", function()
    local source = open { [action] = rest.answer(202, ""),
      [server] = { state("ACTIVE", "powering-off"), state("ACTIVE"), state("SHUTOFF") } }
    assert.is_true(source:power_off(ID))
  end)

  it("takes a conflict for done where the server is off already", function()
    local source = open { [server] = state("SHUTOFF"),
      [action] = rest.answer(409, { conflictingRequest = { message = "stopped" } }) }
    assert.is_true(source:power_off(ID))
  end)

  it("says why Nova refuses, and that it has not stopped in time", function()
    local source = open { [server] = state("ACTIVE"),
      [action] = rest.answer(409, { conflictingRequest = { message = "it is locked" } }) }
    local ok, err = source:power_off(ID)
    assert.is_nil(ok)
    assert.truthy(err.message:find("it is locked", 1, true))
    source = open { [server] = state("ACTIVE"), [action] = rest.answer(202, "") }
    ok, err = source:power_off(ID)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
  end)
end)

describe("openstack source:preflight", function()
  it("sees that a server is locked, which only newer microversions tell", function()
    local source = open { ["GET /compute/v2.1/servers/" .. ID] = function(request)
      local newer = request.headers["OpenStack-API-Version"] == "compute 2.47"
      return rest.answer(200, { server = { id = ID, name = "web", status = "ACTIVE",
        locked = newer or nil } })
    end }
    local findings = assert(source:preflight { id = ID, disks = {} })
    assert.equal("ServerLocked", (findings[1] or {}).code)
  end)
end)

describe("openstack source:cleanup", function()
  it("says what could not be removed, and why", function()
    local source = open {
      ["GET " .. VOLUMES .. "/volumes/detail"] = rest.answer(200, { volumes = {} }),
      [("DELETE %s/volumes/v"):format(VOLUMES)] =
        rest.answer(400, { badRequest = { message = "it is uploading" } }),
    }
    local remaining, err = source:cleanup {
      { kind = "volume", name = "n", id = "v" },
    }
    assert.equal("v", remaining[1].id)
    assert.truthy(err.message:find("it is uploading", 1, true))
  end)
end)
