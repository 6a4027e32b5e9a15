-- One import on a site of your own, told by the environment variables of the earlier
-- controller's tests; without them on the API server and the simulator of the others,
-- which is given to it by the same variables.
--
--   USE_EXISTING_CLUSTER=true KUBECONFIG=FILE SVC_ADDRESS=HOST:PORT  where images are
--     fetched from: this machine, as the cluster sees it
--   GOVC_URL=https://HOST/sdk GOVC_USERNAME= GOVC_PASSWORD= GOVC_DATACENTER= VM_NAME=
--
-- The machine is shut down. What was made is removed again, but for the CRDs.

local digest = require "host.digest"
local env = require "host.env"
local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local process = require "host.process"
local program = require "support.program"
local site_of = require "support.site"

local NAMES = { "KUBECONFIG", "SVC_ADDRESS", "GOVC_URL", "GOVC_USERNAME", "GOVC_PASSWORD",
  "GOVC_DATACENTER", "VM_NAME" }

local DISK = { pattern = "text", seed = 3, capacity = "2MiB" }

describe("a site", function()
  local folder, kubectl_path

  lazy_setup(function()
    folder = lab.folder()
    local built = assert(process.run({ argv = { "spec/labs/kube/build", "kubectl" },
      inherit = true, timeout = 1200 }))
    kubectl_path = built.stdout:gsub("%s+$", "") .. "/kubectl"
  end)

  lazy_teardown(function()
    getmetatable(folder).__close(folder)
  end)

  -- The variables of the environment; nil where no cluster of one's own is to be used.
  local function given()
    if env.get("USE_EXISTING_CLUSTER") ~= "true" then
      return nil
    end
    local vars = {}
    for _, name in ipairs(NAMES) do
      vars[name] = env.get(name)
      assert((vars[name] or "") ~= "", "USE_EXISTING_CLUSTER is set, " .. name .. " is not")
    end
    return vars
  end

  local function kubectl(vars, args, stdin)
    local result = assert(process.run({ argv = { kubectl_path, table.unpack(args) },
      env = { KUBECONFIG = vars.KUBECONFIG }, stdin = stdin, timeout = 7200 }))
    assert(result.status == 0, result.stderr)
    return result.stdout
  end

  local function objects(vars, namespace)
    local function object(kind, name, fields)
      fields.apiVersion, fields.kind = kinds[kind].api_version, kind
      fields.metadata = { namespace = namespace, name = name }
      return fields
    end
    return json.encode({ apiVersion = "v1", kind = "List", items = json.array({
      object("Secret", "site", { stringData = { username = vars.GOVC_USERNAME,
        password = vars.GOVC_PASSWORD } }),
      object("VmwareSource", "site", { spec = { endpoint = vars.GOVC_URL,
        dc = vars.GOVC_DATACENTER, credentials = { name = "site", namespace = namespace } } }),
      object("VirtualMachineImport", "site", { spec = { virtualMachineName = vars.VM_NAME,
        sourceCluster = { apiVersion = kinds.VmwareSource.api_version, kind = "VmwareSource",
          name = "site", namespace = namespace } } }),
    }) })
  end

  -- Imports VM_NAME and removes what came of it.
  local function run(vars)
    local namespace = "vm-import-" .. digest.random(4)
    kubectl(vars, { "apply", "-f", "crds/" })
    local running <close> = program.start(folder.path, { "--listen",
      ":" .. (vars.SVC_ADDRESS:match(":(%d+)$") or "8080"), "--metrics-listen",
      "127.0.0.1:0", "--scratch", folder.path .. "/scratch",
      "--deny-endpoints", vars.DENY or "link-local" },
      { env = { KUBECONFIG = vars.KUBECONFIG, SVC_ADDRESS = vars.SVC_ADDRESS } })
    kubectl(vars, { "create", "namespace", namespace })
    kubectl(vars, { "apply", "-f", "-" }, objects(vars, namespace))
    kubectl(vars, { "-n", namespace, "wait", "--for=condition=Ready", "--timeout=2h",
      "virtualmachineimport/site" })
    local import = assert(json.decode(kubectl(vars, { "-n", namespace, "get",
      "virtualmachineimport", "site", "-o", "json" }), { big = true }))
    local machine = kubectl(vars, { "-n", namespace, "get", "virtualmachine",
      import.status.importedVirtualMachineName, "-o", "name" })
    kubectl(vars, { "-n", namespace, "delete", "virtualmachineimport", "site" })
    kubectl(vars, { "-n", namespace, "delete", "vmwaresource", "site" })
    kubectl(vars, { "-n", namespace, "delete", machine:gsub("%s+$", "") .. "" })
    kubectl(vars, { "delete", "namespace", namespace, "--wait=false" })
    running:signal("TERM")
    running:wait()
    return import
  end

  local function of_our_own(f)
    local site = site_of.open()
    assert(file.mkdir(folder.path .. "/sim"))
    local sim = lab.simulator(folder.path .. "/sim", { scenario = { datacenters = {
      { path = "DC0", machines = { { name = "site-vm", disks = { DISK } } } } } } })
    local ok, result = pcall(f, {
      KUBECONFIG = site.kubeconfig, SVC_ADDRESS = site.free_address(), GOVC_URL = sim.url,
      GOVC_USERNAME = "user", GOVC_PASSWORD = sim.password, GOVC_DATACENTER = "DC0",
      VM_NAME = "site-vm", DENY = "none",
    })
    getmetatable(sim).__close(sim)
    site:close()
    return ok and result or error(result, 0)
  end

  it("of the variables GOVC_*, KUBECONFIG, VM_NAME, SVC_ADDRESS gets a running machine",
    function()
      local vars = given()
      local import = vars and run(vars) or of_our_own(run)
      assert.equal("virtualMachineRunning", import.status.importStatus)
    end)
end)
