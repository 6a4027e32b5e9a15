-- The addon as an administrator meets it: helm on a real API server, and the pods of the
-- chart run from the image's root file system with what the chart gives them.

local addon_of = require "support.addon"
local file = require "host.file"
local helm = require "support.helm"
local json = require "host.json"
local lab = require "support.lab"
local pod = require "support.pod"
local process = require "host.process"

local NS = addon_of.namespace

local DISKS = {
  { pattern = "mixed", seed = 1, capacity = "40MiB", every = 2 },
  { controller = "pvscsi", pattern = "text", seed = 2, capacity = "16MiB" },
}

local SCENARIO = { datacenters = { {
  path = "DC0",
  machines = {
    { name = "web", disks = DISKS, nics = { { network = "VM Network" } } },
    { name = "db", disks = DISKS, nics = { { network = "VM Network" } } },
    { name = "slow", disks = DISKS, nics = { { network = "VM Network" } } },
  },
} } }

describe("the addon", function()
  local folder, addon, site, sim

  lazy_setup(function()
    folder = lab.folder()
    addon = addon_of.open()
    site = addon.site
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    addon:close()
    getmetatable(folder).__close(folder)
  end)

  after_each(function()
    site.harvester:mend()
    helm.try({ "uninstall", "vm-import-controller", "--namespace", NS, "--no-hooks" },
      site.kubeconfig)
    site:try({ "-n", NS, "delete", "lease", "vm-import-controller" })
  end)

  local function import_into(namespace, machine)
    site:source(namespace, "vc", sim)
    site:import(namespace, machine, machine)
  end

  local function check_disks(import)
    for i, entry in ipairs(import.status.diskImportStatus) do
      local sum = lab.original(folder.path, DISKS[i])
      local pulls = site.harvester:pulls(import.metadata.namespace, entry.VirtualMachineImage)
      assert.equal(sum, pulls[#pulls])
    end
  end

  -- What the API server's own admission says of a pod of this spec.
  local function admit(spec)
    return site:try({ "-n", NS, "create", "--dry-run=server", "-f", "-" }, json.encode({
      apiVersion = "v1", kind = "Pod", metadata = { name = "p", namespace = NS },
      spec = spec,
    }))
  end

  it("says what to do next, and its pods pass Pod Security restricted", function()
    local notes = addon:install()
    assert.truthy(notes:find("rollout status deployment/" .. addon_of.name, 1, true))
    for what, spec in pairs {
      deployment = addon:deployment().spec.template.spec,
      hook = addon:hook().spec.template.spec,
    } do
      local verdict = admit(spec)
      assert(verdict.status == 0, what .. ": " .. verdict.stderr)
      spec.containers[1].securityContext.allowPrivilegeEscalation = true
      verdict = admit(spec)
      assert.truthy(verdict.stderr:find('violates PodSecurity "restricted', 1, true), what)
    end
  end)

  it("imports from its image, as any user, with the rights of the chart", function()
    addon:install()
    local running <close> = addon:pod(1)
    running:wait_ready()
    addon:serve(running)
    local namespace = site:namespace()
    import_into(namespace, "web")
    local import = site:wait_import(namespace, "web", "virtualMachineRunning", 120)
    check_disks(import)
    assert.same({}, import.metadata.finalizers or {})
    assert.equal(0, addon:metric(running, 'vm_import_api_requests_total.*code="403"'))
    assert.equal(1, addon:metric(running, "vm_import_leader"))
    assert.equal(2, addon:metric(running, 'vm_import_disk_duration_seconds_count'))
    assert.equal(1, addon:metric(running,
      'vm_import_imports{state="virtualMachineRunning"}'))
    local checked = assert(process.run({ argv = { "sh", "-c",
      'tool=$(spec/labs/promtool) && "$tool" check metrics 2>&1' },
      stdin = running:get("/metrics").body, inherit = true }))
    assert.equal("", checked.stdout)
    assert.equal(0, checked.status)
    assert.equal(128 + 15, running:stop().status)
    local lease = site:get("Lease", NS, "vm-import-controller")
    assert.equal("", lease.spec.holderIdentity or "")
  end)

  -- Everything of the release: "KIND/NAME" -> uid.
  local function objects(text)
    local found = {}
    local listed = json.decode(site:kubectl({ "-n", NS, "get", "-o", "json", "-f", "-" }, text))
    for _, item in ipairs(listed.items) do
      found[item.kind .. "/" .. item.metadata.name] = item.metadata.uid
    end
    return found
  end

  local function manifest()
    return helm.run({ "get", "manifest", "vm-import-controller", "--namespace", NS },
      site.kubeconfig)
  end

  it("takes the place of the earlier chart's objects, and gives it back", function()
    -- As Harvester's addon sets it: the tag is a value of the user's.
    addon:helm("install", "vm-import-controller", "spec/deploy/earlier", "--namespace", NS,
      "--set", "image.tag=v1.5.2,fullnameOverride=" .. addon_of.name,
      "--set", "pvcClaim.enabled=true")
    local before = objects(manifest())
    assert.truthy(before["PersistentVolumeClaim/" .. addon_of.name])
    local namespace = site:namespace()
    site:source(namespace, "vc", sim)
    -- As the Go controller leaves an import when it is stopped in the middle.
    site:import(namespace, "db", "db")
    site:patch("VirtualMachineImport", namespace, "db",
      { status = { importStatus = "sourceReady" } }, { status = true })

    -- As docs/upgrade.md has it.
    addon:helm("upgrade", "vm-import-controller", helm.chart, "--namespace", NS,
      "--reset-then-reuse-values", "--set", "image.tag=v2.0.0",
      "--set", "image.repository=registry.example/harvester-vm-import-controller")
    assert.equal("registry.example/harvester-vm-import-controller:v2.0.0",
      addon:deployment().spec.template.spec.containers[1].image)
    local after = objects(manifest())
    for id, uid in pairs(before) do
      assert.equal(uid, after[id], id)
    end
    local running <close> = addon:pod(2)
    running:wait_ready()
    addon:serve(running)
    check_disks(site:wait_import(namespace, "db", "virtualMachineRunning", 120))
    assert.equal(0, addon:metric(running, 'vm_import_api_requests_total.*code="403"'))
    running:stop()

    helm.run({ "rollback", "vm-import-controller", "1", "--namespace", NS }, site.kubeconfig)
    assert.same(before, objects(manifest()))
    for id, uid in pairs(after) do
      if not before[id] then
        local kind, name = id:match("^(.-)/(.*)$")
        local left = site:try({ "-n", NS, "get", kind, name, "-o",
          "jsonpath={.metadata.uid}" })
        assert(left.stdout ~= uid, id .. " is an orphan")
      end
    end
  end)

  it("lets go of everything before it is uninstalled", function()
    addon:install("--set", "release.timeout=60")
    local running <close> = addon:pod(3)
    running:wait_ready()
    addon:serve(running)
    local namespace = site:namespace()
    site.harvester:fault({ kind = "slow", match = ".", times = -1, rate = 100000 })
    import_into(namespace, "slow")
    site:wait_import(namespace, "slow", "diskImageSubmitted", 60)
    local hook = pod.start(site, addon:hook().spec.template.spec, {})
    local ended <close> = hook
    local result = ended:wait(100)
    assert(result.status == 0, ended:log())
    assert.equal(("cancelled %s/slow\nnothing stays behind\n"):format(namespace),
      result.stdout)
    local import = site:get("VirtualMachineImport", namespace, "slow")
    assert.equal("VMMigrationFailed", import.status.importStatus)
    assert.same({}, import.metadata.finalizers or {})
    assert.equal("[]", site:kubectl({ "-n", namespace, "get", "vmimage", "-o",
      "jsonpath={.items}" }))
    assert.equal(0, sim:get("/state").openLeases)
    running:stop()
    site:kubectl({ "-n", namespace, "delete", "virtualmachineimport", "slow",
      "--timeout=20s" })
  end)

  it("lets go also when nobody leads and the source does not answer, and says what stays",
    function()
    addon:install("--set", "release.timeout=3")
    local namespace = site:namespace()
    import_into(namespace, "db")
    local finalizer = "migration.harvesterhci.io/vm-import-controller"
    site:patch("VirtualMachineImport", namespace, "db", { metadata = {
      finalizers = json.array({ "example.com/other", finalizer }) } })
    site:patch("VirtualMachineImport", namespace, "db", { status = {
      importStatus = "sourceReady",
      recorded = json.array({ { kind = "HttpNfcLease", name = "lease-1" } }) } },
      { status = true })
    site:patch("VmwareSource", namespace, "vc",
      { spec = { endpoint = "https://192.0.2.1/sdk" } })
    local ended <close> = pod.start(site, addon:hook().spec.template.spec, {})
    local result = ended:wait(60)
    assert(result.status == 0, ended:log())
    assert.truthy(result.stdout:find(("%s/db could not be cleaned up; what stays: "
      .. "HttpNfcLease lease-1"):format(namespace), 1, true), result.stdout)
    assert.same({ "example.com/other" },
      site:get("VirtualMachineImport", namespace, "db").metadata.finalizers)
  end)
end)
