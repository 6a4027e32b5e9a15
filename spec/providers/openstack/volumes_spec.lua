local answers = require "support.answers"
local errors = require "host.error"
local volumes = require "providers.openstack.volumes"

local in_turn = answers.in_turn
local AWAY, DENIED = errors.new("connect", "refused"), errors.new("denied", "forbidden")
local GONE = errors.new("notfound", "gone")

local SNAPSHOT = "POST volume /snapshots"
local MAKE = "POST volume /volumes"
local UPLOAD = "POST volume /volumes/v-1/action"
local ROOT = "POST compute /servers/s-1/action"
local function listed(kind)
  return ("GET %s?name=n-d"):format(kind)
end
local SNAPSHOTS = listed("volume /snapshots/detail")
local VOLUMES = listed("volume /volumes/detail")
local IMAGES = listed("image /images")

local DISK = { id = "d", name = "disk", capacity_bytes = 3 * 2 ^ 30 + 1 }
local ROOT_DISK = { id = "root", name = "root disk", capacity_bytes = 2 ^ 30 }

-- A cloud that makes all that it is asked for, but for what is said otherwise.
local function cloud(more)
  local map = {
    [SNAPSHOT] = { snapshot = { id = "s-1" } },
    ["GET volume /snapshots/s-1"] = { snapshot = { id = "s-1", status = "available", size = 3 } },
    [MAKE] = { volume = { id = "v-1" } },
    ["GET volume /volumes/v-1"] = { volume = { id = "v-1", status = "available" } },
    [UPLOAD] = { ["os-volume_upload_image"] = { image_id = "i-1" } },
    [ROOT] = { image_id = "i-1" },
    ["GET image /images/i-1"] = { id = "i-1", status = "active" },
    [SNAPSHOTS] = { snapshots = {} }, [VOLUMES] = { volumes = {} }, [IMAGES] = { images = {} },
    ["GET image /images?name=n-root"] = { images = {} },
  }
  for key, answer in pairs(more or {}) do
    map[key] = answer or nil
  end
  return map
end

-- known: kinds of which an earlier run has recorded one.
local function job(map, known)
  local of = { session = answers.session(map), machine = { id = "s-1" }, root = "root",
    stamp = "stamp", records = {}, texts = {}, entries = {},
    waits = { poll = 0.001, delete_timeout = 60, retry_count = 0, retry_delay = 0 } }
  for _, kind in ipairs(known or {}) do
    of.entries[kind] = true
  end
  function of:name(disk) return "n-" .. disk.id end
  function of:knows(entry) return self.entries[entry.kind] == true end
  function of:record(entry)
    self.entries[entry.kind] = true
    self.records[#self.records + 1] = ("%s %s"):format(entry.kind, entry.id or "named")
  end
  function of:forget(entry)
    self.entries[entry.kind] = nil
    self.records[#self.records + 1] = entry.kind .. " gone"
  end
  function of:report(_, text) self.texts[#self.texts + 1] = text end
  function of:unchanged() return not self.torn or nil, self.torn end
  function of:server() return self.now end
  return of
end

local function count(list, text)
  local n = 0
  for _, other in ipairs(list) do
    n = n + (other == text and 1 or 0)
  end
  return n
end

describe("providers.openstack.volumes.image", function()
  it("makes snapshot, volume and image, and removes what was on the way", function()
    local of = job(cloud())
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.same({ "volume named", "snapshot named", "snapshot s-1", "volume v-1", "image named",
      "image i-1", "volume gone", "snapshot gone" }, of.records)
    assert.same({ volume_id = "d", name = "n-d", force = true,
      description = "made by vm-import-controller, which removes it" },
      of.session.bodies[SNAPSHOT].snapshot)
    assert.same({ snapshot_id = "s-1", name = "n-d", size = 4,
      description = "made by vm-import-controller, which removes it" },
      of.session.bodies[MAKE].volume)
    assert.same({ image_name = "n-d", disk_format = "raw", container_format = "bare",
      force = false }, of.session.bodies[UPLOAD]["os-volume_upload_image"])
    assert.same({ "Cinder makes a volume of the snapshot", "Cinder uploads the volume to Glance"
      }, of.texts)
  end)

  it("makes the volume as large as a snapshot that is larger", function()
    local of = job(cloud { ["GET volume /snapshots/s-1"] = { snapshot = { id = "s-1",
      status = "available", size = 9 } } })
    assert(volumes.image(of, DISK))
    assert.equal(9, of.session.bodies[MAKE].volume.size)
    of = job(cloud { ["GET volume /snapshots/s-1"] = { snapshot = { id = "s-1",
      status = "available" } } })
    assert(volumes.image(of, DISK))
    assert.equal(4, of.session.bodies[MAKE].volume.size)
  end)

  it("makes that of a root disk without any volume", function()
    local of = job(cloud())
    assert.equal("i-1", volumes.image(of, ROOT_DISK).id)
    assert.same({ "image named", "image i-1" }, of.records)
    assert.same({ createImage = { name = "n-root" } }, of.session.bodies[ROOT])
    assert.same({ "Nova uploads the root disk to Glance" }, of.texts)
  end)

  it("reads the id of that from a header, of an older Nova", function()
    local of = job(cloud { [ROOT] = function()
      return {}, { headers = { location = "https://glance/v2/images/a-1" } }
    end, ["GET image /images/a-1"] = { id = "a-1", status = "active" } })
    assert.equal("a-1", volumes.image(of, ROOT_DISK).id)
  end)

  it("has none of a root disk that has run meanwhile", function()
    local of = job(cloud())
    of.torn = errors.new("busy", "it was started", { reason = "SourceChanged" })
    local image, err = volumes.image(of, ROOT_DISK)
    assert.is_nil(image)
    assert.equal(of.torn, err)
    assert.equal(1, count(of.session.asked, ROOT))
  end)

  it("makes no volume of a snapshot once the server has run", function()
    local of = job(cloud())
    of.torn = errors.new("busy", "it was started", { reason = "SourceChanged" })
    local image, err = volumes.image(of, DISK)
    assert.is_nil(image)
    assert.equal(of.torn, err)
    assert.is_true(err.tried)
    assert.equal(0, count(of.session.asked, MAKE))
  end)

  it("takes the one of an earlier run", function()
    local of = job(cloud { [IMAGES] = { images = { { id = "i-0", name = "n-d",
      status = "killed" }, { id = "i-1", name = "n-d", status = "active" } } } }, { "image" })
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.same({}, of.records)
  end)

  it("waits for one of an earlier run that is being filled", function()
    local of = job(cloud { [IMAGES] = { images = { { id = "i-1", name = "n-d",
      status = "saving" } } }, ["GET image /images/i-1"] = in_turn({ status = "saving" },
      { status = "active", id = "i-1" }), [VOLUMES] = { volumes = { { id = "v-1", name = "n-d",
      status = "uploading" } } } }, { "image" })
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.equal(0, count(of.session.asked, UPLOAD))
  end)

  it("waits for it, too, where nobody can tell of the volume that it comes from", function()
    local of = job(cloud { [IMAGES] = { images = { { id = "i-1", name = "n-d",
      status = "saving" } } }, ["GET image /images/i-1"] = in_turn({ status = "saving" },
      { status = "active", id = "i-1" }), [VOLUMES] = AWAY }, { "image" })
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.equal(0, count(of.session.asked, UPLOAD))
  end)

  it("removes one of an earlier run that its volume does not fill any more", function()
    local looks, list = 0, { { id = "i-0", name = "n-d", status = "saving" } }
    local of = job(cloud { [IMAGES] = { images = list },
      ["GET image /images/i-0"] = function()
        looks = looks + 1
        return list[1] and { id = "i-0", status = looks < 9 and "saving" or "active" }, GONE
      end, ["DELETE image /images/i-0"] = function()
        list[1] = nil
        return {}
      end, [VOLUMES] = in_turn({ volumes = { { id = "v-1", name = "n-d",
        status = "available" } } }, { volumes = {} }) }, { "image" })
    of.now = { ["OS-EXT-STS:task_state"] = "image_uploading" } -- of another disk
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.same({}, list)
  end)

  it("removes those of an earlier run that are dead, and makes another", function()
    for _, status in ipairs { "killed", "deleted", "pending_delete", "deactivated" } do
      local of = job(cloud { [IMAGES] = in_turn({ images = { { id = "i-0", name = "n-d",
        status = status } } }, { images = { { id = "i-0", name = "n-d", status = status } } }),
        ["DELETE image /images/i-0"] = {} }, { "image" })
      assert.equal("i-1", volumes.image(of, DISK).id)
      assert.equal(1, count(of.session.asked, "DELETE image /images/i-0"))
    end
  end)

  it("makes none while nobody can tell of an earlier one, or it does not go", function()
    local image, err = volumes.image(job(cloud { [IMAGES] = AWAY }, { "image" }), DISK)
    assert.is_nil(image)
    assert.equal(AWAY, err)
    local of = job(cloud { [IMAGES] = { images = { { id = "i-0", name = "n-d",
      status = "killed" } } }, ["DELETE image /images/i-0"] = DENIED }, { "image" })
    image, err = volumes.image(of, DISK)
    assert.is_nil(image)
    assert.equal("denied", err.kind)
    assert.equal(0, #of.records)
  end)

  it("uploads the volume that an earlier run is uploading", function()
    local of = job(cloud { [VOLUMES] = { volumes = { { id = "v-1", name = "n-d",
      status = "uploading" } } }, ["GET volume /volumes/v-1"] = false }, { "volume" })
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.equal(0, count(of.session.asked, MAKE))
    assert.equal(1, count(of.session.asked, UPLOAD))
  end)

  it("keeps recorded what does not go, and has the image all the same", function()
    local of = job(cloud { [VOLUMES] = in_turn({ volumes = { { id = "v-1", name = "n-d",
      status = "available" } } }), ["DELETE volume /volumes/v-1"] = DENIED })
    assert.equal("i-1", volumes.image(of, DISK).id)
    assert.equal(0, count(of.records, "volume gone"))
    assert.equal(0, count(of.records, "snapshot gone"))
  end)

  describe("tries", function()
    -- err of the second request at most; removes what there is of the first
    local function failing(err, more)
      more = more or {}
      more[UPLOAD] = err
      local of = job(cloud(more))
      local image, why = volumes.image(of, DISK)
      return image, why, of, count(of.session.asked, UPLOAD)
    end

    it("twice where another try may help", function()
      local image, err, _, tried = failing(errors.new("io", "no"))
      assert.is_nil(image)
      assert.equal("an image of volume d: no", err.message)
      assert.is_true(err.tried)
      assert.equal(2, tried)
      image = failing(in_turn(errors.new("io", "no"),
        { ["os-volume_upload_image"] = { image_id = "i-1" } }))
      assert.equal("i-1", image.id)
    end)

    for _, kind in ipairs { "nospace", "denied", "gone", "unsupported" } do
      it("once where it is refused for good: " .. kind, function()
        local _, err, _, tried = failing(errors.new(kind, "no"))
        assert.equal(kind, err.kind)
        assert.is_true(err.tried)
        assert.equal(1, tried)
      end)
    end

    it("once where what is left of the first does not go", function()
      local image, err, _, tried = failing(errors.new("io", "no"), { [IMAGES] = AWAY })
      assert.is_nil(image)
      assert.equal(AWAY, err)
      assert.equal(1, tried)
    end)
  end)

  describe("when no good answer comes", function()
    local SAVING = { images = { { id = "i-1", name = "n-d", status = "saving" } } }

    for what, err in pairs { ["it is lost"] = AWAY,
      ["one is under way"] = errors.new("invalid", "uploading"),
      ["two are under way"] = errors.new("conflict", "uploading") } do
      it("takes the image that was begun: " .. what, function()
        local of = job(cloud { [UPLOAD] = err, [IMAGES] = in_turn({ images = {} }, SAVING),
          ["GET volume /volumes/v-1"] = in_turn({ volume = { id = "v-1", status = "available" } },
            { volume = { id = "v-1", status = "uploading" } }) })
        assert.equal("i-1", volumes.image(of, DISK).id)
        assert.equal(1, count(of.session.asked, UPLOAD))
      end)
    end

    it("takes none that is dead, nor waits for one when nobody is at it", function()
      local of = job(cloud { [UPLOAD] = AWAY, [IMAGES] = { images = { { id = "i-9",
        name = "n-d", status = "killed" } } }, ["DELETE image /images/i-9"] = {} })
      local image, err = volumes.image(of, DISK)
      assert.is_nil(image)
      assert.equal("an image of volume d: refused", err.message)
    end)

    it("waits for none that was refused", function()
      local of = job(cloud { [UPLOAD] = DENIED, [IMAGES] = SAVING })
      assert.is_nil((volumes.image(of, DISK)))
      assert.equal(0, count(of.session.asked, IMAGES))
    end)

    it("has none where nobody names it", function()
      local of = job(cloud { [ROOT] = function() return {}, { headers = {} } end })
      local image, err = volumes.image(of, ROOT_DISK)
      assert.is_nil(image)
      assert.equal("format", err.kind)
      of = job(cloud { [ROOT] = DENIED })
      image, err = volumes.image(of, ROOT_DISK)
      assert.is_nil(image)
      assert.equal("an image of the root disk: forbidden", err.message)
    end)
  end)

  describe("waits for the data", function()
    local function filled(disk, image, more)
      more = more or {}
      more["GET image /images/i-1"] = image
      more["GET volume /messages?resource_uuid=v-1"] = { messages = { { user_message = "full" } } }
      more["DELETE image /images/i-1"] = {}
      local of = job(cloud(more))
      return of, disk
    end

    local UPLOADING = { volume = { id = "v-1", status = "uploading" } }
    local AVAILABLE = { volume = { id = "v-1", status = "available" } }

    it("while somebody fills it, whatever may pass", function()
      local of = filled(DISK, in_turn({ status = "saving" }, AWAY, { status = "saving" },
        { status = "saving" }, { status = "saving" }, { id = "i-1", status = "active" }),
        { ["GET volume /volumes/v-1"] = in_turn(AVAILABLE, UPLOADING) })
      assert.equal("i-1", volumes.image(of, DISK).id)
    end)

    -- Looks in which nobody fills it, until they come to three of the longest pauses: the
    -- first is an eighth of that, each of the others half as much again.
    local LOOKS = 8

    -- An image that has a status for so many looks, then the other answers.
    local function for_looks(looks, status, ...)
      local list = { ... }
      for _ = 1, looks do
        table.insert(list, 1, { status = status })
      end
      return table.unpack(list)
    end

    it("for three of the longest pauses when nobody does, and says why", function()
      local of = filled(DISK, in_turn(for_looks(LOOKS, "queued", GONE)), { [UPLOAD] = in_turn(
        { ["os-volume_upload_image"] = { image_id = "i-1" } }, DENIED) })
      local image, err = volumes.image(of, DISK)
      assert.is_nil(image)
      assert.equal("denied", err.kind) -- of the second try
      assert.equal(LOOKS + 1, count(of.session.asked, "GET image /images/i-1"))
    end)

    it("anew when somebody goes on", function()
      local of = filled(DISK, in_turn(for_looks(LOOKS - 1, "saving", { id = "i-1",
        status = "active" })), { ["GET volume /volumes/v-1"] = in_turn(AVAILABLE, AVAILABLE,
        AVAILABLE, AVAILABLE, UPLOADING, AVAILABLE) })
      assert.equal("i-1", volumes.image(of, DISK).id)
    end)

    it("not of one that is dead or gone", function()
      for status, image in pairs { killed = { status = "killed" }, gone = GONE } do
        local of = filled(DISK, in_turn(image, GONE, image, GONE))
        local none, err = volumes.image(of, DISK)
        assert.is_nil(none)
        assert.equal("UploadFailed", err.code)
        assert.equal(("Glance has not got the data of disk d: image i-1 is %s and nobody fills "
          .. "it (full)"):format(status), err.message)
        assert.equal(2, count(of.session.asked, UPLOAD))
      end
    end)

    it("not where it may not look", function()
      local none, err = volumes.image(filled(DISK, DENIED), DISK)
      assert.is_nil(none)
      assert.equal("the image of disk d: forbidden", err.message)
    end)

    it("of a root disk while Nova is at it", function()
      local function of_root(...)
        local of = filled(ROOT_DISK, in_turn(...))
        local looks = 0
        function of:server()
          looks = looks + 1
          return { ["OS-EXT-STS:task_state"] = looks <= LOOKS and "image_uploading" or nil }
        end
        return volumes.image(of, ROOT_DISK)
      end
      assert.equal("i-1", of_root(for_looks(LOOKS + 2, "saving", { id = "i-1",
        status = "active" })).id)
      -- The last pauses are the longest: three of them are enough.
      local none, err = of_root(for_looks(LOOKS + 4, "saving", GONE, for_looks(LOOKS, "saving",
        GONE)))
      assert.is_nil(none)
      assert.equal("Glance has not got the data of disk root: image i-1 is saving and nobody "
        .. "fills it", err.message)
    end)

    it("as long as a disk of its size may take", function()
      local saving = { status = "saving" }
      local of = filled({}, in_turn(saving, GONE, saving, GONE), {
        ["GET volume /volumes/v-1"] = UPLOADING })
      local none, err = volumes.image(of, { id = "root", name = "r", capacity_bytes = 0 })
      assert.is_nil(none)
      assert.equal("timeout", err.kind)
      assert.equal("UploadFailed", err.code)
      assert.truthy(err.message:find("Glance has not got the data of disk root after 0 s", 1,
        true), err.message)
    end)
  end)
end)

describe("providers.openstack.volumes: the moment of a disk", function()
  it("begins with a snapshot that is asked for, and not waited for", function()
    local of = job(cloud())
    assert.is_true(volumes.begin_snapshot(of, DISK))
    assert.same({ "snapshot named", "snapshot s-1" }, of.records)
    assert.same({ SNAPSHOT }, of.session.asked)
    assert.same({ "Cinder makes a snapshot of the volume" }, of.texts)
    assert.same({ kind = "snapshot", name = "n-d", diskID = "d", since = "stamp" },
      volumes.entry_of(of, "snapshot", DISK))
  end)

  it("takes no failure for one that may pass", function()
    assert.is_true(volumes.begin_snapshot(job(cloud { [SNAPSHOT] = AWAY }), DISK))
    local ok, err = volumes.begin_snapshot(job(cloud { [SNAPSHOT] = DENIED }), DISK)
    assert.is_nil(ok)
    assert.equal("a snapshot of volume d: forbidden", err.message)
  end)

  it("begins with the image of a root disk", function()
    local of = job(cloud())
    assert.is_true(volumes.begin_root(of, ROOT_DISK))
    assert.same({ "image named", "image i-1" }, of.records)
    local ok, err = volumes.begin_root(job(cloud { [ROOT] = DENIED }), ROOT_DISK)
    assert.is_nil(ok)
    assert.equal("denied", err.kind)
  end)

  it("has no volume where Cinder makes none", function()
    local image, err = volumes.image(job(cloud { [MAKE] = DENIED }), DISK)
    assert.is_nil(image)
    assert.equal("a volume from the snapshot of volume d: forbidden", err.message)
  end)
end)
