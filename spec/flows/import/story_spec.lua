-- What the log says of an import is its whole story: all that its conditions and Events
-- say, in the same words, each once.

local errors = require "host.error"
local flow = require "flows.import"
local json = require "host.json"
local lines_of = require "support.lines"
local marks = require "base.marks"
local standalone = require "support.standalone"

local run, import_of = standalone.run, standalone.import

local function world(opts)
  local w = standalone.world(opts)
  w.env.journal, w.lines = lines_of.journal()
  w.env.script_generation = "0123abcd"
  w.events = {}
  w.env.event = function(_, type, reason, note)
    w.events[#w.events + 1] = { type = type, reason = reason, message = note }
  end
  return w
end

local function plain(message)
  return (message:gsub("%d+", "#"))
end

local function is_written(w, reason, message)
  for _, line in ipairs(w.lines) do
    if line.reason == reason and plain(line.message) == plain(message) then
      return true
    end
  end
  return false
end

-- Whatever stood in a condition at any time is in the log; how far it is stands in the
-- status alone.
local function assert_complete(w)
  local seen = 0
  for _, object in ipairs(w.store.writes) do
    local status = object.kind == "VirtualMachineImport" and object.status or {}
    for _, list in ipairs { status.conditions or {}, status.importConditions or {} } do
      for _, c in ipairs(list) do
        if c.message ~= "" and c.reason ~= "Progressing" and c.type ~= "VMExportFailed" then
          seen = seen + 1
          assert(is_written(w, c.reason, c.message), c.reason .. ": " .. c.message)
        end
      end
    end
  end
  assert.is_true(seen > 0)
  for _, event in ipairs(w.events) do
    assert(is_written(w, event.reason, event.message), event.reason)
  end
end

-- No two lines say the same of the same attempt.
local function assert_once(w)
  local seen = {}
  for _, line in ipairs(w.lines) do
    local id = table.concat({ line.reason, line.message, line.state, line.attempt,
      line.disk or "" }, "|")
    assert(not seen[id], "twice: " .. id)
    seen[id] = true
  end
end

local function reasons(lines)
  local list = {}
  for i, line in ipairs(lines) do
    list[i] = line.reason
  end
  return list
end

-- Those of a level that are about no disk.
local function of_import(w, level)
  local list = {}
  for _, line in ipairs(lines_of.of(w.lines, { level = level })) do
    list[#list + 1] = not line.disk and line or nil
  end
  return list
end

local function fail_three_times(disk_error)
  local w = world({ spec = { maxRetries = 2 } })
  w.target.fail["2001"] = { disk_error, disk_error, disk_error }
  for _ = 1, 3 do
    run(w)
  end
  assert.equal("VMMigrationFailed", import_of(w).status.importStatus)
  return w
end

describe("flows.import.story", function()
  it("tells a good import whole, and each thing once", function()
    local w = world({ power = "on" })
    run(w)
    assert_complete(w)
    assert_once(w)
    assert.same({ "VirtualMachineImportValid", "SourceReady", "ShuttingDown", "GuestAsked",
      "PoweredOff", "Exporting", "DiskBegun", "DiskBegun", "DiskWhole", "DiskWhole",
      "Exported", "DisksExported", "Written" }, reasons(lines_of.of(w.lines,
      { level = "info" })))
    assert.same({}, of_import(w, "warn"))
    assert.same({}, of_import(w, "error"))
  end)

  it("says in each line which import, step, attempt and scripts it is of", function()
    local w = world()
    run(w)
    for _, line in ipairs(w.lines) do
      assert.same({ "default/web", "VirtualMachineImport", "default", "web",
        "1a2b3c4d-0000", "0123abcd", 1 }, { line.import, line.kind, line.namespace,
        line.name, line.uid, line.scriptGeneration, line.attempt })
      assert.truthy(line.reason and line.state)
    end
    assert.same({ "sanitize", "admit", "power_off", "fetch", "create" }, (function()
      local steps = {}
      for _, line in ipairs(w.lines) do
        steps[#steps + 1] = line.step ~= steps[#steps] and line.step or nil
      end
      return steps
    end)())
  end)

  it("names the disk that a line is about", function()
    local w = world()
    run(w)
    local names = {}
    for _, line in ipairs(lines_of.of(w.lines, { reason = "DiskWhole" })) do
      names[#names + 1] = line.disk
    end
    table.sort(names)
    local disks = import_of(w).status.plan.disks
    assert.same({ disks[1].name, disks[2].name }, names)
  end)

  it("tells every attempt of an import that fails, and its end once", function()
    local w = fail_three_times(errors.new("io", "no such disk"))
    assert_complete(w)
    assert_once(w)
    local retries = of_import(w, "warn")
    assert.same({ 1, 2 }, { retries[1].attempt, retries[2].attempt })
    assert.truthy(retries[1].message:find("no such disk; attempt 2 of 3 at ", 1, true))
    assert.equal(2, #retries)
    local ends = lines_of.of(w.lines, { level = "error" })
    assert.equal(1, #ends)
    assert.equal(3, ends[1].attempt)
    assert.equal("VMMigrationFailed", ends[1].state)
    assert.equal(ends[1].message, standalone.condition(w, "Stalled").message)
  end)

  it("warns of a disk that is read again", function()
    local w = world()
    w.target.fail["2001"] = { errors.new("connect", "reset by peer") }
    run(w)
    assert_complete(w)
    local again = lines_of.of(w.lines, { level = "warn", reason = "DiskAgain" })
    assert.equal(1, #again)
    assert.truthy(again[1].message:find("reset by peer", 1, true))
    assert.truthy(again[1].disk)
  end)

  it("warns once of what is waited for, however often it is looked at", function()
    local opts = { open_error = errors.new("connect", "vc refuses") }
    local w = world(opts)
    for _ = 1, 5 do
      run(w)
    end
    assert.same({ "SourceUnreachable" }, reasons(w.lines))
    assert.equal("warn", w.lines[1].level)
    opts.open_error = nil
    run(w)
    assert_complete(w)
    assert.equal(1, #lines_of.of(w.lines, { reason = "SourceReached", level = "info" }))
  end)

  it("warns when the power is cut, and when disks are thrown away", function()
    local w = world({ power = "on", spec = { forcePowerOff = true } })
    w.target.fail["2001"] = { errors.new("nospace", "full") }
    run(w)
    w.source.epoch = "2"
    run(w)
    assert_complete(w)
    assert.equal(1, #lines_of.of(w.lines, { reason = "PowerCut", level = "warn" }))
    assert.equal(1, #lines_of.of(w.lines, { reason = "SourceChanged", level = "warn" }))
  end)

  it("says where a programming mistake was made, in the line of its attempt", function()
    local w = world()
    w.target.disks.state = function()
      local named = {}
      return named.one.field
    end
    run(w)
    local bad = of_import(w, "warn")
    assert.equal(1, #bad)
    assert.truthy(bad[1].traceback:find("story_spec", 1, true))
    assert.equal(1, #lines_of.of(w.lines, { traceback = bad[1].traceback }))
  end)

  it("says what is removed, and that the import is gone", function()
    local w = world()
    run(w, 2)
    w.source.cleanup = function()
      return {}
    end
    w.store:patch("VirtualMachineImport", "default", "web", { status = { recorded = {
      { kind = "Lease", name = "export-1", id = "l-1" },
      { kind = "Snapshot", name = "snap-1", diskID = "2000" } } } }, { status = true })
    w.store:patch("VirtualMachineImport", "default", "web",
      { metadata = { finalizers = { marks.FINALIZER } } })
    w.store:delete("VirtualMachineImport", "default", "web")
    flow.reconcile(standalone.KEY, w.env)
    local removed = lines_of.of(w.lines, { reason = "Removed" })
    assert.equal(2, #removed)
    assert.equal("2000", removed[2].disk)
    assert.equal(1, #lines_of.of(w.lines, { reason = "Deleted", step = "cleanup" }))
  end)

  it("tells of an image once that it is submitted, and once that it has failed", function()
    local status = require "flows.import.status"
    local w = world()
    run(w)
    local import = import_of(w)
    local writer <close> = status.writer(import, w.env)
    local function set(type, status_, message)
      writer:record({ diskImportStatus = json.array({ { diskName = "d-0", diskConditions =
        json.array({ { type = type, status = status_, reason = "R", message = message } })
        } }) })
    end
    set("VirtualMachineImageSubmitted", "True", "image i is submitted")
    set("VirtualMachineImageSubmitted", "True", "image i is submitted")
    set("VirtualMachineImageFailed", "True", "no checksum")
    local lines = lines_of.of(w.lines, { disk = "d-0" })
    assert.same({ "info", "warn" }, { lines[1].level, lines[2].level })
    assert.equal(2, #lines)
  end)
end)
