-- Harvester's own webhook, and its own controllers of images and machines (1.8.2), judge
-- and carry out what an import makes, and its own programs pull the images: Longhorn's
-- backing-image-manager and CDI's importer. The stand-in has the rest: their managers,
-- KubeVirt.
--
-- Runs in a network namespace in which the API server finds the webhook:
-- spec/labs/harvester/real/alone COMMAND. So run, any cluster suite meets the same.

local file = require "host.file"
local http = require "host.http"
local lab = require "support.lab"
local site_of = require "support.site"

local MOST = 120 -- requests for an import of two disks

local SYSTEM = { pattern = "text", seed = 31, capacity = "16MiB" }
local DATA = { controller = "pvscsi", pattern = "random", seed = 34, capacity = "24MiB" }

-- Who pulls, and what it says it is.
local LONGHORN = { name = "backing-image-manager", agents = { "Go-http-client/1.1" } }
-- CDI's looks at the disk by nbdkit first, in ranges.
local CDI = { name = "cdi-importer", agents = { "cdi-golang-importer", "cdi-nbdkit-importer" } }

local MODES = { "Spool", "Stream", "Auto" }

-- One for each mode: the webhook wants a MAC address once in a network.
local function scenario()
  local machines = { [#MODES + 1] = { name = "stopped", disks = { SYSTEM },
    nics = { { network = "VM Network", disconnected = true } } } }
  for i, mode in ipairs(MODES) do
    machines[i] = { name = mode:lower(), disks = { SYSTEM, DATA },
      nics = { { network = "VM Network" } } }
  end
  return { datacenters = { { path = "DC0", machines = machines } } }
end

describe("Harvester's own webhook and controllers:", function()
  local folder, site, sim, running, metrics, namespace

  lazy_setup(function()
    folder = lab.folder()
    site = site_of.open()
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = scenario() })
    metrics = site.free_address()
    running = site:controller({ metrics = metrics })
  end)

  lazy_teardown(function()
    getmetatable(running).__close(running)
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
    sim:post("/reset")
    lab.wait_for("the source is ready", function()
      return site:status("VmwareSource", namespace, "vc").status == "clusterReady"
    end)
  end)

  -- Those that it has made so far, watches apart, and its lease, which is no import's.
  local function requests()
    local answer = assert(http.request({ url = "http://" .. metrics .. "/metrics" }))
    local sum = 0
    for labels, value in answer.body:gmatch("vm_import_api_requests_total{(.-)} (%d+)") do
      local counts = not labels:find("WATCH", 1, true) and not labels:find("Lease", 1, true)
      sum = sum + (counts and tonumber(value) or 0)
    end
    return sum
  end

  -- Each whole that came is the disk's; `program` asked for it, as it does: over the wire.
  local function check_pulls(import, program)
    for i, entry in ipairs(import.status.diskImportStatus) do
      local sums = site.harvester:pulls(namespace, entry.VirtualMachineImage)
      assert.is_true(#sums >= 1)
      for _, sum in ipairs(sums) do
        assert.equal(lab.original(folder.path, ({ SYSTEM, DATA })[i]), sum)
      end
    end
    local asked, agents = {}, {}
    for _, exchange in ipairs(site.harvester:state().exchanges) do
      if exchange.image:find(namespace, 1, true) == 1 and exchange.by == program.name then
        asked[exchange.method] = true
        agents[exchange.sent["User-Agent"][1]] = true
      end
    end
    assert.same({ HEAD = true, GET = true }, asked)
    for _, agent in ipairs(program.agents) do
      assert.is_true(agents[agent], agent)
    end
  end

  local function image()
    return { apiVersion = "harvesterhci.io/v1beta1", kind = "VirtualMachineImage",
      metadata = { name = "one", namespace = namespace,
        labels = { ["harvesterhci.io/imageDisplayName"] = "one" } },
      spec = { displayName = "one", sourceType = "download", url = "http://127.0.0.1:1/",
        backend = "backingimage" } }
  end

  it("the second CREATE of an image is denied as the in-memory cluster has it", function()
    assert(site.client:create("VirtualMachineImage", image()))
    local err = lab.wait_for("the webhook has seen it", function()
      local made, refusal = site.client:create("VirtualMachineImage", image())
      assert.is_nil(made)
      return refusal.webhook and refusal
    end)
    assert.equal("invalid", err.kind)
    assert.equal(409, err.status)
    assert.equal("Conflict", err.reason)
    assert.equal("validator.harvesterhci.io", err.webhook)
    assert.truthy(err.message:find("A resource with the same name exists", 1, true))
  end)

  for _, mode in ipairs(MODES) do
    it("a machine of two disks that come slowly runs, transferMode " .. mode, function()
      sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 4 << 20, count = 2 })
      local name, before = mode:lower(), requests()
      site:import(namespace, name, name, { transferMode = mode })
      local import = site:wait_import(namespace, name, "virtualMachineRunning", 120)
      check_pulls(import, LONGHORN)
      local asked = requests() - before
      assert(asked > 20 and asked <= MOST, asked)
    end)
  end

  -- A class that waits for the first consumer, which a machine that stays stopped never is.
  it("a machine that stays stopped is done when CDI has cloned its disk", function()
    site.harvester:fault({ kind = "unbound", times = -1, message = "no room yet",
      match = "^" .. namespace .. "/.*-disk-0$" })
    site:import(namespace, "stopped", "stopped", { storageClass = "lvm",
      targetPowerState = "Stopped" })
    local function ready()
      return site:condition("VirtualMachineImport", namespace, "stopped", "Ready")
    end
    lab.wait_for("it waits for the clone", function()
      return ready().reason == "ClonePending"
    end, 120)
    local import = site:get("VirtualMachineImport", namespace, "stopped")
    assert.equal("False", ready().status)
    assert.equal("virtualMachineCreated", import.status.importStatus)
    check_pulls(import, CDI)
    site.harvester:mend()
    lab.wait_for("it is done", function()
      return ready().status == "True"
    end, 60)
    assert.equal("Stopped", ready().reason)
    local plan = site:status("VirtualMachineImport", namespace, "stopped").plan
    assert.equal("Succeeded", site:status("DataVolume", namespace, plan.disks[1].name).phase)
    assert.equal("Bound",
      site:status("PersistentVolumeClaim", namespace, plan.disks[1].name).phase)
    -- What webhooks and schema leave of it: who the guest is, and that its NIC is silent.
    local domain = site:get("VirtualMachine", namespace, "stopped").spec.template.spec.domain
    local machine = site:status("VirtualMachineImport", namespace, "stopped").machine
    assert.matches("^VMware%-%x%x ", machine.serial)
    assert.same({ uuid = machine.uuid, serial = machine.serial }, domain.firmware)
    assert.equal("down", domain.devices.interfaces[1].state)
    -- Of requests the webhook makes its own, by the overcommit of spec/labs/harvester.
    assert.equal("100m", domain.resources.requests.cpu)
    assert.not_equal(domain.resources.limits.memory, domain.resources.requests.memory)
  end)
end)
