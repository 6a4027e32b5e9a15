local answers = require "support.answers"
local compute = require "providers.openstack.compute"
local errors = require "host.error"
local json = require "host.json"

local AWAY = errors.new("connect", "refused")
local DENIED = errors.new("denied", "forbidden", { status = 403 })
local ID = "0a1b2c3d-0000-4000-8000-00000000000A"
local SERVER = "GET compute /servers/s-1"
local DETAIL = "GET compute /servers/detail"
local ALL = DETAIL .. "?limit=500"

local function server(id, name, more)
  local result = { id = id, name = name, status = "ACTIVE", addresses = { net = {
    { addr = "10.0.0.9" }, { addr = "10.0.0.10" } } } }
  for key, value in pairs(more or {}) do
    result[key] = value
  end
  return result
end

describe("providers.openstack.compute.version", function()
  local function version(answer)
    return compute.version(answers.session({ ["GET compute /"] = answer }))
  end

  local function of(text)
    return (version({ version = { version = text } }))
  end

  it("is the newest of those that we read", function()
    assert.equal("compute 2.47", of("2.47"))
    assert.equal("compute 2.47", of("2.95"))
    assert.equal("compute 2.47", of("3.0"))
    assert.equal("compute 2.19", of("2.46"))
    assert.equal("compute 2.19", of("2.19"))
    assert.is_nil(of("2.18"))
    assert.is_nil(of("1.99"))
    assert.is_nil(of(""))
    assert.is_nil(of(nil))
    assert.is_nil((version({})))
  end)

  it("is an old one where nobody says, and none while nobody answers", function()
    assert.same({ "compute 2.19" }, { version(DENIED) })
    local none, err = version(AWAY)
    assert.is_nil(none)
    assert.equal(AWAY, err)
  end)
end)

describe("providers.openstack.compute.find", function()
  local function find(name, map)
    local session = answers.session(map)
    local id, err = compute.find(session, name)
    return id, err, session
  end

  it("finds a server by its id, however that is written", function()
    local id, _, session = find(ID, { ["GET compute /servers/" .. ID:lower()] = {
      server = server("x") } })
    assert.equal("x", id)
    assert.equal(1, #session.asked)
  end)

  it("takes an id for a name where it is none", function()
    local asked = DETAIL .. "?name=%5E" .. ID .. "%24"
    assert.equal("x", (find(ID, { [asked] = { servers = { server("x", ID) } } })))
    local id, err = find(ID, { ["GET compute /servers/" .. ID:lower()] = AWAY })
    assert.is_nil(id)
    assert.equal(AWAY, err)
  end)

  it("finds the one of that very name", function()
    assert.equal("a", (find("web", { [DETAIL .. "?name=%5Eweb%24"] = { servers = {
      server("b", "WEB"), server("a", "web") } } })))
  end)

  it("asks for the name as text, not as a pattern", function()
    local asked = DETAIL .. "?name=%5Ew%5C%2E%5C%28e%5C%29b%20_-%24"
    assert.equal("a", (find("w.(e)b _-", { [asked] = { servers = {
      server("a", "w.(e)b _-") } } })))
  end)

  it("looks at all of them where a pattern is not understood", function()
    local function answered(err)
      return find("web", { [DETAIL .. "?name=%5Eweb%24"] = err,
        [DETAIL] = { servers = { server("b", "other"), server("a", "web") } } })
    end
    assert.equal("a", (answered(errors.new("invalid", "bad regex"))))
    local id, err = answered(DENIED)
    assert.is_nil(id)
    assert.equal("denied", err.kind)
    assert.equal("looking for server web: forbidden", err.message)
  end)

  it("names all who are called so", function()
    local id, err = find("web", { [DETAIL .. "?name=%5Eweb%24"] = { servers = {
      server("a", "web"), server("b", "web", { addresses = {}, status = "SHUTOFF" }) } } })
    assert.is_nil(id)
    assert.equal("invalid", err.kind)
    assert.is_true(err.final)
    assert.equal("2 servers are called web: a (ACTIVE, 10.0.0.10 10.0.0.9), b (SHUTOFF, no "
      .. "address); name one by its id", err.message)
    assert.same({ { id = "a", name = "web", status = "ACTIVE",
      addresses = "10.0.0.10 10.0.0.9" }, { id = "b", name = "web", status = "SHUTOFF",
      addresses = "no address" } }, err.candidates)
  end)

  it("names those that are called nearly so, when there is none", function()
    local id, err = find("web", { [DETAIL .. "?name=%5Eweb%24"] = { servers = {} },
      [ALL] = { servers = { server("a", "My-WEB"), server("b", "we"), server("c", ""),
        server("d", "db") } } })
    assert.is_nil(id)
    assert.equal("notfound", err.kind)
    assert.is_true(err.final)
    assert.equal("the project has no server web; it has My-WEB (a, ACTIVE, 10.0.0.10 "
      .. "10.0.0.9), we (b, ACTIVE, 10.0.0.10 10.0.0.9)", err.message)
    assert.same({ { id = "a", name = "My-WEB" }, { id = "b", name = "we" } }, err.candidates)
  end)

  it("compares them as text, not as patterns", function()
    local _, err = find("w%.b", { [DETAIL .. "?name=%5Ew%25%5C%2Eb%24"] = { servers = {} },
      [ALL] = { servers = { server("a", "my-w%.b"), server("b", "my-w.b"), server("c", "%.b"),
        server("d", "%w") } } })
    assert.same({ { id = "a", name = "my-w%.b" }, { id = "c", name = "%.b" } }, err.candidates)
  end)

  it("names no more than five, or none", function()
    local many = {}
    for i = 1, 6 do
      many[i] = server("s" .. i, "web" .. i)
    end
    local listed = DETAIL .. "?name=%5Eweb%24"
    local _, err = find("web", { [listed] = { servers = {} }, [ALL] = { servers = many } })
    assert.equal(5, #err.candidates)
    _, err = find("web", { [listed] = { servers = {} } })
    assert.equal("the project has no server web", err.message)
  end)
end)

describe("providers.openstack.compute: a server", function()
  it("comes with the text that it came as, of the version asked for", function()
    local session = answers.session({ [SERVER] = { server = server("s-1") } })
    local found, text = compute.server(session, "s-1", "compute 2.47")
    assert.equal("s-1", found.id)
    assert.equal("the body", text)
    assert.equal("compute 2.47", session.opts[SERVER].version)
  end)

  it("is gone, or cannot be told", function()
    local _, err = compute.server(answers.session(), "s-1")
    assert.equal("gone", err.kind)
    assert.equal("server s-1 does not exist any more", err.message)
    _, err = compute.server(answers.session({ [SERVER] = AWAY }), "s-1")
    assert.equal(AWAY, err)
  end)

  it("has the flavor that it embeds", function()
    local session = answers.session()
    assert.equal(2, compute.flavor(session, { id = "s-1", flavor = { vcpus = 2 } }).vcpus)
    assert.same({}, session.asked)
  end)

  it("has the flavor of its id, with what that has besides", function()
    local map = { ["GET compute /flavors/f-1"] = { flavor = { id = "f-2", vcpus = 4 } },
      ["GET compute /flavors/f-1/os-extra_specs"] = { extra_specs = { a = "b" } } }
    local of = { id = "s-1", flavor = { id = "f-1" } }
    assert.same({ id = "f-2", vcpus = 4, extra_specs = { a = "b" } },
      compute.flavor(answers.session(map), of))
    map["GET compute /flavors/f-1/os-extra_specs"] = {}
    assert.same({}, compute.flavor(answers.session(map), of).extra_specs)
    map["GET compute /flavors/f-1/os-extra_specs"] = nil
    assert.same({}, compute.flavor(answers.session(map), of).extra_specs)
  end)

  it("says when its flavor was deleted", function()
    local _, err = compute.flavor(answers.session(), { id = "s-1", flavor = { id = "f-1" } })
    assert.equal("FlavorDeleted", err.code)
    assert.is_true(err.final)
    assert.truthy(err.message:find("reading the flavor of server s-1: the flavor f-1 of server "
      .. "s-1 has been deleted", 1, true), err.message)
    _, err = compute.flavor(answers.session({ ["GET compute /flavors/nil"] = AWAY }),
      { id = "s-1" })
    assert.equal("connect", err.kind)
    assert.is_nil(err.code)
  end)

  it("has ports, with what Neutron tells of them", function()
    local map = {
      ["GET compute /servers/s-1/os-interface"] = { interfaceAttachments = {
        { port_id = "p-1" }, { port_id = "p-2" } } },
      ["GET network /ports?fields=id&fields=created_at&fields=binding%3Avnic_type&fields="
        .. "trunk_details&device_id=s-1"] = { ports = { { id = "p-2", created_at = "t",
        ["binding:vnic_type"] = "direct", trunk_details = {} } } },
    }
    assert.same({ { port_id = "p-1", is_trunk = false }, { port_id = "p-2", created_at = "t",
      vnic_type = "direct", is_trunk = true } }, compute.ports(answers.session(map), "s-1"))
    map["GET compute /servers/s-1/os-interface"] = {}
    assert.same({}, compute.ports(answers.session(map), "s-1"))
    local _, err = compute.ports(answers.session(), "s-1")
    assert.equal("notfound", err.kind)
  end)

  it("has ports, though Neutron tells nothing", function()
    assert.same({ { port_id = "p-1", is_trunk = false } }, compute.ports(answers.session({
      ["GET compute /servers/s-1/os-interface"] = { interfaceAttachments = {
        { port_id = "p-1" } } } }), "s-1"))
  end)

  it("lists networks by name", function()
    assert.same({ { id = "n" } }, compute.networks(answers.session({
      ["GET network /networks?fields=id&fields=name"] = { networks = { { id = "n" } } } })))
  end)

  it("tells its power, or why not", function()
    assert.equal("on", compute.power_state(answers.session({
      [SERVER] = { server = server("s-1") } }), "s-1"))
    local _, err = compute.power_state(answers.session(), "s-1")
    assert.equal("gone", err.kind)
  end)
end)

describe("providers.openstack.compute: stopping a server", function()
  local STOP = "POST compute /servers/s-1/action"
  local OPTS = { poll = 0.001, stop_timeout = 60 }
  local AT_ONCE = { poll = 0.001, stop_timeout = 0 }
  local ON, OFF = { server = server("s-1") }, { server = server("s-1", "web",
    { status = "SHUTOFF" }) }

  local function session(map)
    return answers.session(map)
  end

  it("asks Nova for it", function()
    local s = session({ [STOP] = {} })
    assert.is_true(compute.stop(s, "s-1"))
    assert.same({ ["os-stop"] = json.null }, s.bodies[STOP])
  end)

  it("is done when it is off, or about to be", function()
    local refused = errors.new("conflict", "in a wrong state")
    assert.is_true(compute.stop(session({ [STOP] = refused, [SERVER] = OFF }), "s-1"))
    assert.is_true(compute.stop(session({ [STOP] = refused, [SERVER] = { server = server("s-1",
      "web", { ["OS-EXT-STS:task_state"] = "powering-off" }) } }), "s-1"))
    for _, answer in ipairs { ON, AWAY } do
      local ok, err = compute.stop(session({ [STOP] = refused, [SERVER] = answer }), "s-1")
      assert.is_nil(ok)
      assert.equal("stopping server s-1: in a wrong state", err.message)
    end
  end)

  it("waits until it is off, whatever may pass", function()
    assert.is_true(compute.off(session({ [STOP] = {}, [SERVER] = answers.in_turn(ON, AWAY,
      OFF) }), "s-1", OPTS))
  end)

  it("does not wait for what does not come", function()
    local ok, err = compute.off(session({ [STOP] = {}, [SERVER] = ON }), "s-1", AT_ONCE)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.equal("server s-1 is not SHUTOFF 0 s after os-stop", err.message)
    ok, err = compute.off(session({ [STOP] = {}, [SERVER] = answers.in_turn(ON, DENIED) }),
      "s-1", OPTS)
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
    ok, err = compute.off(session({ [STOP] = DENIED, [SERVER] = ON }), "s-1", OPTS)
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
  end)
end)
