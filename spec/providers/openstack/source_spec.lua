-- The source over a scripted cloud: sessions, finding, power, and the way from a volume
-- to its bytes.

local openstack = require "providers.openstack"
local providers = require "providers"
local rest = require "support.rest"

local SECRET = { username = "demo", password = "s3cret", project_name = "admin",
  domain_name = "default" }
local SPEC = { endpoint = "https://cloud/identity", region = "RegionOne" }
local ID = rest.data("server_volumes").server.id
local PROJECT = rest.data("token").token.project.id
local VOLUMES = "/volume/v3/" .. PROJECT

local function base()
  return {
    ["GET /identity/v3"] = rest.answer(200, {}),
    ["POST /identity/v3/auth/tokens"] = rest.token { expires_at = "2999-01-01T00:00:00Z" },
    ["GET /compute/v2.1/servers"] = rest.answer(200, { servers = {} }),
    ["GET /compute/v2.1/"] = rest.answer(200, { version = { version = "2.93" } }),
    ["GET " .. VOLUMES .. "/volumes"] = rest.answer(200, { volumes = {} }),
    ["GET /image/v2/images"] = rest.answer(200, { images = {} }),
    ["GET /network/v2.0/networks"] = rest.answer(200, rest.text("networks")),
    ["GET /compute/v2.1/servers/" .. ID] = rest.answer(200, rest.text("server_volumes")),
    [("GET /compute/v2.1/servers/%s/os-instance-actions"):format(ID)] =
      rest.answer(200, rest.text("actions")),
  }
end

local function open(more)
  local answers = base()
  for key, value in pairs(more or {}) do
    answers[key] = value
  end
  local pool = rest.pool(answers)
  local source, err = openstack.open(SPEC, SECRET, {
    http = { pool = function() return pool end },
    backoff = { 0.001, 0.001 }, poll = 0.001, stop_timeout = 0.05, delete_timeout = 0.05,
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

  it("renews a token that is not taken any more, once", function()
    local source, _, pool = open {
      ["GET /network/v2.0/networks"] = { rest.answer(200, rest.text("networks")),
        rest.answer(401, ""), rest.answer(200, rest.text("networks")) },
    }
    assert.equal(2, #assert(source:networks()))
    assert.equal(2, count(pool, "POST https://cloud/identity/v3/auth/tokens"))
  end)

  it("renews a token before it ends", function()
    local source, _, pool = open {
      ["POST /identity/v3/auth/tokens"] = {
        rest.token { expires_at = require("host.time").rfc3339(os.time() + 1) },
        rest.token { expires_at = "2999-01-01T00:00:00Z" },
      },
    }
    source.session.token.life = 3600
    assert(source:networks())
    assert.equal(2, count(pool, "POST https://cloud/identity/v3/auth/tokens"))
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
    return rest.answer(200, { server = { id = ID, status = status,
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

-- A Cinder and a Glance in a table: what is made is there, what is deleted is gone.
local function storage()
  local things = { snapshots = {}, volumes = {}, images = {} }
  local made = 0
  local world = { things = things, log = {} }

  local function create(key, object)
    made = made + 1
    object.id = ("%s-%d"):format(key, made)
    things[key][object.id] = object
    return object
  end

  local function handle(request)
    local path = request.url:match("^https?://[^/]*([^?]*)")
    local key, id = path:match("/(%l+)/([%w-]+)$")
    if not things[key] then
      return nil
    elseif id == "detail" then
      local list = require("host.json").array({})
      for _, object in pairs(things[key]) do
        list[#list + 1] = object
      end
      return rest.answer(200, { [key] = list })
    elseif request.method == "DELETE" then
      world.log[#world.log + 1] = "delete " .. key
      things[key][id] = nil
      return rest.answer(204, "")
    end
    local object = things[key][id]
    if not object then
      return rest.answer(404, { itemNotFound = { message = "gone" } })
    end
    return rest.answer(200, key == "images" and object or { [key:sub(1, -2)] = object })
  end

  function world.pool(answers)
    local pool = rest.pool(answers)
    local plain = pool.request
    function pool:request(request)
      request.method = request.method or "GET"
      if request.url:find("/image/v2/images?name=", 1, true) then
        local list = require("host.json").array({})
        for _, image in pairs(things.images) do
          list[#list + 1] = image
        end
        return rest.answer(200, { images = list })
      end
      return handle(request) or plain(self, request)
    end
    return pool
  end

  function world.answers(more)
    local answers = base()
    answers["POST " .. VOLUMES .. "/snapshots"] = function(request)
      local body = require("host.json").decode(request.body).snapshot
      world.log[#world.log + 1] = "create snapshots"
      return rest.answer(202, { snapshot = create("snapshots",
        { name = body.name, status = "available" }) })
    end
    answers["POST " .. VOLUMES .. "/volumes"] = function(request)
      local body = require("host.json").decode(request.body).volume
      world.log[#world.log + 1] = "create volumes"
      local volume = create("volumes", { name = body.name, status = "available" })
      answers[("POST %s/volumes/%s/action"):format(VOLUMES, volume.id)] = function(upload)
        local what = require("host.json").decode(upload.body)["os-volume_upload_image"]
        world.log[#world.log + 1] = "create images"
        local image = create("images", { name = what.image_name, status = "active",
          disk_format = "raw", size = 2 ^ 30 | 0, os_hash_algo = "sha512",
          os_hash_value = "AB" })
        return rest.answer(202, { ["os-volume_upload_image"] = { image_id = image.id } })
      end
      return rest.answer(202, { volume = volume })
    end
    for key, value in pairs(more or {}) do
      answers[key] = value
    end
    return answers
  end

  function world.left()
    local n = 0
    for _, list in pairs(things) do
      for _ in pairs(list) do
        n = n + 1
      end
    end
    return n
  end

  return world
end

local MACHINE = { id = ID, name = "demo", disks = {
  { id = "d1", name = "demo-boot", capacity_bytes = 2 ^ 30 | 0 } } }

describe("openstack export", function()
  local records

  local function export(world, recorded, more)
    records = {}
    local pool = world.pool(world.answers(more))
    local source = assert(openstack.open(SPEC, SECRET, {
      http = { pool = function() return pool end },
      backoff = { 0.001 }, poll = 0.001, delete_timeout = 0.05,
    }))
    local opened, err = source:export(MACHINE, { id = "uid-1", recorded = recorded,
      record = function(entry)
        records[#records + 1] = ("%s %s%s"):format(entry.kind,
          entry.gone and "gone" or entry.id or "named", world.left())
      end })
    return opened, err, source, pool
  end

  it("makes snapshot, volume and image, each recorded before, and gives its bytes",
    function()
      local world = storage()
      local opened = assert(export(world))
      local stream = assert(opened:stream("d1"))
      assert.truthy(stream.url:find("/image/v2/images/images%-3/file$"))
      assert.equal("gAAAAA-secret", stream.headers["X-Auth-Token"])
      assert.same({ algorithm = "sha512", value = "ab" }, stream.digest)
      assert.equal("raw", stream.format)
      assert.equal(2 ^ 30, stream.capacity)
      assert.same({ "volume named0", "snapshot named0", "snapshot snapshots-11",
        "volume volumes-22", "image named2", "image images-33", "volume gone2",
        "snapshot gone1" }, records)
      assert.equal("ab", opened:complete().d1.value)
      assert.equal(0, world.left())
    end)

  it("makes a disk once, whoever asks again", function()
    local world = storage()
    local opened = assert(export(world))
    assert(opened:stream("d1"))
    assert(opened:stream("d1"))
    assert.equal(1, world.left())
    assert.same({ "create snapshots", "create volumes", "create images" },
      { table.unpack(world.log, 1, 3) })
  end)

  local function entry(kind, since)
    return { kind = kind, name = "vm-import-uid-1-d1", diskID = "d1",
      since = since or "req-6a663222-3ff6-48fa-83a0-39421c321677" }
  end

  it("goes on with the image of an earlier run", function()
    local world = storage()
    world.things.images.i = { id = "i", name = "vm-import-uid-1-d1", status = "active",
      disk_format = "raw", size = 1 }
    local opened = assert(export(world, { entry "image" }))
    assert.truthy(assert(opened:stream("d1")).url:find("/images/i/file", 1, true))
    assert.same({}, world.log)
  end)

  it("removes what was copied before the server ran again", function()
    local world = storage()
    world.things.images.i = { id = "i", name = "vm-import-uid-1-d1", status = "active" }
    local opened = assert(export(world, { entry("image", "req-older") }))
    assert.equal(0, world.left())
    assert.falsy(assert(opened:stream("d1")).url:find("/images/i/file", 1, true))
  end)

  it("leaves alone what has the name of another", function()
    local world = storage()
    world.things.images.i = { id = "i", name = "vm-import-uid-1-d10", status = "active" }
    local opened = assert(export(world, { entry "image" }))
    assert(opened:stream("d1"))
    opened:complete()
    assert.truthy(world.things.images.i)
  end)

  it("says that a quota is exhausted, and what it has made is known", function()
    local world = storage()
    local opened, _, source = export(world, nil, {
      ["POST " .. VOLUMES .. "/volumes"] = rest.answer(413, { overLimit = {
        message = "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded" } }),
    })
    local stream, err = opened:stream("d1")
    assert.is_nil(stream)
    assert.equal("QuotaExceeded", err.code)
    assert.truthy(err.message:find("Maximum number of volumes", 1, true))
    assert.equal(1, world.left())
    local remaining = source:cleanup { entry "snapshot", entry "volume" }
    assert.same({}, remaining)
    assert.equal(0, world.left())
  end)

  it("tries an upload again that Glance has lost, then says so", function()
    local world = storage()
    local tries = 0
    local answers = { ["POST " .. VOLUMES .. "/volumes"] = function()
      world.things.volumes.v = { id = "v", name = "vm-import-uid-1-d1",
        status = "available" }
      return rest.answer(202, { volume = world.things.volumes.v })
    end, [("POST %s/volumes/v/action"):format(VOLUMES)] = function()
      tries = tries + 1
      world.things.images.k = { id = "k", name = "vm-import-uid-1-d1", status = "killed" }
      return rest.answer(202, { ["os-volume_upload_image"] = { image_id = "k" } })
    end }
    local opened = assert(export(world, nil, answers))
    local stream, err = opened:stream("d1")
    assert.is_nil(stream)
    assert.equal("UploadFailed", err.code)
    assert.equal(2, tries)
  end)

  it("is not opened while the server runs", function()
    local opened, err = export(storage(), nil, {
      ["GET /compute/v2.1/servers/" .. ID] =
        rest.answer(200, { server = { id = ID, status = "ACTIVE" } }),
    })
    assert.is_nil(opened)
    assert.equal("busy", err.kind)
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
