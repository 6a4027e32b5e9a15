-- Many imports at once: within the limits, none lost, none twice; and nothing that all of
-- it printed, said or wrote holds a secret. VIC_FULL=1: 500 instead of 30.

local digest = require "host.digest"
local ending = require "support.ending"
local file = require "host.file"
local json = require "host.json"
local kinds = require "kinds"
local lab = require "support.lab"
local process = require "host.process"
local program = require "support.program"
local site_of = require "support.site"
local task = require "host.task"

local COUNT = program.full and 500 or 30
local WITHIN = program.full and 3000 or 400 -- seconds
local PER_SOURCE = 4                        -- the default of --max-per-source
local PASSWORD = "s3cret-h0rse & <battery>"

local DISK = { pattern = "text", seed = 7, capacity = "256KiB" }

local function machines()
  local list = {}
  for i = 1, COUNT do
    list[i] = { name = ("vm-%03d"):format(i), disks = { DISK } }
  end
  return list
end

describe("many imports at once", function()
  local folder, site, sim, sums, running, namespace
  local most, said = 0, {} -- leases at once; arguments of processes

  lazy_setup(function()
    folder = lab.folder()
    sums = ending.sums(folder.path, { DISK })
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { password = PASSWORD,
      scenario = { datacenters = { { path = "DC0", machines = machines() } } } })
    site = site_of.open()
    running = site:controller()
    namespace = site:namespace()
    site:source(namespace, "vc", sim)
  end)

  lazy_teardown(function()
    running:stop()
    site:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  local function apply_all()
    local items = {}
    for i = 1, COUNT do
      local name = ("vm-%03d"):format(i)
      items[i] = {
        apiVersion = kinds.VirtualMachineImport.api_version, kind = "VirtualMachineImport",
        metadata = { namespace = namespace, name = name },
        spec = { virtualMachineName = name, sourceCluster = {
          apiVersion = kinds.VmwareSource.api_version, kind = "VmwareSource", name = "vc",
          namespace = namespace } },
      }
    end
    site:apply(json.encode({ apiVersion = "v1", kind = "List", items = items }))
  end

  -- The arguments of the controller and of whatever it has started.
  local function look_at_arguments()
    local result = assert(process.run({ argv = { "ps", "-ww", "-o", "args=", "-p",
      running.pid, "--ppid", running.pid } }))
    for line in result.stdout:gmatch("[^\n]+") do
      said[line] = true
    end
  end

  local function imports()
    return assert(site.client:list("VirtualMachineImport", namespace))
  end

  local function count_running()
    local n = 0
    for _, import in ipairs(imports()) do
      local state = (import.status or {}).importStatus
      assert(state ~= "VMMigrationFailed", import.metadata.name)
      n = n + (state == "virtualMachineRunning" and 1 or 0)
    end
    return n
  end

  it("come to their ends within the limits, each once and whole", function()
    apply_all()
    local watcher <close> = task.spawn(function()
      while true do
        most = math.max(most, sim:get("/state").openLeases)
        look_at_arguments()
        task.sleep(0.1)
      end
    end)
    assert(watcher)
    lab.wait_for("all run", function()
      task.sleep(1)
      return count_running() == COUNT
    end, WITHIN)
    assert.truthy(most > 1)
    assert.truthy(most <= PER_SOURCE)
    for kind, wanted in pairs { VirtualMachine = COUNT, VirtualMachineImage = COUNT,
      PersistentVolumeClaim = COUNT } do
      assert.equal(wanted, #assert(site.client:list(kind, namespace)))
    end
    for _, import in ipairs(imports()) do
      local entry = import.status.diskImportStatus[1]
      assert.same(sums, site.harvester:pulls(namespace, entry.VirtualMachineImage))
      assert.equal(0, #(import.metadata.finalizers or {}))
    end
    assert.same({}, lab.files(running.scratch))
    assert.equal(0, sim:get("/state").openLeases)
  end)

  -- Words that must be nowhere: credentials, and URLs that are one.
  local function assert_no_secret(what, text)
    for _, word in ipairs { PASSWORD, "h0rse", digest.base64_encode(PASSWORD), "/nfc/",
      "vmware_soap_session" } do
      assert(not text:find(word, 1, true), what .. " holds " .. word)
    end
  end

  -- Routes of disks that are not of this import; nil: of any.
  local function assert_no_route(what, text, routes, own)
    for token in text:gmatch("%x+") do
      local owner = routes[token]
      assert(not owner or owner == own, what .. " holds the route of " .. tostring(owner))
    end
  end

  it("leave no credential, lease URL or image route where others see it", function()
    local routes, all = {}, imports()
    for _, import in ipairs(all) do
      for _, entry in ipairs(import.status.diskImportStatus) do
        routes[assert(entry.diskRoute:match("^/(%x+)/"))] = import.metadata.name
      end
    end
    assert.truthy(next(routes))
    for _, import in ipairs(all) do
      local name, text = import.metadata.name, json.encode(import.status)
      assert_no_secret("the status of " .. name, text)
      assert_no_route("the status of " .. name, text, routes, name)
    end
    for _, source in ipairs(assert(site.client:list("VmwareSource", namespace))) do
      assert_no_secret("the status of a source", json.encode(source.status))
    end
    local events = assert(json.decode(site:kubectl({ "-n", namespace, "get",
      "events.events.k8s.io", "-o", "json" }), { big = true })).items
    assert.truthy(#events >= COUNT)
    for _, event in ipairs(events) do
      assert_no_secret("an Event", json.encode(event))
      assert_no_route("an Event", event.note or "", routes, event.regarding.name)
    end
    local log = running:log()
    assert.truthy(#log > 0)
    assert_no_secret("the log", log)
    assert_no_route("the log", log, routes)
    assert.truthy(next(said))
    for line in pairs(said) do
      assert_no_secret("an argument", line)
      assert_no_route("an argument", line, routes)
    end
  end)
end)
