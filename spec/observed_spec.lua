local metrics = require "host.metrics"
local observed = require "observed"
local prometheus = require "support.prometheus"

-- The samples of one metric: labels' values, sorted by name and joined -> value.
local function samples(name)
  local found = {}
  local family = prometheus.read(metrics.text())[name]
  for _, sample in ipairs(family and family.samples or {}) do
    local parts = {}
    for label, value in pairs(sample.labels) do
      parts[#parts + 1] = label .. "=" .. value
    end
    table.sort(parts)
    found[table.concat(parts, ",")] = sample.value
  end
  return found
end

local function value_of(name, key)
  return samples(name)[key or ""]
end

local function transfer()
  local t = { at = { received = 0, position = 0 } }
  function t:progress()
    return assert(self.at, "closed")
  end
  return t
end

describe("observed", function()
  local now, seen

  setup(function()
    now = 100
    seen = observed.serve({ host = "127.0.0.1", port = 0, scratch = "/tmp",
      clock = function() return now end })
  end)

  teardown(function()
    seen.server:close()
  end)

  after_each(function()
    seen:forget()
  end)

  it("counts imports by state, and lets no state that is none become a series", function()
    local new, valid = { state = "" }, { state = "virtualMachineImportValid" }
    seen:import(new)
    seen:import(new)
    seen:import(valid, new)
    seen:import({ state = "made up" })
    assert.same({ ["state=new"] = 1, ["state=virtualMachineImportValid"] = 1,
      ["state=other"] = 1 }, samples("vm_import_imports"))
    seen:import(nil, valid)
    assert.equal(0, value_of("vm_import_imports", "state=virtualMachineImportValid"))
    seen:forget()
    assert.same({}, samples("vm_import_imports"))
  end)

  it("counts ends once, and only those it has seen happen", function()
    local name = "vm_import_imports_finished_total"
    local before = samples(name)
    local moving, failed = { state = "sourceReady" }, { state = "VMMigrationFailed" }
    seen:import({ state = "virtualMachineRunning" })
    seen:import(failed, moving)
    seen:import(failed, failed)
    seen:import({ state = "virtualMachineRunning" }, moving)
    assert.equal(before["result=error"] + 1, value_of(name, "result=error"))
    assert.equal(before["result=success"] + 1, value_of(name, "result=success"))
  end)

  it("counts sources by kind and status", function()
    seen:source("VmwareSource", {})
    seen:source("VmwareSource", { state = "clusterReady" }, {})
    assert.equal(1, value_of("vm_import_sources", "kind=VmwareSource,state=clusterReady"))
    assert.equal(0, value_of("vm_import_sources", "kind=VmwareSource,state=new"))
  end)

  it("adds the bytes of a disk while it moves, and its time at the end", function()
    local bytes = value_of("vm_import_disk_received_bytes_total")
    local t = transfer()
    seen:disk_started(nil, nil, t)
    t.at = { received = 10, position = 100 }
    now = now + 42
    seen:disk_ended(nil, nil, t, {})
    assert.equal(bytes + 10, value_of("vm_import_disk_received_bytes_total"))
    local text = metrics.text()
    assert.truthy(text:find('vm_import_disk_duration_seconds_bucket{result="success",le="30"} 0',
      1, true))
    assert.truthy(text:find('vm_import_disk_duration_seconds_bucket{result="success",le="60"} 1',
      1, true))
  end)

  it("forgets a transfer that was closed in the middle", function()
    local t = transfer()
    seen:disk_started(nil, nil, t)
    t.at = nil
    seen:disk_ended(nil, nil, t, nil)
    assert.same({}, seen.moving)
  end)

  it("measures how late an object's turn comes", function()
    seen:started(2, 3, 1)
    assert.truthy(metrics.text():find('vm_import_queue_latency_seconds_bucket{le="5"} 1', 1, true))
    assert.equal(3, value_of("vm_import_queue_objects", "state=waiting"))
    assert.equal(1, value_of("vm_import_queue_objects", "state=running"))
  end)
end)
