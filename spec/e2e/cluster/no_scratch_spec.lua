-- A controller with --no-scratch, which can write no file anywhere.

local ending = require "support.ending"
local file = require "host.file"
local lab = require "support.lab"
local site_of = require "support.site"

local WITHIN = 240 -- seconds

local DISKS = {
  { pattern = "mixed", seed = 51, capacity = "20MiB", every = 3 },
  { controller = "pvscsi", pattern = "random", seed = 52, capacity = "4MiB" },
}

local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "vm", disks = DISKS, nics = { { network = "VM Network" } } },
} } } }

local READ_ONLY = [[mount -o remount,bind,ro /; exec "$@"]]

describe("a controller without scratch", function()
  local folder, site, sim, running, namespace, sums

  lazy_setup(function()
    folder = lab.folder()
    sums = ending.sums(folder.path, DISKS)
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    site = site_of.open()
    running = site:controller({ args = { "--no-scratch" },
      through = { "unshare", "-rm", "sh", "-ec", READ_ONLY, "sh" } })
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  it("refuses an import that would have to wait in scratch, and says why", function()
    site:import(namespace, "spooled", "vm", { transferMode = "Spool" })
    lab.wait_for("it is refused", function()
      return site:status("VirtualMachineImport", namespace, "spooled").importStatus
        == "virtualMachineImportInvalid"
    end, 60)
    local stalled = site:condition("VirtualMachineImport", namespace, "spooled", "Stalled")
    assert.equal("True", stalled.status)
    assert.truthy(stalled.message:find("storage.enabled", 1, true), stalled.message)
    site:delete("VirtualMachineImport", namespace, "spooled")
    site:wait_gone("VirtualMachineImport", namespace, "spooled")
  end)

  it("passes on every disk of an import that names no mode", function()
    site:import(namespace, "web", "vm")
    local import = site:wait_import(namespace, "web", "virtualMachineRunning", WITHIN)
    assert.same({ mode = "Stream", reason = "there is no scratch" },
      import.status.transfer)
    ending.check(site, import, { sums = sums, sim = sim, scratch = running.scratch })
  end)
end)
