-- Random histories of servers of the lab's OpenStack, whose guests write while they are on:
-- started and stopped, written, their volumes attached, detached, extended and reverted,
-- their import interrupted at random moments, or hurt by what goes wrong for one of them.
-- VIC_HISTORY_SEED repeats a run; VIC_HISTORIES says how many; VIC_FULL=1 plays 300, not 30.
-- One takes some eight seconds of the lab's services, of four side by side.

local env = require "host.env"
local history = require "support.history"
local json = require "host.json"
local living = require "support.living"
local living_history = require "support.living_history"
local openstack = require "support.openstack"
local program = require "support.program"
local task = require "host.task"

local ROUNDS = tonumber(env.get("VIC_HISTORIES")) or program.full and 300 or 30
local SEED = tonumber(env.get("VIC_HISTORY_SEED")) or os.time()
local VERBOSE = (env.get("VIC_VERBOSE") or "") ~= ""
local AT_ONCE = 4 -- servers; most of the time is waiting

describe("a random history of a server", function()
  local cloud
  local servers, players, results = {}, {}, {}
  local seen, reasons = { imported = 0, refused = 0 }, {}
  local next_one = 1

  -- Plays what nobody has played yet, with a server of its own.
  local function play_all(place)
    local server = living_history.new(cloud, "living-" .. place, place % 2 == 0)
    servers[#servers + 1] = server
    while next_one <= ROUNDS do
      local i = next_one
      next_one = next_one + 1
      local seed = SEED + i - 1
      local ok, outcome, told, reason = pcall(history.play, server, seed)
      results[i] = { ok = ok, outcome = outcome, reason = reason }
      if not ok or VERBOSE then
        print(("openstack/histories_spec: VIC_HISTORIES=1 VIC_HISTORY_SEED=%d: %s %s")
          :format(seed, tostring(outcome), told or ""))
      end
    end
  end

  lazy_setup(function()
    print(("openstack/histories_spec: VIC_HISTORY_SEED=%d, %d histories"):format(SEED,
      ROUNDS))
    cloud = openstack.cloud()
    cloud:quota { volumes = 50, snapshots = 50 }
    cloud:call("PUT", "compute", "/os-quota-sets/" .. cloud.project_id,
      { quota_set = { instances = 50, cores = 100 } })
    living.prepare(cloud)
    for i = 1, AT_ONCE do
      players[i] = task.spawn(play_all, i)
    end
  end)

  lazy_teardown(function()
    for _, player in ipairs(players) do
      player:cancel()
    end
    for _, server in ipairs(servers) do
      server.close()
    end
    cloud:quota()
  end)

  for i = 1, ROUNDS do
    it(("hands over disks of one moment, or says why not (%d)"):format(i), function()
      while not results[i] do
        for _, player in ipairs(players) do
          assert(not player:done() or next_one > ROUNDS, "there is no server to play with")
        end
        task.sleep(0.05)
      end
      assert(results[i].ok, results[i].outcome)
      local outcome, reason = results[i].outcome, results[i].reason
      seen[outcome] = seen[outcome] + 1
      if reason then
        reasons[reason] = (reasons[reason] or 0) + 1
      end
    end)
  end

  it("is one that is imported, often enough", function()
    print(("openstack/histories_spec: %s; refused by reason: %s"):format(
      json.encode(seen), json.encode(reasons)))
    assert.truthy(ROUNDS < 30 or seen.imported >= ROUNDS / 6) -- of a few, none may be
  end)
end)
