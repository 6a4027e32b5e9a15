local export = require "flows.import.export"
local json = require "host.json"
local steps = require "support.steps"

describe("flows.import.export", function()
  -- What the provider was called with.
  local function opened(status)
    local w = steps.world({ status = status })
    local machine, callbacks
    function w.source.export(_, of, with)
      machine, callbacks = of, with
      return "an export"
    end
    assert.equal("an export", export.open(w.import, w.ctx, w.source))
    return w, callbacks, machine
  end

  it("opens the one of the import's machine, and says so", function()
    local w, callbacks, machine = opened()
    assert.equal("vm-1", machine.id)
    assert.equal("1a2b3c4d-0000", callbacks.id)
    assert.same({}, callbacks.recorded)
    assert.equal("Exporting", w:condition("Reconciling").reason)
    assert.equal("opening the export of web 01", w:condition("Reconciling").message)
  end)

  it("writes down what is made at the source, and what is gone", function()
    local w, callbacks = opened()
    callbacks.record({ kind = "HttpNfcLease", name = "l-1" })
    assert.same({ { kind = "HttpNfcLease", name = "l-1" } }, w:status().recorded)
    callbacks.record({ kind = "HttpNfcLease", name = "l-1", gone = true })
    assert.same({}, w:status().recorded)
  end)

  it("shows the source what an interrupted run has left", function()
    local entry = { kind = "HttpNfcLease", name = "l-1" }
    local _, callbacks = opened({ recorded = json.array({ entry }) })
    assert.same({ entry }, callbacks.recorded)
  end)

  it("passes on what the source says, and what it waits for", function()
    local w, callbacks = opened()
    callbacks.report("a snapshot is made")
    assert.equal("Exporting", w:condition("Reconciling").reason)
    assert.equal("a snapshot is made", w:condition("Reconciling").message)
    callbacks.waiting("another export", "2027-01-01T00:00:00Z")
    assert.equal("SourceBusy", w:condition("Reconciling").reason)
    assert.equal("2027-01-01T00:00:00Z", w:status().nextAttemptTime)
  end)

  it("knows how slow the source may be", function()
    local job = { source = { least_rate = 0 }, export = { stream = function(_, id)
      return id == "2000" and { url = "u" } or nil, "an err"
    end } }
    assert.same({ url = "u", least_rate = 0 }, (export.stream(job, "2000")))
    assert.equal("an err", select(2, export.stream(job, "2001")))
    job.source.least_rate = nil
    assert.same({ url = "u" }, (export.stream(job, "2000")))
  end)

  it("is open while something of the source is recorded", function()
    local function is_open(...)
      return export.is_open({ status = { recorded = { ... } } })
    end
    assert.is_false(export.is_open({ status = {} }))
    assert.is_false(is_open({ kind = "ScratchFile" }, { kind = "VirtualMachineImage" }))
    assert.is_true(is_open({ kind = "ScratchFile" }, { kind = "HttpNfcLease" }))
  end)

  it("tells when what came is not what was sent, and only then", function()
    local came = { sha1 = "AA", md5 = "cc" }
    assert.equal("sha1 of what came is AA, the source says it sent bb",
      export.differs(came, { algorithm = "sha1", value = "bb" }))
    assert.is_nil(export.differs(came, { algorithm = "sha1", value = "aa" }))
    assert.is_nil(export.differs(came, { algorithm = "sha256", value = "bb" }))
    assert.is_nil(export.differs(came, { algorithm = "sha1" }))
    assert.is_nil(export.differs(came, {}))
    assert.is_nil(export.differs(came, nil))
    assert.is_nil(export.differs(nil, { algorithm = "sha1", value = "bb" }))
  end)
end)
