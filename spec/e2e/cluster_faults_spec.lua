-- An import while the API server, or its etcd, goes away, forgets, or has no time.

local ending = require "support.ending"
local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local lab = require "support.lab"
local process = require "host.process"
local program = require "support.program"
local site_of = require "support.site"
local task = require "host.task"

local ETCD_AWAY = program.full and 30 or 12 -- seconds; more than a leader may be silent
local RATE = 4 * 2 ^ 20 -- bytes a second of each disk
local WITHIN = 240      -- seconds

local DISKS = {
  { controller = "pvscsi", pattern = "random", seed = 41, capacity = "3MiB" },
  { controller = "ahci", pattern = "random", seed = 42, capacity = "12MiB" },
}

local SCENARIO = {
  settings = { leaseTimeout = 5 },
  datacenters = { { path = "DC0", machines = { { name = "vm", disks = DISKS } } } },
}

describe("an import", function()
  local folder, site, sim, sums, running, listen

  lazy_setup(function()
    folder = lab.folder()
    sums = ending.sums(folder.path, DISKS)
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    site = site_of.open()
    listen = site.free_address()
    running = site:controller({ kubeconfig = site:account(), listen = listen,
      env = { SVC_ADDRESS = listen } })
  end)

  lazy_teardown(function()
    running:stop()
    site:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    sim:post("/reset")
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = RATE })
    site.harvester:mend()
    site.harvester:forget()
  end)

  local function begin()
    local namespace = site:namespace()
    site:source(namespace, "vc", sim)
    site:import(namespace, "web", "vm")
    return namespace
  end

  local function wait_for_export()
    lab.wait_for("disks are being read", function()
      for _, request in ipairs(sim:get("/state").nfc or {}) do
        if request["end"] == "running" and request.sent > 0 then
          return true
        end
      end
    end, 60)
  end

  local function check_end(namespace)
    local import = site:wait_import(namespace, "web", "virtualMachineRunning", WITHIN)
    ending.check(site, import, { sums = sums, sim = sim, scratch = running.scratch })
  end

  it("outlives an API server that is killed in the middle of its export", function()
    local namespace = begin()
    wait_for_export()
    site.cluster:down("kill", "kube-apiserver")
    site.cluster:up()
    check_end(namespace)
  end)

  -- Makes every version before now one that the server knows no more.
  local function compact()
    local function ask(path, body)
      local answer = assert(http.request({ url = site.cluster.env.KUBE_ETCD .. path,
        method = "POST", body = json.encode(body) }))
      assert(answer.status == 200, answer.body)
      return assert(json.decode(answer.body))
    end
    site:namespace()
    local revision = ask("/v3/kv/range", { key = "AA==" }).header.revision
    ask("/v3/kv/compaction", { revision = revision, physical = true })
  end

  it("outlives one that has forgotten every version it watched from", function()
    site.harvester:fault({ kind = "slow", rate = 1024 * 1024, times = -1, match = "." })
    local namespace = begin()
    site:wait_import(namespace, "web", "diskImageSubmitted", WITHIN)
    -- It must not see what is done until all of it is done.
    running:signal("STOP")
    site.cluster:down("keep", "kube-apiserver")
    site.cluster:up("--watch-cache=false")
    compact()
    running:signal("CONT")
    check_end(namespace)
    site.cluster:down("keep", "kube-apiserver")
    site.cluster:up()
  end)

  it("outlives an etcd that stands still for longer than anybody may lead", function()
    local namespace = begin()
    wait_for_export()
    site.cluster:signal("etcd", "STOP")
    task.sleep(ETCD_AWAY)
    site.cluster:signal("etcd", "CONT")
    check_end(namespace)
  end)

  -- Somebody who always has a slow request under way.
  local function nag()
    local kubectl = { site.cluster.env.KUBE_BIN .. "/kubectl",
      "--kubeconfig=" .. site.cluster.env.KUBE_LIMITED, "get", "--raw", "/openapi/v2" }
    while true do
      process.run({ argv = kubectl, timeout = 60, max_output = 64 << 20 })
    end
  end

  -- How often the server has said 429.
  local function refused()
    local metrics = site:kubectl({ "get", "--raw", "/metrics" })
    local total = 0
    for value in metrics:gmatch('\napiserver_request_terminations_total{[^}]*code="429"'
      .. "[^}]*} (%d+)") do
      total = total + tonumber(value)
    end
    return total
  end

  it("outlives one that has no time: 429", function()
    site.cluster:down("keep", "kube-apiserver")
    site.cluster:up("--enable-priority-and-fairness=false", "--max-requests-inflight=1",
      "--max-mutating-requests-inflight=1")
    local others = {}
    for i = 1, 3 do
      others[i] = task.spawn(nag)
    end
    local namespace = begin()
    check_end(namespace)
    for _, other in ipairs(others) do
      other:cancel()
    end
    assert.truthy(refused() > 0)
  end)
end)
