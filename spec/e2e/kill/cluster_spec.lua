-- The controller killed with SIGKILL at random moments of an import, alone and as one of
-- two replicas that share a scratch folder; the leader stopped and woken. VIC_KILL_SEED
-- repeats a run; VIC_FULL=1 makes 50 and 30 rounds of it instead of 5 and 5.

local ending = require "support.ending"
local env = require "host.env"
local file = require "host.file"
local lab = require "support.lab"
local program = require "support.program"
local site_of = require "support.site"
local time = require "host.time"

local ROUNDS = program.full and 50 or 5
local PAIRS = program.full and 30 or 5
local SEED = tonumber(env.get("VIC_KILL_SEED")) or os.time()
local LEASE = 5         -- seconds that a lease at the vSphere lives without renewal
local RATE = 6 * 2 ^ 20 -- bytes a second of each disk, so that many moments are in one
local WITHIN = 240      -- seconds that an import may take with all that happens to it

local DISKS = {
  { controller = "pvscsi", pattern = "random", seed = 31, capacity = "3MiB" },
  { controller = "ahci", pattern = "random", seed = 32, capacity = "12MiB" },
}

local SCENARIO = {
  settings = { leaseTimeout = LEASE, shutdownTime = 0.5 },
  datacenters = { { path = "DC0", machines = {
    { name = "vm", tools = "running", disks = DISKS },
  } } },
}

-- The name of the Service, as the stand-in knows it, leads to who holds the Lease.
local SERVICE = "images.test:8080"

describe("a controller in a cluster", function()
  local folder, site, sim, sums, lasts, scratch
  local struck = {} -- importStatus -> how often something was done in it

  lazy_setup(function()
    math.randomseed(SEED)
    print(("kill_cluster_spec: VIC_KILL_SEED=%d, %d and %d rounds"):format(SEED, ROUNDS,
      PAIRS))
    folder = lab.folder()
    scratch = folder.path .. "/scratch"
    sums = ending.sums(folder.path, DISKS)
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    site = site_of.open({ harvester = { "--resolve",
      SERVICE .. "=lease:default/vm-import-controller" } })
  end)

  lazy_teardown(function()
    local parts = {}
    for state, n in pairs(struck) do
      parts[#parts + 1] = ("%d in %s"):format(n, state == "" and "preflight" or state)
    end
    table.sort(parts)
    print("kill_cluster_spec: struck " .. table.concat(parts, ", "))
    site:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  -- A namespace with an import that is about to begin.
  local function begin(rate, spec)
    sim:post("/reset")
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = rate or RATE })
    sim:post("/machine", { machine = "vm", power = "on", tools = "running" })
    site.harvester:forget()
    local namespace = site:namespace()
    site:source(namespace, "vc", sim)
    site:import(namespace, "web", "vm", spec)
    return namespace
  end

  -- The moment has come: what the import was doing.
  local function strike(namespace)
    local state = site:status("VirtualMachineImport", namespace, "web").importStatus or ""
    struck[state] = (struck[state] or 0) + 1
  end

  -- It ends right, and makes room for the next one.
  local function check_end(namespace)
    local import = site:wait_import(namespace, "web", "virtualMachineRunning", WITHIN)
    ending.check(site, import, { sums = sums, sim = sim, scratch = scratch })
    site:delete("VirtualMachineImport", namespace, "web")
    site:wait_gone("VirtualMachineImport", namespace, "web")
    assert(site:get("VirtualMachine", namespace, "vm"), "the machine went with its import")
    site:delete("VmwareSource", namespace, "vc")
  end

  local function rounds(what, n, f)
    for i = 1, n do
      it(("%s (round %d)"):format(what, i), function()
        local moments = {}
        local ok, problem = xpcall(f, function(err)
          return type(err) == "table" and err or debug.traceback(err)
        end, moments)
        if not ok then
          print(("kill_cluster_spec: VIC_KILL_SEED=%d, round %d, at %s"):format(SEED, i,
            table.concat(moments, ", ")))
          error(problem, 0)
        end
      end)
    end
  end

  describe("that is alone", function()
    local listen, running

    local function start()
      running = site:controller({ scratch = scratch, listen = listen,
        env = { SVC_ADDRESS = listen } })
    end

    lazy_setup(function()
      listen = site.free_address()
      start()
      local began = time.monotonic()
      check_end(begin())
      lasts = time.monotonic() - began
    end)

    lazy_teardown(function()
      running:stop()
    end)

    local function kill()
      running:signal("KILL")
      running:wait(10)
      site:bury()
      start()
    end

    rounds("ends an import right though it is killed", ROUNDS, function(moments)
      local namespace = begin()
      for i = 1, math.random(2) do
        moments[i] = ending.at_random(lasts)
        strike(namespace)
        kill()
      end
      check_end(namespace)
    end)
  end)

  describe("that is one of two", function()
    local replicas

    local function start()
      local listen = site.free_address()
      local running = site:controller({ scratch = scratch, listen = listen, wait = false,
        env = { SVC_ADDRESS = SERVICE } })
      running.address = listen
      replicas[#replicas + 1] = running
    end

    local function route()
      local holders = {}
      for _, running in ipairs(replicas) do
        holders[running.name] = running.address
      end
      site.harvester:holders(holders)
    end

    local function leader_index()
      local identity = site:leader()
      for i, running in ipairs(replicas) do
        if identity:sub(1, #running.name) == running.name then
          return i
        end
      end
      return nil
    end

    local function wait_leader(other_than)
      return lab.wait_for("a replica leads", function()
        local i = leader_index()
        return i and replicas[i] ~= other_than and i
      end, 60)
    end

    lazy_setup(function()
      replicas = {}
      start()
      start()
      route()
      wait_leader()
    end)

    lazy_teardown(function()
      for _, running in ipairs(replicas) do
        running:stop()
      end
    end)

    local function kill_leader()
      local i = wait_leader()
      local running = table.remove(replicas, i)
      running:signal("KILL")
      running:wait(10)
      wait_leader()
      start()
      route()
    end

    -- It sleeps until another leads, and some time longer.
    local function stop_leader(moments)
      local running = replicas[wait_leader()]
      running:signal("STOP")
      wait_leader(running)
      moments[#moments + 1] = ending.at_random(lasts)
      running:signal("CONT")
    end

    local kills = 0

    rounds("ends an import right though its leader is killed or stopped", PAIRS,
      function(moments)
        local namespace = begin()
        moments[1] = ending.at_random(lasts)
        strike(namespace)
        kills = kills + 1
        if kills % 2 == 1 then
          moments[2] = "killed"
          kill_leader()
        else
          moments[2] = "stopped for"
          stop_leader(moments)
        end
        check_end(namespace)
      end)

    local function is_being_read()
      for _, request in ipairs(sim:get("/state").nfc or {}) do
        if request["end"] == "running" and request.sent > 2 ^ 18 then
          return true
        end
      end
      return false
    end

    it("waits for a disk that a stopped leader holds, and counts no attempt", function()
      local namespace = begin(2 ^ 20, { maxRetries = 0 })
      lab.wait_for("disks are being read", is_being_read, 60)
      local stopped = replicas[wait_leader()]
      stopped:signal("STOP")
      wait_leader(stopped)
      lab.wait_for("it waits for the disk", function()
        return site:condition("VirtualMachineImport", namespace, "web",
          "Reconciling").reason == "DiskInUse"
      end, 60)
      stopped:signal("CONT")
      check_end(namespace)
    end)
  end)
end)
