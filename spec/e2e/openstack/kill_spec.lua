-- An import from OpenStack killed with SIGKILL at random moments, and run again to its
-- end: every byte is there, and nothing of it is left in the cloud. VIC_KILL_SEED repeats
-- a run; VIC_FULL=1 makes 30 rounds of it instead of 5.

local env = require "host.env"
local file = require "host.file"
local killed = require "support.killed"
local lab = require "support.lab"
local openstack = require "support.openstack"
local program = require "support.program"
local time = require "host.time"

local ROUNDS = program.full and 30 or 5
local SEED = tonumber(env.get("VIC_KILL_SEED")) or os.time()

describe("an import from OpenStack, killed at any moment and run again,", function()
  local cloud, home, out, args, before, lasts
  local kept = 0

  local function check(result)
    assert.equal(0, result.status, result.stderr)
    local status = lab.read_object(out, "VirtualMachineImport", "vm").status
    assert.equal(cloud.disks.lone[1], lab.sha512(status.diskImportStatus[1].diskLocalPath))
    assert.same({}, status.recorded or {})
    assert.same(before, cloud:inventory())
  end

  lazy_setup(function()
    math.randomseed(SEED)
    print(("openstack_kill_spec: VIC_KILL_SEED=%d, %d rounds"):format(SEED, ROUNDS))
    cloud = openstack.cloud()
    cloud:reset()
    home = lab.folder()
    out = home.path .. "/out"
    before = cloud:inventory()
    args = cloud:args(home.path, { machine = "lone" })
    local began = time.monotonic()
    check(lab.run(args, { timeout = 600 }))
    lasts = time.monotonic() - began
  end)

  lazy_teardown(function()
    getmetatable(home).__close(home)
  end)

  local function round()
    assert(file.remove(out, { recursive = true, missing_ok = true }))
    killed.at_random(home.path, args, lasts)
    if #cloud:inventory() > #before then
      kept = kept + 1
    end
    check(lab.run(args, { timeout = 600 }))
  end

  for i = 1, ROUNDS do
    it(("ends right (round %d)"):format(i), function()
      killed.round("openstack_kill_spec", SEED, i, round)
    end)
  end

  it("was killed with things in the cloud", function()
    print(("openstack_kill_spec: %d of %d kills left something to go on with or remove")
      :format(kept, ROUNDS))
    if ROUNDS >= 30 then
      assert.truthy(kept >= 5)
    end
  end)
end)
