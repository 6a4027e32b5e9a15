--- support.site: a cluster to import into: a real API server (support.kube), the stand-in
-- for Harvester (support.harvester) and the controller under test.

local digest = require "host.digest"
local file = require "host.file"
local harvester_of = require "support.harvester"
local images = require "host.images"
local json = require "host.json"
local kinds = require "base.kinds"
local kube = require "support.kube"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local M = {}

-- Of the kubeconfigs' namespace.
local LEASE_NAMESPACE, LEASE = "default", "vm-import-controller"

local NETWORKS = [[
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: vlan1, namespace: default, labels: {network.harvesterhci.io/clusternetwork: mgmt}}
spec: {config: '{"cniVersion":"0.3.1","name":"vlan1","type":"bridge","bridge":"mgmt-br","vlan":1}'}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: vlan2, namespace: default, labels: {network.harvesterhci.io/clusternetwork: mgmt}}
spec: {config: '{"cniVersion":"0.3.1","name":"vlan2","type":"bridge","bridge":"mgmt-br","vlan":2}'}
]]

local methods = {}
local mt = { __name = "support.site", __index = methods }

--- site:try(args, stdin) -> {status, stdout, stderr}                    [waits]
-- kubectl as an administrator; `stdin`: what -f - reads.
function methods:try(args, stdin)
  return self.cluster:run(args, { stdin = stdin })
end

--- site:kubectl(args, stdin) -> stdout                                  [waits]
-- The same; throws when it fails.
function methods:kubectl(args, stdin)
  local result = self:try(args, stdin)
  assert(result.status == 0, ("kubectl %s: %s"):format(table.concat(args, " "),
    result.stderr))
  return result.stdout
end

--- site:apply(text)                                                     [waits]
-- As a user applies a file; YAML or JSON.
function methods:apply(text)
  return self:kubectl({ "apply", "-f", "-" }, text)
end

--- site:get(kind, namespace, name) -> object | nil                      [waits]
function methods:get(kind, namespace, name)
  local object, err = self.client:get(kind, namespace, name)
  assert(object or err.kind == "notfound", err)
  return object
end

--- site:status(kind, namespace, name) -> status, {} while there is none   [waits]
function methods:status(kind, namespace, name)
  local object = self:get(kind, namespace, name)
  return object and object.status or {}
end

--- site:condition(kind, namespace, name, type) -> condition, {} when absent   [waits]
function methods:condition(kind, namespace, name, type)
  for _, condition in ipairs(self:status(kind, namespace, name).conditions or {}) do
    if condition.type == type then
      return condition
    end
  end
  return {}
end

--- site:wait_import(namespace, name, state, seconds) -> import          [waits]
-- Until importStatus is `state`; says what it was instead.
function methods:wait_import(namespace, name, state, seconds)
  local seen
  local ok, err = pcall(lab.wait_for, "state " .. state, function()
    seen = self:get("VirtualMachineImport", namespace, name)
    local now = seen and (seen.status or {}).importStatus
    assert(now == state or now ~= "VMMigrationFailed", "it has failed")
    return now == state
  end, seconds or 60)
  if not ok then
    error(("%s: import %s/%s is %s"):format(tostring(err), namespace, name,
      json.encode(seen and seen.status and {
        importStatus = seen.status.importStatus or "",
        conditions = seen.status.conditions or json.array({}),
      } or json.null)), 2)
  end
  return seen
end

--- site:wait_gone(kind, namespace, name, seconds)                       [waits]
function methods:wait_gone(kind, namespace, name, seconds)
  lab.wait_for(("%s %s/%s is gone"):format(kind, namespace, name), function()
    return not self:get(kind, namespace, name)
  end, seconds)
end

--- site:namespace() -> name                                             [waits]
-- A new one.
function methods:namespace()
  local name = "t-" .. digest.random(4)
  self:kubectl({ "create", "namespace", name })
  return name
end

--- site:secret(namespace, name, values)                                 [waits]
function methods:secret(namespace, name, values)
  self:apply(json.encode({
    apiVersion = "v1", kind = "Secret", type = "Opaque",
    metadata = { namespace = namespace, name = name },
    stringData = values,
  }))
end

--- site:source(namespace, name, sim, opts)                              [waits]
-- A VmwareSource and its Secret for a simulator.
--
--   opts.dc      (default DC0)
--   opts.secret  table: replaces fields of {username, password, caCert}; false removes
--   opts.spec    table: more for the source's spec
function methods:source(namespace, name, sim, opts)
  opts = opts or {}
  local secret = { username = "user", password = sim.password, caCert = sim.ca_pem }
  for key, value in pairs(opts.secret or {}) do
    secret[key] = value or nil
  end
  local spec = { endpoint = sim.url, dc = opts.dc or "DC0",
    credentials = { name = name .. "-creds", namespace = namespace } }
  for key, value in pairs(opts.spec or {}) do
    spec[key] = value
  end
  self:secret(namespace, name .. "-creds", secret)
  self:apply(json.encode({
    apiVersion = kinds.VmwareSource.api_version, kind = "VmwareSource",
    metadata = { namespace = namespace, name = name },
    spec = spec,
  }))
end

--- site:import(namespace, name, machine, spec)                          [waits]
-- Creates a VirtualMachineImport from VmwareSource `vc` of the namespace.
function methods:import(namespace, name, machine, spec)
  local whole = {
    virtualMachineName = machine,
    sourceCluster = {
      apiVersion = kinds.VmwareSource.api_version,
      kind = "VmwareSource", name = "vc", namespace = namespace,
    },
  }
  for key, value in pairs(spec or {}) do
    whole[key] = value
  end
  self:apply(json.encode({
    apiVersion = kinds.VirtualMachineImport.api_version, kind = "VirtualMachineImport",
    metadata = { namespace = namespace, name = name },
    spec = whole,
  }))
end

--- site:patch(kind, namespace, name, patch, opts)                       [waits]
-- A merge patch; opts.status: of the status.
function methods:patch(kind, namespace, name, patch, opts)
  return assert(self.client:patch(kind, namespace, name, patch, opts))
end

--- site:delete(kind, namespace, name)                                   [waits]
-- Does not wait for finalizers.
function methods:delete(kind, namespace, name)
  self:kubectl({ "-n", namespace, "delete", kind:lower(), name, "--wait=false" })
end

--- site:account() -> path                                               [waits]
-- The kubeconfig of the ServiceAccount of deploy/role.yaml, which may do what that says.
function methods:account()
  self:kubectl({ "apply", "-f", "deploy/role.yaml" })
  return self.cluster:service_account("harvester-system", "harvester-vm-import-controller")
end

--- site:leader() -> string                                              [waits]
-- The identity that holds the Lease of the replicas; "" when nobody does.
function methods:leader()
  local lease = self:get("Lease", LEASE_NAMESPACE, LEASE)
  return lease and lease.spec.holderIdentity or ""
end

--- site:bury()                                                          [waits]
-- Takes the Lease from a replica that is known to be dead: the next one need not wait.
function methods:bury()
  self:patch("Lease", LEASE_NAMESPACE, LEASE, { spec = { holderIdentity = "" } })
end

--- site:free_address() -> "127.0.0.1:PORT"                              [waits]
-- That nobody listens on now.
function methods.free_address()
  local server <close> = assert(images.serve({ host = "127.0.0.1", port = 0 }))
  return "127.0.0.1:" .. server:port()
end

--- site:close()                                                         [waits]
function methods:close()
  getmetatable(self.harvester).__close(self.harvester)
  self.client:close()
  self.cluster:close()
end

--- site.open(opts) -> site, to be closed                                [waits]
--
--   opts.harvester  list of flags of the stand-in
--   opts.kube       list of flags of kube-apiserver
--   site.client     kube.client, an administrator's
--   site.cluster    support.kube
--   site.harvester  support.harvester
function M.open(opts)
  local cluster = kube.start(table.unpack(opts and opts.kube or {}))
  cluster:install()
  local self = setmetatable({
    cluster = cluster,
    dir = cluster.folder,
    kubeconfig = cluster.env.KUBECONFIG,
    client = cluster:client(),
  }, mt)
  self.harvester = harvester_of.start(cluster,
    table.unpack(opts and opts.harvester or {}))
  self:apply(NETWORKS)
  return self
end

local controller = {}
local controller_mt = { __name = "support.controller", __index = controller }

--- running:log() -> text                                                [waits]
-- All that it has written so far.
function controller:log()
  return file.read(self.log_path, { max = 256 * 1024 * 1024 }) or ""
end

--- running:wait_log(text, seconds)                                      [waits]
function controller:wait_log(text, seconds)
  lab.wait_for(("the controller says %q"):format(text), function()
    return self:log():find(text, 1, true)
  end, seconds or 40)
end

--- running:signal(name)                                                 [waits]
--
--   name  "TERM", "KILL", "STOP", "CONT"
function controller:signal(name)
  local result = assert(process.run({ argv = { "kill", "-" .. name, self.pid } }))
  assert(result.status == 0, result.stderr)
end

--- running:wait(timeout) -> {status, signal}                            [waits]
-- Its end.
function controller:wait(timeout)
  local ok, result, err = self.runner:join(timeout or 60)
  assert(ok, result)
  return assert(result, err)
end

--- running:stop() -> {status, signal}                                   [waits]
function controller:stop()
  self:signal("TERM")
  return self:wait()
end

controller_mt.__close = function(self)
  self.runner:cancel(0)
end

local RUN = 'log=$1; echo $$ >"$2"; shift 2; exec "$@" 2>>"$log"'

--- site:controller(opts) -> running, to be closed                       [waits]
-- Starts `vm-import-controller` and returns when it leads.
--
--   opts.args        list of more arguments
--   opts.env         table, more environment
--   opts.through     list of words before the program's own: who runs it
--   opts.kubeconfig  path (default the administrator's)
--   opts.scratch     folder (default one of its own)
--   opts.listen      "HOST:PORT" (default any port); opts.metrics as well
--   opts.wait        boolean, false: return as soon as it runs
--   running.log_path, .scratch, .pid, .name: how its identity begins
function methods:controller(opts)
  opts = opts or {}
  local id = digest.random(4)
  local scratch = opts.scratch or self.dir .. "/scratch-" .. id
  assert(file.mkdir(scratch, { parents = true }))
  local variables = {
    KUBECONFIG = opts.kubeconfig or self.kubeconfig,
    SVC_ADDRESS = "127.0.0.1",
    HOSTNAME = "e2e-" .. id,
  }
  for key, value in pairs(opts.env or {}) do
    variables[key] = value
  end
  local log_path = ("%s/controller-%s.log"):format(self.dir, id)
  local pid_path = ("%s/controller-%s.pid"):format(self.dir, id)
  local command = table.move(opts.through or {}, 1, #(opts.through or {}), 1, {})
  for _, word in ipairs { lab.program, "controller",
    "--listen", opts.listen or "127.0.0.1:0", "--metrics-listen",
    opts.metrics or "127.0.0.1:0",
    "--scratch", scratch,
    "--deny-endpoints=none", -- all of the lab is on loopback
    table.unpack(opts.args or {}) } do
    command[#command + 1] = word
  end
  local runner = task.spawn(process.run, {
    argv = { "sh", "-c", RUN, "sh", log_path, pid_path, table.unpack(command) },
    env = variables,
    timeout = 7200,
  })
  local running = setmetatable({ runner = runner, scratch = scratch, log_path = log_path,
    name = variables.HOSTNAME }, controller_mt)
  running.pid = lab.wait_for("the controller runs", function()
    return (file.read(pid_path) or ""):match("^(%d+)\n")
  end)
  if opts.wait ~= false then
    lab.wait_for("the controller leads", function()
      assert(not runner:done(), running:log())
      return running:log():find('"leading"', 1, true)
    end, 40)
  end
  return running
end

return M
