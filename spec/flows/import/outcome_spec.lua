local errors = require "host.error"
local json = require "host.json"
local outcomes = require "flows.import.outcome"
local steps = require "support.steps"
local time = require "host.time"

local NOW = 1.8e9

local function world(state, opts)
  opts = opts or {}
  opts.status = opts.status or {}
  opts.status.importStatus = state
  return steps.world(opts)
end

local function settle(w, outcome)
  return outcomes.settle(w.import, w.ctx, outcome)
end

local function catch(w, err, took)
  return outcomes.catch(w.import, w.ctx, err, took or 0)
end

describe("flows.import.outcome: a step that says", function()
  for state, case in pairs {
    virtualMachineImportValid = { "checked and planned", "VirtualMachineImportValid" },
    sourceReady = { "the source is ready, and there is a place for the import", "SourceReady" },
    disksExported = { "all disks are here", "DisksExported" },
    diskImageSubmitted = { "an image of each disk is submitted", "DiskImageSubmitted" },
    diskImagesReady = { "the images of all disks are ready", "DiskImagesReady" },
    virtualMachineCreated = { "the machine is created", "VirtualMachineCreated" },
  } do
    it("the next state: it is written, with what it means: " .. state, function()
      local w = world("", { status = { attempt = 2, nextAttemptTime = "x" } })
      assert.same({ after = 0 }, settle(w, state))
      local status = w:status()
      assert.equal(state, status.importStatus)
      assert.is_nil(status.attempt or status.nextAttemptTime)
      assert.equal(case[2], w:condition("Reconciling").reason)
      assert.equal(case[1], w:condition("Reconciling").message)
      assert.equal("True", w:condition("Reconciling").status)
      assert.same({ type = "Normal", reason = case[2], note = case[1] }, w:event(case[2]))
    end)
  end

  it("more of the next state: its words, fields, and when to go on", function()
    local w = world("diskImageSubmitted")
    assert.same({ after = 7 }, settle(w, { state = "diskImageFailed", message = "broken",
      after = 7, fields = { attempt = 3 } }))
    assert.equal(3, w:status().attempt)
    assert.same({ type = "Warning", reason = "DiskImageFailed", note = "broken" },
      w:event("DiskImageFailed"))
  end)

  it("that an image has failed, and no more, is understood", function()
    local w = world("diskImageSubmitted")
    settle(w, "diskImageFailed")
    assert.equal("an image has failed", w:event("DiskImageFailed").note)
  end)

  for before, state in pairs { diskImageSubmitted = "diskImageFailed",
    diskImageFailed = "diskImageSubmitted", diskImagesReady = "diskImageSubmitted" } do
    it(("the attempts at images count on from %s to %s"):format(before, state), function()
      local w = world(before, { status = { attempt = 2 } })
      settle(w, state)
      assert.equal(2, w:status().attempt)
      settle(w, "diskImagesReady")
      assert.equal(2, w:status().attempt)
      settle(w, "virtualMachineCreated")
      assert.is_nil(w:status().attempt)
    end)
  end

  it("that it is done: the end, with no finalizer", function()
    local w = world("disksExported", { status = { attempt = 1, nextAttemptTime = "x" } })
    w.writer:remember({ kind = "A", name = "a" })
    w.writer:record({ recorded = json.array({}) })
    assert.is_nil(settle(w, { done = "Written", message = "all is written" }))
    local status = w:status()
    assert.same({}, w.import.metadata.finalizers)
    assert.equal("disksExported", status.importStatus)
    assert.equal(1, status.observedGeneration)
    assert.is_nil(status.attempt or status.nextAttemptTime)
    assert.equal("True", w:condition("Ready").status)
    assert.equal("Written", w:condition("Ready").reason)
    assert.same({ type = "Normal", reason = "Written", note = "all is written" },
      w:event("Written"))
  end)

  it("that it is done, in another state", function()
    local w = world("virtualMachineCreated")
    settle(w, { done = "Running", state = "virtualMachineRunning" })
    assert.equal("virtualMachineRunning", w:status().importStatus)
    assert.equal("", w:condition("Ready").message)
  end)

  it("that it is invalid: tried again later, no attempt counted", function()
    local w = world("", { status = { attempt = 2 } })
    assert.same({ after = 300 }, settle(w, { invalid = "PreflightFailed", message = "bad" }))
    local status = w:status()
    assert.equal("virtualMachineImportInvalid", status.importStatus)
    assert.equal(1, status.observedGeneration)
    assert.equal(time.rfc3339(NOW + 300), status.nextAttemptTime)
    assert.is_nil(status.attempt)
    assert.equal("True", w:condition("Stalled").status)
    assert.same({ type = "Warning", reason = "PreflightFailed", note = "bad" },
      w:event("PreflightFailed"))
  end)

  it("that it rests: not ready, and nothing goes on", function()
    local w = world("virtualMachineImportValid")
    assert.is_nil(settle(w, { rest = "DryRun", message = "a dry run" }))
    assert.equal("DryRun", w:condition("Ready").reason)
    for _, type in ipairs { "Ready", "Reconciling", "Stalled" } do
      assert.equal("False", w:condition(type).status)
    end
  end)

  it("that all is said already: nothing is written", function()
    local w = world("sourceReady")
    local before = #w.store.writes
    assert.is_nil(settle(w, { leave = true }))
    assert.same({ after = 3 }, settle(w, { leave = true, after = 3 }))
    assert.equal(before, #w.store.writes)
  end)

  it("that it waits: why, and until when", function()
    local w = world("sourceReady", { status = { attempt = 2 } })
    assert.same({ after = 30 }, settle(w, { wait = "SourceNotReady", after = 30,
      message = "not yet", fields = { importedVirtualMachineName = "n" } }))
    local status = w:status()
    assert.equal("sourceReady", status.importStatus)
    assert.equal(2, status.attempt)
    assert.equal("n", status.importedVirtualMachineName)
    assert.equal(time.rfc3339(NOW + 30), status.nextAttemptTime)
    assert.equal("SourceNotReady", w:condition("Reconciling").reason)
    assert.same({}, w.events)
  end)
end)

describe("flows.import.outcome: a step that throws", function()
  local BROKEN = errors.new("io", "it broke", { reason = "some-thing" })

  it("is tried again, and counted", function()
    local w = world("sourceReady", { status = { attempt = 1 } })
    assert.same({ after = 10 }, catch(w, BROKEN))
    local text = "it broke; attempt 3 of 6 at " .. time.rfc3339(NOW + 10)
    assert.equal(2, w:status().attempt)
    assert.equal(time.rfc3339(NOW + 10), w:status().nextAttemptTime)
    assert.equal("Something", w:condition("Reconciling").reason)
    assert.equal(text, w:condition("Reconciling").message)
    assert.same({ type = "Warning", reason = "Something", note = text }, w:event("Something"))
  end)

  it("is named by its reason, or code, or kind", function()
    for reason, err in pairs {
      Busy = errors.new("busy", "m"),
      FileLocked = errors.new("busy", "m", { code = "FileLocked" }),
      Why = errors.new("busy", "m", { code = "FileLocked", reason = "why" }),
    } do
      local w = world("sourceReady")
      catch(w, err)
      assert.equal(reason, w:condition("Reconciling").reason)
    end
  end)

  it("says itself when to try again", function()
    assert.same({ after = 77 }, catch(world("sourceReady"),
      errors.new("busy", "m", { after = 77 })))
  end)

  it("only waits is no failure", function()
    local w = world("sourceReady", { status = { attempt = 1 } })
    assert.same({ after = 12 }, catch(w, errors.new("busy", "in use", { waits = "DiskInUse",
      after = 12 })))
    assert.equal(1, w:status().attempt)
    assert.equal("DiskInUse", w:condition("Reconciling").reason)
    assert.equal("in use", w:condition("Reconciling").message)
  end)

  for what, change in pairs {
    ["it says so"] = function(_, err) err.final = true end,
    ["the generation says so"] = function(w) w.env.is_final = function() return true end end,
    ["it was the last attempt"] = function(w) w.import.status.attempt = 5 end,
  } do
    it("ends the import when " .. what, function()
      local w = world("sourceReady")
      w.writer:remember({ kind = "VirtualMachineImage", name = "web-0-img" })
      local err = errors.new("io", "it broke", { reason = "Broken" })
      change(w, err)
      assert.is_nil(catch(w, err))
      assert.equal("VMMigrationFailed", w:status().importStatus)
      assert.equal(1, w:status().observedGeneration)
      assert.equal("Broken", w:condition("Stalled").reason)
      assert.equal("it broke", w:condition("Stalled").message)
      assert.same({ type = "Warning", reason = "Broken", note = "it broke" }, w:event("Broken"))
      assert.same({ "delete VirtualMachineImage default/web-0-img" }, w:asked_for("^delete"))
      assert.same({}, w.import.metadata.finalizers)
      assert.is_nil(w:event("CleaningUp"))
    end)
  end

  it("ends the import, and leaves what cannot be removed for later", function()
    local w = world("sourceReady")
    w.writer:remember({ kind = "VirtualMachineImage", name = "web-0-img" })
    w.target.stays = { ["web-0-img"] = true }
    assert.same({ after = 10 }, catch(w, errors.new("io", "it broke", { final = true })))
    assert.equal(1, #w.import.metadata.finalizers)
    assert.equal("VirtualMachineImage web-0-img is still there", w:event("CleaningUp").note)
    assert.equal("Warning", w:event("CleaningUp").type)
  end)

  it("ends the import, and says that its source stays off", function()
    local w = world("sourceReady", { status = { importConditions = json.array({
      steps.is("VMPoweredOff", "True"), steps.is("VMShutdownGuest", "True") }) } })
    catch(w, errors.new("io", "it broke", { final = true }))
    assert.truthy(w:condition("Stalled").message:find("^it broke; web 01 %(vm%-1%) was shut down"))
  end)

  it("because somebody is away waits, and counts nothing", function()
    local w = world("sourceReady", { status = { attempt = 1 } })
    assert.same({ after = 5 }, catch(w, errors.new("connect", "refused")))
    assert.equal(1, w:status().attempt)
    assert.equal("SourceUnreachable", w:condition("Reconciling").reason)
    assert.equal(1, w:status().outage.tries)
    catch(w, errors.new("connect", "refused"), 40)
    assert.equal(2, w:status().outage.tries)
  end)

  it("because somebody is away for too long ends the import", function()
    local w = world("sourceReady", { spec = { giveUpAfter = "1m" } })
    catch(w, errors.new("connect", "refused"))
    w.clock = w.clock + 100
    catch(w, errors.new("connect", "refused"), 100)
    assert.equal("VMMigrationFailed", w:status().importStatus)
    assert.equal("SourceUnreachable", w:condition("Stalled").reason)
  end)

  it("something else after that says that it was reached", function()
    local w = world("sourceReady")
    catch(w, errors.new("connect", "refused"))
    catch(w, errors.new("io", "it broke"))
    assert.is_nil(w:status().outage)
    assert.truthy(w:event("SourceReached"))
    assert.equal(1, w:status().attempt)
  end)
end)
