-- Two replicas of the addon behind its Service, whose requests go to both: they are killed
-- at random moments, and every import ends right. VIC_KILL_SEED repeats a run; VIC_FULL=1
-- kills 30 times instead of 3.

local addon_of = require "support.addon"
local env = require "host.env"
local file = require "host.file"
local http = require "host.http"
local lab = require "support.lab"
local program = require "support.program"
local task = require "host.task"
local time = require "host.time"

local NS = addon_of.namespace
local LEASE = 5 -- seconds that a lease at the vSphere lives without renewal
local KILLS = program.full and 30 or 3
local SEED = tonumber(env.get("VIC_KILL_SEED")) or os.time()
local MOMENTS = 5 -- seconds into the import

local DISKS = {
  { pattern = "mixed", seed = 1, capacity = "48MiB", every = 2 },
  { controller = "pvscsi", pattern = "text", seed = 2, capacity = "16MiB" },
}

-- A machine for each round: two of one MAC address are refused.
local machines = {}
for round = 1, KILLS do
  machines[round] = { name = "web-" .. round, disks = DISKS,
    nics = { { network = "VM Network" } } }
end
local SCENARIO = { datacenters = { { path = "DC0", machines = machines } } }

describe("two replicas", function()
  local folder, addon, site, sim, volume
  local pods, struck = {}, {} -- struck: importStatus -> how often

  lazy_setup(function()
    math.randomseed(SEED)
    print(("addon_replicas_spec: VIC_KILL_SEED=%d, %d kills"):format(SEED, KILLS))
    folder = lab.folder()
    addon = addon_of.open()
    site = addon.site
    volume = folder.path .. "/volume"
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO,
      settings = { leaseTimeout = LEASE } })
    addon:install("--set", "replicaCount=2,pvcClaim.enabled=true",
      "--set", "pvcClaim.accessMode=ReadWriteMany")
    for n = 1, 2 do
      pods[n] = addon:pod(n, { scratch = volume })
    end
    for _, one in ipairs(pods) do
      one:wait_ready()
    end
  end)

  lazy_teardown(function()
    for _, one in pairs(pods) do
      getmetatable(one).__close(one)
    end
    getmetatable(sim).__close(sim)
    addon:close()
    getmetatable(folder).__close(folder)
  end)

  local function start(n)
    pods[n] = addon:pod(n, { scratch = volume })
  end

  -- The one that leads, and its number; nil: none.
  local function leader()
    local lease = site:get("Lease", NS, "vm-import-controller")
    local holder = lease and lease.spec.holderIdentity or ""
    for n, one in pairs(pods) do
      if holder:sub(1, #one.name + 1) == one.name .. "-" then
        return one, n
      end
    end
  end

  local function wait_leader(not_this)
    local found
    local from = time.monotonic()
    lab.wait_for("another leads", function()
      found = leader()
      return found and found ~= not_this
    end, 60)
    return found, time.monotonic() - from
  end

  it("are both ready, and the one that stands by sends downloads to the other", function()
    local leading, n = leader()
    local other = pods[3 - n]
    local answer = assert(http.request({ url = ("http://%s:8080/some/path.raw"):format(
      other.address) }))
    assert.equal(307, answer.status)
    assert.equal(("http://%s:8080/some/path.raw"):format(leading.address),
      answer.headers.location)
    assert.equal(404, assert(http.request({ url = answer.headers.location })).status)
    assert.equal(0, addon:metric(other, "vm_import_leader"))
  end)

  it("change places at once when the leader is stopped, within 15 s when it dies", function()
    local first, n = leader()
    first:stop()
    local second, seconds = wait_leader(first)
    assert(seconds < 5, ("%.1f s after a clean stop"):format(seconds))
    start(n)
    second:kill()
    local _, after = wait_leader(second)
    assert(after < 16, ("%.1f s after a death"):format(after))
    start(3 - n)
    for _, one in pairs(pods) do
      one:wait_ready()
    end
  end)

  -- A Service with two endpoints: each new connection goes to another.
  local function alternate()
    local turn = 0
    while true do
      turn = turn + 1
      addon:serve(pods[1 + turn % 2])
      task.sleep(0.05)
    end
  end

  describe("end every import right", function()
    local service, namespace, sums

    lazy_setup(function()
      service = task.spawn(alternate)
      namespace = site:namespace()
      site:source(namespace, "vc", sim)
      sums = { lab.original(folder.path, DISKS[1]), lab.original(folder.path, DISKS[2]) }
    end)

    lazy_teardown(function()
      service:cancel()
      local parts = {}
      for state, n in pairs(struck) do
        parts[#parts + 1] = ("%d in %s"):format(n, state == "" and "preflight" or state)
      end
      table.sort(parts)
      print("addon_replicas_spec: struck " .. table.concat(parts, ", "))
    end)

    -- Mostly the one that leads.
    local function kill(round, name)
      local state = site:status("VirtualMachineImport", namespace, name).importStatus or ""
      struck[state] = (struck[state] or 0) + 1
      local victim = round % 3 == 0 and 1 + round % 2 or select(2, leader()) or 1
      pods[victim]:kill()
      start(victim)
    end

    for round = 1, KILLS do
      it(("though a replica is killed (round %d)"):format(round), function()
        local name = "web-" .. round
        site:import(namespace, name, name)
        task.sleep(math.random() * MOMENTS)
        kill(round, name)
        local import = site:wait_import(namespace, name, "virtualMachineRunning", 240)
        for i, entry in ipairs(import.status.diskImportStatus) do
          local pulls = site.harvester:pulls(namespace, entry.VirtualMachineImage)
          assert.equal(sums[i], pulls[#pulls], "disk " .. i)
        end
        assert.same({}, import.metadata.finalizers or {})
        assert.equal(0, sim:get("/state").openLeases)
        assert.same({}, lab.files(volume))
      end)
    end
  end)
end)
