-- The way from a volume to its bytes, over a scripted cloud: what is made, recorded and
-- removed.

local errors = require "host.error"
local json = require "host.json"
local openstack = require "providers.openstack"
local rest = require "support.rest"
local storage = require "support.storage"
local task = require "host.task"
local time = require "host.time"

local SECRET, SPEC = rest.cloud.secret, rest.cloud.spec
local ID, VOLUMES = rest.cloud.server, rest.cloud.volumes

local MACHINE = { id = ID, name = "demo", disks = {
  { id = "d1", name = "demo-boot", capacity_bytes = 2 ^ 30 | 0 } } }

local function with_id(object, id)
  local copy = { id = id }
  for key, value in pairs(object) do
    copy[key] = value
  end
  return copy
end

describe("openstack export", function()
  local records

  local SERVER = "GET /compute/v2.1/servers/" .. ID

  local function volumes_of(machine)
    local ids = {}
    for _, disk in ipairs(machine.disks) do
      ids[#ids + 1] = disk.id ~= "root" and disk.id or nil
    end
    return ids
  end

  -- recorded: entries that are of the state the server is in, if they name none.
  local function export(world, recorded, more, machine)
    records = {}
    machine = machine or MACHINE
    local attached = world.attach(volumes_of(machine))
    local answers = world.answers(more)
    answers[SERVER] = more and more[SERVER] or attached
    local pool = world.pool(answers)
    local source = assert(openstack.open(SPEC, SECRET, {
      http = { pool = function() return pool end },
      backoff = { 0.001 }, poll = 0.001, delete_timeout = 0.05,
    }))
    for _, made in ipairs(recorded or {}) do
      made.since = made.since or source:stamp(machine)
    end
    local opened, err = source:export(machine, { id = "uid-1", recorded = recorded,
      record = function(entry)
        records[#records + 1] = ("%s %s%s"):format(entry.kind,
          entry.gone and "gone" or entry.id or "named", world.left())
      end })
    return opened, err, source, pool
  end

  it("makes snapshot, volume and image, each recorded before, and gives its bytes",
    function()
      local world = storage.new()
      local opened = assert(export(world))
      local stream = assert(opened:stream("d1"))
      assert.truthy(stream.url:find("/image/v2/images/images%-3/file$"))
      assert.is_false(stream.renewal:refused())
      assert.same({ algorithm = "sha512", value = "ab" }, stream.digest)
      assert.equal("raw", stream.format)
      assert.equal(2 ^ 30, stream.capacity)
      assert.same({ "snapshot named0", "snapshot snapshots-11", "volume named1",
        "volume volumes-22", "image named2", "image images-33", "volume gone2",
        "snapshot gone1" }, records)
      assert.equal("ab", opened:complete().d1.value)
      assert.equal(0, world.left())
    end)

  local ACTIONS = ("GET /compute/v2.1/servers/%s/os-instance-actions"):format(ID)
  local ACTION = ("POST /compute/v2.1/servers/%s/action"):format(ID)
  local THREE = { id = ID, name = "demo", disks = {
    { id = "root", name = "root disk", capacity_bytes = 2 ^ 30 | 0 },
    { id = "d1", name = "one", capacity_bytes = 2 ^ 30 | 0 },
    { id = "d2", name = "two", capacity_bytes = 2 ^ 30 | 0 } } }

  -- A server that is started when `when(world)` is true; Nova makes images of its root.
  local function started(world, when)
    local actions = rest.data("actions")
    return {
      [ACTIONS] = function()
        if when(world) then
          table.insert(actions.instanceActions, 1, { action = "start",
            request_id = "req-later", start_time = "2999-01-01T00:00:00.000000" })
        end
        return rest.answer(200, actions)
      end,
      [ACTION] = function()
        world.log[#world.log + 1] = "create root image"
        world.things.images.r = { id = "r", name = "vm-import-uid-1-root",
          status = "active", disk_format = "raw", size = 2 ^ 30 | 0 }
        return rest.answer(202, { image_id = "r" })
      end,
    }
  end

  local function never()
    return false
  end

  it("takes all disks of a machine before it copies one of them", function()
    local world = storage.new()
    local opened = assert(export(world, nil, started(world, never), THREE))
    assert(opened:stream("d2"))
    assert(opened:stream("d1"))
    assert(opened:stream("root"))
    assert.same({ "create root image", "create snapshots", "create snapshots",
      "create volumes", "create images" }, { table.unpack(world.log, 1, 5) })
    assert.same({ "image named0", "image r1", "snapshot named1", "snapshot snapshots-12",
      "snapshot named2", "snapshot snapshots-23", "volume named3" },
      { table.unpack(records, 1, 7) })
    opened:complete()
    assert.equal(0, world.left())
  end)

  for what, when in pairs {
    ["before the first copy"] = function(world) return #world.log == 3 end,
    ["between two snapshots"] = function(world)
      return #world.log > 0 and world.log[#world.log] == "create snapshots"
    end,
  } do
    it("has no disk of a server that was started " .. what, function()
      local world = storage.new()
      local opened = assert(export(world, nil, started(world, when), THREE))
      local stream, err = opened:stream("d1")
      assert.is_nil(stream)
      assert.equal("busy", err.kind)
      assert.equal("SourceChanged", err.reason)
      assert.equal(err, opened:lost())
      assert.falsy(table.concat(world.log, " "):find("create volumes", 1, true))
    end)
  end

  it("has none of one that runs", function()
    local world, asked = storage.new(), 0
    local more = started(world, never)
    local server = json.decode(world.attach(volumes_of(THREE)).body).server
    more[SERVER] = function()
      asked = asked + 1
      server.status = asked > 1 and "ACTIVE" or "SHUTOFF"
      return rest.answer(200, { server = server })
    end
    local opened = assert(export(world, nil, more, THREE))
    local _, err = opened:stream("d1")
    assert.equal("SourceChanged", err.reason)
  end)

  it("makes no snapshot again of a server that has run since the others", function()
    local world, ran = storage.new(), false
    local opened = assert(export(world, nil, started(world, function() return ran end),
      THREE))
    assert(opened:stream("d1"))
    world.things.snapshots = {} -- somebody has removed them
    ran = true
    local stream, err = opened:stream("d2")
    assert.is_nil(stream)
    assert.equal("SourceChanged", err.reason)
  end)

  it("makes a disk once, whoever asks again", function()
    local world = storage.new()
    local opened = assert(export(world))
    assert(opened:stream("d1"))
    assert(opened:stream("d1"))
    assert.equal(1, world.left())
    assert.same({ "create snapshots", "create volumes", "create images" },
      { table.unpack(world.log, 1, 3) })
  end)

  local function entry(kind, since)
    return { kind = kind, name = "vm-import-uid-1-d1", diskID = "d1", since = since }
  end

  it("has another token for who reads, before the one there is has ended", function()
    local opened, _, source, pool = export(storage.new())
    assert(opened:stream("d1"))
    local function logged_in()
      local n = 0
      for _, call in ipairs(pool.calls) do
        n = n + (call.url:find("/auth/tokens", 1, true) and 1 or 0)
      end
      return n
    end
    local before, deadline = logged_in(), time.monotonic() + 10
    source.session.token.ends = 0
    while logged_in() == before and time.monotonic() < deadline do
      task.sleep(0.001)
    end
    assert.equal(before + 1, logged_in())
    opened:complete()
  end)

  it("goes on with the image of an earlier run", function()
    local world = storage.new()
    world.things.images.i = { id = "i", name = "vm-import-uid-1-d1", status = "active",
      disk_format = "raw", size = 1 }
    local opened = assert(export(world, { entry "image" }))
    assert.truthy(assert(opened:stream("d1")).url:find("/images/i/file", 1, true))
    assert.same({}, world.log)
  end)

  it("removes what was copied before the server ran again", function()
    local world = storage.new()
    world.things.images.i = { id = "i", name = "vm-import-uid-1-d1", status = "active" }
    local opened = assert(export(world, { entry("image", "req-older") }))
    assert.equal(0, world.left())
    assert.falsy(assert(opened:stream("d1")).url:find("/images/i/file", 1, true))
  end)

  it("leaves alone what has the name of another", function()
    local world = storage.new()
    world.things.images.i = { id = "i", name = "vm-import-uid-1-d10", status = "active" }
    local opened = assert(export(world, { entry "image" }))
    assert(opened:stream("d1"))
    opened:complete()
    assert.truthy(world.things.images.i)
  end)

  it("says that a quota is exhausted, and what it has made is known", function()
    local world = storage.new()
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
    local world = storage.new()
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
    assert.is_true(err.tried)
    assert.truthy(err.message:find("k is killed and nobody fills it (upload volume", 1,
      true))
    assert.equal(2, tries)
  end)

  local image = { name = "vm-import-uid-1-d1", status = "active", disk_format = "raw",
    size = 2 ^ 30 | 0 }

  it("goes on with the image of an upload whose answer was lost", function()
    local world = storage.new()
    local asked = 0
    local opened = assert(export(world, nil, {
      [("POST %s/volumes/volumes-2/action"):format(VOLUMES)] = function()
        asked = asked + 1
        world.things.images.lost = with_id(image, "lost")
        return nil, errors.new("connect", "the connection was closed")
      end,
    }))
    local stream = assert(opened:stream("d1"))
    assert.truthy(stream.url:find("/image/v2/images/lost/file", 1, true))
    assert.equal(1, asked)
    opened:complete()
    assert.equal(0, world.left())
  end)

  it("goes on with the image of an upload that was heard late", function()
    local world = storage.new()
    local asked = 0
    local opened = assert(export(world, nil, {
      [("POST %s/volumes/volumes-2/action"):format(VOLUMES)] = function()
        asked = asked + 1
        if asked == 1 then
          return nil, errors.new("connect", "the connection was closed")
        end
        world.things.volumes["volumes-2"].status = "uploading"
        local looks = 0
        function world.on_find()
          looks = looks + 1
          if looks == 2 then -- at first Cinder has only just begun
            world.things.images.late = with_id(image, "late")
            world.things.volumes["volumes-2"].status = "available"
          end
        end
        return rest.answer(400, { badRequest = { message = "Invalid volume: status must "
          .. "be available, but current status is: uploading." } })
      end,
    }))
    assert.truthy(assert(opened:stream("d1")).url:find("/images/late/file", 1, true))
    opened:complete()
    assert.equal(0, world.left())
  end)

  it("leaves no image of an upload that was heard while its volume was removed",
    function()
      local world = storage.new()
      world.things.volumes.v = { id = "v", name = image.name, status = "available" }
      local _, _, source = export(world)
      function world.on_delete(kind)
        if kind == "volumes" and world.left() == 1 then
          world.things.images.late = with_id(image, "late")
          return rest.answer(400, { badRequest = { message = "it is uploading" } })
        end
      end
      assert.same({}, (source:cleanup { entry "image", entry "volume" }))
      assert.equal(0, world.left())
    end)

  it("says that the image is gone, as who fails to fill it removes it", function()
    local world = storage.new()
    local opened = assert(export(world, nil, {
      [("POST %s/volumes/volumes-2/action"):format(VOLUMES)] = rest.answer(202, {
        ["os-volume_upload_image"] = { image_id = "x" } }),
    }))
    local stream, err = opened:stream("d1")
    assert.is_nil(stream)
    assert.equal("UploadFailed", err.code)
    assert.truthy(err.message:find("image x is gone", 1, true))
  end)

  for what, case in pairs {
    ["its hash"] = { { os_hash_algo = "sha256", os_hash_value = "AB", checksum = "00" },
      { algorithm = "sha256", value = "ab" } },
    ["its SHA-512"] = { { os_hash_algo = "sha512", os_hash_value = "ab" },
      { algorithm = "sha512", value = "ab" } },
    ["its SHA-1, of an older Glance"] = { { os_hash_algo = "sha1", os_hash_value = "ab" },
      { algorithm = "sha1", value = "ab" } },
    ["its MD5 where that is all there is"] = { { checksum = ("Ab"):rep(16) },
      { algorithm = "md5", value = ("ab"):rep(16) } },
    ["its MD5 where the hash is an unknown one"] = { { os_hash_algo = "blake3",
      os_hash_value = "ab", checksum = ("0"):rep(32) },
      { algorithm = "md5", value = ("0"):rep(32) } },
    ["nothing where there is none"] = { {}, nil },
    ["nothing where what there is cannot be one"] = { { checksum = "none" }, nil },
  } do
    it("checks an image by " .. what, function()
      local world = storage.new()
      local found = with_id({ name = "vm-import-uid-1-d1", status = "active",
        disk_format = "raw", size = 2 ^ 30 | 0 }, "i")
      for key, value in pairs(case[1]) do
        found[key] = value
      end
      world.things.images.i = found
      local opened = assert(export(world, { entry "image" }))
      assert.same(case[2], assert(opened:stream("d1")).digest)
      local said = opened:complete().d1
      assert.equal(case[2] and case[2].value, said and said.value)
    end)
  end

  for what, case in pairs {
    ["Cinder says"] = { { size = 2 ^ 30 | 0, disk_format = "raw" }, 2 ^ 30 },
    ["the image is, where that is more"] = { { size = 8 * 2 ^ 30 | 0, disk_format = "raw" },
      8 * 2 ^ 30 },
    ["the image holds, where it is packed"] = { { size = 5, disk_format = "qcow2",
      virtual_size = 3 * 2 ^ 30 | 0 }, 3 * 2 ^ 30 },
    ["whole sectors hold it"] = { { size = (2 ^ 30 | 0) + 1, disk_format = "raw" },
      2 ^ 30 + 512 },
    ["Cinder says, where the image is less"] = { { size = 5, disk_format = "raw" }, 2 ^ 30 },
  } do
    it("has a disk as large as " .. what, function()
      local world = storage.new()
      world.things.images.i = { id = "i", name = "vm-import-uid-1-d1", status = "active" }
      for key, value in pairs(case[1]) do
        world.things.images.i[key] = value
      end
      local opened = assert(export(world, { entry "image" }))
      assert.equal(case[2], assert(opened:stream("d1")).capacity)
    end)
  end

  for _, format in ipairs { "raw", "qcow2", "vdi", "vhd", "vhdx" } do
    it("gives an image that is " .. format, function()
      local world = storage.new()
      world.things.images.i = with_id({ name = image.name, status = "active",
        disk_format = format }, "i")
      local opened = assert(export(world, { entry "image" }))
      assert.equal(format, assert(opened:stream("d1")).format)
    end)
  end

  it("gives none in a format that nothing reads, and says so", function()
    local world = storage.new()
    world.things.images.i = with_id({ name = image.name, status = "active",
      disk_format = "vmdk" }, "i")
    local opened = assert(export(world, { entry "image" }))
    local stream, err = opened:stream("d1")
    assert.is_nil(stream)
    assert.equal("FormatUnsupported", err.code)
    assert.is_true(err.final)
  end)

  for what, ids in pairs {
    ["one more"] = { "d1", "d2", "d3" }, ["one less"] = { "d1" },
    ["another one"] = { "d1", "d3" }, ["them in another order"] = { "d2", "d1" },
  } do
    it("is not opened when the server has volumes that were not planned: " .. what,
      function()
        local world = storage.new()
        local answer = world.attach(ids)
        local opened, err = export(world, nil, { [SERVER] = function()
          world.attach(ids)
          return answer
        end }, THREE)
        assert.is_nil(opened)
        assert.equal("MachineChanged", err.code)
        assert.is_true(err.final)
        assert.same({}, world.log)
      end)
  end

  for said, server in pairs { ACTIVE = { status = "ACTIVE" },
    ["powering-on"] = { status = "SHUTOFF", ["OS-EXT-STS:task_state"] = "powering-on" } } do
    it("is not opened while the server runs, or is about to: " .. said, function()
      server.id, server.name = ID, "web"
      local opened, err = export(storage.new(), nil, {
        ["GET /compute/v2.1/servers/" .. ID] = rest.answer(200, { server = server }),
      })
      assert.is_nil(opened)
      assert.equal("busy", err.kind)
      assert.equal(("server %s is %s, not off"):format(ID, said), err.message)
    end)
  end
end)
