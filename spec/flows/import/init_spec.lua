local conditions = require "kube.conditions"
local errors = require "host.error"
local flow = require "flows.import"
local import_status = require "flows.import.status"
local json = require "host.json"
local marks = require "base.marks"
local standalone = require "support.standalone"
local task = require "host.task"
local steps = require "support.steps"

local KEY = standalone.KEY
local world, run, condition = standalone.world, standalone.run, standalone.condition
local import_of = standalone.import

describe("flows.import", function()
  it("goes through upstream's states to the end in a directory", function()
    local w = world()
    local states, result = run(w)
    assert.same({ "virtualMachineImportValid", "sourceReady", "disksExported" }, states)
    assert.is_nil(result)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal("Written", condition(w, "Ready").reason)
    assert.equal("VirtualMachine", w.target.machines[#w.target.machines].kind)
    assert.equal(1, w.source.completed)
    assert.equal(0, w.source.aborted)
  end)

  it("leaves no finalizer and nothing recorded at the end, but had one meanwhile", function()
    local w = world()
    run(w)
    local had = false
    for _, object in ipairs(w.store.writes) do
      local recorded = object.status and object.status.recorded
      if recorded and #recorded > 0 then
        assert.equal(1, #object.metadata.finalizers)
        had = true
      end
    end
    assert.is_true(had)
    assert.equal(0, #(import_of(w).metadata.finalizers or {}))
    assert.equal(0, #(import_of(w).status.recorded or {}))
  end)

  it("takes a finalizer off that a killed controller has left on an ended import", function()
    local w = world()
    run(w)
    for _, state in ipairs { "virtualMachineRunning", "VMMigrationFailed" } do
      assert(w.store:patch("VirtualMachineImport", KEY.namespace, KEY.name,
        { metadata = { finalizers = { "another", marks.FINALIZER } } }))
      assert(w.store:patch("VirtualMachineImport", KEY.namespace, KEY.name,
        { status = { importStatus = state } }, { status = true }))
      flow.reconcile(KEY, w.env)
      assert.same({ "another" }, import_of(w).metadata.finalizers)
      assert.equal(state, import_of(w).status.importStatus)
    end
  end)

  it("tells all blocking findings at once and touches nothing", function()
    local w = world({ power = "on", findings = {
      { code = "A", severity = "Warns", subject = "x", message = "first" },
      { code = "B", severity = "Blocks", subject = "x", message = "second", action = "do b" },
      { code = "C", severity = "Blocks", subject = "x", message = "third" },
    } })
    local states, result = run(w)
    assert.same({ "virtualMachineImportInvalid" }, states)
    assert.equal(300, result.after)
    local message = condition(w, "Stalled").message
    assert.truthy(message:find("second (do b)", 1, true))
    assert.truthy(message:find("third", 1, true))
    assert.equal("Blocks", import_of(w).status.findings[1].severity)
    assert.equal("on", w.source.power)
    assert.equal(0, w.source.exports)
  end)

  it("is invalid while a site's script fails, and records which generation decided", function()
    local w = world()
    w.env.script_generation = "0123456789abcdef"
    w.env.hook = function(name)
      if name == "cpu" then
        return nil, errors.new("invalid", "hook cpu: a.lua:3: boom", { script = "a.lua" })
      end
    end
    assert.same({ "virtualMachineImportInvalid" }, (run(w)))
    assert.truthy(condition(w, "Stalled").message:find("a.lua:3: boom", 1, true))
    assert.equal("0123456789abcdef", import_of(w).status.scriptGeneration)
    w.env.hook = function() end
    run(w)
    assert.equal("True", condition(w, "Ready").status)
  end)

  it("counts no attempt any more once it has come to a verdict", function()
    local findings = { { code = "B", severity = "Blocks", subject = "x", message = "m" } }
    local w = world({ findings = findings })
    w.env.hook = function()
      return nil, errors.new("busy", "too busy")
    end
    run(w, 1)
    assert.equal(1, import_of(w).status.attempt)
    w.env.hook = nil
    run(w)
    assert.equal("virtualMachineImportInvalid", import_of(w).status.importStatus)
    assert.is_nil(import_of(w).status.attempt)
  end)

  it("goes on from invalid when the cause is gone", function()
    local findings = { { code = "B", severity = "Blocks", subject = "x", message = "m" } }
    local w = world({ findings = findings })
    run(w)
    findings[1] = nil
    run(w)
    assert.equal("True", condition(w, "Ready").status)
  end)

  it("names a machine that is not there", function()
    local w = world({ find_error = errors.new("notfound", "no machine web 01; near: web 02") })
    run(w)
    assert.equal("virtualMachineImportInvalid", import_of(w).status.importStatus)
    assert.truthy(condition(w, "Stalled").message:find("near: web 02", 1, true))
  end)

  it("waits, and says why, while the source cannot be reached", function()
    local w = world({ open_error = errors.new("connect", "vc refuses") })
    local _, result = run(w)
    assert.equal(5, result.after)
    assert.equal("SourceUnreachable", condition(w, "Reconciling").reason)
    assert.truthy(condition(w, "Reconciling").message:find("vc refuses", 1, true))
    assert.truthy(import_of(w).status.nextAttemptTime)
  end)

  it("stops before the source is touched when it is a dry run", function()
    local w = world({ power = "on", spec = { dryRun = true } })
    run(w)
    assert.equal("DryRun", condition(w, "Ready").reason)
    assert.equal("False", condition(w, "Ready").status)
    assert.equal("on", w.source.power)
  end)

  it("asks the guest to shut down", function()
    local w = world({ power = "on" })
    run(w)
    assert.equal(1, w.source.asked)
    assert.equal(0, w.source.cut)
  end)

  it("cuts the power past the deadline, and says so", function()
    local w = world({ power = "on", deaf = true, tick = 10,
      spec = { gracefulShutdownTimeoutSeconds = 30 } })
    run(w)
    assert.equal(1, w.source.cut)
    local off = conditions.find(import_of(w).status.importConditions, "VMPoweringOff")
    assert.truthy(off.message:find("within 30 s", 1, true))
    assert.equal("True", condition(w, "Ready").status)
  end)

  it("asks the guest again when the machine was started after it was off", function()
    local w = world({ power = "on" })
    w.target.fail["2001"] = { errors.new("nospace", "full") }
    run(w)
    assert.equal("off", w.source.power)
    w.source.power = "on"
    w.clock = w.clock + 3600
    run(w)
    assert.equal(2, w.source.asked)
    assert.equal(0, w.source.cut)
  end)

  it("cuts the power at once with forcePowerOff", function()
    local w = world({ power = "on", spec = { forcePowerOff = true } })
    run(w)
    assert.equal(0, w.source.asked)
    assert.equal(1, w.source.cut)
  end)

  it("does not fetch a whole disk twice", function()
    local w = world()
    w.target.fail["2001"] = { errors.new("nospace", "full"), errors.new("nospace", "full") }
    local _, result = run(w)
    assert.is_true(result.after > 0)
    assert.equal("sourceReady", import_of(w).status.importStatus)
    assert.equal(1, import_of(w).status.attempt)
    assert.equal(1, w.source.aborted)
    run(w)
    run(w)
    assert.equal("True", condition(w, "Ready").status)
    local first = 0
    for _, id in ipairs(w.target.fetched) do
      first = first + (id == "2000" and 1 or 0)
    end
    assert.equal(1, first)
  end)

  it("fetches all disks again when the machine was on meanwhile", function()
    local w = world()
    w.target.fail["2001"] = { errors.new("nospace", "full") }
    run(w)
    w.source.power = "on"
    run(w)
    table.sort(w.target.fetched)
    assert.same({ "2000", "2000", "2001", "2001" }, w.target.fetched)
  end)

  it("tries one disk again within the export when the connection breaks", function()
    local w = world()
    w.target.fail["2000"] = { errors.new("connect", "reset"), errors.new("connect", "reset") }
    run(w)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal(1, w.source.exports)
  end)

  -- Fetches of the disk 2000, until an end or a wait.
  local function fetches_with(failures)
    local w = world()
    w.target.fail["2000"] = failures
    run(w)
    local count = 0
    for _, id in ipairs(w.target.fetched) do
      count = count + (id == "2000" and 1 or 0)
    end
    return count, import_of(w).status
  end

  local function wrong_at(byte)
    return errors.new("format", ("disk: byte %d: a changed checksum"):format(byte))
  end

  it("ends when a disk is wrong twice at the same byte", function()
    local count, status = fetches_with { wrong_at(512), wrong_at(512), wrong_at(512) }
    assert.equal(2, count)
    assert.equal("VMMigrationFailed", status.importStatus)
    local message = conditions.find(status.conditions, "Stalled").message
    assert.matches("byte 512: .*fetched twice", message)
  end)

  it("fetches a disk again that was wrong at other bytes, or cut off alike", function()
    local count, status = fetches_with { wrong_at(512), wrong_at(1024) }
    assert.equal(3, count)
    assert.equal("disksExported", status.importStatus)
    count, status = fetches_with { errors.new("http", "broke off"), wrong_at(512) }
    assert.equal(3, count)
    assert.equal("disksExported", status.importStatus)
  end)

  it("says of disks without any checksum that nobody vouches for them, or refuses", function()
    local w = world() -- whose source says none
    run(w)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal("NotVerified", import_of(w).status.findings[1].code)
    w = world()
    w.env.options.verify = "require"
    run(w)
    assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
    assert.equal("NotVerified", condition(w, "Stalled").reason)
    assert.same({}, w.target.fetched)
  end)

  it("opens an export that was not completed again, if only to complete it", function()
    local w = world({ complete_errors = { errors.new("gone", "the session has ended") } })
    run(w)
    assert.equal(1, w.source.aborted)
    run(w)
    assert.equal(2, w.source.exports)
    assert.equal(1, w.source.found_recorded)
    assert.equal(1, w.source.completed)
    assert.equal(2, #w.target.fetched)
    assert.same({}, import_of(w).status.recorded)
    assert.equal("True", condition(w, "Ready").status)
  end)

  it("gives up a disk whose digest is not the one the source tells", function()
    local w = world({ sent = { ["2000"] = { algorithm = "sha1", value = "BB" } } })
    run(w)
    assert.is_nil(w.target.whole["2000"])
    assert.truthy(condition(w, "Reconciling").message:find("says it sent BB", 1, true))
    assert.equal(1, import_of(w).status.attempt)
  end)

  it("is planned when it is let, and lets the next one in", function()
    local w = world()
    local line = task.semaphore(1)
    w.env.plan_permit = function()
      return line:acquire(1)
    end
    run(w)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal(1, line:available())
  end)

  it("says when it stands in line to be planned for long", function()
    local w, said = world(), nil
    local line = task.semaphore(1)
    w.env.plan_permit = function(_, timeout)
      if timeout then
        return nil, errors.new("timeout", "no place")
      end
      said = condition(w, "Reconciling")
      return line:acquire()
    end
    run(w)
    assert.equal("WaitingForPlan", said.reason)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal(1, line:available())
  end)

  it("waits for who still writes its disks, and counts no attempt", function()
    local w = world({ spec = { maxRetries = 0 } })
    w.target.writer = "/out/web-01.raw.part"
    for _ = 1, 3 do
      local _, result = run(w)
      assert.equal(10, result.after)
    end
    assert.equal("sourceReady", import_of(w).status.importStatus)
    assert.is_nil(import_of(w).status.attempt)
    local said = condition(w, "Reconciling")
    assert.equal("DiskInUse", said.reason)
    assert.truthy(said.message:find("/out/web-01.raw.part", 1, true))
    assert.equal(0, w.source.exports)
    w.target.writer = nil
    run(w)
    assert.equal("True", condition(w, "Ready").status)
  end)

  it("waits also when somebody begins to write them meanwhile", function()
    local w = world({ spec = { maxRetries = 0 } })
    w.target.fail["2000"] = { errors.new("busy", "x.part is being written") }
    function w.target.disks:writer_of()
      return #w.target.fetched > 0 and #w.target.fail["2000"] == 0 and "/out/x.part" or nil
    end
    run(w)
    assert.equal("DiskInUse", condition(w, "Reconciling").reason)
    assert.is_nil(import_of(w).status.attempt)
  end)

  it("fails for good after maxRetries, and says why", function()
    local w = world({ export_error = errors.new("busy", "another export"),
      spec = { maxRetries = 2 } })
    run(w)
    run(w)
    local _, result = run(w)
    assert.is_nil(result)
    assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
    assert.equal("True", condition(w, "Stalled").status)
    assert.truthy(condition(w, "Stalled").message:find("another export", 1, true))
    assert.equal(0, #(import_of(w).metadata.finalizers or {}))
    local failed = conditions.find(import_of(w).status.importConditions, "VMExportFailed")
    assert.equal("True", failed.status)
  end)

  it("does not try again what trying cannot cure", function()
    local w = world({ export_error = errors.new("denied", "no permission") })
    run(w)
    assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
  end)

  it("starts again when a failed import's spec changes", function()
    local w = world({ export_error = errors.new("denied", "no permission") })
    run(w)
    assert.is_nil((flow.reconcile(KEY, w.env)))
    w.store:patch("VirtualMachineImport", "default", "web", { spec = { maxRetries = 7 } })
    flow.reconcile(KEY, w.env)
    assert.equal("virtualMachineImportValid", import_of(w).status.importStatus)
  end)

  it("ends a cancelled import", function()
    local w = world({ spec = { cancelled = true } })
    run(w)
    assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
    assert.equal("Cancelled", condition(w, "Stalled").reason)
  end)

  it("writes again over what another writer changed in between", function()
    local w = world()
    local once = true
    w.store.before_patch = function(_, patch)
      if once and patch.status then
        once = false
        w.store.before_patch = nil
        w.store:patch("VirtualMachineImport", "default", "web",
          { metadata = { labels = { by = "somebody" } } })
      end
    end
    run(w)
    assert.equal("True", condition(w, "Ready").status)
    assert.equal("somebody", import_of(w).metadata.labels.by)
  end)

  it("lets a restart by hand win over a step under way", function()
    local w = world()
    flow.reconcile(KEY, w.env)
    w.store.before_patch = function(_, patch)
      if patch.status then
        w.store.before_patch = nil
        w.store:patch("VirtualMachineImport", "default", "web",
          { status = { importStatus = json.null } }, { status = true })
      end
    end
    local result = flow.reconcile(KEY, w.env)
    assert.equal(0, result.after)
    assert.truthy(result.again:find("somebody else", 1, true))
    assert.is_nil(import_of(w).status.importStatus)
  end)

  it("does not leave what it made at the source because a clock was set", function()
    local w = world({ complete_errors = { errors.new("gone", "the session has ended") } })
    run(w)
    assert.equal(1, #import_of(w).status.recorded)
    assert(w.store:delete("VirtualMachineImport", "default", "web"))
    w.env.open_source = function()
      return nil, errors.new("connect", "vc refuses")
    end
    w.clock = w.clock + 10 * 365 * 86400
    for try = 1, 3 do
      assert.equal(10, flow.reconcile(KEY, w.env).after)
      assert.equal(1, #import_of(w).status.recorded)
      assert.equal(try, import_of(w).status.cleanings)
    end
  end)

  it("explains a state that is none, does nothing, and starts over when it is blanked",
    function()
      local w = world()
      w.store:patch("VirtualMachineImport", "default", "web",
        { status = { importStatus = "exporting" } }, { status = true })
      assert.is_nil(flow.reconcile(KEY, w.env))
      assert.equal("exporting", import_of(w).status.importStatus)
      assert.equal("UnknownState", condition(w, "Stalled").reason)
      assert.truthy(condition(w, "Stalled").message:find('"exporting", which is none of '
        .. "VMMigrationFailed, diskImageFailed, ", 1, true), condition(w, "Stalled").message)
      w.store:patch("VirtualMachineImport", "default", "web",
        { status = { importStatus = "" } }, { status = true })
      run(w)
      assert.equal("True", condition(w, "Ready").status)
    end)

  it("names itself to whoever meets another writer", function()
    local w = world()
    flow.reconcile(KEY, w.env)
    local writer <close> = import_status.writer(import_of(w), w.env)
    w.store:patch("VirtualMachineImport", "default", "web",
      { status = { importStatus = "" } }, { status = true })
    local _, err = pcall(writer.record, writer, { attempt = 1 })
    assert.equal("conflict", err.kind)
    assert.truthy(err.message:find("default/web", 1, true), err.message)
  end)

  it("is invalid while another import is under way to its machine's name", function()
    local w, asked = world(), nil
    w.env.reserve_name = function(_, plan)
      asked = plan.namespace .. "/" .. plan.name
      return false, "default/twin"
    end
    assert.same({ "virtualMachineImportInvalid" }, (run(w)))
    assert.equal("default/web-01", asked)
    local message = condition(w, "Stalled").message
    assert.truthy(message:find("VirtualMachineImport default/twin is under way", 1, true),
      message)
    assert.is_nil(import_of(w).status.plan)
  end)

  it("is planned anew when its spec is changed while it is being planned", function()
    local w = world()
    w.store.before_patch = function(_, patch)
      if patch.status and patch.status.plan then
        w.store.before_patch = nil
        w.store:patch("VirtualMachineImport", "default", "web",
          { spec = { targetName = "db" } })
      end
    end
    run(w)
    assert.equal("db", import_of(w).status.plan.name)
    assert.equal("db", import_of(w).status.plannedFrom.targetName)
    assert.equal("True", condition(w, "Ready").status)
  end)

  it("is planned anew when its spec is changed as it is let in", function()
    local w = world()
    w.store.before_patch = function(_, patch)
      if patch.status and patch.status.importStatus == "sourceReady" then
        w.store.before_patch = nil
        w.store:patch("VirtualMachineImport", "default", "web",
          { spec = { targetName = "db" } })
      end
    end
    run(w)
    assert.equal("db", import_of(w).status.plan.name)
  end)

  it("closes the export when the task is cancelled", function()
    local w = world()
    local stuck = task.signal()
    local closed = 0
    w.target.disks.put = function()
      local transfer = setmetatable({}, { __close = function()
        closed = closed + 1
      end })
      function transfer.progress() return { position = 0, received = 0, rate = 0 } end
      function transfer.wait()
        stuck:wait()
      end
      return transfer
    end
    local t = task.spawn(run, w)
    for _ = 1, 50 do
      task.sleep(0)
    end
    assert.is_true(t:cancel(5))
    assert.equal(1, w.source.aborted)
    assert.equal(2, closed)
  end)
end)

-- Which steps are due, of an import in a cluster.
describe("flows.import, of an import that is", function()
  local function at(state, opts)
    opts = opts or {}
    opts.status = opts.status or {}
    opts.status.importStatus = state
    opts.status.observedGeneration = opts.status.observedGeneration or 1
    opts.status.conditions = opts.status.conditions or json.array({})
    return steps.world(opts)
  end

  local function reconcile(w)
    return flow.reconcile(KEY, w.env)
  end

  for state, asked in pairs { [""] = true, virtualMachineImportInvalid = true,
    virtualMachineImportValid = true, sourceReady = true, disksExported = false,
    diskImageSubmitted = false, diskImageFailed = false, diskImagesReady = false,
    virtualMachineCreated = false } do
    it(("of no supported kind is left, where it needs the source: '%s'"):format(state),
      function()
        local w = at(state)
        w.env.supports = function(kind)
          assert.equal("VmwareSource", kind)
          return false
        end
        pcall(reconcile, w)
        local stalled = w:condition("Stalled")
        assert.equal(asked, stalled ~= nil and stalled.reason == "NotSupported")
        if asked then
          assert.equal("a VmwareSource cannot be imported from yet; the import is left as it was "
            .. "found", stalled.message)
          assert.equal(state, w:status().importStatus)
        end
      end)
  end

  for _, state in ipairs { "disksExported", "diskImageSubmitted", "diskImageFailed",
    "diskImagesReady" } do
    it("without a plan needs the source too: " .. state, function()
      local w = at(state, { status = { plan = json.null } })
      w.env.supports = function() return false end
      assert.is_nil(reconcile(w))
      assert.equal("NotSupported", w:condition("Stalled").reason)
    end)
  end

  it("of a supported kind, or of one that nobody names, goes on", function()
    for _, supports in ipairs { function() return true end, false } do
      local w = at("virtualMachineImportValid")
      w.env.supports = supports or nil
      assert.equal(30, reconcile(w).after)
      assert.equal("SourceNotReady", w:condition("Reconciling").reason)
    end
    local w = at("", { spec = { sourceCluster = {} } })
    w.env.supports = function() return false end
    reconcile(w)
    assert.equal("virtualMachineImportInvalid", w:status().importStatus)
  end)

  it("in a state that is none is left, and that is said", function()
    local w = at("Done")
    assert.is_nil(reconcile(w))
    assert.equal("UnknownState", w:condition("Stalled").reason)
    assert.truthy(w:condition("Stalled").message:find('status.importStatus is "Done", which is '
      .. "none of VMMigrationFailed, diskImageFailed, diskImageSubmitted, diskImagesReady, "
      .. "disksExported, sourceReady, virtualMachineCreated, virtualMachineImportInvalid, "
      .. "virtualMachineImportValid, virtualMachineRunning: nothing is done", 1, true),
      w:condition("Stalled").message)
  end)

  describe("ended", function()
    it("is left alone", function()
      for _, state in ipairs { "VMMigrationFailed", "virtualMachineRunning" } do
        local w = at(state)
        local before = #w.store.writes
        assert.is_nil(reconcile(w))
        assert.equal(before, #w.store.writes)
      end
    end)

    it("goes on to clean up", function()
      for _, state in ipairs { "VMMigrationFailed", "virtualMachineRunning" } do
        local w = at(state, { status = { recorded = json.array({
          { kind = "VirtualMachineImage", name = "web-0-img" } }) } })
        w.target.stays["web-0-img"] = true
        assert.same({ after = 10 }, reconcile(w))
        assert.equal(state, w:status().importStatus)
      end
    end)

    it("before we came, says so as it ended", function()
      local w = at("virtualMachineRunning", { status = {
        importedVirtualMachineName = "web" } })
      w.store:patch("VirtualMachineImport", "default", "web", { status = {
        conditions = json.null } }, { status = true })
      assert.is_nil(reconcile(w))
      assert.equal("web was imported", w:condition("Ready").message)
      w = at("VMMigrationFailed")
      w.store:patch("VirtualMachineImport", "default", "web", { status = {
        conditions = json.null } }, { status = true })
      assert.is_nil(reconcile(w))
      assert.equal("Failed", w:condition("Stalled").reason)
    end)

    it("badly, begins anew when its spec is changed, unless it is cancelled", function()
      local function edited(state, spec, seen)
        spec = spec or {}
        spec.virtualMachineName = ""
        local w = at(state, { spec = spec, status = { attempt = 3, observedGeneration = seen } })
        if seen == false then
          w.store:patch("VirtualMachineImport", "default", "web", { status = {
            observedGeneration = json.null } }, { status = true })
        end
        reconcile(w)
        return w:status().importStatus, w:status().attempt
      end
      assert.equal("virtualMachineImportInvalid", (edited("VMMigrationFailed", nil, 7)))
      assert.equal("VMMigrationFailed", (edited("VMMigrationFailed", nil, 1)))
      assert.equal("VMMigrationFailed", (edited("VMMigrationFailed", nil, false)))
      assert.equal("VMMigrationFailed", (edited("VMMigrationFailed", { cancelled = true }, 7)))
      assert.equal("virtualMachineRunning", (edited("virtualMachineRunning", nil, 7)))
    end)
  end)

  describe("cancelled", function()
    local function cancelled(state, ready)
      local w = at(state, { spec = { cancelled = true }, status = { conditions = json.array({
        { type = "Stalled", status = "False" }, { type = "Ready", status = ready or "False" } })
      } })
      assert.is_nil(reconcile(w))
      return w
    end

    it("fails for good, and that is said", function()
      for _, state in ipairs { "", "sourceReady", "diskImagesReady" } do
        local w = cancelled(state)
        assert.equal("VMMigrationFailed", w:status().importStatus)
        assert.equal("Cancelled", w:condition("Stalled").reason)
        assert.equal("cancelled by spec.cancelled", w:condition("Stalled").message)
      end
      assert.equal("cancelled by spec.cancelled; the machine was made before and stays",
        cancelled("virtualMachineCreated"):condition("Stalled").message)
    end)

    it("after its good end stays as it is", function()
      local w = cancelled("virtualMachineCreated", "True")
      assert.equal("virtualMachineCreated", w:status().importStatus)
    end)
  end)

  it("planned of another spec is planned anew", function()
    local w = at("virtualMachineImportValid", { spec = { virtualMachineName = "" },
      status = { observedGeneration = 7 } })
    reconcile(w)
    assert.equal("virtualMachineImportInvalid", w:status().importStatus)
  end)

  it("gone is nobody's; of one that cannot be read that is thrown", function()
    local w = at("")
    w.store:delete("VirtualMachineImport", "default", "web")
    assert.is_nil(reconcile(w))
    assert.is_nil(flow.serve(KEY, w.env))
    function w.store.get() return nil, errors.new("connect", "refused") end
    for _, call in ipairs { flow.reconcile, flow.serve } do
      local ok, err = pcall(call, KEY, w.env)
      assert.is_false(ok)
      assert.equal("connect", err.kind)
    end
  end)

  it("written by another meanwhile is looked at again, or left to who leads", function()
    for reason, after in pairs { Conflict = 0, NotLeader = 5 } do
      local w = at("virtualMachineImportValid", { spec = { dryRun = true } })
      function w.store.patch()
        return nil, errors.new("conflict", "no", { reason = reason })
      end
      local result = reconcile(w)
      assert.equal(after, result.after)
      assert.truthy(result.again)
    end
  end)

  it("of an older definition waits until that is repaired", function()
    local w = at("virtualMachineImportValid", { spec = { dryRun = true } })
    local patch, repaired = w.store.patch, 0
    function w.store:patch(kind, namespace, name, change, opts)
      w.sent = change
      if change.status and change.status.nextAttemptTime then
        return patch(self, kind, namespace, name, change, opts)
      end
      return patch(self, kind, namespace, name, change, opts)
    end
    w.env.repair_definitions = function() repaired = repaired + 1 end
    w.env.take_place = nil
    function w.target.room_problem() error(errors.new("gone", "old", {
      reason = "OldCustomResourceDefinition" })) end
    w.store:patch("VirtualMachineImport", "default", "web", { spec = { dryRun = false } })
    w.store:patch("VirtualMachineImport", "default", "web", { status = {
      observedGeneration = 2 } }, { status = true })
    w.store:create("VmwareSource", { metadata = { name = "vc", namespace = "default" } })
    w.store:patch("VmwareSource", "default", "vc", { status = { status = "clusterReady" } },
      { status = true })
    assert.same({ after = 30 }, reconcile(w))
    assert.equal(1, repaired)
    assert.equal("old", w:import_condition("Stalled").message)
    assert.equal("Warning", w:event("OldCustomResourceDefinition").type)
    w.env.repair_definitions = nil
    assert.same({ after = 30 }, reconcile(w))
  end)

  it("being downloaded is served again after a start", function()
    local w = at("diskImageSubmitted", { status = { diskImportStatus = steps.entries() } })
    flow.serve(KEY, w.env)
    assert.same({ "hold web-0 /r0", "hold web-1 /r1" }, w.asked)
    w = at("diskImageFailed", { status = { diskImportStatus = steps.entries() } })
    flow.serve(KEY, w.env)
    assert.same({}, w.asked) -- until an image is made again
    w = at("sourceReady")
    flow.serve(KEY, w.env)
    assert.same({}, w.asked)
  end)

  it("in a directory is told nothing of edits", function()
    local w = at("sourceReady", { status = { observedGeneration = 7 } })
    w.target.can.run = false
    w.open_error = errors.new("busy", "no", { waits = "Wait", after = 3 })
    reconcile(w)
    assert.equal(7, w:status().observedGeneration)
    w.target.can.run = true
    reconcile(w)
    assert.equal(1, w:status().observedGeneration)
  end)

  it("makes nothing in a namespace that its plan names and that is not open to it", function()
    local w = world()
    flow.reconcile(KEY, w.env)
    assert(w.store:patch("VirtualMachineImport", KEY.namespace, KEY.name, { status = {
      importStatus = "disksExported", plan = { namespace = "kube-system" } } },
      { status = true }))
    local result = flow.reconcile(KEY, w.env)
    assert.same({ after = 300 }, result)
    assert.equal("NamespaceNotAllowed", condition(w, "Stalled").reason)
    assert.same({}, w.target.machines)
    w.env.options.site = { namespaces = { "kube-system" } }
    flow.reconcile(KEY, w.env)
    assert.not_equal("NamespaceNotAllowed", condition(w, "Stalled").reason)
  end)

  it("carries out nothing of a plan that is none", function()
    local w = world()
    flow.reconcile(KEY, w.env)
    assert(w.store:patch("VirtualMachineImport", KEY.namespace, KEY.name, { status = {
      importStatus = "disksExported", plan = { disks = json.array({ 7 }) } } },
      { status = true }))
    flow.reconcile(KEY, w.env)
    assert.equal("PlanNotUsable", condition(w, "Stalled").reason)
    assert.matches("status.plan.disks[0]", condition(w, "Stalled").message, 1, true)
    assert.same({}, w.target.machines)
  end)
end)
