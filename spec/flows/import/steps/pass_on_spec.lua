local errors = require "host.error"
local json = require "host.json"
local pass_on = require "flows.import.steps.pass_on"
local steps = require "support.steps"
local time = require "host.time"

local READY, IMPORTING = { phase = "ready" }, { phase = "importing" }
local FAILED = { phase = "failed", message = "it broke off" }

local function idle(more)
  local p = { position = 0, received = 0, reading = 0 }
  for key, value in pairs(more or {}) do
    p[key] = value
  end
  return p
end

-- Calls of the export may be replaced, by name. looks: what Harvester says of both images
-- at each look; the last goes on.
local function world(opts, looks, calls)
  opts = opts or {}
  opts.status = opts.status or {}
  opts.status.importStatus = opts.status.importStatus or "sourceReady"
  opts.status.transfer = { mode = "Stream" }
  local w = steps.world(opts)
  local export = w.source.export
  function w.source.export(...)
    local opened, err = export(...)
    for name, call in pairs(opened and calls or {}) do
      opened[name] = call
    end
    return opened, err
  end
  function w.writer:progress(text) w.said = text end
  local advance = w.ctx.advance
  w.looks = 0
  function w.ctx.advance(state)
    advance(state)
    w.looks = w.looks + 1
    local now = looks and (looks[w.looks] or looks[#looks])
    if now then
      w.target.images = { ["web-0-img"] = now[1], ["web-1-img"] = now[2] }
    end
  end
  return w
end

local function run(w)
  return pass_on.run(w.import, w.ctx)
end

local BOTH_READY = { { READY, READY } }

describe("flows.import.steps.pass_on", function()
  it("gives every disk to Harvester while it is read, from one export", function()
    local w = world({}, { { IMPORTING, IMPORTING }, { READY, IMPORTING }, { READY, READY } })
    assert.equal("diskImagesReady", run(w))
    local routes = {}
    for i, entry in ipairs(w:status().diskImportStatus) do
      routes[i] = entry.diskRoute
    end
    assert.same({
      "open_source VmwareSource default/vc",
      "publish_stream web-0 " .. routes[1] .. " https://host/2000",
      "publish_stream web-1 " .. routes[2] .. " https://host/2001",
      "backend default", "put VirtualMachineImage web-0-img",
      "backend fast", "put VirtualMachineImage web-1-img",
      "forget " .. routes[1], "forget " .. routes[2], "remove web-0", "remove web-1",
      "close web-0", "close web-1" }, { table.unpack(w.asked, 3) })
    assert.same({ "hold web-0 " .. routes[1], "hold web-1 " .. routes[2] },
      { table.unpack(w.asked, 1, 2) })
    assert.equal("diskImageSubmitted", w:status().importStatus)
    assert.equal(1, w.source.completed)
    assert.equal("Exported", w:import_condition("VMExported").reason)
    assert.equal("True", w:import_condition("VMExported").status)
    assert.equal("all 2 disks were passed on whole", w:import_condition("VMExported").message)
    assert.truthy(w:status().sourceStamp)
    assert.is_nil(w:import_condition("VMExportFailed"))
  end)

  it("asks for no more images than may be read at once, the first ones first", function()
    local w = world({ options = { poll = 0.001, parallel_disks = 1 } },
      { { IMPORTING }, { READY, IMPORTING }, { READY, READY } })
    local at
    local put = w.target.put
    function w.target:put(manifest)
      at = manifest.metadata.name == "web-1-img" and w.looks or at
      return put(self, manifest)
    end
    assert.equal("diskImagesReady", run(w))
    assert.equal(2, at)
  end)

  it("looks no more at an image that was ready", function()
    local w = world({}, { { READY, IMPORTING }, { READY, IMPORTING }, { READY, READY } })
    local looked = {}
    local state = w.target.image_state
    function w.target:image_state(namespace, name)
      looked[name] = (looked[name] or 0) + 1
      return state(self, namespace, name)
    end
    assert.equal("diskImagesReady", run(w))
    assert.equal(1, looked["web-0-img"])
    assert.equal(3, looked["web-1-img"])
  end)

  it("says how far source and Harvester are, and tells the source", function()
    local shares = {}
    local w = world({}, { { { phase = "importing", progress = 20 } }, { READY, READY } },
      { progress = function(_, share) shares[#shares + 1] = share end })
    w.target.disks.reads = { ["2000"] = idle({ position = 524288, received = 9, reading = 1 }),
      ["2001"] = idle({ error = errors.new("http", "broke off") }) }
    w.target.images = { ["web-1-img"] = IMPORTING }
    local image_state = w.target.image_state
    function w.target:image_state(namespace, name)
      if name == "web-1-img" and w.looks == 1 then
        return IMPORTING
      end
      return image_state(self, namespace, name)
    end
    assert.equal("diskImagesReady", run(w))
    assert.equal("disk 1/2 50 % of 1 MB, 0 MB at 0 MB/s; image 1/2 20 %, image 2/2; disk 2001 "
      .. "is read again: reading the disk: broke off", w.said)
    assert.same({ 524288 / 3145728 }, shares)
  end)

  it("says that nobody has asked yet", function()
    local waiting = { phase = "queued" }
    local w = world({}, { { waiting, waiting }, { READY, READY } })
    run(w)
    assert.equal("waiting for Harvester to ask for the disks", w.said)
  end)

  it("counts a disk that is there as passed", function()
    local shares = {}
    local w = world({}, { { READY, IMPORTING }, { READY, READY } },
      { progress = function(_, share) shares[#shares + 1] = share end })
    w.target.disks.reads = { ["2000"] = idle({ error = errors.new("http", "broke off") }) }
    run(w)
    assert.same({ 1 / 3 }, shares)
    assert.equal("image 2/2", w.said)
  end)

  it("tells who follows it", function()
    local w, seen = world({}, BOTH_READY), {}
    w.env.observer = {
      disk_started = function(_, _, disk) seen[#seen + 1] = "started " .. disk.id end,
      disk_ended = function(_, _, disk, _, result)
        seen[#seen + 1] = ("ended %s %s"):format(disk.id, result ~= nil)
      end,
    }
    run(w)
    assert.same({ "started 2000", "started 2001", "ended 2000 true", "ended 2001 true" }, seen)
  end)

  it("opens the export again when it is lost, and lets who asks wait meanwhile", function()
    local lost = { errors.new("gone", "the lease is lost") }
    local w = world({}, { { READY, IMPORTING }, { READY, READY } },
      { lost = function() return lost[1] end })
    local export = w.source.export
    function w.source.export(...)
      lost = w.source.exports > 0 and {} or lost
      return export(...)
    end
    assert.equal("diskImagesReady", run(w))
    assert.equal(2, w.source.exports)
    assert.equal("the lease is lost", w:event("ExportLost").note)
    assert.equal("Warning", w:event("ExportLost").type)
    assert.equal(1, #w:asked_for("^publish_stream web%-0"))
    assert.equal(2, #w:asked_for("^publish_stream web%-1"))
    assert.equal(1, #w:asked_for("^hold web%-0"))
    assert.equal(2, #w:asked_for("^hold web%-1"))
  end)

  describe("of images that fail", function()
    it("counts an attempt, and says what reading has failed with", function()
      local w = world({}, { { FAILED, IMPORTING } })
      w.target.disks.reads = { ["2000"] = idle({ error = errors.new("http", "broke off",
        { status = 404 }) }) }
      local outcome = run(w)
      assert.equal("diskImageFailed", outcome.state)
      assert.equal("image web-0-img: it broke off; reading the disk: broke off; attempt 2 of 6 "
        .. "at " .. time.rfc3339(w.clock + 5), outcome.message)
      assert.equal(1, w.source.aborted)
      assert.equal(2, #w:asked_for("^hold web%-0"))
      assert.equal(1, #w:asked_for("^close web%-0"))
    end)

    it("counts one of which nobody knows why", function()
      local w = world({}, { { FAILED, IMPORTING } })
      assert.equal("image web-0-img: it broke off; attempt 2 of 6 at "
        .. time.rfc3339(w.clock + 5), run(w).message)
    end)

    it("counts none while the source is away", function()
      local w = world({}, { { IMPORTING, FAILED } })
      w.target.disks.reads = { ["2001"] = idle({ error = errors.new("http", "broke off") }) }
      local open = w.env.open_source
      w.env.open_source = function(ref, how)
        if how and how.fresh then
          return nil, errors.new("connect", "refused")
        end
        return open(ref, how)
      end
      local err = w:fails(pass_on.run)
      assert.equal("disk 2001 of web 01: broke off", err.message)
      assert.equal("2001", err.disk)
      assert.equal("SourceUnreachable", err.outage)
      assert.is_nil(w:import_condition("VMExportFailed"))
    end)

    it("is the last one when the disk was just so before", function()
      local w = world({ status = { diskImportStatus = steps.entries({ lastError = "bad grain" }) }
      }, { { FAILED, IMPORTING } })
      w.target.disks.reads = { ["2000"] = idle({ failed = 1,
        error = errors.new("format", "bad grain") }) }
      local err = w:fails(pass_on.run)
      assert.is_true(err.final)
      assert.truthy(err.message:find("^disk 2000 of web 01: bad grain; it was fetched twice"))
      assert.equal("ExportFailed", w:import_condition("VMExportFailed").reason)
      assert.equal("True", w:import_condition("VMExportFailed").status)
      assert.equal(err.message, w:import_condition("VMExportFailed").message)
    end)
  end)

  describe("of disks that cannot be passed on", function()
    local function stream(_, id)
      return { url = "https://host/" .. id, format = id == "2001" and "qcow2" or "raw" }
    end
    local NOT_ASCENDING = errors.new("unsupported", "grains do not ascend")

    it("goes by way of scratch, when that shows by the format", function()
      local w = world({}, BOTH_READY, { stream = stream })
      assert.same({ leave = true, after = 0 }, run(w))
      assert.same({ mode = "Spool", reason = "disk 2001 comes as qcow2" }, w:status().transfer)
      assert.equal(1, #w:asked_for("^close"))
    end)

    it("goes by way of scratch, when that shows while it is read", function()
      local w = world({}, { { IMPORTING, IMPORTING } })
      w.target.disks.reads = { ["2001"] = idle({ error = NOT_ASCENDING }) }
      assert.same({ leave = true, after = 0 }, run(w))
      assert.same({ mode = "Spool", reason = "disk 2001: grains do not ascend" },
        w:status().transfer)
    end)

    it("fails for good where there is no scratch", function()
      local w = world({ options = { poll = 0.001, no_scratch = true } }, BOTH_READY,
        { stream = stream })
      local err = w:fails(pass_on.run)
      assert.is_true(err.final)
      assert.equal("NoScratch", err.reason)
      assert.equal("disk 2001 comes as qcow2; it would have to wait in scratch, and the "
        .. "controller runs without", err.message)
    end)
  end)

  describe("of what the source says it has sent", function()
    local function sent(value, entries)
      local w = world({ sent = { ["2000"] = { algorithm = "sha1", value = value } },
        status = { diskImportStatus = entries } }, BOTH_READY)
      w.target.disks.reads = { ["2000"] = idle({ digests = { sha1 = "aa" } }),
        ["2001"] = idle({ digests = {} }) }
      return w
    end

    it("keeps what has come, of images that are there", function()
      local w = sent("aa", steps.entries({ lastError = "x" }))
      assert.equal("diskImagesReady", run(w))
      assert.same({ sha1 = "aa" }, w:status().diskImportStatus[1].digests)
      assert.is_nil(w:status().diskImportStatus[2].digests)
      assert.is_nil(w:status().diskImportStatus[1].lastError)
    end)

    it("keeps what came first", function()
      local w = sent("bb", steps.entries({ digests = { sha1 = "bb" } }))
      assert.equal("diskImagesReady", run(w))
      assert.same({ sha1 = "bb" }, w:status().diskImportStatus[1].digests)
    end)

    it("keeps nothing of an image that is not there yet", function()
      local w = world({}, { { IMPORTING, READY }, { READY, READY } })
      local digests = { sha1 = "old" }
      w.target.disks.reads = { ["2000"] = idle({ digests = digests }) }
      function w.writer:progress()
        assert.is_nil(w:status().diskImportStatus[1].digests)
        digests.sha1 = "new"
      end
      assert.equal("diskImagesReady", run(w))
      assert.same({ sha1 = "new" }, w:status().diskImportStatus[1].digests)
    end)

    it("deletes the image of a disk that came otherwise", function()
      local w = sent("cc")
      local outcome = run(w)
      assert.equal("diskImageFailed", outcome.state)
      assert.truthy(outcome.message:find("^disk 2000: sha1 of what came is aa, the source says "
        .. "it sent cc: the image was deleted; attempt 2 of 6"), outcome.message)
      assert.same({ "delete VirtualMachineImage default/web-0-img" }, w:asked_for("^delete"))
    end)

    it("fails for good when it came so twice", function()
      local w = sent("cc", steps.entries({ lastError = "sha1 of what came is aa, the source "
        .. "says it sent cc" }))
      local err = w:fails(pass_on.run)
      assert.is_true(err.final)
      assert.truthy(err.message:find("^disk 2000: sha1 of what came is aa"))
    end)
  end)

  describe("after a start", function()
    local function again(state, entries, opts)
      opts = opts or {}
      opts.status = opts.status or {}
      opts.status.importStatus, opts.status.diskImportStatus = state, entries
      return world(opts, BOTH_READY)
    end

    it("has nothing to do when all is there", function()
      local w = again("diskImageSubmitted", steps.entries(steps.ready("web-0-img"),
        steps.ready("web-1-img")))
      w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = READY }
      assert.equal("diskImagesReady", run(w))
      assert.equal(0, w.source.exports)
    end)

    it("opens the export again that was not completed", function()
      local w = again("diskImageSubmitted", steps.entries(steps.ready("web-0-img"),
        steps.ready("web-1-img")), { status = { recorded = json.array({
        { kind = "HttpNfcLease", name = "lease-1" } }) } })
      function w.target:delete() return true end -- of a moment that nobody wrote down
      w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = READY }
      assert.equal("diskImagesReady", run(w))
      assert.equal(1, w.source.completed)
    end)

    it("reads no disk of a machine that is on", function()
      local w = again("diskImageSubmitted", steps.entries({ VirtualMachineImage = "web-0-img" }),
        { power = "on" })
      assert.equal("diskImagesReady", run(w))
      assert.equal("off", w.source.power)
      w = again("sourceReady", nil, { power = "on" }) -- it was looked at just before
      run(w)
      assert.equal("on", w.source.power)
    end)

    it("deletes images that have failed, when it is time, and asks for them again", function()
      local entries = steps.entries({ VirtualMachineImage = "web-0-img" },
        { VirtualMachineImage = "web-1-img" })
      local w = again("diskImageFailed", entries,
        { status = { nextAttemptTime = time.rfc3339(1.8e9 + 9) } })
      local outcome = run(w)
      assert.equal(9, outcome.after)
      assert.is_false(outcome.outage)
      w.clock = w.clock + 9
      w.target.images = { ["web-0-img"] = FAILED, ["web-1-img"] = IMPORTING }
      assert.equal("diskImagesReady", run(w))
      assert.equal("delete VirtualMachineImage default/web-0-img", w:asked_for("^delete")[1])
      assert.equal(2, #w:asked_for("^put VirtualMachineImage"))
    end)

    it("deletes, after an outage, those that have failed, and counts nothing", function()
      local outage = { reason = "SourceUnreachable", since = "x", tries = 1, waitedSeconds = 0 }
      local w = again("diskImageSubmitted", steps.entries({ VirtualMachineImage = "web-0-img" }),
        { status = { outage = outage } })
      w.target.images = { ["web-0-img"] = FAILED }
      w.target.stays = { ["web-0-img"] = true }
      local outcome = run(w)
      assert.equal(5, outcome.after)
      assert.is_true(outcome.outage)
      w.target.stays = {}
      assert.equal("diskImagesReady", run(w))
      assert.is_nil(w:status().outage)
      assert.truthy(w:event("SourceReached"))
    end)

    it("makes again an image that has gone", function()
      local w = again("diskImageSubmitted", steps.entries(steps.ready("web-0-img"),
        steps.ready("web-1-img")))
      w.target.images = { ["web-1-img"] = READY }
      function w.target:delete() return true end
      assert.equal("diskImagesReady", run(w))
      assert.truthy(#w:asked_for("^put VirtualMachineImage web%-0") == 1)
    end)
  end)

  it("fails when the source does not export", function()
    local w = world({ export_error = errors.new("busy", "another task") })
    assert.equal("another task", w:fails(pass_on.run).message)
    assert.equal("another task", w:import_condition("VMExportFailed").message)
  end)

  it("throws everything away when the machine was on while it was read", function()
    local w = world({}, BOTH_READY)
    local advance = w.ctx.advance
    function w.ctx.advance(state)
      w.source.epoch = "2"
      advance(state)
    end
    local err = w:fails(pass_on.run)
    assert.equal("SourceChanged", err.reason)
    assert.equal(0, w.source.completed)
  end)
end)
