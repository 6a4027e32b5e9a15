-- Disks that are passed on to Harvester while they are read: no scratch space at all.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local site_of = require "support.site"

local SMALL = { pattern = "text", seed = 31, capacity = "16MiB" }
local MIXED = { controller = "pvscsi", pattern = "mixed", seed = 32, capacity = "65MiB",
  every = 3 }
local SPARSE = { controller = "nvme", pattern = "mixed", seed = 33, capacity = "1GiB",
  every = 500 }
local FULL = { pattern = "random", seed = 34, capacity = "24MiB" }

local function machine(name, ...)
  return { name = name, disks = { ... }, nics = { { network = "VM Network" } } }
end

local SCENARIO = {
  datacenters = { {
    path = "DC0",
    machines = {
      machine("three", SMALL, MIXED, SPARSE),
      machine("full", FULL),
    },
  } },
}

-- Runs a program with a scratch folder in which not a single byte has room.
local NO_ROOM = [[
  mount -t tmpfs -o size=4k,nr_inodes=1 none "$1"; shift; exec "$@"
]]

describe("transferMode Stream", function()
  local folder, site, sim, running, namespace

  -- With scratch on a file system without room.
  local function start(...)
    local scratch = site.dir .. "/no-room"
    assert(file.mkdir(scratch, { parents = true }))
    return site:controller({ scratch = scratch, args = { "--idle-timeout", "4", ... },
      through = { "unshare", "-rm", "sh", "-ec", NO_ROOM, "sh", scratch } })
  end

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open({ harvester = { "--idle-timeout", "8s" } })
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    running = start()
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
  end)

  after_each(function()
    for _, kind in ipairs { "VirtualMachineImport", "VirtualMachine" } do
      for _, object in ipairs(assert(site.client:list(kind, namespace))) do
        site:delete(kind, namespace, object.metadata.name)
        site:wait_gone(kind, namespace, object.metadata.name)
      end
    end
    site.harvester:mend()
    site.harvester:forget()
    sim:post("/reset")
  end)

  -- Every disk came whole, and nothing else ever did; nothing was written here.
  local function check(import, disks)
    for i, entry in ipairs(import.status.diskImportStatus) do
      local sums = site.harvester:pulls(namespace, entry.VirtualMachineImage)
      assert.is_true(#sums >= 1)
      for _, sum in ipairs(sums) do
        assert.equal(lab.original(folder.path, disks[i]), sum, "disk " .. i)
      end
    end
    assert.same({}, lab.files(("/proc/%s/root%s"):format(running.pid, running.scratch)))
    assert.same(json.array({}), import.metadata.finalizers or json.array({}))
    lab.wait_for("the lease is given back", function()
      return sim:get("/state").openLeases == 0
    end)
    assert.same({}, site.harvester:state().rejections)
  end

  for backend, class in pairs { backingimage = "harvester-longhorn", cdi = "longhorn-v2" } do
    it("imports without a byte of scratch space, backend " .. backend, function()
      site:import(namespace, "three", "three", { storageClass = class })
      local import = site:wait_import(namespace, "three", "virtualMachineRunning", 120)
      assert.equal("Stream", import.status.transfer.mode)
      assert.truthy(import.status.transfer.reason:find("free in scratch", 1, true))
      check(import, { SMALL, MIXED, SPARSE })
      assert.same({}, site.harvester:state().remarks)
    end)
  end
end)
