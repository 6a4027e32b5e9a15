-- A machine of 64 disks on four controllers and 10 NICs imported into a cluster, by way
-- of scratch and passed on: every disk to its last byte, and a machine that has them all.

local json = require "host.json"
local ending = require "support.ending"
local file = require "host.file"
local lab = require "support.lab"
local many = require "support.many"
local site_of = require "support.site"

local DISKS, NICS = 64, 10
local WITHIN = 900          -- seconds
local MOST_STATUS = 192 * 1024 -- bytes: 256 disks would take four times as much

describe("a machine of 64 disks and 10 NICs", function()
  local folder, site, sim, running, sums, namespace

  lazy_setup(function()
    folder = lab.folder()
    local disks = {}
    for i = 1, DISKS do
      disks[i] = many.disk(i - 1)
    end
    sums = ending.sums(folder.path, disks)
    site = site_of.open()
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", {
      scenario = many.scenario(DISKS, NICS, { "spool", "stream" }) })
    running = site:controller()
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  for _, mode in ipairs { "Spool", "Stream" } do
    it("comes whole by transferMode " .. mode, function()
      namespace = site:namespace()
      site:source(namespace, "vc", sim)
      site:import(namespace, "many", mode:lower(),
        many.spec(NICS, { transferMode = mode }))
      local import = site:wait_import(namespace, "many", "virtualMachineRunning", WITHIN)
      ending.check(site, import, { sums = sums, sim = sim, scratch = running.scratch })
      assert.equal(mode, import.status.transfer.mode)
      local spec = site:get("VirtualMachine", namespace, mode:lower()).spec.template.spec
      assert.equal(DISKS, #spec.volumes)
      assert.equal(DISKS, #spec.domain.devices.disks)
      assert.equal(NICS, #spec.networks)
      local size = #json.encode(import.status)
      assert.is_true(size < MOST_STATUS, ("the status takes %d bytes"):format(size))
    end)
  end
end)
