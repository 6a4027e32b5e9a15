-- Disks of one machine are of one moment: whatever happens to it between or within runs.

local conditions = require "kube.conditions"
local errors = require "host.error"
local flow = require "flows.import"
local machine_of = require("support.machine").new
local standalone = require "support.standalone"

local world, run, import_of = standalone.world, standalone.run, standalone.import

local function fetched(w)
  local list = { table.unpack(w.target.fetched) }
  table.sort(list)
  return list
end

local TWICE = { "2000", "2000", "2001", "2001" }

-- Disk 0 is whole, disk 1 is not: an attempt has ended so.
local function half(opts)
  local w = world(opts)
  w.events = {}
  w.env.event = function(_, _, reason) w.events[reason] = (w.events[reason] or 0) + 1 end
  w.target.fail["2001"] = { errors.new("nospace", "full") }
  run(w)
  assert.equal("whole", w.target.whole["2000"])
  assert.is_nil(w.target.whole["2001"])
  return w
end

local function is_done(w)
  assert.equal("True", standalone.condition(w, "Ready").status)
end

describe("the disks of a machine", function()
  it("are kept while the machine stays as it is", function()
    local w = half()
    run(w)
    is_done(w)
    assert.same({ "2000", "2001", "2001" }, fetched(w))
  end)

  it("are all fetched again, and that is said, when it was on meanwhile", function()
    local w = half()
    w.source.epoch = "2"
    run(w)
    is_done(w)
    assert.same(TWICE, fetched(w))
    assert.equal(1, w.events.SourceChanged)
    local said = conditions.find(import_of(w).status.importConditions, "VMSourceChanged")
    assert.truthy(said.message:find("all of its disks are fetched again", 1, true))
  end)

  it("are fetched again when nobody wrote down of which state they are", function()
    local w = half()
    w.store:patch("VirtualMachineImport", "default", "web",
      { status = { sourceStamp = require("host.json").null } }, { status = true })
    run(w)
    is_done(w)
    assert.same(TWICE, fetched(w))
  end)

  it("are never those of another machine of the same name", function()
    local machine = machine_of()
    local w = half({ machine = machine })
    machine.id = "vm-2"
    w.store:patch("VirtualMachineImport", "default", "web",
      { status = { importStatus = "" } }, { status = true })
    run(w)
    is_done(w)
    assert.same(TWICE, fetched(w))
  end)

  for what, change in pairs {
    ["as the export is opened"] = function(w)
      local open = w.source.export
      function w.source.export(self, ...)
        self.epoch = self.exports == 0 and "2" or self.epoch
        return open(self, ...)
      end
    end,
    ["while they are fetched"] = function(w)
      local put = w.target.disks.put
      function w.target.disks.put(...)
        w.source.epoch = #w.target.fetched == 1 and "2" or w.source.epoch
        return put(...)
      end
    end,
  } do
    it("are given up when it changes " .. what, function()
      local w = world()
      change(w)
      local _, result = run(w)
      assert.is_true(result.after > 0)
      assert.same({}, w.target.whole)
      assert.equal(1, import_of(w).status.attempt)
      assert.equal("SourceChanged", standalone.condition(w, "Reconciling").reason)
      run(w)
      is_done(w)
      assert.equal("whole", w.target.whole["2000"])
    end)
  end

  it("are not believed while the source cannot tell their state", function()
    local w = half()
    w.source.stamp = function() return nil, errors.new("busy", "no answer") end
    run(w)
    assert.is_nil(w.target.whole["2001"])
    assert.equal("whole", w.target.whole["2000"])
  end)

  it("are compared with a manifest that comes in a later run", function()
    local w = half({ sent = { ["2000"] = { algorithm = "sha1", value = "BB" } } })
    run(w)
    assert.is_nil(w.target.whole["2000"])
    assert.truthy(standalone.condition(w, "Reconciling").message:find("says it sent BB", 1,
      true))
  end)

  -- Every write of the status is a moment at which the process may be killed.
  it("are of one state wherever the process is killed", function()
    local killed, most = true, 0
    while killed do
      local w, of, writes = half(), {}, 0
      killed, most = false, most + 1
      local put = w.target.disks.put
      function w.target.disks.put(self, plan, disk, stream)
        of[disk.id] = w.source.epoch
        return put(self, plan, disk, stream)
      end
      w.source.epoch = "2"
      w.store.before_patch = function()
        writes = writes + 1
        if writes == most then
          killed = true
          error("killed", 0)
        end
      end
      pcall(flow.reconcile, standalone.KEY, w.env)
      w.store.before_patch = nil
      run(w)
      run(w)
      is_done(w)
      assert.same({ ["2000"] = "2", ["2001"] = "2" }, of, "killed at write " .. most)
    end
    assert.is_true(most > 8)
  end)
end)
