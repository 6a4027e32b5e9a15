-- What a user of kubectl sees and may do, in every state of an import; and imports that
-- the earlier controller has left in every state.

local ending = require "support.ending"
local file = require "host.file"
local images = require "host.images"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local process = require "host.process"
local site_of = require "support.site"

local WITHIN = 180 -- seconds

local NAMES = { "dry", "missing", "reading", "submitted", "failing", "failed", "starting",
  "running", "old-valid", "old-invalid", "old-ready", "old-exported", "old-submitted",
  "old-images", "deleted", "stopped", "twin", "blanked" }

local DISK = { pattern = "text", seed = 1, capacity = "1MiB" }

local MACHINES = {}
for i, name in ipairs(NAMES) do
  MACHINES[i] = { name = name, disks = { DISK } }
end

describe("an import", function()
  local folder, site, sim, sums, running, listen

  lazy_setup(function()
    folder = lab.folder()
    sums = ending.sums(folder.path, { DISK })
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = {
      settings = { leaseTimeout = 5 },
      datacenters = { { path = "DC0", machines = MACHINES } },
    } })
    site = site_of.open()
    listen = site.free_address()
  end)

  lazy_teardown(function()
    site:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  local function start()
    running = site:controller({ listen = listen, env = { SVC_ADDRESS = listen } })
  end

  after_each(function()
    if running then
      running:stop()
      running = nil
    end
    site.harvester:mend()
  end)

  local function home()
    local namespace = site:namespace()
    site:source(namespace, "vc", sim)
    return namespace
  end

  local function wait_state(namespace, name, state)
    return lab.wait_for(name .. " is " .. state, function()
      local import = site:get("VirtualMachineImport", namespace, name)
      return ((import.status or {}).importStatus or "") == state and import
    end, WITHIN)
  end

  -- The columns of a table that kubectl prints: two spaces or more lie between them.
  local function header(text)
    local columns = {}
    for column in (text:match("^[^\n]*") .. "  "):gmatch("(.-)%s%s+") do
      columns[#columns + 1] = column
    end
    return columns
  end

  describe("under kubectl", function()
    local namespace

    local function kubectl(...)
      return site:kubectl({ "-n", namespace, ... })
    end

    -- Each in a state of its own, and held there.
    local STATES = {
      dry = { "virtualMachineImportValid", { dryRun = true } },
      missing = { "virtualMachineImportInvalid", {}, machine = "nowhere" },
      reading = { "sourceReady", {} },
      submitted = { "diskImageSubmitted", {} },
      failing = { "diskImageFailed", {} },
      failed = { "VMMigrationFailed", { maxRetries = 0 } },
      starting = { "virtualMachineCreated", {} },
      running = { "virtualMachineRunning", {} },
    }

    local function hold()
      sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 1000,
        machine = "reading" })
      for name, fault in pairs {
        submitted = { kind = "slow", rate = 1000 },
        failing = { kind = "fail", message = "no space left on the disk" },
        failed = { kind = "fail", message = "no space left on the disk" },
        starting = { kind = "starting" },
      } do
        fault.match, fault.times = "/" .. name, -1
        site.harvester:fault(fault)
      end
    end

    before_each(function()
      sim:post("/reset")
      namespace = home()
    end)

    it("is shown, described and explained, waited for, and deleted in every state", function()
      hold()
      start()
      for name, state in pairs(STATES) do
        site:import(namespace, name, state.machine or name, state[2])
      end
      kubectl("wait", "--for=condition=Ready", "virtualmachineimport/running",
        "--timeout=" .. WITHIN .. "s")
      for name, state in pairs(STATES) do
        wait_state(namespace, name, state[1])
      end

      local plain = kubectl("get", "virtualmachineimport")
      assert.same({ "NAME", "STATUS" }, header(plain))
      for name, state in pairs(STATES) do
        if name ~= "failing" then -- it goes on between two attempts
          assert.truthy(plain:find("\n" .. name .. " +" .. state[1] .. "\n"), plain)
        end
      end
      assert.same({ "NAME", "STATUS" }, header(kubectl("get", "vmwaresource")))
      local wide = kubectl("get", "virtualmachineimport", "-o", "wide")
      local readme = assert(file.read("README.md"))
      local printed = readme:match("get virtualmachineimport %-o wide\n%s*([^\n]*)")
      assert.same(header(printed), header(wide))
      assert.truthy(wide:find("no space left on the disk", 1, true), wide)

      local described = kubectl("describe", "virtualmachineimport", "failed")
      for _, text in ipairs { "VMMigrationFailed", "no space left on the disk", "Stalled",
        "Events:" } do
        assert(described:find(text, 1, true), described)
      end
      assert.truthy(kubectl("explain", "virtualmachineimport.spec.forcePowerOff")
        :find("Cut the power", 1, true))
      local late = site:try({ "-n", namespace, "wait", "--for=condition=Ready",
        "virtualmachineimport/failed", "--timeout=1s" })
      assert.are_not.equal(0, late.status)

      for name in pairs(STATES) do
        site:delete("VirtualMachineImport", namespace, name)
      end
      for name in pairs(STATES) do
        site:wait_gone("VirtualMachineImport", namespace, name, WITHIN)
      end
      -- Objects that were handed over stay; of the other imports nothing does.
      for kind, wanted in pairs { VirtualMachine = 2, VirtualMachineImage = 2,
        PersistentVolumeClaim = 2 } do
        lab.wait_for(("%d %s are left"):format(wanted, kind), function()
          return #assert(site.client:list(kind, namespace)) == wanted
        end, WITHIN)
      end
      assert.same({}, lab.files(running.scratch))
      lab.wait_for("no lease is left", function()
        return sim:get("/state").openLeases == 0
      end)
    end)
  end)

  describe("in the hands of its user", function()
    local namespace

    before_each(function()
      sim:post("/reset")
      site.harvester:forget()
      namespace = home()
      start()
    end)

    local function wait_condition(name, type, reason)
      return lab.wait_for(("%s says %s"):format(name, reason), function()
        local said = site:condition("VirtualMachineImport", namespace, name, type)
        return said.status == "True" and said.reason == reason and said
      end, WITHIN)
    end

    local function wait_ready(name)
      site:kubectl({ "-n", namespace, "wait", "--for=condition=Ready",
        "virtualmachineimport/" .. name, "--timeout=30s" })
    end

    it("ends when its machine is deleted, or stopped, before it runs", function()
      site.harvester:fault({ kind = "starting", match = "/(deleted|stopped)", times = -1 })
      for _, name in ipairs { "deleted", "stopped" } do
        site:import(namespace, name, name)
        wait_state(namespace, name, "virtualMachineCreated")
      end
      site:delete("VirtualMachine", namespace, "deleted")
      local said = wait_condition("deleted", "Stalled", "MachineDeleted")
      local volume = site:get("VirtualMachineImport", namespace, "deleted").status.plan
        .disks[1].name
      assert.truthy(said.message:find(volume, 1, true), said.message)
      site:patch("VirtualMachine", namespace, "stopped", { spec = { runStrategy = "Halted" } })
      wait_condition("stopped", "Ready", "StoppedByOwner")
      wait_ready("stopped")
    end)

    it("is Ready still when it is changed after its end, and says what is ignored", function()
      site:import(namespace, "running", "running")
      wait_state(namespace, "running", "virtualMachineRunning")
      site:patch("VirtualMachineImport", namespace, "running", { spec = { maxRetries = 3 } })
      wait_condition("running", "SpecChangeIgnored", "PlannedBefore")
      wait_ready("running")
      local refused = site:try({ "-n", namespace, "patch", "virtualmachineimport", "running",
        "--type=merge", "-p", '{"spec":{"virtualMachineName":"other"}}' })
      assert.are_not.equal(0, refused.status)
      assert.truthy(refused.stderr:find("virtualMachineName", 1, true), refused.stderr)
    end)

    it("is invalid before anything is read while its twin is under way", function()
      sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 1000 })
      for _, name in ipairs { "reading", "twin" } do
        site:import(namespace, name, name, { targetName = "one" })
      end
      local states = {}
      lab.wait_for("one of them has the name", function()
        for _, name in ipairs { "reading", "twin" } do
          local state = site:status("VirtualMachineImport", namespace, name).importStatus
          states[state or ""] = name
        end
        return states.sourceReady and states.virtualMachineImportInvalid
      end, WITHIN)
      local said = site:condition("VirtualMachineImport", namespace,
        states.virtualMachineImportInvalid, "Stalled")
      assert.truthy(said.message:find(namespace .. "/" .. states.sourceReady, 1, true),
        said.message)
    end)

    it("starts over at once when importStatus is blanked while it is read", function()
      sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 1000 })
      site:import(namespace, "blanked", "blanked")
      lab.wait_for("it is being read", function()
        return (sim:get("/state").nfc or {})[1]
      end, WITHIN)
      site:patch("VirtualMachineImport", namespace, "blanked",
        { status = { importStatus = "" } }, { status = true })
      lab.wait_for("it is planned again", function()
        local status = site:status("VirtualMachineImport", namespace, "blanked")
        return (status.importStatus or "") ~= ""
      end, 20)
      sim:post("/reset")
      wait_state(namespace, "blanked", "virtualMachineRunning")
      site:patch("VirtualMachineImport", namespace, "blanked",
        { status = { importStatus = "exporting" } }, { status = true })
      wait_condition("blanked", "Stalled", "UnknownState")
    end)
  end)

  describe("of the earlier controller", function()
    local namespace, server, url

    before_each(function()
      sim:post("/reset")
      site.harvester:forget()
      namespace = home()
      -- The earlier controller's server of images, as long as that ran.
      local path = folder.path .. "/old.raw"
      assert(process.run({ argv = { lab.vsim, "disk", "--disk", json.encode(DISK),
        "--output", path } }))
      server = assert(images.serve({ host = "127.0.0.1", port = 0 }))
      server:publish("/old.raw", { file = path, size = assert(file.stat(path)).size })
      server:ready()
      url = ("http://127.0.0.1:%d/"):format(server:port())
    end)

    after_each(function()
      server:close()
    end)

    local function leave(name, status)
      site:import(namespace, name, name)
      status.importedVirtualMachineName = status.importedVirtualMachineName or name
      return site:patch("VirtualMachineImport", namespace, name, { status = status },
        { status = true })
    end

    local function condition(type)
      return { type = type, status = "True", lastUpdateTime = "2026-01-02T03:04:05Z",
        lastTransitionTime = "2026-01-02T03:04:05Z" }
    end

    local function entry(name, image)
      return {
        diskName = name .. "-disk-0.img", diskSize = 1048576, busType = "sata",
        diskLocalPath = "/tmp/vm-import-controller", VirtualMachineImage = image,
        diskConditions = json.array({ image and condition("VirtualMachineImageSubmitted") }),
      }
    end

    -- An image as it made them.
    local function image(import, name, where)
      assert(site.client:create("VirtualMachineImage", {
        apiVersion = kinds.VirtualMachineImage.api_version, kind = "VirtualMachineImage",
        metadata = {
          name = name, namespace = namespace,
          labels = { ["migration.harvesterhci.io/imported"] = "true" },
          annotations = { ["harvesterhci.io/storageClassName"] = "harvester-longhorn" },
          ownerReferences = json.array({ { apiVersion = import.apiVersion,
            kind = "VirtualMachineImport", name = import.metadata.name,
            uid = import.metadata.uid } }),
        },
        spec = { displayName = name, sourceType = "download", url = url .. where, retry = 3,
          backend = "backingimage", targetStorageClassName = "harvester-longhorn" },
      }))
    end

    it("ends right from each state it was left in", function()
      leave("old-valid", { importStatus = "virtualMachineImportValid" })
      leave("old-invalid", { importStatus = "virtualMachineImportInvalid" })
      leave("old-ready", { importStatus = "sourceReady",
        importConditions = json.array({ condition("VMPoweredOff") }) })
      leave("old-exported", { importStatus = "disksExported",
        importConditions = json.array({ condition("VMExported") }),
        diskImportStatus = json.array({ entry("old-exported") }) })
      image(leave("old-submitted", { importStatus = "diskImageSubmitted",
        importConditions = json.array({ condition("VMExported") }),
        diskImportStatus = json.array({ entry("old-submitted", "image-lost") }) }),
        "image-lost", "gone.raw")
      image(leave("old-images", { importStatus = "diskImagesReady",
        importConditions = json.array({ condition("VMExported") }),
        diskImportStatus = json.array({ entry("old-images", "image-whole") }) }),
        "image-whole", "old.raw")
      lab.wait_for("its image is whole", function()
        return #site.harvester:pulls(namespace, "image-whole") == 1
      end, WITHIN)
      start()
      for _, name in ipairs(NAMES) do
        if name:find("^old%-") then
          local import = wait_state(namespace, name, "virtualMachineRunning")
          assert.truthy(site:get("VirtualMachine", namespace, name))
          local disk = import.status.diskImportStatus[1]
          assert.same(sums, site.harvester:pulls(namespace, disk.VirtualMachineImage), name)
          assert.equal(0, #(import.metadata.finalizers or {}))
        end
      end
      assert.is_nil(site:get("VirtualMachineImage", namespace, "image-lost"))
      assert.equal("image-whole", site:get("VirtualMachineImport", namespace, "old-images")
        .status.diskImportStatus[1].VirtualMachineImage)
      assert.same({}, lab.files(running.scratch))
    end)

    -- Status as the earlier controller has it: without any field of ours.
    local function forget_ours(name, state)
      site:patch("VirtualMachineImport", namespace, name, { status = {
        importStatus = state, conditions = json.null, plan = json.null, machine = json.null,
        findings = json.null, recorded = json.null, attempt = json.null,
        observedGeneration = json.null, scriptGeneration = json.null,
      } }, { status = true })
    end

    it("is finished, or left as it ended, where it had made the machine", function()
      start()
      for _, name in ipairs { "running", "starting", "failed" } do
        site:import(namespace, name, name, name == "failed" and { dryRun = true } or nil)
      end
      for name, state in pairs { running = "virtualMachineRunning",
        starting = "virtualMachineRunning", failed = "virtualMachineImportValid" } do
        wait_state(namespace, name, state)
      end
      running:stop()
      forget_ours("running", "virtualMachineRunning")
      forget_ours("starting", "virtualMachineCreated")
      forget_ours("failed", "VMMigrationFailed")
      start()
      for name, seen in pairs { running = "True", starting = "True", failed = "False" } do
        lab.wait_for(name .. " says how it ended", function()
          return site:condition("VirtualMachineImport", namespace, name, "Ready").status == seen
        end, WITHIN)
      end
      wait_state(namespace, "starting", "virtualMachineRunning")
      wait_state(namespace, "failed", "VMMigrationFailed")
      assert.equal(2, #assert(site.client:list("VirtualMachine", namespace)))
      -- Blanked by hand it starts again, and takes what is there for its own.
      site:patch("VirtualMachineImport", namespace, "starting",
        { status = { importStatus = "" } }, { status = true })
      wait_state(namespace, "starting", "virtualMachineRunning")
      assert.equal(2, #assert(site.client:list("VirtualMachine", namespace)))
      assert.equal(2, #assert(site.client:list("VirtualMachineImage", namespace)))
    end)
  end)
end)
