-- The controller as the ServiceAccount of deploy/role.yaml: what that allows is enough,
-- and without what it calls optional an import still ends, and says what was left out.

local file = require "host.file"
local json = require "host.json"
local lab = require "support.lab"
local site_of = require "support.site"
local yaml = require "host.yaml"

local ACCOUNT = "system:serviceaccount:harvester-system:harvester-vm-import-controller"

local POLICY = [[
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["]] .. ACCOUNT .. [["]}
- {level: None}
]]

-- As role.yaml marks them.
local OPTIONAL = {
  ["k8s.cni.cncf.io"] = true, ["events.k8s.io"] = true, ["apiextensions.k8s.io"] = true,
  ["admissionregistration.k8s.io"] = true,
}

-- Rights that what happens here may not need.
local ELSEWHERE = {}
for _, name in ipairs {
  -- of other kinds of source
  "get openstacksources.migration.harvesterhci.io",
  "patch openstacksources/status.migration.harvesterhci.io",
  "get ovasources.migration.harvesterhci.io",
  "patch ovasources/status.migration.harvesterhci.io",
  -- what leads into another namespace
  "get validatingadmissionpolicies.admissionregistration.k8s.io",
  "get validatingadmissionpolicybindings.admissionregistration.k8s.io",
  -- definitions that are missing or older
  "create customresourcedefinitions.apiextensions.k8s.io",
  "patch customresourcedefinitions.apiextensions.k8s.io",
  -- an end between two objects; what happens twice
  "delete persistentvolumeclaims", "delete virtualmachines.kubevirt.io",
  "patch events.events.k8s.io",
  -- by kind of storage
  "list csistoragecapacities.storage.k8s.io", "get backingimages.longhorn.io",
  "list nodes.longhorn.io", "list settings.longhorn.io",
} do
  ELSEWHERE[name] = true
end

local MACHINES = {}
for i = 1, 4 do
  MACHINES[i] = {
    name = "vm-" .. i, disks = { { pattern = "text", seed = i, capacity = "2MiB" } },
    nics = { { network = "VM Network", mac = "00:50:56:00:00:0" .. i } },
  }
end
local SCENARIO = { datacenters = { { path = "DC0", machines = MACHINES } } }

local SPEC = { networkMapping = json.array({
  { sourceNetwork = "VM Network", destinationNetwork = "default/vlan1" } }) }

describe("as its ServiceAccount the controller", function()
  local folder, site, sim, audit
  local used = 0 -- machines

  lazy_setup(function()
    folder = lab.folder()
    audit = folder.path .. "/audit.log"
    assert(file.write(folder.path .. "/policy.yaml", POLICY))
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    site = site_of.open({ kube = {
      "--audit-policy-file=" .. folder.path .. "/policy.yaml", "--audit-log-path=" .. audit,
    } })
  end)

  lazy_teardown(function()
    site:close()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  after_each(function()
    site.harvester:mend()
  end)

  local function right(verb, resource, part, group)
    return ("%s %s%s%s"):format(verb, resource, part and "/" .. part or "",
      group and group ~= "" and "." .. group or "")
  end

  -- What it asked for: the refused ones as text, the number of all, and as set of rights.
  local function asked()
    local refused, all, rights = {}, 0, {}
    for line in assert(file.read(audit, { max = 256 << 20 })):gmatch("[^\n]+") do
      local event = assert(json.decode(line, { big = true }))
      all = all + 1
      local on = event.objectRef
      if on then
        rights[right(event.verb, on.resource, on.subresource, on.apiGroup)] = true
      end
      if event.responseStatus and event.responseStatus.code == 403 then
        refused[#refused + 1] = ("%s %s"):format(event.verb, event.requestURI)
      end
    end
    return refused, all, rights
  end

  local function begin(spec)
    local namespace, whole = site:namespace(), {}
    for _, fields in ipairs { SPEC, spec or {} } do
      for key, value in pairs(fields) do
        whole[key] = value
      end
    end
    site:source(namespace, "vc", sim)
    used = used + 1
    site:import(namespace, "web", MACHINES[used].name, whole)
    return namespace
  end

  local function run_to(namespace, state)
    return site:wait_import(namespace, "web", state, 120)
  end

  -- Whatever an import may come to: both backends, a failure that cleans up, a deletion.
  local function live()
    run_to(begin(), "virtualMachineRunning")
    local cdi = begin({ storageClass = "longhorn-v2", maxRetries = 0 })
    run_to(cdi, "diskImageSubmitted")
    site.harvester:fault({ kind = "reject", match = "^VirtualMachine " .. cdi, times = -1,
      message = "no" })
    lab.wait_for("the import has failed and is clean", function()
      local import = site:get("VirtualMachineImport", cdi, "web")
      return import.status.importStatus == "VMMigrationFailed"
        and #(import.metadata.finalizers or {}) == 0
    end, 120)
    site.harvester:fault({ kind = "slow", rate = 65536, times = -1, match = "." })
    local gone = begin()
    run_to(gone, "diskImageSubmitted")
    site:delete("VirtualMachineImport", gone, "web")
    site:wait_gone("VirtualMachineImport", gone, "web", 60)
    site:wait_gone("VirtualMachineImage", gone, "web", 1)
  end

  -- What deploy/role.yaml gives and `rights` has not.
  local function unused(rights)
    local list = {}
    for _, role in ipairs(assert(yaml.parse(assert(file.read("deploy/role.yaml"))))) do
      for _, rule in ipairs(role.rules or {}) do
        for _, resource in ipairs(rule.resources) do
          for _, verb in ipairs(rule.verbs) do
            local name = right(verb, resource, nil, rule.apiGroups[1])
            local plain, part = resource:match("^(.-)/(.+)$")
            name = plain and right(verb, plain, part, rule.apiGroups[1]) or name
            list[#list + 1] = not rights[name] and not ELSEWHERE[name] and name or nil
          end
        end
      end
    end
    table.sort(list)
    return list
  end

  it("may do all that it ever asks for, and nothing that it does not", function()
    local running = site:controller({ kubeconfig = site:account() })
    live()
    running:stop()
    local refused, all, rights = asked()
    assert.same({}, refused)
    assert.truthy(all > 50)
    assert.same({}, unused(rights))
  end)

  local function without_optional()
    local role = assert(site.client:request("GET",
      "/apis/rbac.authorization.k8s.io/v1/clusterroles/harvester-vm-import-controller"))
    local kept = json.array({})
    for _, rule in ipairs(role.rules) do
      if not OPTIONAL[rule.apiGroups[1]] and rule.resources[1] ~= "settings" then
        kept[#kept + 1] = rule
      end
    end
    assert(#kept < #role.rules)
    site:kubectl({ "patch", "clusterrole", "harvester-vm-import-controller",
      "--type=merge", "-p", json.encode({ rules = kept }) })
  end

  it("leaves out what it may not do, and says so in the import's findings", function()
    local config = site:account()
    without_optional()
    local running = site:controller({ kubeconfig = config })
    local import = run_to(begin(), "virtualMachineRunning")
    running:stop()
    local said = {}
    for _, finding in ipairs(import.status.findings) do
      said[finding.code] = finding.message
    end
    assert.truthy(said.NetworkNotChecked:find("network-attachment-definitions", 1, true))
    assert.truthy(said.SettingsNotRead:find("settings", 1, true))
    assert.truthy(#asked() > 0)
  end)
end)
