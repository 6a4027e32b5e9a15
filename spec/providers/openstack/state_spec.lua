-- What a server's disks may hold is told by its stamp: the last start, and its volumes.

local answers = require "support.answers"
local errors = require "host.error"
local openstack = require "providers.openstack"
local rest = require "support.rest"
local state = require "providers.openstack.state"
local storage = require "support.storage"

local ID = rest.cloud.server
local ACTIONS = ("GET /compute/v2.1/servers/%s/os-instance-actions"):format(ID)

describe("the stamp of a server", function()
  local world, replies, actions, source

  before_each(function()
    world, actions = storage.new(), rest.data("actions")
    replies = world.answers()
    replies["GET /compute/v2.1/servers/" .. ID] = world.attach { "d1", "d2" }
    replies[ACTIONS] = function()
      return rest.answer(200, actions)
    end
    local pool = world.pool(replies)
    source = assert(openstack.open(rest.cloud.spec, rest.cloud.secret, {
      http = { pool = function() return pool end }, backoff = { 0.001 }, poll = 0.001,
    }))
  end)

  local function stamp()
    return assert(source:stamp { id = ID })
  end

  local function happens(action)
    table.insert(actions.instanceActions, 1, { action = action, request_id = "req-later",
      start_time = "2999-01-01T00:00:00.000000" })
  end

  for _, action in ipairs { "start", "reboot", "resume", "rebuild", "extend_volume",
    "live-migration" } do
    it("is another one after " .. action, function()
      local before = stamp()
      happens(action)
      assert.are_not.equal(before, stamp())
    end)
  end

  for _, action in ipairs { "stop", "createImage", "lock", "unlock", "attach_interface",
    "attach_volume", "detach_volume" } do
    it("is the same after " .. action .. " alone", function()
      local before = stamp()
      happens(action)
      assert.equal(before, stamp())
    end)
  end

  for what, change in pairs {
    ["was detached and attached again"] = function(attachment)
      attachment.attachment_id = "another"
    end,
    ["was attached at another time"] = function(attachment)
      attachment.attached_at = "2026-11-24T00:00:00.000000"
    end,
    ["is another device"] = function(attachment)
      attachment.device = "/dev/vdz"
    end,
    ["has grown"] = function(_, volume)
      volume.size = 2
    end,
  } do
    it("is another one when a volume " .. what, function()
      local before = stamp()
      change(world.attached.d2.attachments[1], world.attached.d2)
      assert.are_not.equal(before, stamp())
    end)
  end

  for what, ids in pairs { attached = { "d1", "d2", "d3" }, detached = { "d1" } } do
    it("is another one when a volume was " .. what, function()
      local before = stamp()
      replies["GET /compute/v2.1/servers/" .. ID] = world.attach(ids)
      assert.are_not.equal(before, stamp())
    end)
  end

  it("is the same when a volume is told of in another order, or gets another name",
    function()
      local before = stamp()
      local answer = world.attach { "d1", "d2" }
      answer.body = answer.body:gsub('"d1"', '"x"'):gsub('"d2"', '"d1"'):gsub('"x"', '"d2"')
      replies["GET /compute/v2.1/servers/" .. ID] = answer
      world.attached.d1.name = "other"
      assert.equal(before, stamp())
    end)

  it("is not told while a service does not answer", function()
    replies[ACTIONS] = rest.answer(503, "")
    local text, err = source:stamp { id = ID }
    assert.is_nil(text)
    assert.equal("busy", err.kind)
  end)
end)

local SERVER, VOLUME = "GET compute /servers/s-1", "GET volume /volumes/v-1"
local ALL_ACTIONS = "GET compute /servers/s-1/os-instance-actions"

local function action(name, id, at)
  return { action = name, request_id = id, start_time = at }
end

local function attachment(more)
  local result = { server_id = "s-1", attachment_id = "a-1", attached_at = "t",
    device = "/dev/vda" }
  for key, value in pairs(more or {}) do
    result[key] = value
  end
  return result
end

-- As the server is, but for what is said here.
local function of(more)
  more = more or {}
  local map = {
    [SERVER] = { server = { id = "s-1", status = "SHUTOFF", created = "c", updated = "u",
      ["os-extended-volumes:volumes_attached"] = more.attached or { { id = "v-1" } } } },
    [VOLUME] = { volume = { id = "v-1", size = more.size or 1,
      attachments = more.attachments or { attachment() } } },
    ["GET volume /volumes/v-2"] = { volume = { id = "v-2", size = 2 } },
    [ALL_ACTIONS] = { instanceActions = more.actions or { action("create", "r-1", "2026-01-01") } },
  }
  for key, answer in pairs(more.map or {}) do
    map[key] = answer or nil
  end
  return state.of(answers.session(map), "s-1", "compute 2.47")
end

describe("providers.openstack.state.of", function()
  it("is server, volumes and stamp", function()
    local found = of({ attached = { { id = "v-2" }, { id = "v-1" } } })
    assert.equal("s-1", found.server.id)
    assert.equal("v-2 v-1", found.volumes[1].id .. " " .. found.volumes[2].id)
    assert.truthy(found.stamp:find("^%x+$"))
    assert.equal(32, #found.stamp)
    assert.same({}, of({ map = { [SERVER] = { server = { id = "s-1" } } } }).volumes)
  end)

  it("is nothing where one of them cannot be read", function()
    local away = errors.new("connect", "refused")
    for what, message in pairs { [SERVER] = "refused", [ALL_ACTIONS] = "refused",
      [VOLUME] = "reading volume v-1 of server s-1: refused" } do
      local found, err = of({ map = { [what] = away } })
      assert.is_nil(found)
      assert.equal(message, err.message)
    end
  end)

  local ORIGINAL = of().stamp

  for what, more in pairs {
    ["the server was started"] = { actions = { action("create", "r-1", "2026-01-01"),
      action("start", "r-2", "2026-01-02") } },
    ["the server was started, whatever comes first"] = { actions = {
      action("start", "r-2", "2026-01-02"), action("create", "r-1", "2026-01-01") } },
    ["a volume is larger"] = { size = 2 },
    ["a volume was attached anew"] = { attachments = { attachment({ attachment_id = "a-2" }) } },
    ["a volume was attached at another time"] = { attachments = { attachment({
      attached_at = "t2" }) } },
    ["a volume is another device"] = { attachments = { attachment({ device = "/dev/vdb" }) } },
    ["a volume is not attached"] = { attachments = {} },
    ["another volume is attached"] = { attached = { { id = "v-2" } } },
    ["one more is attached"] = { attached = { { id = "v-1" }, { id = "v-2" } } },
  } do
    it("has another stamp when " .. what, function()
      assert.not_equal(ORIGINAL, of(more).stamp)
    end)
  end

  for _, name in ipairs { "stop", "createImage", "lock", "unlock", "attach_volume",
    "detach_volume", "attach_interface", "detach_interface", "backup" } do
    it("has the same stamp after " .. name, function()
      assert.equal(ORIGINAL, of({ actions = { action("create", "r-1", "2026-01-01"),
        action(name, "r-2", "2026-01-02") } }).stamp)
    end)
  end

  it("has the same stamp whatever a volume is attached to besides", function()
    assert.equal(ORIGINAL, of({ attachments = { attachment({ server_id = "s-2",
      attachment_id = "x" }), attachment() } }).stamp)
  end)

  it("has the same stamp in whatever order volumes are listed", function()
    assert.equal(of({ attached = { { id = "v-1" }, { id = "v-2" } } }).stamp,
      of({ attached = { { id = "v-2" }, { id = "v-1" } } }).stamp)
  end)

  it("goes by what else tells it where actions are not shown", function()
    local none = of({ actions = {} }).stamp
    local hidden = of({ map = { [ALL_ACTIONS] = errors.new("denied", "forbidden") } }).stamp
    assert.not_equal(none, hidden)
    local function server(field)
      local one = { id = "s-1", created = "c", updated = "u" }
      one[field] = "other"
      return { server = one }
    end
    local bare = { attached = {}, actions = {} }
    bare.map = { [SERVER] = server("created") }
    local created = of(bare).stamp
    bare.map = { [SERVER] = server("updated") }
    assert.not_equal(created, of(bare).stamp)
    bare.map[ALL_ACTIONS] = errors.new("denied", "forbidden")
    local updated = of(bare).stamp
    bare.map[SERVER] = server("created")
    assert.not_equal(updated, of(bare).stamp)
    bare.map = { [SERVER] = { server = { id = "s-1" } } }
    assert.truthy(of(bare).stamp)
    bare.map[ALL_ACTIONS] = errors.new("denied", "forbidden")
    assert.truthy(of(bare).stamp)
  end)
end)

describe("providers.openstack.state.fits", function()
  local function volume(id, device)
    return { id = id, size = 1, attachments = { { server_id = "s-1", device = device } } }
  end

  local function without_device(id)
    return { id = id, size = 1, bootable = "true", attachments = {} }
  end

  local FOUND = { server = { id = "s-1" }, volumes = { volume("b", "/dev/vdb"),
    volume("a", "/dev/vda") } }

  local function fits_in(found, ...)
    local disks = {}
    for i, id in ipairs { ... } do
      disks[i] = { id = id }
    end
    return state.fits({ id = "s-1", disks = disks }, found)
  end

  local function fits(...)
    return fits_in(FOUND, ...)
  end

  it("orders them as it did for the plan, with a root disk that is no volume or without",
    function()
      local found = { server = { id = "s-1" },
        volumes = { without_device("a"), volume("b", "/dev/vdb") } }
      assert.is_true(fits_in(found, "root", "b", "a"))
      assert.is_true(fits_in(found, "a", "b"))
      assert.is_nil((fits_in(found, "root", "a", "b")))
      assert.is_nil((fits_in(found, "b", "a")))
    end)

  it("knows the volumes that were planned with, in the guest's order", function()
    assert.is_true(fits("a", "b"))
    assert.is_true(fits("root", "a", "b"))
  end)

  it("refuses others", function()
    local ok, err = fits("b", "a")
    assert.is_nil(ok)
    assert.equal("MachineChanged", err.code)
    assert.is_true(err.final)
    assert.equal("invalid", err.kind)
    assert.equal("server s-1 has other volumes than when it was inspected: a, b, and then b, a; "
      .. "delete the import and create it again, in a directory in another folder", err.message)
    ok, err = fits("root")
    assert.is_nil(ok)
    assert.truthy(err.message:find("a, b, and then none;", 1, true))
  end)
end)
