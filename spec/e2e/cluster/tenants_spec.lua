-- Two tenants who do not trust each other, on a real API server with RBAC: none reaches the
-- other's Secret, source, machine, namespace or image by way of the controller, and what
-- each may do goes on. deploy/policy.yaml refuses at admission, the controller what was
-- written before it stood, or while it does not stand.

local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local site_of = require "support.site"
local yaml = require "host.yaml"

local POLICY = "vm-import-references.migration.harvesterhci.io"
local SCENARIO = { datacenters = { { path = "DC0", machines = {
  { name = "web", disks = { { pattern = "text", seed = 1, capacity = "1MiB" } } } } } } }

-- Of a tenant in a namespace of their own: all there is, the status of our kinds too.
local TENANT = [[
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tenant, namespace: %s}
rules:
- apiGroups: ["", migration.harvesterhci.io, kubevirt.io, harvesterhci.io]
  resources: ["*"]
  verbs: ["*"]
]]

-- Of somebody who may write our objects in namespace a, and one thing more.
local WRITER = [[
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: %s, namespace: a}
rules:
- {apiGroups: [migration.harvesterhci.io], resources: ["*"], verbs: ["*"]}
- %s
]]

local BINDING = [[
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %s, namespace: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %s}
subjects: [{kind: ServiceAccount, name: %s, namespace: %s}]
]]

local function object(kind, namespace, name, spec)
  return { apiVersion = kinds[kind].api_version, kind = kind,
    metadata = { namespace = namespace, name = name }, spec = spec }
end

local function source(namespace, name, credentials)
  return object("VmwareSource", namespace, name, { endpoint = "https://127.0.0.1:1/sdk",
    dc = "DC0", credentials = credentials })
end

local function import(namespace, name, from)
  return object("VirtualMachineImport", namespace, name, { virtualMachineName = "web",
    sourceCluster = { kind = from.kind or "VmwareSource", name = from.name or "vc",
      namespace = from.namespace }, targetName = name })
end

describe("of two tenants", function()
  local site, users, folder, sim

  local function writer(name, rule)
    site:apply(WRITER:format(name, rule))
    local path = site.cluster:service_account("a", name)
    site:apply(BINDING:format(name, "a", name, name, "a"))
    return site.cluster:client({ config = site.cluster:config(path) })
  end

  local function tenant(name)
    local path = site.cluster:service_account(name, "tenant")
    site:apply(TENANT:format(name))
    site:apply(BINDING:format("tenant", name, "tenant", "tenant", name))
    return site.cluster:client({ config = site.cluster:config(path) })
  end

  -- Admission takes a moment to know a policy.
  local function wait_policy()
    lab.wait_for("the policy is in force", function()
      return not users.b:create("VmwareSource", source("b", "probe",
        { name = "vc-creds", namespace = "a" }), { dry_run = true })
    end)
  end

  lazy_setup(function()
    folder = lab.folder()
    assert(file.mkdir(folder.path .. "/sim"))
    sim = lab.simulator(folder.path .. "/sim", { scenario = SCENARIO })
    site = site_of.open()
    users = { a = tenant("a"), b = tenant("b"),
      no_secrets = writer("no-secrets",
        '{apiGroups: [kubevirt.io, ""], verbs: [create], '
          .. "resources: [virtualmachines, persistentvolumeclaims]}"),
      no_claims = writer("no-claims",
        '{apiGroups: [kubevirt.io], resources: [virtualmachines], verbs: [create]}'),
      no_machines = writer("no-machines",
        '{apiGroups: [""], resources: [persistentvolumeclaims], verbs: [create]}') }
    site:source("a", "vc", sim)
    site:source("b", "vc", sim)
    site:kubectl({ "apply", "-f", "deploy/policy.yaml" })
    wait_policy()
    for _, name in ipairs { "a", "b" } do
      assert(users[name]:create("VirtualMachineImport", import(name, "own", {})))
      site:patch("VirtualMachineImport", name, "own", { status = {
        importStatus = "VMMigrationFailed", plan = { namespace = name } } },
        { status = true })
    end
  end)

  lazy_teardown(function()
    for _, user in pairs(users) do
      user:close()
    end
    getmetatable(sim).__close(sim)
    site:close()
    getmetatable(folder).__close(folder)
  end)

  local function create(who, what)
    return function()
      return users[who]:create(what.kind, what)
    end
  end

  local function patch(who, kind, namespace, name, change)
    return function()
      return users[who]:patch(kind, namespace, name, change,
        { status = change.status ~= nil })
    end
  end

  local function get(who, kind, namespace, name)
    return function()
      return users[who]:get(kind, namespace, name)
    end
  end

  -- The whole object sent back, as `kubectl replace` does.
  local function replace(who, namespace, name, change)
    return function()
      local there = assert(users[who]:get("VmwareSource", namespace, name))
      change(there)
      return users[who]:request("PUT", ("/apis/%s/namespaces/%s/vmwaresources/%s"):format(
        kinds.VmwareSource.api_version, namespace, name), { body = json.encode(there) })
    end
  end

  local SECRET, SOURCE = "names Secret %s, which", "names %s, which"
  local RBAC, STATUS = "is forbidden: User", "the status is the controller's"
  local CREATES = "makes a VirtualMachine and PersistentVolumeClaims in namespace a"

  local OTHERS = "may not get; name one that you may get, or ask for that right"

  local REFUSED = {
    { "a source that names the other's Secret",
      create("b", source("b", "x", { name = "vc-creds", namespace = "a" })),
      SECRET:format("a/vc-creds"), OTHERS },
    { "a source that names the administrators' Secret",
      create("b", source("b", "x", { name = "admin-basic-auth", namespace = "cattle-system" })),
      SECRET:format("cattle-system/admin-basic-auth"), OTHERS },
    { "an OpenstackSource that does",
      create("b", object("OpenstackSource", "b", "x", { endpoint = "https://127.0.0.1:1",
        region = "r", credentials = { name = "vc-creds", namespace = "a" } })),
      SECRET:format("a/vc-creds") },
    { "an OvaSource that does",
      create("b", object("OvaSource", "b", "x", { url = "https://127.0.0.1:1/a.ova",
        credentials = { name = "vc-creds", namespace = "a" } })),
      SECRET:format("a/vc-creds") },
    { "a source that is led to the other's Secret later",
      patch("b", "VmwareSource", "b", "vc", { spec = { credentials = { namespace = "a" } } }),
      SECRET:format("a/vc-creds") },
    { "the same, by a whole object",
      replace("b", "b", "vc", function(there)
        there.spec.credentials.namespace = "a"
      end), SECRET:format("a/vc-creds") },
    { "a source that names a Secret of the same namespace that its writer may not get",
      create("no_secrets", source("a", "x", { name = "vc-creds" })),
      SECRET:format("a/vc-creds") },
    { "a source whose password is sent elsewhere by who may not get it",
      patch("no_secrets", "VmwareSource", "a", "vc", { spec = {
        endpoint = "https://elsewhere.example/sdk" } }), SECRET:format("a/vc-creds") },
    { "a source whose server's certificate is chosen by who may not get its Secret",
      patch("no_secrets", "VmwareSource", "a", "vc", { spec = { thumbprint = ("AB"):rep(20) } }),
      SECRET:format("a/vc-creds") },
    { "an import from the other's source",
      create("b", import("b", "x", { namespace = "a" })),
      SOURCE:format("VmwareSource a/vc"), OTHERS },
    { "the same in capitals",
      create("b", import("b", "x", { kind = "VMWARESOURCE", namespace = "a" })),
      SOURCE:format("VMWARESOURCE a/vc") },
    { "an import from the other's OpenstackSource",
      create("b", import("b", "x", { kind = "OpenstackSource", namespace = "a" })),
      SOURCE:format("OpenstackSource a/vc") },
    { "an import from a kind that is a path",
      create("b", import("b", "x", { kind = "VmwareSource/status", namespace = "a" })),
      SOURCE:format("VmwareSource/status a/vc") },
    { "an import that is led to the other's source later",
      patch("b", "VirtualMachineImport", "b", "own", { spec = { sourceCluster = {
        namespace = "a" } } }), SOURCE:format("VmwareSource a/vc") },
    { "an import by who may not create its machine",
      create("no_machines", import("a", "x", {})), CREATES },
    { "an import by who may not create its claims",
      create("no_claims", import("a", "x", {})), CREATES },
    { "a machine of another name by who may not create its claims",
      patch("no_claims", "VirtualMachineImport", "a", "own", { spec = { targetName = "y" } }),
      CREATES },
    { "an import in the other's namespace", create("b", import("a", "x", {})), RBAC },
    { "a source in the other's namespace",
      create("b", source("a", "x", { name = "vc-creds" })), RBAC },
    { "a plan that ends in the other's namespace",
      patch("b", "VirtualMachineImport", "b", "own", { status = { plan = {
        namespace = "a" } } }), STATUS },
    { "a record of what is to be removed",
      patch("b", "VirtualMachineImport", "b", "own", { status = { recorded = json.array({
        { kind = "VirtualMachineImage", name = "others" } }) } }), STATUS },
    { "a state that skips what is checked",
      patch("b", "VirtualMachineImport", "b", "own", { status = {
        importStatus = "disksExported" } }), STATUS },
    { "a plan along with the state that may be set",
      patch("b", "VirtualMachineImport", "b", "own", { status = { importStatus = "",
        plan = { namespace = "a" } } }), STATUS },
    { "a certificate that is believed",
      patch("b", "VmwareSource", "b", "vc", { status = {
        certificateFingerprint = "AB:CD" } }), STATUS },
    { "the other's image route, in its import's status",
      get("b", "VirtualMachineImport", "a", "own"), RBAC },
    { "the other's image route, in its image",
      get("b", "VirtualMachineImage", "a", "web"), RBAC },
    { "the site's scripts",
      create("b", { apiVersion = "v1", kind = "ConfigMap", metadata = {
        name = "vm-import-scripts", namespace = "default" }, data = {} }), RBAC },
    { "the policy", patch("b", "ValidatingAdmissionPolicy", nil, POLICY, { spec = {
      failurePolicy = "Ignore" } }), RBAC },
    { "the policy's binding", patch("b", "ValidatingAdmissionPolicyBinding", nil, POLICY,
      { spec = { validationActions = json.array({ "Audit" }) } }), RBAC },
  }

  for _, case in ipairs(REFUSED) do
    it("one is refused " .. case[1], function()
      local done, err = case[2]()
      assert.is_nil(done)
      assert(err.kind == "denied", err.message)
      for i = 3, #case do
        assert.truthy(err.message:find(case[i], 1, true), err.message)
      end
    end)
  end

  local ALLOWED = {
    { "a source with a Secret of one's own",
      create("b", source("b", "mine", { name = "vc-creds", namespace = "b" })) },
    { "a source with a Secret that is not there yet",
      create("b", source("b", "later", { name = "later" })) },
    { "a source without any", create("b", source("b", "none", nil)) },
    { "another endpoint of it",
      patch("b", "VmwareSource", "b", "vc", { spec = { dc = "DC1" } }) },
    { "an import from one's own source", create("b", import("b", "y", {})) },
    { "its source said in full",
      create("b", import("b", "z", { kind = "vmwaresource", namespace = "b" })) },
    { "an end of one's import",
      patch("b", "VirtualMachineImport", "b", "own", { spec = { cancelled = true } }) },
    { "a mark on a source by who may not get its Secret",
      patch("no_secrets", "VmwareSource", "a", "vc", { metadata = {
        annotations = { note = "x" } } }) },
    { "an end of an import by who may not create machines",
      patch("no_machines", "VirtualMachineImport", "a", "own", { spec = {
        cancelled = true } }) },
    { "a new beginning of one's import",
      patch("b", "VirtualMachineImport", "b", "own", { status = { importStatus = "" } }) },
  }

  for _, case in ipairs(ALLOWED) do
    it("one may have " .. case[1], function()
      assert(case[2]())
    end)
  end

  it("one may delete what leads nowhere any more", function()
    site:apply(json.encode(source("b", "old", { name = "vc-creds", namespace = "a" })))
    assert(users.b:delete("VmwareSource", "b", "old"))
    site:wait_gone("VmwareSource", "b", "old", 10)
  end)

  describe("the controller", function()
    local running
    local shipped = assert(yaml.parse(assert(file.read("deploy/policy.yaml"))))

    lazy_setup(function()
      running = site:controller({ kubeconfig = site:account() })
    end)

    lazy_teardown(function()
      running:stop()
    end)

    local function wait_reason(kind, namespace, name, reason)
      return lab.wait_for(("%s %s/%s says %s"):format(kind, namespace, name, reason),
        function()
          local condition = site:condition(kind, namespace, name, "Ready")
          return condition.reason == reason and condition.message
        end, 40)
    end

    it("brings an administrator's import from another namespace to its end", function()
      site:apply(json.encode(import("b", "shared", { namespace = "a" })))
      site:wait_import("b", "shared", "virtualMachineRunning", 90)
    end)

    -- A look at the policy counts for seconds: until the source, looked at anew, says so.
    local function wait_refused()
      local tries = 0
      return lab.wait_for("the source is refused", function()
        tries = tries + 1
        site:patch("VmwareSource", "b", "late", { spec = { dc = "DC" .. tries } })
        local condition = site:condition("VmwareSource", "b", "late", "Ready")
        return condition.reason == "CrossNamespaceRefused" and condition.message
      end, 30)
    end

    it("follows nothing while the policy is tampered with, and goes on afterwards", function()
      site:apply(json.encode(source("b", "late", { name = "vc-creds", namespace = "a" })))
      site:patch("ValidatingAdmissionPolicyBinding", nil, POLICY, { spec = {
        validationActions = json.array({ "Audit" }) } })
      local message = wait_refused()
      assert.truthy(message:find("Secret a/vc-creds is in another namespace than b", 1, true))
      assert.truthy(message:find("apply deploy/policy.yaml", 1, true))
      site:apply(json.encode(import("b", "late", { namespace = "a" })))
      message = wait_reason("VirtualMachineImport", "b", "late", "CrossNamespaceRefused")
      assert.truthy(message:find("VmwareSource a/vc is in another namespace than b", 1, true))
      site:patch("ValidatingAdmissionPolicyBinding", nil, POLICY,
        { spec = shipped[2].spec })
      site:wait_import("b", "late", "virtualMachineRunning", 90)
    end)
  end)
end)
