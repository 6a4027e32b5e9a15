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

  local function begin(spec)
    local namespace = site:namespace()
    site:source(namespace, "vc", sim)
    site:import(namespace, "web", "vm", spec)
    return namespace
  end

  -- After an API server was away Harvester's webhook has to see the namespace first.
  local function wait_for_export()
    lab.wait_for("disks are being read", function()
      for _, request in ipairs(sim:get("/state").nfc or {}) do
        if request["end"] == "running" and request.sent > 0 then
          return true
        end
      end
    end, WITHIN)
  end

  local function check_end(namespace)
    local import = site:wait_import(namespace, "web", "virtualMachineRunning", WITHIN)
    ending.check(site, import, { sums = sums, sim = sim, scratch = running.scratch })
  end

  -- The source breaks off each disk that is being read, and answers nobody any more.
  local function lose_source()
    sim:post("/faults", { { on = "*", ["do"] = "drop" },
      { on = "nfc", ["do"] = "reset", bytes = 1 << 20 } })
    sim:post("/sessions/drop")
  end

  local function wait_for_outage(namespace, reason)
    return lab.wait_for("it waits for who is away", function()
      local status = site:status("VirtualMachineImport", namespace, "web")
      return status.outage and status.outage.reason == reason and status.outage.tries > 1
        and status
    end, 120)
  end

  it("waits for a vCenter that is away, and counts no attempt", function()
    local namespace = begin({ maxRetries = 0 })
    wait_for_export()
    lose_source()
    local status = wait_for_outage(namespace, "SourceUnreachable")
    assert.equal("sourceReady", status.importStatus)
    assert.is_nil(status.attempt)
    sim:post("/reset")
    check_end(namespace)
    assert.is_nil(site:status("VirtualMachineImport", namespace, "web").outage)
  end)

  it("gives a vCenter up that is away for as long as giveUpAfter says", function()
    local namespace = begin({ maxRetries = 0, giveUpAfter = "4s" })
    wait_for_export()
    lose_source()
    local stalled = lab.wait_for("it has given up", function()
      local said = site:condition("VirtualMachineImport", namespace, "web", "Stalled")
      return said.status == "True" and said
    end, 120)
    assert.equal("SourceUnreachable", stalled.reason)
    sim:post("/reset")
  end)

  local DEAD_WEBHOOK = [[
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: dead}
webhooks:
- name: dead.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 2
  clientConfig: {url: "https://127.0.0.1:1/"}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}
  rules:
  - apiGroups: [harvesterhci.io]
    apiVersions: ["*"]
    operations: [CREATE]
    resources: [virtualmachineimages]
]]

  it("waits for a webhook that is down, and counts no attempt", function()
    local namespace = site:namespace()
    site:apply(DEAD_WEBHOOK:format(namespace))
    site:source(namespace, "vc", sim)
    site:import(namespace, "web", "vm", { maxRetries = 0 })
    local status = wait_for_outage(namespace, "HarvesterUnreachable")
    assert.equal("disksExported", status.importStatus)
    site:kubectl({ "delete", "validatingwebhookconfiguration", "dead" })
    check_end(namespace)
  end)

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
