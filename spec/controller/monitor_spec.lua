local http = require "host.http"
local metrics = require "host.metrics"
local monitor = require "controller.monitor"
local process = require "host.process"
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

-- Of one line of the histogram of durations, as `labels` write it.
local function durations(what, labels)
  local line = ("\nvm_import_disk_duration_seconds_%s{%s} "):format(what, labels)
  local text = metrics.text()
  local _, last = text:find(line, 1, true)
  return last and tonumber(text:match("^%S+", last + 1)) or 0
end

local function transfer()
  local t = { at = { received = 0, fetched = 0, position = 0 } }
  function t:progress()
    return assert(self.at, "closed")
  end
  return t
end

describe("controller.monitor", function()
  local now, seen

  setup(function()
    now = 100
    seen = monitor.serve({ host = "127.0.0.1", port = 0, scratch = "/tmp",
      debug_tasks = true, clock = function() return now end })
  end)

  teardown(function()
    seen.server:close()
  end)

  after_each(function()
    seen:forget()
  end)

  it("tells what the kernel can confine with", function()
    local offered = process.confinement()
    assert.same({ ["by=landlock"] = offered.landlock and 1 or 0,
      ["by=seccomp"] = offered.seccomp and 1 or 0 }, samples("vm_import_confinement"))
  end)

  it("tells what every task is doing, if asked to", function()
    local url = "http://" .. seen.server:address() .. "/debug/tasks"
    local answer = assert(http.request({ url = url }))
    assert.truthy(answer.body:find("watches the figures: ", 1, true), answer.body)
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
    t.at = { received = 15, fetched = 10, position = 100 } -- 5 were here before
    now = now + 42
    seen:disk_ended(nil, nil, t, {})
    assert.equal(bytes + 10, value_of("vm_import_disk_received_bytes_total"))
    local text = metrics.text()
    assert.truthy(text:find('vm_import_disk_duration_seconds_bucket{result="success",le="30"} 0',
      1, true))
    assert.truthy(text:find('vm_import_disk_duration_seconds_bucket{result="success",le="60"} 1',
      1, true))
  end)

  -- Takes what is passed on to where it has been read, `at` seconds after it was published.
  local function passed_on(t, at, progress)
    now = now + at
    t.at = progress
    seen:look()
  end

  it("counts what is passed on by every read, and its time from the first to the sound end",
    function()
      local received = value_of("vm_import_disk_received_bytes_total")
      local decoded = value_of("vm_import_disk_decoded_bytes_total")
      local short = durations("bucket", 'result="success",le="10"')
      local longer = durations("bucket", 'result="success",le="30"')
      local t = transfer()
      t.at = { received = 0, fetched = 0, position = 0, passed = 0, reading = 0, reads = 0,
        sound = 0 }
      seen:disk_started(nil, nil, t)
      seen:look()
      assert.equal(0, value_of("vm_import_disk_transfers"))
      passed_on(t, 1000, { received = 40, fetched = 40, position = 300, passed = 300,
        reading = 1, reads = 1, sound = 0 })
      assert.equal(1, value_of("vm_import_disk_transfers"))
      passed_on(t, 5, { received = 10, fetched = 60, position = 80, passed = 480,
        reading = 1, reads = 2, sound = 0 })
      passed_on(t, 15, { received = 50, fetched = 100, position = 400, passed = 800,
        reading = 0, reads = 2, sound = 1 })
      assert.equal(0, value_of("vm_import_disk_transfers"))
      now = now + 1000
      seen:disk_ended(nil, nil, t, {})
      assert.equal(received + 100, value_of("vm_import_disk_received_bytes_total"))
      assert.equal(decoded + 800, value_of("vm_import_disk_decoded_bytes_total"))
      assert.equal(short, durations("bucket", 'result="success",le="10"'))
      assert.equal(longer + 1, durations("bucket", 'result="success",le="30"'))
    end)

  it("has no time of what nobody has read", function()
    local count = durations("count", 'result="error"')
    local t = transfer()
    t.at = { received = 0, fetched = 0, position = 0, passed = 0, reading = 0, reads = 0,
      sound = 0 }
    seen:disk_started(nil, nil, t)
    seen:disk_ended(nil, nil, t, nil)
    assert.equal(count, durations("count", 'result="error"'))
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
