-- The controller as the ServiceAccount of deploy/role.yaml: what that allows is enough,
-- and without what it calls optional an import still ends, and says what was left out.

local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
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

-- A machine of ours that is made, and whose images are not let go: what was made goes.
local HELD = [[
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: hold-images}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [harvesterhci.io], apiVersions: ["*"], operations: [UPDATE],
       resources: [virtualmachineimages]}
  validations:
  - expression: request.userInfo.username != "]] .. ACCOUNT .. [["
    message: held
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: hold-images}
spec:
  policyName: hold-images
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {hold: "yes"}}}
]]

-- A cluster that has been in use: our definitions are older, or missing; Longhorn has a node.
local OTHERS = [[
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: nodes.longhorn.io}
spec:
  group: longhorn.io
  scope: Namespaced
  names: {kind: Node, plural: nodes, singular: node, listKind: NodeList}
  versions:
  - name: v1beta2
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
]]
local NODE = [[
apiVersion: longhorn.io/v1beta2
kind: Node
metadata: {name: a, namespace: longhorn-system}
]]

local MACHINES = {}
for i = 1, 6 do
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

  local function begin(spec, labels)
    local namespace, whole = site:namespace(), {}
    for key, value in pairs(labels or {}) do
      site:kubectl({ "label", "namespace", namespace, key .. "=" .. value })
    end
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

  -- Before the controller comes.
  local function prepare()
    site:apply(HELD)
    site:apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: longhorn-system}\n")
    site:apply(OTHERS)
    site:kubectl({ "wait", "--for=condition=Established", "crd/nodes.longhorn.io" })
    site:apply(NODE)
    site:apply(assert(file.read("deploy/policy.yaml")))
    site:kubectl({ "delete", "crd", "ovasources.migration.harvesterhci.io" })
    site:kubectl({ "annotate", "--overwrite", "crd",
      "openstacksources.migration.harvesterhci.io", "migration.harvesterhci.io/crd-version=0" })
  end

  local function wait_source(kind, namespace, type)
    lab.wait_for(kind .. " was looked at", function()
      return site:condition(kind, namespace, "s", type).status
    end, 60)
  end

  -- Sources of other kinds, and one whose Secret is in another namespace.
  local function other_sources()
    local namespace = site:namespace()
    for kind, spec in pairs {
      OpenstackSource = { endpoint = "https://127.0.0.1:1/v3", region = "r",
        credentials = { name = "none", namespace = namespace } },
      OvaSource = { url = "https://127.0.0.1:1/a.ova" },
      VmwareSource = { endpoint = "https://127.0.0.1:1/sdk", dc = "DC0",
        credentials = { name = "none", namespace = "default" } },
    } do
      lab.wait_for(kind .. " is served", function()
        return site:try({ "apply", "-f", "-" }, json.encode({ kind = kind, spec = spec,
          apiVersion = kinds[kind].api_version,
          metadata = { name = "s", namespace = namespace } })).status == 0
      end, 30)
    end
    wait_source("OpenstackSource", namespace, "Ready")
    wait_source("OvaSource", namespace, "Stalled")
    wait_source("VmwareSource", namespace, "Ready")
  end

  local function wait_failed(namespace)
    lab.wait_for("the import has failed and is clean", function()
      local import = site:get("VirtualMachineImport", namespace, "web")
      return import.status and import.status.importStatus == "VMMigrationFailed"
        and #(import.metadata.finalizers or {}) == 0
    end, 120)
  end

  -- Whatever an import may come to: both backends, failures that clean up, a deletion.
  local function live()
    run_to(begin(), "virtualMachineRunning")
    local held = begin({ maxRetries = 0 }, { hold = "yes" })
    run_to(begin({ storageClass = "lvm", dryRun = true }), "virtualMachineImportValid")
    wait_failed(held)
    local cdi = begin({ storageClass = "longhorn-v2", maxRetries = 0 })
    run_to(cdi, "diskImageSubmitted")
    site.harvester:fault({ kind = "reject", match = "^VirtualMachine " .. cdi, times = -1,
      message = "no" })
    wait_failed(cdi)
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
            list[#list + 1] = not rights[name] and name or nil
          end
        end
      end
    end
    table.sort(list)
    return list
  end

  it("may do all that it ever asks for, and nothing that it does not", function()
    local config = site:account()
    prepare()
    local running = site:controller({ kubeconfig = config })
    other_sources()
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
