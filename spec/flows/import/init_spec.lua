local conditions = require "kube.conditions"
local errors = require "host.error"
local flow = require "flows.import"
local import_status = require "flows.import.status"
local json = require "host.json"
local marks = require "base.marks"
local standalone = require "support.standalone"
local task = require "host.task"

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
