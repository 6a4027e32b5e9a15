-- An import killed with SIGKILL at random moments, once or twice, and run again to its
-- end. VIC_KILL_SEED repeats a run; VIC_FULL=1 makes 50 rounds of it instead of 5.

local env = require "host.env"
local file = require "host.file"
local killed = require "support.killed"
local lab = require "support.lab"
local outcome = require "support.outcome"
local program = require "support.program"
local time = require "host.time"

local ROUNDS = program.full and 50 or 5
local SEED = tonumber(env.get("VIC_KILL_SEED")) or os.time()
local LEASE = 5       -- seconds that a lease lives without renewal
local RATE = 6 * 2 ^ 20 -- bytes a second of each disk, so that most moments are in one

-- The first one is soon whole, while the others go on.
local DISKS = {
  { controller = "pvscsi", pattern = "random", seed = 31, capacity = "3MiB" },
  { controller = "ahci", pattern = "mixed", seed = 32, capacity = "24MiB" },
  { controller = "nvme", pattern = "random", seed = 33, capacity = "12MiB" },
}

local SCENARIO = {
  settings = { leaseTimeout = LEASE },
  datacenters = { { path = "DC0", machines = { { name = "vm", disks = DISKS } } } },
}

describe("import, killed at any moment and run again,", function()
  local home, sim, sums, args, lasts
  local out

  local KEYS = { ["0"] = "ParaVirtualSCSIController0:0", ["1"] = "VirtualAHCIController0:0",
    ["2"] = "VirtualNVMEController0:0" }

  -- Downloads since the last reset, by key.
  local function downloads()
    local count = {}
    for _, request in ipairs(sim:get("/state").nfc or {}) do
      count[request.key] = (count[request.key] or 0) + 1
    end
    return count
  end

  lazy_setup(function()
    math.randomseed(SEED)
    print(("kill_spec: VIC_KILL_SEED=%d, %d rounds"):format(SEED, ROUNDS))
    home = lab.folder()
    out = home.path .. "/out"
    sim = lab.simulator(home.path, { scenario = SCENARIO })
    sums = {}
    for i, disk in ipairs(DISKS) do
      sums[i] = lab.original(home.path, disk)
    end
    args = lab.import_args(sim, home.path, { imports = { { name = "vm", machine = "vm" } } })
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = RATE })
    local began = time.monotonic()
    outcome.check(lab.run(args), out, "vm", sums)
    lasts = time.monotonic() - began
    assert.same({ [KEYS["0"]] = 1, [KEYS["1"]] = 1, [KEYS["2"]] = 1 }, downloads())
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(home).__close(home)
  end)

  local function whole_disks()
    local found = {}
    for _, path in ipairs(lab.files(out)) do
      found[#found + 1] = path:match("disk%-(%d)%.raw$")
    end
    return found
  end

  -- Until the server has noticed that its client is gone.
  local function settled()
    lab.wait_for("the server has noticed", function()
      local state = sim:get("/state")
      for _, request in ipairs(state.nfc or {}) do
        if request["end"] == "running" then
          return nil
        end
      end
      return true
    end)
  end

  local seen = { orphans = 0, whole = 0, kills = 0 }

  local function round()
    assert(file.remove(out, { recursive = true, missing_ok = true }))
    for _ = 1, math.random(2) do
      killed.at_random(home.path, args, lasts)
      seen.kills = seen.kills + 1
    end
    settled()
    local whole = whole_disks()
    sim:post("/reset")
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = RATE })

    local result = lab.run(args)
    outcome.check(result, out, "vm", sums)
    local state = sim:get("/state")
    assert.equal(0, state.openLeases)
    for _, disk in ipairs(whole) do
      assert.is_nil(downloads()[KEYS[disk]], "disk " .. disk .. " was fetched again")
    end
    -- More than one: it was refused, because a lease of the killed run was still there.
    if (state.calls.ExportVm or 0) > 1 then
      seen.orphans = seen.orphans + 1
      assert.truthy(result.stderr:find("the export of an interrupted run still holds the "
        .. "machine, until %d%d%d%d%-%d%d%-%d%dT"), result.stderr)
    end
    seen.whole = seen.whole + #whole
  end

  for i = 1, ROUNDS do
    it(("ends right (round %d)"):format(i), function()
      killed.round("kill_spec", SEED, i, round)
    end)
  end

  it("left leases to be waited out, and found disks that were whole", function()
    print(("kill_spec: %d kills, %d orphaned leases waited out, %d whole disks kept"):format(
      seen.kills, seen.orphans, seen.whole))
    if ROUNDS >= 50 then
      assert.truthy(seen.orphans > 5)
      assert.truthy(seen.whole > 5)
    end
  end)
end)
