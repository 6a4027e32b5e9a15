local errors = require "host.error"
local json = require "host.json"
local marks = require "base.marks"
local status = require "flows.import.status"
local steps = require "support.steps"
local task = require "host.task"
local time = require "host.time"

local NOW = time.rfc3339(1.8e9)

local function world(opts)
  local w = steps.world(opts)
  return w, w.writer
end

-- Another writer, just before the next write of ours.
local function between(w, change)
  w.store.before_patch = function()
    w.store.before_patch = nil
    change()
  end
end

local function patch_status(w, fields)
  assert(w.store:patch("VirtualMachineImport", "default", "web", { status = fields },
    { status = true }))
end

describe("flows.import.status: a writer", function()
  it("merges fields into the status, and what it holds is what the store has", function()
    local w, writer = world()
    writer:record({ attempt = 1, observedGeneration = 1 })
    writer:record({ attempt = json.null })
    assert.is_nil(w:status().attempt)
    assert.equal(1, w:status().observedGeneration)
    assert.same(w:status(), w.import.status)
  end)

  it("sends nothing that would change nothing", function()
    local w, writer = world({ status = { attempt = 1 } })
    local before = #w.store.writes
    writer:record({ attempt = 1 })
    assert.equal(before, #w.store.writes)
  end)

  it("decides anew on fresh state when another has written", function()
    local w, writer = world({ status = { attempt = 1 } })
    between(w, function() patch_status(w, { attempt = 5 }) end)
    local seen = {}
    writer:record(function(now)
      seen[#seen + 1] = now.attempt
      return { attempt = now.attempt + 1 }
    end)
    assert.same({ 1, 5 }, seen)
    assert.equal(6, w:status().attempt)
  end)

  it("gives up when others are quicker five times", function()
    local w, writer = world()
    local n = 0
    w.store.before_patch = function(_, patch)
      if patch.metadata and patch.metadata.resourceVersion then
        n = n + 1
        patch_status(w, { cleanings = n })
      end
    end
    local ok, err = pcall(writer.record, writer, { attempt = 1 })
    assert.is_false(ok)
    assert.equal("conflict", err.kind)
    assert.truthy(err.message:find("writing the status of import web", 1, true))
    assert.equal(5, n)
  end)

  for what, case in pairs {
    ["another state has been written"] = { function(w)
      patch_status(w, { importStatus = "disksExported" })
    end, 'somebody else has changed importStatus from "sourceReady" to "disksExported"' },
    ["it was deleted"] = { function(w)
      w.store:delete("VirtualMachineImport", "default", "web")
    end, "it was deleted meanwhile" },
    ["it was made anew"] = { function(w)
      local object = w.store:get("VirtualMachineImport", "default", "web")
      object.metadata.uid = "another"
      w.store:delete("VirtualMachineImport", "default", "web")
      w.store:create("VirtualMachineImport", object)
    end, "importStatus" },
  } do
    it("leaves it to whoever goes on when " .. what, function()
      local w, writer = world({ status = { importStatus = "sourceReady" } })
      writer:record({ attempt = 1 })
      w.store:patch("VirtualMachineImport", "default", "web", { metadata = { labels = {} } })
      case[1](w)
      local patch = w.store.patch
      function w.store:patch(...)
        w.store.patch = patch
        return nil, errors.new("conflict", "changed meanwhile")
      end
      local ok, err = pcall(writer.record, writer, { attempt = 2 })
      assert.is_false(ok)
      assert.equal("conflict", err.kind)
      assert.truthy(err.message:find(case[2], 1, true), err.message)
    end)
  end

  it("plans anew what was planned, when its spec was changed meanwhile, and only that",
    function()
      for state, fails in pairs { virtualMachineImportValid = true, sourceReady = false } do
        local w, writer = world({ status = { importStatus = state } })
        between(w, function()
          w.store:patch("VirtualMachineImport", "default", "web", { spec = { folder = "x" } })
        end)
        local ok, err = pcall(writer.record, writer, { attempt = 1 })
        assert.equal(not fails, ok)
        assert.equal(fails and "conflict" or "x", fails and err.kind or w.import.spec.folder)
        assert.truthy(not fails or err.message:find("its spec was changed", 1, true))
      end
    end)

  it("throws what the store says, with what was written", function()
    local w, writer = world()
    function w.store.patch() return nil, errors.new("connect", "refused") end
    local ok, err = pcall(writer.record, writer, { attempt = 1 })
    assert.is_false(ok)
    assert.equal("connect", err.kind)
    assert.equal("writing the status of import web: refused", err.message)
  end)

  it("throws what reading again says", function()
    local w, writer = world()
    between(w, function() patch_status(w, { attempt = 5 }) end)
    function w.store.get() return nil, errors.new("connect", "refused") end
    function w.store.patch() return nil, errors.new("conflict", "changed meanwhile") end
    local _, err = pcall(writer.record, writer, { attempt = 1 })
    assert.equal("connect", err.kind)
  end)

  it("says which fields the definition forgets", function()
    local w, writer = world()
    function w.store:patch()
      local object = self:get("VirtualMachineImport", "default", "web")
      return object
    end
    local ok, err = pcall(writer.record, writer, { outage = {}, attempt = 1,
      nextAttemptTime = json.null, machine = {} })
    assert.is_false(ok)
    assert.equal(status.OLD_DEFINITION, err.reason)
    assert.truthy(err.message:find("it does not keep status.attempt, status.outage;", 1, true),
      err.message)
  end)
end)

describe("flows.import.status: what is only reported", function()
  it("goes with the next record, whose fields win", function()
    local w, writer = world()
    writer:report({ attempt = 1, cleanings = 1 })
    writer:report({ cleanings = 2 })
    assert.is_nil(w:status().attempt)
    writer:record({ attempt = 3 })
    assert.equal(3, w:status().attempt)
    assert.equal(2, w:status().cleanings)
    writer:record({ attempt = 4 })
    assert.same({}, writer.pending)
    writer:close()
  end)

  it("is not written when the writer is closed", function()
    local w, writer = world()
    writer:report({ attempt = 1 })
    writer:close()
    task.sleep(0)
    assert.is_nil(w:status().attempt)
    assert.is_true(writer.flusher:done())
  end)

  it("is promised by one task alone", function()
    local _, writer = world()
    writer:report({ attempt = 1 })
    local first = writer.flusher
    writer:report({ attempt = 2 })
    assert.equal(first, writer.flusher)
    writer:close()
    task.sleep(0)
    writer:report({ attempt = 2 })
    assert.not_equal(first, writer.flusher)
    writer:close()
  end)

  it("says how far it is", function()
    local w, writer = world()
    writer:progress("half of it")
    writer:record({})
    assert.equal("Progressing", w:condition("Reconciling").reason)
    assert.equal("True", w:condition("Reconciling").status)
    assert.equal("False", w:condition("Ready").status)
    assert.equal("False", w:condition("Stalled").status)
    assert.equal("half of it", w:condition("Ready").message)
    writer:close()
  end)
end)

describe("flows.import.status: conditions", function()
  local function all(w)
    local said = {}
    for _, type in ipairs { "Ready", "Reconciling", "Stalled" } do
      local c = w:condition(type)
      said[type] = ("%s %s %s"):format(c.status, c.reason, c.message)
      assert.equal(1, c.observedGeneration)
      assert.equal(NOW, c.lastTransitionTime)
    end
    return said
  end

  it("working: something goes on", function()
    local w, writer = world()
    writer:working("R", "m", { attempt = 2 })
    assert.same({ Ready = "False R m", Reconciling = "True R m", Stalled = "False No " }, all(w))
    assert.equal(2, w:status().attempt)
  end)

  it("working: who watches is told", function()
    local w, writer = world()
    local told
    w.env.observer = { working = function(_, import, message) told = { import, message } end }
    writer:working("R", "m")
    assert.equal(w.import, told[1])
    assert.equal("m", told[2])
    w.env.observer = {}
    writer:working("R", "n")
  end)

  for name, case in pairs {
    finished = { Ready = "True R m", Reconciling = "False No ", Stalled = "False No " },
    stalled = { Ready = "False R m", Reconciling = "False No ", Stalled = "True R m" },
    resting = { Ready = "False R m", Reconciling = "False No ", Stalled = "False No " },
  } do
    it(name .. ": nothing goes on, and no next time is promised", function()
      local w, writer = world({ status = { nextAttemptTime = "x", attempt = 3 } })
      writer[name](writer, "R", "m", { cleanings = 2 })
      assert.same(case, all(w))
      assert.is_nil(w:status().nextAttemptTime)
      assert.equal(name == "finished" and "nil" or "3", tostring(w:status().attempt))
      assert.equal(2, w:status().cleanings)
    end)
  end

  it("of the steps stand in a list of their own, with the times of both", function()
    local w, writer = world()
    writer:condition("VMPoweredOff", "True", "R", "m")
    writer:condition("VMExported", "False", "", "")
    assert.same({ { type = "VMPoweredOff", status = "True", reason = "R", message = "m",
      lastTransitionTime = NOW, lastUpdateTime = NOW },
      { type = "VMExported", status = "False", reason = "", message = "",
        lastTransitionTime = NOW, lastUpdateTime = NOW } }, w:status().importConditions)
  end)

  it("seen: they are of this generation of the spec", function()
    local w, writer = world()
    writer:working("R", "m")
    w.import.metadata.generation = 4
    writer:seen(w:condition("Ready"), nil, { type = "T", status = "True", reason = "r",
      message = "n" })
    assert.equal(4, w:condition("Ready").observedGeneration)
    assert.equal("R", w:condition("Ready").reason)
    assert.equal("m", w:condition("Ready").message)
    assert.equal(1, w:condition("Stalled").observedGeneration)
    assert.equal("True", w:condition("T").status)
    assert.equal(4, w:status().observedGeneration)
  end)
end)

describe("flows.import.status: what was made remotely", function()
  local A, B = { kind = "K", name = "a" }, { kind = "K", name = "b" }

  it("is recorded in its place, after the finalizer stands", function()
    local w, writer = world()
    writer:remember(A, B)
    assert.same({ marks.FINALIZER }, w.import.metadata.finalizers)
    writer:remember({ kind = "K", name = "a", id = "1" })
    writer:remember({ kind = "L", name = "a" })
    assert.same({ { kind = "K", name = "a", id = "1" }, B, { kind = "L", name = "a" } },
      w:status().recorded)
    local with
    for _, object in ipairs(w.store.writes) do
      with = with or object.metadata.finalizers and object
    end
    assert.is_nil(with.status.recorded)
  end)

  it("is forgotten, and with the last one the finalizer goes", function()
    local w, writer = world()
    writer:remember(A, B)
    writer:forget(A)
    assert.same({ B }, w:status().recorded)
    assert.is_true(marks.is_held(w.import))
    writer:release()
    assert.is_true(marks.is_held(w.import))
    writer:forget(B)
    assert.same({}, w:status().recorded)
    assert.is_false(marks.is_held(w.import))
  end)

  it("leaves others' finalizers", function()
    local w, writer = world()
    w.import.metadata.finalizers = { "another" }
    w.store:patch("VirtualMachineImport", "default", "web",
      { metadata = { finalizers = json.array({ "another" }) } })
    w.import.metadata = w.store:get("VirtualMachineImport", "default", "web").metadata
    writer:remember(A)
    assert.same({ "another", marks.FINALIZER }, w.import.metadata.finalizers)
    writer:forget(A)
    assert.same({ "another" }, w.import.metadata.finalizers)
  end)

  it("release takes off a finalizer that stands for nothing", function()
    local w, writer = world()
    writer:remember(A)
    writer:record({ recorded = json.array({}) })
    writer:release()
    assert.is_false(marks.is_held(w.import))
    w.import.status = nil
    writer:release()
  end)

  it("is told in Events, where there are any", function()
    local w, writer = world()
    writer:event("Normal", "R", "n")
    assert.same({ { type = "Normal", reason = "R", note = "n" } }, w.events)
    w.env.event = nil
    writer:event("Normal", "R", "n")
  end)
end)
