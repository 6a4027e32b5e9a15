-- Random histories of one machine: switched on and off, written, its disks added, removed
-- and grown, snapshots made and reverted, its import interrupted at random moments.
-- VIC_HISTORY_SEED repeats a run; VIC_FULL=1 plays 300 instead of 30.

local env = require "host.env"
local file = require "host.file"
local history = require "support.history"
local json = require "host.json"
local lab = require "support.lab"
local outcome = require "support.outcome"
local program = require "support.program"
local task = require "host.task"

local ROUNDS = tonumber(env.get("VIC_HISTORIES")) or program.full and 300 or 30
local SEED = tonumber(env.get("VIC_HISTORY_SEED")) or os.time()
local VERBOSE = (env.get("VIC_VERBOSE") or "") ~= ""
local RATE = 6 * 2 ^ 20 -- bytes a second of each disk, so that most moments are in one
local LONG = 1.2        -- seconds, about what an import takes
local RENEW = 20        -- rounds until another vSphere, as disks only grow

local DISKS = {
  { controller = "pvscsi", pattern = "random", seed = 31, capacity = "1MiB" },
  { controller = "pvscsi", pattern = "random", seed = 32, capacity = "3MiB" },
  { controller = "pvscsi", pattern = "random", seed = 33, capacity = "2MiB" },
}

local SCENARIO = {
  settings = { leaseTimeout = 5, leaseInit = 0.05, taskTime = 0.02, shutdownTime = 0.1 },
  datacenters = { { path = "DC0", machines = { { name = "vm", disks = DISKS,
    tools = "running", writes = true } } } },
}

-- The machine in a vSphere of the lab; as support.history wants it.
local function subject()
  local self = { rounds = 0, sums = {} }

  local function change(what)
    return (pcall(self.sim.post, self.sim, "/machine", what))
  end
  local function power(state)
    return function() return change({ machine = "vm", power = state }) end
  end
  local function disks(what)
    return function()
      return change({ machine = "vm", disks = what, index = self.random(0, 2) })
    end
  end
  -- A change of disks by an administrator, to a machine that is off.
  local function off_and(what)
    local f = disks(what)
    return function() return power("off")() and f() end
  end
  self.operations = {
    { "on", power("on") }, { "on", power("on") }, { "off", power("off") },
    { "write", disks("write") }, { "grow", off_and("grow") },
    { "remove", off_and("remove") }, { "add", off_and("add") },
    { "snapshot", off_and("snapshot") }, { "revert", off_and("revert") },
  }

  local function renew()
    self.close()
    self.home = lab.folder()
    self.sim = lab.simulator(self.home.path, { scenario = SCENARIO })
    self.args = lab.import_args(self.sim, self.home.path, { imports = { { name = "vm",
      machine = "vm", spec = { maxRetries = 0, gracefulShutdownTimeoutSeconds = 5 } } } })
    self.out = self.home.path .. "/out"
  end

  function self.close()
    if self.sim then
      getmetatable(self.sim).__close(self.sim)
      getmetatable(self.home).__close(self.home)
    end
  end

  function self.begin()
    if self.rounds % RENEW == 0 then
      renew()
    end
    self.rounds = self.rounds + 1
    assert(file.remove(self.out, { recursive = true, missing_ok = true }))
    power("off")()
  end

  -- Rules for a run: disks that come slowly, and one that breaks off.
  local function rules(how)
    self.sim:post("/reset")
    if how == "fault" then
      self.sim:post("/faults", { on = "nfc", ["do"] = "reset", count = 3,
        file = ":" .. self.random(0, 1), bytes = self.random(1000, 2 ^ 20) })
    end
    self.sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = RATE })
  end

  local function meanwhile()
    task.sleep(self.random() * LONG)
    self.operations[self.random(#self.operations)][2]()
  end

  function self.run(how)
    rules(how)
    local running <close> = program.start(self.home.path, self.args)
    local other = self.random(3) == 1 and task.spawn(meanwhile) or nil
    if how == "INT" or how == "KILL" then
      task.sleep(self.random() * LONG)
      if not running:done() then
        running:signal(how)
      end
    end
    local result = running:wait(120)
    if other then
      other:join(30)
    end
    return result
  end

  -- SHA-512 of a disk by what it is made of.
  local function sum(disk)
    local spec = { pattern = disk.pattern, seed = disk.seed, capacity = disk.capacity }
    local key = ("%s %d %d"):format(spec.pattern, spec.seed, spec.capacity)
    self.sums[key] = self.sums[key] or lab.original(self.home.path, spec)
    return self.sums[key]
  end

  function self.moments()
    local list, journal = {}, self.sim:get("/journal").vm
    for i = #journal, 1, -1 do
      list[#list + 1] = { off = journal[i].power == "poweredOff", disks = function()
        local sums = {}
        for n, disk in ipairs(journal[i].disks) do
          sums[n] = sum(disk)
        end
        return sums
      end }
    end
    return list
  end

  function self.handed()
    local list = {}
    for i, disk in ipairs(outcome.status(self.out).diskImportStatus) do
      list[i] = lab.sha512(disk.diskLocalPath)
    end
    return list
  end

  return self
end

describe("a random history of a machine", function()
  local machine
  local seen = { imported = 0, refused = 0 }

  lazy_setup(function()
    print(("histories_spec: VIC_HISTORY_SEED=%d, %d histories"):format(SEED, ROUNDS))
    machine = subject()
  end)

  lazy_teardown(function()
    machine.close()
  end)

  for i = 1, ROUNDS do
    it(("hands over disks of one moment, or says why not (%d)"):format(i), function()
      local ok, result, told = pcall(history.play, machine, SEED + i - 1)
      if not ok then
        print(("histories_spec: VIC_HISTORIES=1 VIC_HISTORY_SEED=%d"):format(SEED + i - 1))
        error(result, 0)
      end
      seen[result] = seen[result] + 1
      if VERBOSE then
        print(told)
      end
    end)
  end

  it("is one that is imported, mostly", function()
    print(("histories_spec: %s"):format(json.encode(seen)))
    assert.truthy(seen.imported >= ROUNDS / 3)
  end)
end)

describe("the oracle of histories", function()
  it("finds a torn set, and one of a moment at which the machine was on", function()
    local function moment(off, ...)
      local held = { ... }
      return { off = off, disks = function() return held end }
    end
    local moments = { moment(true, "a2", "b2"), moment(false, "a3", "b3"),
      moment(true, "a1", "b1") }
    assert(history.check(moments, { "a1", "b1" }))
    assert.is_nil((history.check(moments, { "a1", "b2" })))
    assert.is_nil((history.check(moments, { "a3", "b3" })))
    assert.is_nil((history.check(moments, { "a1" })))
  end)
end)
