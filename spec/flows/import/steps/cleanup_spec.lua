local cleanup = require "flows.import.steps.cleanup"
local errors = require "host.error"
local json = require "host.json"
local marks = require "base.marks"
local steps = require "support.steps"
local time = require "host.time"

local IMAGE = { kind = "VirtualMachineImage", name = "web-0-img" }
local CLAIM = { kind = "PersistentVolumeClaim", name = "web-0" }
local CLONE = { kind = "DataVolume", name = "web-1" }
local MACHINE = { kind = "VirtualMachine", name = "web-01" }
local FILE = { kind = "ScratchFile", name = "web-0" }
local LEASE = { kind = "HttpNfcLease", name = "l-1" }

local function world(...)
  return steps.world({ status = { recorded = json.array({ ... }),
    diskImportStatus = steps.entries() } })
end

-- Of a source: it is asked for what is left, and says so.
local function cleans(w, left, err)
  function w.source.cleanup(_, entries)
    for _, entry in ipairs(entries) do
      w:ask("cleanup %s %s", entry.kind, entry.name)
    end
    return left, err
  end
end

describe("flows.import.steps.cleanup.run", function()
  it("removes what was made, the machine first, then what it used", function()
    local w = world(IMAGE, CLAIM, LEASE, CLONE, MACHINE, FILE)
    w.writer:remember(LEASE)
    cleans(w, {})
    assert.is_true(cleanup.run(w.import, w.ctx))
    assert.same({ "forget /r0", "remove web-0", "forget /r1", "remove web-1",
      "delete VirtualMachine default/web-01", "delete DataVolume default/web-1",
      "delete PersistentVolumeClaim default/web-0",
      "delete VirtualMachineImage default/web-0-img", "open_source VmwareSource default/vc",
      "cleanup HttpNfcLease l-1" }, w.asked)
    assert.same({}, w:status().recorded)
    assert.is_false(marks.is_held(w.import))
  end)

  it("asks no source where nothing is left there", function()
    local w = world(IMAGE)
    assert.is_true(cleanup.run(w.import, w.ctx))
    assert.same({}, w:asked_for("^open_source"))
  end)

  it("has nothing to do where nothing was made", function()
    local w = world()
    local before = #w.store.writes
    assert.is_true(cleanup.run(w.import, w.ctx))
    assert.equal(before, #w.store.writes)
    w.import.status = nil
    assert.is_true(cleanup.run(w.import, w.ctx))
  end)

  it("leaves the disks of a directory, which are the user's", function()
    local w = world()
    w.target.can.images = false
    cleanup.run(w.import, w.ctx)
    assert.same({}, w.asked)
  end)

  it("removes the disks of an import without routes", function()
    local w = steps.world()
    cleanup.run(w.import, w.ctx)
    assert.same({ "remove web-0", "remove web-1" }, w.asked)
  end)

  it("keeps what is still there, and says what", function()
    local w = world(IMAGE, MACHINE)
    w.target.stays = { ["web-01"] = true }
    local ok, err = cleanup.run(w.import, w.ctx)
    assert.is_nil(ok)
    assert.equal("busy", err.kind)
    assert.equal("VirtualMachine web-01 is still there", err.message)
    assert.same({ MACHINE }, w:status().recorded)
  end)

  it("says why something stays, where somebody has said it", function()
    local w = world(MACHINE, LEASE)
    w.target.stays = { ["web-01"] = true }
    w.target.delete_error = errors.new("denied", "forbidden")
    cleans(w, nil, errors.new("timeout", "too slow"))
    local _, err = cleanup.run(w.import, w.ctx)
    assert.equal("forbidden", err.message)
    assert.same({ MACHINE, LEASE }, w:status().recorded)
  end)

  it("keeps what the source has not removed", function()
    local w = world(LEASE, { kind = "Image", name = "i-1" })
    cleans(w, { LEASE }, errors.new("busy", "the lease is used"))
    local _, err = cleanup.run(w.import, w.ctx)
    assert.equal("the lease is used", err.message)
    assert.same({ LEASE }, w:status().recorded)
  end)

  it("keeps what is at a source that cannot be asked now", function()
    local w = world(LEASE)
    w.open_error = errors.new("connect", "refused")
    local ok, err = cleanup.run(w.import, w.ctx)
    assert.is_nil(ok)
    assert.equal("refused", err.message)
    assert.same({ LEASE }, w:status().recorded)
    assert.is_nil(w:event("LeftAtSource"))
  end)

  for what, err in pairs {
    ["does not exist any more"] = errors.new("notfound", "gone", { reason = "SourceNotFound" }),
    ["no provider is for"] = errors.new("unsupported", "no provider"),
  } do
    it("lets go of what is at a source that " .. what, function()
      local w = world(LEASE)
      w.open_error = err
      assert.is_true(cleanup.run(w.import, w.ctx))
      assert.equal("Warning", w:event("LeftAtSource").type)
      assert.equal("what the import began at its source is left to end by itself: "
        .. err.message, w:event("LeftAtSource").note)
    end)
  end

  it("lets go of it, where the import is deleted, after sixty tries", function()
    local function tried(cleanings, deleted)
      local w = world(LEASE)
      w.open_error = errors.new("connect", "refused")
      w.writer:record({ cleanings = cleanings })
      w.import.metadata.deletionTimestamp = deleted
      return cleanup.run(w.import, w.ctx)
    end
    assert.is_true(tried(60, "2026-01-01T00:00:00Z"))
    assert.is_nil(tried(59, "2026-01-01T00:00:00Z"))
    assert.is_nil(tried(nil, "2026-01-01T00:00:00Z"))
    assert.is_nil(tried(60, nil))
  end)

  it("knows what is ours", function()
    for _, entry in ipairs { IMAGE, CLAIM, CLONE, MACHINE, FILE } do
      assert.is_true(cleanup.is_ours(entry))
    end
    assert.is_false(cleanup.is_ours(LEASE))
  end)
end)

describe("flows.import.steps.cleanup.again, of an import that has ended,", function()
  it("tries again while something is left, and says so", function()
    local w = world(IMAGE)
    w.target.stays = { ["web-0-img"] = true }
    assert.same({ leave = true, after = 10 }, cleanup.again.run(w.import, w.ctx))
    assert.equal(time.rfc3339(w.clock + 10), w:status().nextAttemptTime)
    assert.equal("VirtualMachineImage web-0-img is still there", w:event("CleaningUp").note)
    assert.equal("Warning", w:event("CleaningUp").type)
    w.target.stays = {}
    assert.same({ leave = true }, cleanup.again.run(w.import, w.ctx))
    assert.is_nil(w:status().nextAttemptTime)
  end)
end)

describe("flows.import.steps.cleanup.deleted", function()
  it("lets go of an import when nothing is left", function()
    local w = world(IMAGE)
    w.writer:remember(IMAGE)
    assert.is_nil(cleanup.deleted(w.import, w.ctx))
    assert.same({}, w.import.metadata.finalizers)
  end)

  it("takes the finalizer off where nothing was recorded", function()
    local w = world(IMAGE)
    w.writer:remember(IMAGE)
    w.writer:record({ recorded = json.array({}) })
    assert.is_nil(cleanup.deleted(w.import, w.ctx))
    assert.same({}, w.import.metadata.finalizers)
  end)

  it("counts its tries, and says what is left", function()
    local w = world(IMAGE)
    w.target.stays = { ["web-0-img"] = true }
    assert.same({ after = 10 }, cleanup.deleted(w.import, w.ctx))
    assert.equal(1, w:status().cleanings)
    assert.same({ after = 10 }, cleanup.deleted(w.import, w.ctx))
    assert.equal(2, w:status().cleanings)
    assert.equal(time.rfc3339(w.clock + 10), w:status().nextAttemptTime)
    assert.equal("CleaningUp", w:condition("Reconciling").reason)
    assert.equal("before it is deleted: VirtualMachineImage web-0-img is still there",
      w:condition("Reconciling").message)
    assert.same({ type = "Warning", reason = "CleaningUp",
      note = "before it is deleted: VirtualMachineImage web-0-img is still there" },
      w:event("CleaningUp"))
  end)
end)
