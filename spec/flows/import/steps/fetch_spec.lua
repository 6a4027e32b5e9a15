local errors = require "host.error"
local fetch = require "flows.import.steps.fetch"
local json = require "host.json"
local moment = require "flows.import.moment"
local pace = require "support.pace"
local steps = require "support.steps"
local task = require "host.task"

local READY = { phase = "ready" }

-- Calls of the export may be replaced, by name.
local function world(opts, calls)
  opts = opts or {}
  opts.status = opts.status or {}
  opts.status.importStatus = opts.status.importStatus or "sourceReady"
  opts.sent = opts.sent or {}
  local w = steps.world(opts)
  local export = w.source.export
  function w.source.export(...)
    local opened, err = export(...)
    for name, call in pairs(opened and calls or {}) do
      opened[name] = call
    end
    return opened, err
  end
  return w
end

local function file(number)
  return { kind = "ScratchFile", name = "web-" .. number, diskID = "200" .. number }
end

describe("flows.import.steps.fetch", function()
  it("fetches every disk, and writes down where it is", function()
    local w = world()
    assert.equal("disksExported", fetch.run(w.import, w.ctx))
    assert.equal("/scratch/web-0.raw", w:status().diskImportStatus[1].diskLocalPath)
    assert.equal("/scratch/web-1.raw", w:status().diskImportStatus[2].diskLocalPath)
    assert.equal("True", w:import_condition("VMExported").status)
    assert.equal("Exported", w:import_condition("VMExported").reason)
    assert.equal("all 2 disks are here whole", w:import_condition("VMExported").message)
    assert.same({ file(0), file(1) }, w:status().recorded)
    assert.truthy(w:status().sourceStamp)
    assert.equal(1, w.source.completed)
    assert.same({ "put web-0 1048576 https://host/2000", "put web-1 2097152 https://host/2001" },
      w:asked_for("^put"))
    assert.equal(2, #w:asked_for("^close"))
    assert.equal(2, #w:asked_for("^hold"))
  end)

  it("waits for room in scratch that others count on, and leaves its place", function()
    local w = world({ spec = { transferMode = "Spool" } })
    w.target.disks.taken = "scratch is taken"
    local left = false
    w.ctx.leave_place = function() left = true end
    local ok, err = pcall(fetch.run, w.import, w.ctx)
    assert.is_false(ok)
    assert.equal("WaitingForScratch", err.waits)
    assert.equal(30, err.after)
    assert.equal("scratch is taken", err.message)
    assert.is_true(left)
    assert.same({}, w:asked_for("^put"))
    w.target.disks.taken = nil
    assert.equal("disksExported", fetch.run(w.import, w.ctx))
    assert.equal(1, #w:asked_for("^gives room back"))
  end)

  it("passes the disks on where scratch is taken, if it may", function()
    local w = world()
    w.source.can = { reread = true }
    w.target.disks.taken = "scratch is taken"
    local ok, err = pcall(fetch.run, w.import, w.ctx)
    assert.is_false(ok)
    assert.equal(0, err.after)
    assert.same({ mode = "Stream", reason = "scratch is taken" }, w:status().transfer)
    assert.same({}, w:asked_for("^put"))
  end)

  it("records no file, and serves nothing, where disks end in a directory", function()
    local w = world()
    w.target.can.images = false
    assert.equal("disksExported", fetch.run(w.import, w.ctx))
    assert.same({}, w:status().recorded or {})
    assert.same({}, w:asked_for("^hold"))
  end)

  it("fetches none that is here, or in Harvester", function()
    local w = world({ status = { diskImportStatus = steps.entries(
      steps.ready("web-0-img")) } })
    moment.settle(w.import, { record = w.ctx.record, writer = w.writer, target = { disks = {
      state = function() end, remove = function() end }, can = {} }, now = w.env.now },
      w.source)
    w.writer:record({ diskImportStatus = steps.entries(steps.ready("web-0-img")) })
    w.target.images = { ["web-0-img"] = READY }
    w.target.disks.whole = { ["2001"] = true }
    assert.equal("disksExported", fetch.run(w.import, w.ctx))
    assert.same({}, w:asked_for("^put"))
    assert.equal(0, w.source.exports)
  end)

  it("opens the export again that was not completed, if only for that", function()
    local w = world({ status = { recorded = json.array({
      { kind = "HttpNfcLease", name = "lease-1" } }) } })
    w.target.disks.whole = { ["2000"] = true, ["2001"] = true }
    function w.target.disks:remove() end -- of a moment that nobody wrote down
    assert.equal("disksExported", fetch.run(w.import, w.ctx))
    assert.equal(1, w.source.completed)
    assert.same({}, w:asked_for("^put"))
    assert.same({}, w:status().recorded)
  end)

  it("waits for a disk that another process writes, and touches nothing", function()
    local w = world()
    w.target.disks.held = { ["2001"] = "/scratch/web-1.raw.part" }
    local err = w:fails(fetch.run)
    assert.equal("DiskInUse", err.waits)
    assert.equal(10, err.after)
    assert.equal("disk 2001 of web 01: another process, a replica that was stopped or cut off, "
      .. "still holds /scratch/web-1.raw.part; it is looked at again in 10 s", err.message)
    assert.equal(0, w.source.exports)
  end)

  it("waits for one that another process has taken meanwhile: that is no failure", function()
    local w = world()
    w.target.disks.fail = { ["2000"] = { errors.new("busy", "locked") } }
    local put = w.target.disks.put
    function w.target.disks:put(...)
      self.held = { ["2000"] = "/p" }
      return put(self, ...)
    end
    assert.equal("DiskInUse", w:fails(fetch.run).waits)
    assert.is_nil(w:import_condition("VMExportFailed"))
  end)

  for kind, tries in pairs { connect = 3, timeout = 3, http = 3, dns = 3, io = 1, denied = 1 } do
    it(("tries a disk %d times that fails with %s"):format(tries, kind), function()
      local w = world({ options = { poll = 0.001, parallel_disks = 1 } })
      local fail = {}
      for i = 1, 3 do
        fail[i] = errors.new(kind, "number " .. i, { status = 404 })
      end
      w.target.disks.fail = { ["2000"] = fail }
      local err = w:fails(fetch.run)
      assert.equal(kind, err.kind)
      assert.equal("2000", err.disk)
      assert.equal("disk 2000 of web 01: number " .. tries, err.message)
      assert.equal(3 - tries, #fail)
      assert.equal(1, w.source.aborted)
      local condition = w:import_condition("VMExportFailed")
      assert.equal("True ExportFailed " .. err.message, ("%s %s %s"):format(condition.status,
        condition.reason, condition.message))
    end)
  end

  for what, fields in pairs { ["is final"] = { final = true },
    ["was tried often enough"] = { tried = true } } do
    it("tries a disk once whose error " .. what, function()
      local w = world()
      fields.status = 404
      w.target.disks.fail = { ["2000"] = { errors.new("http", "bad", fields),
        errors.new("http", "worse", fields) } }
      assert.equal("disk 2000 of web 01: bad", w:fails(fetch.run).message)
    end)
  end

  it("fails with what the export was lost by", function()
    local w = world({}, { lost = function() return errors.new("gone", "the lease is lost") end })
    w.target.disks.fail = { ["2000"] = { errors.new("http", "broke off"),
      errors.new("http", "broke off") } }
    local err = w:fails(fetch.run)
    assert.equal("disk 2000 of web 01: the lease is lost", err.message)
    assert.equal(1, #w.target.disks.fail["2000"])
  end)

  it("fails when it can open no stream, or put none", function()
    local w = world({}, { stream = function() return nil, errors.new("denied", "no") end })
    assert.equal("disk 2000 of web 01: no", w:fails(fetch.run).message)
    w = world()
    w.target.disks.put_error = errors.new("io", "no folder")
    assert.equal("disk 2000 of web 01: no folder", w:fails(fetch.run).message)
  end)

  it("does not go on when the source is away, and says no failure", function()
    local w = world({ export_error = errors.new("connect", "refused") })
    assert.equal("refused", w:fails(fetch.run).message)
    assert.is_nil(w:import_condition("VMExportFailed"))
  end)

  it("ends the others when one fails", function()
    local w = world()
    w.target.disks.fail = { ["2000"] = { errors.new("io", "broken") } }
    local put = w.target.disks.put
    function w.target.disks:put(plan, disk, stream)
      local transfer = put(self, plan, disk, stream)
      if disk.id == "2001" then
        function transfer.wait() task.sleep(60) end
      end
      return transfer
    end
    assert.equal("disk 2000 of web 01: broken", w:fails(fetch.run).message)
    assert.is_true(pace.eventually(function()
      return #w:asked_for("^close web%-1") == 1
    end))
  end)

  for most, together in pairs { [1] = 1, [2] = 2 } do
    it(("fetches %d at once where that is asked for"):format(most), function()
      local w = world({ options = { poll = 0.001, parallel_disks = most } })
      local now, seen = 0, 0
      local put = w.target.disks.put
      function w.target.disks:put(...)
        local transfer = put(self, ...)
        local wait = transfer.wait
        function transfer.wait(...)
          now = now + 1
          seen = math.max(seen, now)
          task.sleep(0.005)
          now = now - 1
          return wait(...)
        end
        return transfer
      end
      fetch.run(w.import, w.ctx)
      assert.equal(together, seen)
    end)
  end

  it("tells who follows it", function()
    local w, seen = world(), {}
    w.env.observer = {
      disk_started = function(_, _, disk) seen[#seen + 1] = "started " .. disk.id end,
      disk_ended = function(_, _, disk, _, result, err)
        seen[#seen + 1] = ("ended %s %s %s"):format(disk.id, result and result.capacity, err)
      end,
    }
    fetch.run(w.import, w.ctx)
    table.sort(seen)
    assert.same({ "ended 2000 1048576 nil", "ended 2001 2097152 nil", "started 2000",
      "started 2001" }, seen)
  end)

  it("looks on while it lasts, and says how far it is", function()
    local told = {}
    local w = world({}, { progress = function(_, share) told[#told + 1] = share end })
    w.target.disks.lasts = function() return #told == 0 end
    w.target.disks.reads = { ["2000"] = { position = 524288, received = 1000, rate = 0 },
      ["2001"] = { position = 0, received = 0, rate = 0 } }
    function w.writer:progress(text) w.said = w.said or text end
    fetch.run(w.import, w.ctx)
    assert.equal(524288 / 3145728, told[1])
    assert.truthy(w.said:find("^disk 1/2 50 %%"), w.said)
  end)

  describe("of disks that can be read while they come", function()
    local function coming(opts, err)
      local w = world(opts)
      local disks = w.target.disks
      disks.coming = true
      disks.lasts = function() -- until both images are asked for
        return #w:asked_for("^put VirtualMachineImage") < 2
      end
      disks.reads = { ["2000"] = { position = 1, received = 1, rate = 0 },
        ["2001"] = { position = 1, received = 1, rate = 0 } }
      w.target.images = { ["web-0-img"] = { phase = "importing" },
        ["web-1-img"] = { phase = "importing" } }
      w.target.refuses = { VirtualMachineImage = err }
      return w
    end

    it("asks for their images meanwhile, once", function()
      local w = coming()
      assert.equal("disksExported", fetch.run(w.import, w.ctx))
      assert.equal(2, #w:asked_for("^put VirtualMachineImage"))
      assert.equal(2, #w:asked_for("^publish"))
    end)

    it("fetches on when an image cannot be made, and says so; it is tried more seldom",
      function()
        local w = coming({ tick = 1 }, errors.new("busy", "no webhook"))
        local tried = {}
        local put = w.target.put
        function w.target:put(...)
          tried[#tried + 1] = w.uptime
          return put(self, ...)
        end
        function w.writer:progress(text) w.said = text end
        w.target.disks.lasts = function() return #tried < 4 or not w.said end
        assert.equal("disksExported", fetch.run(w.import, w.ctx))
        assert.truthy(w.said:find("; no image yet: no webhook", 1, true), w.said)
        -- by the clock that nobody sets: 5 s after the first two, then 10 s
        assert.is_true(#tried >= 4, #tried)
        assert.is_true(tried[3] - tried[1] >= 5 and tried[3] - tried[1] <= 8)
      end)

    it("makes those again that have failed meanwhile, before it goes on", function()
      local w = coming()
      w.target.images["web-0-img"] = { phase = "failed", message = "too slow" }
      w.target.stays = { ["web-0-img"] = true }
      assert.equal("DiskImageFailed", fetch.run(w.import, w.ctx).wait)
    end)
  end)

  describe("of what the source says it has sent", function()
    local function sent(value, opts)
      opts = opts or {}
      opts.sent = { ["2000"] = { algorithm = "sha1", value = value },
        ["2001"] = { algorithm = "sha1", value = "bb" } }
      local w = world(opts)
      w.target.disks.digests = { ["2000"] = { sha1 = "aa" }, ["2001"] = { sha1 = "bb" } }
      return w
    end

    it("keeps what came, which is the same", function()
      local w = sent("aa", { status = { diskImportStatus = steps.entries({ lastError = "x" }) } })
      assert.equal("disksExported", fetch.run(w.import, w.ctx))
      assert.same({ sha1 = "aa" }, w:status().diskImportStatus[1].digests)
      assert.same({ sha1 = "bb" }, w:status().diskImportStatus[2].digests)
      assert.is_nil(w:status().diskImportStatus[1].lastError)
    end)

    it("forgets a digest of a disk of which nobody says one any more", function()
      local w = sent("aa", { status = { diskImportStatus = steps.entries(
        { digests = { sha1 = "old" } }, { digests = { sha1 = "old" } }) } })
      w.target.disks.digests = { ["2000"] = {} }
      fetch.run(w.import, w.ctx)
      assert.is_nil(w:status().diskImportStatus[1].digests)
      assert.is_nil(w:status().diskImportStatus[2].digests)
    end)

    it("gives up a disk that came otherwise, and its image", function()
      local w = sent("cc")
      local err = w:fails(fetch.run)
      assert.equal("format", err.kind)
      assert.equal("disk 2000 of web 01: sha1 of what came is aa, the source says it sent cc",
        err.message)
      assert.same({ "remove web-0" }, w:asked_for("^remove"))
      assert.same({ "delete VirtualMachineImage default/web-0-img" }, w:asked_for("^delete"))
      assert.is_nil(err.final)
      w.asked = {}
      assert.is_true(w:fails(fetch.run).final) -- twice just so
    end)

    it("gives up no image where there is none", function()
      local w = sent("cc")
      w.target.can.images = false
      w:fails(fetch.run)
      assert.same({ "remove web-0" }, w:asked_for("^remove"))
      assert.same({}, w:asked_for("^delete"))
    end)
  end)

  describe("when scratch is full", function()
    local function full(opts, can)
      local w = world(opts)
      w.source.can = can or { reread = true }
      w.target.disks.fail = { ["2000"] = { errors.new("nospace", "scratch is full") } }
      assert.equal("nospace", w:fails(fetch.run).kind)
      return w
    end

    it("goes on without, and removes what has come in part", function()
      local w = full()
      assert.same({ mode = "Stream", reason = "disk 2000 of web 01: scratch is full" },
        w:status().transfer)
      assert.same({ "remove web-0", "remove web-1" }, w:asked_for("^remove"))
    end)

    it("stays with it where the import says so", function()
      local w = full({ spec = { transferMode = "Spool" } })
      assert.is_nil(w:status().transfer)
      assert.same({}, w:asked_for("^remove"))
    end)
  end)

  describe("refill", function()
    local function refilled(whole, power)
      local w = world({ power = power, status = { importStatus = "disksExported" } })
      w.target.disks.whole = whole
      assert.is_nil(fetch.refill.run(w.import, w.ctx))
      return w
    end

    it("fetches what has gone, when the machine is off", function()
      local w = refilled({ ["2000"] = true }, "on")
      assert.equal("off", w.source.power)
      assert.equal(2, #w:asked_for("^put"))
    end)

    it("touches nothing while all is here", function()
      local w = refilled({ ["2000"] = true, ["2001"] = true }, "on")
      assert.same({}, w.asked)
      assert.equal("on", w.source.power)
    end)
  end)

  it("leaves disks that are passed on to that step", function()
    for _, step in ipairs { fetch, fetch.refill } do
      local w = world({ status = { transfer = { mode = "Stream" },
        diskImportStatus = steps.entries(steps.ready("web-0-img"), steps.ready("web-1-img")) } })
      w.target.images = { ["web-0-img"] = READY, ["web-1-img"] = READY }
      assert.equal("diskImagesReady", step.run(w.import, w.ctx))
    end
  end)
end)
