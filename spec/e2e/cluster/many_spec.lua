-- Many imports at once from two vCenters: within the limits, none lost, none twice; and
-- nothing that all of it printed, said or wrote holds a secret. VIC_FULL=1: 500 instead
-- of 30. VIC_COUNT=N: just so many, of larger disks that are spooled or passed on.

local digest = require "host.digest"
local ending = require "support.ending"
local env = require "host.env"
local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local process = require "host.process"
local program = require "support.program"
local site_of = require "support.site"
local task = require "host.task"
local time = require "host.time"

local FEW = tonumber(env.get("VIC_COUNT"))
local COUNT = FEW or program.full and 500 or 30
local WITHIN = program.full and 3400 or 900 -- seconds
local LOOK_EVERY = program.full and 10 or 1 -- seconds; a look reads all imports
local PER_SOURCE, IN_ALL = 4, 8             -- defaults of --max-per-source, --max-imports
local SOURCES = 2
local PASSWORD = "s3cret-h0rse & <battery>"

local DISK = { pattern = "text", seed = 7, capacity = FEW and "24MiB" or "256KiB" }

local function name_of(i)
  return ("vm-%03d"):format(i)
end

-- Those of one vCenter.
local function machines(source)
  local list = {}
  for i = source, COUNT, SOURCES do
    list[#list + 1] = { name = name_of(i), disks = { DISK } }
  end
  return list
end

describe("many imports at once", function()
  local folder, site, sums, running, namespace, metrics_url
  local sims = {}
  local most, most_in_all, said = {}, 0, {} -- leases at once; arguments of processes

  lazy_setup(function()
    folder = lab.folder()
    sums = ending.sums(folder.path, { DISK })
    site = site_of.open()
    local metrics = site.free_address()
    metrics_url = ("http://%s/metrics"):format(metrics)
    running = site:controller({ metrics = metrics })
    namespace = site:namespace()
    for i = 1, SOURCES do
      local path = ("%s/sim-%d"):format(folder.path, i)
      assert(file.mkdir(path))
      sims[i] = lab.simulator(path, { password = PASSWORD, scenario = {
        datacenters = { { path = "DC0", machines = machines(i) } } } })
      site:source(namespace, "vc-" .. i, sims[i])
    end
  end)

  lazy_teardown(function()
    running:stop()
    site:close()
    for _, sim in ipairs(sims) do
      getmetatable(sim).__close(sim)
    end
    getmetatable(folder).__close(folder)
  end)

  local function create_all()
    for i = 1, COUNT do
      local name = name_of(i)
      assert(site.client:create("VirtualMachineImport", {
        apiVersion = kinds.VirtualMachineImport.api_version, kind = "VirtualMachineImport",
        metadata = { namespace = namespace, name = name },
        spec = { virtualMachineName = name,
          transferMode = FEW and i % 4 < 2 and "Stream" or nil, sourceCluster = {
          apiVersion = kinds.VmwareSource.api_version, kind = "VmwareSource",
          name = "vc-" .. 1 + (i - 1) % SOURCES, namespace = namespace } },
      }))
    end
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

  local function look_at_leases()
    local all = 0
    for i, sim in ipairs(sims) do
      local open = sim:get("/state").openLeases
      most[i] = math.max(most[i] or 0, open)
      all = all + open
    end
    most_in_all = math.max(most_in_all, all)
  end

  -- Its peak, and what it asked of the API server.
  local function print_figures(seconds)
    local peak = assert(file.read(("/proc/%s/status"):format(running.pid)))
      :match("VmHWM:%s*(%d+)")
    local asked = 0
    for line in assert(http.request({ url = metrics_url })).body:gmatch("[^\n]+") do
      if line:find("^vm_import_api_requests_total") then
        asked = asked + tonumber(line:match(" (%S+)$"))
      end
    end
    print(("cluster_many_spec: %d imports in %.0f s, %d requests to the API server each, "
      .. "at most %d leases at once, %d MiB resident at most"):format(COUNT, seconds,
      math.floor(asked / COUNT), most_in_all, math.floor(peak / 1024)))
  end

  it("come to their ends within the limits, each once and whole", function()
    local began = time.monotonic()
    create_all()
    local watcher <close> = task.spawn(function()
      while true do
        look_at_arguments()
        for _ = 1, 5 do
          look_at_leases()
          task.sleep(0.2)
        end
      end
    end)
    assert(watcher)
    lab.wait_for("all run", function()
      task.sleep(LOOK_EVERY)
      return count_running() == COUNT
    end, WITHIN)
    print_figures(time.monotonic() - began)
    assert.truthy(most_in_all > 1 and most_in_all <= IN_ALL)
    for i in ipairs(sims) do
      assert.truthy(most[i] <= PER_SOURCE)
    end
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
    for _, sim in ipairs(sims) do
      assert.equal(0, sim:get("/state").openLeases)
    end
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
