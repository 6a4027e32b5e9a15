-- A replica that leads no more changes nothing at a vSphere, whatever it was doing.

local errors = require "host.error"
local lab = require "support.lab"
local task = require "host.task"
local time = require "host.time"
local vmware = require "providers.vmware"

local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "on", power = "on", tools = "running",
    disks = { { pattern = "text", seed = 1, capacity = "1MiB" } } },
  { name = "off", disks = { { pattern = "text", seed = 2, capacity = "1MiB" } } },
} } } }

describe("providers.vmware behind a fence", function()
  local folder, sim, ends_at, late

  lazy_setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = SCENARIO,
      settings = { leaseInit = 0.05, taskTime = 0.05, leaseTimeout = 5 } })
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    sim:post("/reset")
    ends_at, late = math.huge, false
  end)

  -- `late`: it still stands when it is asked, and has ended when the call is sent.
  local function fence()
    if late then
      late, ends_at = false, 0
      return time.boottime()
    elseif time.boottime() < ends_at then
      return ends_at
    end
    return nil, errors.new("conflict", "leads no more", { reason = "NotLeader" })
  end

  -- Runs fn(source) as a task to its goodbyes.
  local function with_source(fn)
    local ok, err = task.spawn(function()
      local source <close> = assert(vmware.open({ endpoint = sim.url, dc = "DC0" },
        { username = "user", password = "pass", caCert = sim.ca_pem },
        { poll = 0.02, backoff = { 0.01 }, strict_tls = true, fence = fence }))
      fn(source)
    end):join()
    if not ok then
      error(err, 0)
    end
  end

  local function calls()
    local made = sim:get("/state").calls
    return { made.ExportVm or 0, made.HttpNfcLeaseAbort or 0,
      made.HttpNfcLeaseComplete or 0, made.PowerOffVM_Task or 0, made.ShutdownGuest or 0 }
  end

  local function assert_refused(result, err)
    assert.is_nil(result)
    assert.equal("NotLeader", err.reason)
  end

  it("reads, but shuts nothing down, powers nothing off, exports nothing", function()
    with_source(function(source)
      local on, off = assert(source:find({ name = "on" })), assert(source:find({ name = "off" }))
      local machine = assert(source:inspect(off))
      ends_at = 0
      assert_refused(source:shutdown_guest(on))
      assert_refused(source:power_off(on))
      assert_refused(source:export(machine))
      assert.equal("on", source:power_state(on))
      assert.equal("off", source:power_state(off))
    end)
    assert.same({ 0, 0, 0, 0, 0 }, calls())
  end)

  it("neither completes nor aborts what it had opened: that is the next one's", function()
    with_source(function(source)
      local machine = assert(source:inspect(assert(source:find({ name = "off" }))))
      local recorded = {}
      local export <close> = assert(source:export(machine, { record = function(entry)
        recorded[1] = entry
      end }))
      ends_at = 0
      assert_refused(export:complete())
      assert.equal(1, #source:cleanup(recorded))
    end)
    assert.same({ 1, 0, 0, 0, 0 }, calls())
    assert.equal(1, sim:get("/state").openLeases)
    sim:post("/leases/expire")
  end)

  it("does not send later what it was allowed to send before", function()
    with_source(function(source)
      local on = assert(source:find({ name = "on" }))
      late = true
      assert_refused(source:power_off(on))
      assert.equal("on", source:power_state(on))
    end)
    assert.same({ 0, 0, 0, 0, 0 }, calls())
  end)
end)
