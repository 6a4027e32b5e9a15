-- The images of an import into a cluster, on an in-memory one: failed, early, denied, and
-- without scratch.

local conditions = require "kube.conditions"
local errors = require "host.error"
local in_cluster = require "support.in_cluster"
local json = require "host.json"
local pace = require "support.pace"
local task = require "host.task"
local time = require "host.time"

local world, run, state = in_cluster.world, in_cluster.run, in_cluster.state
local import_of, images, count = in_cluster.import, in_cluster.images, in_cluster.count
local set_image, all_imported = in_cluster.set_image, in_cluster.all_imported

describe("flows.import in a cluster", function()
  it("makes a failed image again, and gives up after maxRetries", function()
    local w = world({ spec = { maxRetries = 2 } })
    run(w)
    for attempt = 1, 3 do
      local image = images(w)[1]
      set_image(w, image.metadata.name, { conditions = json.array({
        { type = "RetryLimitExceeded", status = "True", message = "no space left" } }) })
      run(w)
      if attempt < 3 then
        assert.equal("diskImageFailed", state(w))
        local working = conditions.find(import_of(w).status.conditions, "Reconciling")
        assert.truthy(working.message:find("no space left", 1, true))
        run(w)
        assert.equal(image.metadata.uid, images(w)[1].metadata.uid, "made again at once")
        w.clock = w.clock + 10
        run(w)
        assert.equal("diskImageSubmitted", state(w))
        assert.not_equal(image.metadata.uid, images(w)[1].metadata.uid)
      end
    end
    assert.equal("VMMigrationFailed", state(w))
    local stalled = conditions.find(import_of(w).status.conditions, "Stalled")
    assert.truthy(stalled.message:find("no space left", 1, true))
    assert.equal(0, #images(w))
    assert.equal(0, count(w.server.routes))
    assert.equal(0, #import_of(w).metadata.finalizers)
  end)

  it("waits for an image's next attempt five minutes at most, though the clock is set back",
    function()
      local w = world()
      run(w)
      set_image(w, images(w)[1].metadata.name, { conditions = json.array({
        { type = "RetryLimitExceeded", status = "True", message = "no space left" } }) })
      run(w)
      w.clock = w.clock - 36000
      local after = run(w).after
      assert.is_true(after <= 300, after)
      w.clock = w.clock + after
      run(w)
      assert.equal("diskImageSubmitted", state(w))
    end)

  it("says what keeps an image from being imported meanwhile", function()
    local w = world()
    run(w)
    set_image(w, images(w)[1].metadata.name, { conditions = json.array({
      { type = "RetryLimitExceeded", status = "False", message = "retry 1/3: EOF" } }) })
    run(w)
    local working = conditions.find(import_of(w).status.conditions, "Reconciling")
    assert.truthy(working.message:find("retry 1/3: EOF", 1, true))
  end)

  it("brings an image back to Harvester that nobody reads", function()
    local w = world()
    run(w)
    w.server.sent = { requests = 1, full_reads = 0, bytes = 0, active = 0 }
    w.store:patch("VirtualMachineImage", "default", images(w)[1].metadata.name,
      { metadata = { creationTimestamp = time.rfc3339(w.clock) } })
    w.clock = w.clock + 60
    run(w)
    local annotations = images(w)[1].metadata.annotations
    assert.equal(time.rfc3339(w.clock), annotations["migration.harvesterhci.io/look-again"])
    local working = conditions.find(import_of(w).status.conditions, "Reconciling")
    assert.truthy(working.message:find("nobody reads it", 1, true), working.message)
  end)

  -- What Longhorn says of the first image's bytes, a minute ago.
  local function set_backing(w, name, ...)
    local map = {}
    for i, file_state in ipairs { ... } do
      map["disk-" .. i] = { state = file_state,
        lastStateTransitionTime = time.rfc3339(w.clock - 60) }
    end
    w.store:create("BackingImage", { metadata = { name = name, namespace = "longhorn-system" },
      status = { diskFileStatusMap = map } })
  end

  -- The first image a minute later, nobody having read it since; its UID before.
  local function a_minute_later(w, ...)
    run(w)
    w.server.sent = { requests = 1, full_reads = 1, bytes = 1, active = 0 }
    local made = images(w)[1].metadata
    w.store:patch("VirtualMachineImage", "default", made.name,
      { metadata = { creationTimestamp = time.rfc3339(w.clock) } })
    w.clock = w.clock + 60
    set_backing(w, "vmi-" .. made.uid, ...)
    run(w)
    return made.uid
  end

  it("makes an image again that Longhorn has, and Harvester will never see", function()
    local w = world()
    local uid = a_minute_later(w, "ready")
    local status = import_of(w).status
    assert.equal(1, status.attempt)
    assert.truthy(conditions.find(status.conditions, "Reconciling").message
      :find("Harvester has taken no note of that for 60 s", 1, true))
    w.clock = w.clock + 600
    run(w)
    assert.not_equal(uid, images(w)[1].metadata.uid)
  end)

  it("leaves an image alone that Longhorn has not, or not all of it", function()
    for _, states in ipairs { {}, { "in-progress" }, { "ready", "in-progress" } } do
      local w = world()
      local uid = a_minute_later(w, table.unpack(states))
      assert.is_nil(import_of(w).status.attempt)
      assert.equal(uid, images(w)[1].metadata.uid)
    end
  end)

  -- How the disks go, once the import has come as far as it can.
  local function way(w)
    w.source.can = { reread = true }
    run(w)
    local transfer = import_of(w).status.transfer
    return transfer.mode, transfer.reason
  end

  it("does without scratch when that is full, unless the import wants it", function()
    for wanted, mode in pairs { Auto = "Stream", Spool = "Spool" } do
      local w = world({ spec = { transferMode = wanted } })
      w.disks.full = true
      local is, reason = way(w)
      assert.equal(mode, is)
      assert.equal("sourceReady", state(w))
      assert.truthy(reason:find(wanted == "Auto" and "scratch is full" or "spec.transferMode",
        1, true), reason)
      local failed = conditions.find(import_of(w).status.importConditions, "VMExportFailed")
      assert.truthy(failed.message:find("scratch is full", 1, true))
    end
  end)

  -- A world whose disks turn out to be none that can be passed on.
  local function unfit_to_pass_on()
    local w = world()
    w.disks.free = 0
    function w.target.publish_stream()
      return setmetatable({ close = function() end, progress = function()
        return { position = 0, received = 0, rate = 0, reading = 0,
          error = errors.new("unsupported", "the grains do not ascend") }
      end }, { __close = function() end })
    end
    return w
  end

  it("goes by way of scratch when disks cannot be passed on, and says why", function()
    local w = unfit_to_pass_on()
    local mode, reason = way(w)
    assert.equal("Spool", mode)
    assert.truthy(reason:find("the grains do not ascend", 1, true), reason)
    assert.equal(2, w.disks.fetched)
    assert.equal("diskImageSubmitted", state(w))
    all_imported(w)
    run(w)
    assert.equal("virtualMachineCreated", state(w))
  end)

  it("gives up when they cannot be passed on and there is no scratch", function()
    local w = unfit_to_pass_on()
    w.env.options.no_scratch = true
    assert.equal("Stream", (way(w)))
    assert.equal("VMMigrationFailed", state(w))
    local stalled = conditions.find(import_of(w).status.conditions, "Stalled")
    assert.equal("NoScratch", stalled.reason)
    assert.equal(0, w.disks.fetched)
  end)

  it("counts no image that has failed because the source was away", function()
    local w = world({ spec = { transferMode = "Stream", maxRetries = 0 } })
    w.source.can = { reread = true }
    local away
    w.env.open_source = function()
      if away then
        return nil, errors.new("connect", "refused")
      end
      return w.source
    end
    function w.target.publish_stream()
      return setmetatable({ close = function() end, progress = function()
        return { position = 0, received = 0, rate = 0, reading = 0,
          error = away and errors.new("connect", "broke off") or nil }
      end }, { __close = function() end })
    end
    local step = task.spawn(run, w)
    assert.is_true(pace.eventually(function()
      return #images(w) == 2
    end))
    away = true
    for _, image in ipairs(images(w)) do
      set_image(w, image.metadata.name, { conditions = json.array({
        { type = "RetryLimitExceeded", status = "True", message = "reset" } }) })
    end
    step:join()
    local status = import_of(w).status
    assert.equal("diskImageSubmitted", status.importStatus)
    assert.equal("SourceUnreachable", status.outage.reason)
    assert.is_nil(status.attempt)
    away = false
    local before = images(w)[1].metadata.uid
    step = task.spawn(run, w)
    assert.is_true(pace.eventually(function()
      return images(w)[1] and images(w)[1].metadata.uid ~= before
    end))
    step:cancel(1)
    assert.is_nil(import_of(w).status.attempt)
    assert.is_nil(import_of(w).status.outage)
  end)

  it("fetches again what scratch has lost, and publishes after a restart", function()
    local w = world()
    run(w)
    local before = w.disks.fetched
    local route = import_of(w).status.diskImportStatus[1].diskRoute
    w.server.routes = {}
    w.disks.whole = {}
    run(w)
    assert.equal(before + 2, w.disks.fetched)
    assert.truthy(w.server.routes[route])
    assert.equal("diskImageSubmitted", state(w))
  end)

  -- As the controller does.
  local function spawn(w)
    return task.spawn(function()
      task.label("web")
      return run(w)
    end)
  end

  -- Until what comes so far can be pulled; the step that fetches it.
  local function begin(w)
    w.disks.coming = true
    local step = spawn(w)
    assert.is_true(pace.eventually(function()
      local entry = ((import_of(w).status or {}).diskImportStatus or {})[2]
      return entry and entry.VirtualMachineImage
    end))
    return step
  end

  local function let_end(w, step, problem)
    w.disks.coming, w.disks.problem = nil, problem
    w.disks.changed:notify()
    assert(step:join())
  end

  it("makes the images while the disks come, as they may be pulled then", function()
    local w = world()
    local step = begin(w)
    assert.equal("sourceReady", state(w))
    assert.equal(2, #images(w))
    for i, image in ipairs(images(w)) do
      local entry = import_of(w).status.diskImportStatus[i]
      assert.equal("http://svc:8080" .. entry.diskRoute, image.spec.url)
      assert.is_nil(w.server.routes[entry.diskRoute].held)
    end
    local uid = images(w)[1].metadata.uid
    let_end(w, step)
    assert.equal("diskImageSubmitted", state(w))
    assert.equal(uid, images(w)[1].metadata.uid)
    assert.equal(2, #images(w))
  end)

  it("asks the API server at most 120 times for two disks, from look to end", function()
    local w, asked, inside = world(), 0, false
    for _, name in ipairs { "get", "list", "create", "patch", "delete" } do
      local call = w.store[name]
      w.store[name] = function(...) -- one of the store may use another
        local outer = not inside
        inside = true
        asked = asked + (outer and task.label() and 1 or 0) -- not what this spec asks
        local result, err = call(...)
        inside = not outer
        return result, err
      end
    end
    local step = begin(w)
    let_end(w, step)
    all_imported(w)
    assert(spawn(w):join())
    w.store:patch("VirtualMachine", "default", "web-01",
      { status = { printableStatus = "Running" } }, { status = true })
    assert(spawn(w):join())
    assert.equal("virtualMachineRunning", state(w))
    assert(asked > 20 and asked <= 120, asked)
  end)

  it("makes the other images when one is denied, and says what was said of that one", function()
    local w = world()
    local other = assert(w.store:create("VirtualMachineImage", { metadata = {
      namespace = "default", name = "another" }, spec = {
      displayName = import_of(w).spec.virtualMachineName } }))
    w.target.caches = 0
    local create = w.store.create
    function w.store:create(kind, object, opts)
      if kind == "VirtualMachineImage" and object.metadata.name:find("disk%-0") then
        object.spec.displayName = other.spec.displayName
      end
      return create(self, kind, object, opts)
    end
    local step = begin(w)
    assert.is_nil(import_of(w).status.diskImportStatus[1].VirtualMachineImage)
    assert.equal(2, #images(w))
    let_end(w, step)
    assert.equal("disksExported", state(w))
    local working = conditions.find(import_of(w).status.conditions, "Reconciling")
    assert.truthy(working.message:find("A resource with the same name exists; "
      .. "VirtualMachineImage default/web-01-1a2b3c4d-disk-0-img is not there", 1, true),
      working.message)
    assert.equal(1, import_of(w).status.attempt)
  end)

  it("makes an image again that has failed meanwhile, which is no attempt", function()
    local w = world({ spec = { maxRetries = 0 } })
    local step = begin(w)
    local uid = images(w)[1].metadata.uid
    set_image(w, images(w)[1].metadata.name, { conditions = json.array({
      { type = "RetryLimitExceeded", status = "True", message = "timed out" } }) })
    let_end(w, step)
    assert.equal("diskImageSubmitted", state(w))
    assert.is_nil(import_of(w).status.attempt)
    assert.not_equal(uid, images(w)[1].metadata.uid)
  end)

  it("lets who pulls wait while a disk that broke off does not come", function()
    local w = world()
    local step = begin(w)
    let_end(w, step, errors.new("io", "no"))
    assert.equal("sourceReady", state(w))
    for _, entry in ipairs(import_of(w).status.diskImportStatus) do
      assert.truthy(w.server.routes[entry.diskRoute].held)
    end
    local uid = images(w)[1].metadata.uid
    w.disks.problem, w.clock = nil, w.clock + 10
    run(w)
    assert.equal("diskImageSubmitted", state(w))
    assert.equal(uid, images(w)[1].metadata.uid)
  end)

  it("never takes an image again that was made of what the source did not send", function()
    local w = world({ sent = { ["2000"] = { algorithm = "sha1", value = "ab" } },
      digests = { sha1 = "cd" } })
    local step = begin(w)
    local before = import_of(w).status.diskImportStatus[1].diskRoute
    let_end(w, step)
    assert.equal("sourceReady", state(w))
    assert.equal(1, #images(w))
    local entry = import_of(w).status.diskImportStatus[1]
    assert.is_nil(entry.VirtualMachineImage)
    assert.is_nil(entry.diskRoute)
    assert.is_nil(w.server.routes[before])
  end)

  it("takes the images that are there after a crash before it could say so", function()
    local w = world()
    run(w)
    local uid = images(w)[1].metadata.uid
    w.store:patch("VirtualMachineImport", "default", "web",
      { status = { importStatus = "disksExported" } }, { status = true })
    run(w)
    assert.equal(uid, images(w)[1].metadata.uid)
    assert.equal(2, #images(w))
  end)

  it("refuses to take somebody else's image of the name", function()
    local w = world()
    w.store:create("VirtualMachineImage", { metadata = { namespace = "default",
      name = "web-01-1a2b3c4d-disk-0-img" }, spec = {} })
    run(w)
    assert.equal("VMMigrationFailed", state(w))
    assert.equal(1, #images(w))
  end)
end)
