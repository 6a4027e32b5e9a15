-- A finished import in a directory, run again.

local conditions = require "kube.conditions"
local errors = require "host.error"
local machine_of = require("support.machine").new
local standalone = require "support.standalone"

local world, import_of = standalone.world, standalone.import

local function finished(opts)
  local w = world(opts)
  standalone.run(w)
  assert.equal("True", standalone.condition(w, "Ready").status)
  w.target.fetched, w.target.machines = {}, {}
  return w
end

local function edit(w, spec)
  assert(w.store:patch("VirtualMachineImport", "default", "web", { spec = spec }))
end

local function machine_written(w)
  local machine = w.target.machines[#w.target.machines]
  return machine and machine.kind == "VirtualMachine" and machine or nil
end

describe("a finished import that is run again", function()
  it("writes the same again while nothing has changed", function()
    local w = finished()
    standalone.run(w)
    assert.equal("True", standalone.condition(w, "Ready").status)
    assert.truthy(machine_written(w))
    assert.same({}, w.target.fetched)
  end)

  it("plans anew what needs no fetching", function()
    local w = finished()
    edit(w, { targetName = "other", defaultDiskBusType = "sata" })
    standalone.run(w)
    assert.equal("other", machine_written(w).metadata.name)
    assert.equal("sata", machine_written(w).spec.template.spec.domain.devices.disks[1]
      .disk.bus)
    assert.same({}, w.target.fetched)
    assert.equal(import_of(w).metadata.generation, import_of(w).status.observedGeneration)
  end)

  for what, case in pairs {
    ["another machine is named"] = { "are of web 01 (vm-1)", function(w)
      function w.source.find() return "vm-2" end
    end },
    ["the machine is not there"] = { "not found any more", function(w)
      function w.source.find() return nil, errors.new("notfound", "no such machine") end
    end },
    ["the machine runs"] = { "is on at its source", function(w)
      w.source.power = "on"
    end },
    ["the machine was on"] = { "was on, or its disks have changed", function(w)
      w.source.epoch = "2"
    end },
  } do
    it("is refused, and leaves all as it is, when " .. what, function()
      local w = finished()
      case[2](w)
      for _ = 1, 2 do
        assert.is_nil(select(2, standalone.run(w)))
        local stalled = standalone.condition(w, "Stalled")
        assert.equal("True", stalled.status)
        assert.truthy(stalled.message:find(case[1], 1, true), stalled.message)
        assert.truthy(stalled.message:find("into another folder", 1, true))
        assert.is_nil(machine_written(w))
        assert.same({}, w.target.fetched)
        assert.equal("whole", w.target.whole["2000"])
        assert.equal(0, w.source.asked + w.source.cut)
      end
    end)
  end

  it("ends well again when what was refused is put right", function()
    local w = finished()
    w.source.power = "on"
    standalone.run(w)
    w.source.power = "off"
    standalone.run(w)
    assert.equal("True", standalone.condition(w, "Ready").status)
  end)

  it("keeps the size that a disk had turned out to have", function()
    local w = world()
    local open = w.source.export
    function w.source.export(...)
      local export = open(...)
      local stream = export.stream
      function export.stream(...)
        local found, err = stream(...)
        if found then
          found.capacity = 3 * 2 ^ 30 | 0
        end
        return found, err
      end
      return export
    end
    standalone.run(w)
    local function planned()
      local disk = import_of(w).status.plan.disks[1]
      return { disk.capacity_bytes, disk.planned_bytes, import_of(w).status.findings[1].code }
    end
    local before = planned()
    assert.equal(3 * 2 ^ 30, before[1])
    w.target.fetched = {}
    standalone.run(w)
    assert.same(before, planned())
    assert.same({}, w.target.fetched)
  end)

  it("fetches a disk that was removed from the directory", function()
    local w = finished()
    w.target.whole["2001"] = nil
    standalone.run(w)
    assert.same({ "2001" }, w.target.fetched)
    assert.equal("True", standalone.condition(w, "Ready").status)
  end)
end)

describe("an import whose disks are all here", function()
  -- The machine does that when its last disk has come, before the manifests are written.
  local function late(w, change)
    local complete = w.source.export
    function w.source.export(self, ...)
      local export = complete(self, ...)
      local own = export.complete
      function export.complete(...)
        local sent = own(...)
        change(self)
        change = function() end
        return sent
      end
      return export
    end
  end

  it("fails, with what to do, when its source runs again", function()
    local w = world({ machine = machine_of() })
    late(w, function(source) source.power = "on" end)
    standalone.run(w)
    local stalled = standalone.condition(w, "Stalled")
    assert.equal("SourceRunning", stalled.reason)
    assert.truthy(stalled.message:find("shut it down there", 1, true))
    assert.is_nil(machine_written(w))
  end)

  it("fetches all of them again when its source was on", function()
    local w = world()
    late(w, function(source) source.epoch = "2" end)
    standalone.run(w)
    assert.equal("True", standalone.condition(w, "Ready").status)
    assert.equal(4, #w.target.fetched)
    assert.truthy(conditions.is_true(import_of(w).status.importConditions,
      "VMSourceChanged"))
  end)
end)
