-- How far disks are that are on their way: in status, in the metrics.

local file = require "host.file"
local http = require "host.http"
local lab = require "support.lab"
local site_of = require "support.site"

local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "full", disks = { { pattern = "random", seed = 34, capacity = "24MiB" } },
    nics = { { network = "VM Network" } } },
} } } }

local ENDED = 'vm_import_disk_duration_seconds_count{result="success"}'

describe("progress", function()
  local folder, site, sim, running, metrics

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open({})
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    metrics = site.free_address()
    running = site:controller({ metrics = metrics })
  end)

  lazy_teardown(function()
    running:stop()
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  -- One line of the metrics, as `name` begins it.
  local function metric(name)
    local text = assert(http.request({ url = ("http://%s/metrics"):format(metrics) })).body
    local _, last = text:find("\n" .. name .. " ", 1, true)
    return last and tonumber(text:match("^%S+", last + 1)) or 0
  end

  for _, mode in ipairs { "Stream", "Spool" } do
    it("is the same for status and metrics, mode " .. mode, function()
      local received = metric("vm_import_disk_received_bytes_total")
      local decoded = metric("vm_import_disk_decoded_bytes_total")
      local ended = metric(ENDED)
      local namespace = site:namespace()
      site:source(namespace, "vc", sim)
      sim:post("/reset")
      sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 1 << 20, count = 1 })
      site:import(namespace, "full", "full", { transferMode = mode })
      lab.wait_for("the status says how far it is", function()
        local said = site:condition("VirtualMachineImport", namespace, "full", "Reconciling")
        return (said.message or ""):find(
          "disk 1/1 %d+ %% of 25 MB, %d+ MB at %d+ MB/s, %d+ s left")
      end, 60)
      assert.equal(1, metric("vm_import_disk_transfers"))
      site:wait_import(namespace, "full", "virtualMachineRunning", 120)
      local reads = sim:get("/state").nfc
      assert.equal(1, #reads)
      assert.equal(reads[1].sent, metric("vm_import_disk_received_bytes_total") - received)
      assert.equal(24 << 20, metric("vm_import_disk_decoded_bytes_total") - decoded)
      assert.equal(ended + 1, metric(ENDED))
      lab.wait_for("nothing is read any more", function()
        return metric("vm_import_disk_transfers") == 0
      end)
      -- The machine, too: no other may have its MAC address.
      for _, kind in ipairs { "VirtualMachineImport", "VirtualMachine" } do
        site:delete(kind, namespace, "full")
        site:wait_gone(kind, namespace, "full")
      end
    end)
  end
end)
