-- The site's scripts in a cluster: a ConfigMap is applied, changed, broken and deleted
-- while the controller runs. The imports are dry runs: all that scripts decide is decided.

local file = require "host.file"
local json = require "host.json"
local kube = require "support.kube"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"

local SCENARIO = {
  datacenters = { { path = "DC0", machines = {
    { name = "web", folder = "Prod",
      disks = { { pattern = "text", seed = 1, capacity = "4MiB" } },
      nics = { { network = "VM Network", mac = "00:50:56:00:00:01" } } },
  } } },
}

local GROUP_VERSION = "migration.harvesterhci.io/v1beta1"

-- The built-in policy.name with another decision.
local function named(name)
  local text = assert(file.read("lua/policy/name.lua"))
  local first, last = text:find("function M.decide(", 1, true)
  return ("%sfunction M.decide() return %q end\nfunction M.before(%s"):format(
    text:sub(1, first - 1), name, text:sub(last + 1))
end

local function mapped_to(network)
  return ("return { nic_network = function() return %q end }\n"):format(network)
end

describe("site scripts in a cluster", function()
  local cluster, client, folder, sim, running, namespace

  local function scripts(data, binary)
    cluster:apply({ apiVersion = "v1", kind = "ConfigMap",
      metadata = { name = "vm-import-scripts", namespace = "default" },
      data = data, binaryData = binary })
  end

  local function start(args)
    local log = folder.path .. "/log"
    running = task.spawn(process.run, {
      argv = { "sh", "-c", 'log=$1; shift; exec "$@" 2>>"$log"', "sh", log, lab.program,
        "controller", "--listen", "127.0.0.1:0", "--scratch", folder.path .. "/scratch",
        "--deny-endpoints=none", -- all of the lab is on loopback
        table.unpack(args or {}) },
      env = { KUBECONFIG = cluster.env.KUBECONFIG, SVC_ADDRESS = "127.0.0.1",
        HOSTNAME = "e2e" },
      timeout = 3600,
    })
  end

  local function log_text()
    return file.read(folder.path .. "/log", { max = 2 ^ 28 // 1 | 0 }) or ""
  end

  local function source()
    namespace = cluster:namespace()
    cluster:apply({ apiVersion = "v1", kind = "Secret",
      metadata = { name = "creds", namespace = namespace },
      stringData = { username = "user", password = "pass", caCert = sim.ca_pem } })
    cluster:apply({ apiVersion = GROUP_VERSION, kind = "VmwareSource",
      metadata = { name = "vc", namespace = namespace },
      spec = { endpoint = sim.url, dc = "DC0",
        credentials = { name = "creds", namespace = namespace } } })
  end

  local function world()
    cluster:apply({ apiVersion = "storage.k8s.io/v1", kind = "StorageClass",
      metadata = { name = "harvester-longhorn", annotations = {
        ["storageclass.kubernetes.io/is-default-class"] = "true" } },
      provisioner = "driver.longhorn.io" })
    for _, id in ipairs { 4, 6, 7, 9, 30 } do
      cluster:apply({ apiVersion = "k8s.cni.cncf.io/v1",
        kind = "NetworkAttachmentDefinition",
        metadata = { name = "vlan" .. id, namespace = "default" },
        spec = { config = ('{"cniVersion":"0.3.1","type":"bridge","vlan":%d}'):format(id) } })
    end
  end

  local function status(name)
    local import = assert(client:get("VirtualMachineImport", namespace, name))
    return import.status or {}
  end

  local function import(name)
    cluster:apply({ apiVersion = GROUP_VERSION, kind = "VirtualMachineImport",
      metadata = { name = name, namespace = namespace },
      spec = { virtualMachineName = "web", dryRun = true, sourceCluster = {
        apiVersion = GROUP_VERSION, kind = "VmwareSource", name = "vc",
        namespace = namespace } } })
  end

  local function planned(name)
    local now
    local ok, err = pcall(lab.wait_for, name .. " is planned", function()
      now = status(name)
      return now.plan
    end, 30)
    assert(ok, tostring(err) .. ": " .. json.encode(now.findings or now))
    return now
  end

  local function network_of(now)
    return now.plan.nics[1].network or now.plan.nics[1].binding
  end

  local function event(reason, text, seconds)
    return lab.wait_for(reason .. " " .. text, function()
      for _, item in ipairs(client:list("Event", "default") or {}) do
        if item.reason == reason and item.note:find(text, 1, true) then
          return item
        end
      end
    end, seconds or 5)
  end

  setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = SCENARIO })
    cluster = kube.start()
    cluster:install()
    world()
    client = cluster:client()
    source()
    start()
  end)

  teardown(function()
    if running then
      running:cancel(30)
    end
    cluster:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  it("are not there at first: the built-in policy decides", function()
    import("a")
    local now = planned("a")
    assert.equal("masquerade", network_of(now))
    assert.equal("builtin", now.scriptGeneration)
  end)

  it("decide on imports made afterwards, and disturb none made before", function()
    local before = json.encode(status("a").plan)
    local begun = time.monotonic()
    scripts({ ["10-net.lua"] = mapped_to("default/vlan7") })
    local said = event("ScriptsInForce", "10-net.lua")
    assert.is_true(time.monotonic() - begun < 5)
    assert.equal("vm-import-scripts", said.regarding.name)
    import("b")
    local now = planned("b")
    assert.equal("default/vlan7", network_of(now))
    assert.truthy(said.note:find(now.scriptGeneration, 1, true))
    assert.equal(before, json.encode(status("a").plan))
    local seconds = tonumber(log_text():match('site scripts in force".-"seconds":([%d.]+)'))
    assert.is_true(seconds < 1, seconds)
  end)

  it("change nothing while they are broken, and say where they are", function()
    local begun = time.monotonic()
    scripts({ ["10-net.lua"] = mapped_to("default/vlan8"), ["20.lua"] = "return {\nx = }" })
    local said = event("ScriptsRejected", "20.lua:2: unexpected symbol")
    assert.is_true(time.monotonic() - begun < 5)
    assert.equal("Warning", said.type)
    import("c")
    assert.equal("default/vlan7", network_of(planned("c")))
    scripts({ ["10-net.lua"] = mapped_to("default/vlan9"), ["20.lua"] = "return {}" })
    event("ScriptsInForce", "10-net.lua, 20.lua")
    import("d")
    assert.equal("default/vlan9", network_of(planned("d")))
  end)

  it("may stand in binaryData; keys that are no scripts are said", function()
    local digest = require "host.digest"
    scripts({ ["policy.name.lua"] = "return {}" },
      { ["30.lua"] = digest.base64_encode(mapped_to("default/vlan30")) })
    event("ScriptIgnored", "policy.name.lua")
    import("e")
    assert.equal("default/vlan30", network_of(planned("e")))
  end)

  it("make an import invalid where they fail, until they are mended", function()
    scripts({ ["a.lua"] = "return { cpu = function(input)\nreturn input.nothing.x end }" })
    event("ScriptsInForce", ": a.lua")
    import("f")
    lab.wait_for("f is invalid", function()
      return status("f").importStatus == "virtualMachineImportInvalid"
    end)
    assert.truthy(status("f").findings[1].message:find("hook cpu: a.lua:2: ", 1, true))
    scripts({ ["a.lua"] = mapped_to("default/vlan4") })
    assert.equal("default/vlan4", network_of(planned("f")))
  end)

  it("are gone with the ConfigMap", function()
    cluster:kubectl("-n", "default", "delete", "configmap", "vm-import-scripts")
    lab.wait_for("builtin is in force", function()
      return log_text():find('in force","generation":"builtin"', 1, true)
    end, 5)
    import("g")
    local now = planned("g")
    assert.equal("masquerade", network_of(now))
    assert.equal("builtin", now.scriptGeneration)
  end)

  it("plan nothing when they are broken as the controller starts", function()
    assert(running:cancel(30))
    scripts({ ["b.lua"] = "return {" })
    start()
    import("h")
    lab.wait_for("h is invalid", function()
      return status("h").importStatus == "virtualMachineImportInvalid"
    end, 60)
    assert.truthy(status("h").findings[1].message:find("b.lua:1: ", 1, true))
    scripts({ ["b.lua"] = mapped_to("default/vlan6") })
    assert.equal("default/vlan6", network_of(planned("h")))
  end)

  it("replace code with --allow-code, as a whole or not at all", function()
    assert(running:cancel(30))
    scripts({ ["b.lua"] = mapped_to("default/vlan6"), ["policy.name.lua"] = named("by-code") })
    start({ "--allow-code" })
    import("i")
    local now = planned("i")
    assert.same({ "by-code", "default/vlan6" }, { now.plan.name, network_of(now) })
    scripts({ ["b.lua"] = mapped_to("default/vlan7"), ["policy.name.lua"] = "return {\nx = }" })
    event("ScriptsRejected", "policy.name.lua:2: unexpected symbol")
    scripts({ ["b.lua"] = mapped_to("default/vlan7"), ["policy.name.lua"] = "return {}" })
    event("ScriptsRejected", "policy.name.lua: lacks what the module policy.name")
    import("j")
    local after = planned("j")
    assert.same({ "by-code", "default/vlan6" }, { after.plan.name, network_of(after) })
    assert.equal(now.scriptGeneration, after.scriptGeneration)
    scripts({ ["b.lua"] = mapped_to("default/vlan7"), ["policy.name.lua"] = named("mended") })
    event("ScriptsInForce", "b.lua, policy.name.lua")
    lab.wait_for("the mended ones decide", function()
      return select(2, log_text():gsub('"scripts":"b.lua, policy.name.lua"', "")) == 2
    end)
    import("k")
    now = planned("k")
    assert.same({ "mended", "default/vlan7" }, { now.plan.name, network_of(now) })
  end)

  it("may add a kind of source, which is reported until the cluster has it", function()
    local here = "deploy/scripts/directory-source/"
    scripts({ ["providers.directory.lua"] =
      assert(file.read(here .. "providers.directory.lua")) })
    event("SourceKindMissing", "DirectorySource is not to be had yet", 30)
    import("l")
    assert.equal("masquerade", network_of(planned("l")))
    cluster:apply(assert(file.read(here .. "cluster/directorysource.yaml")))
    event("SourceKindServed", "DirectorySource", 60)
  end)
end)
