--- support.openstack: the OpenStack of spec/labs/openstack, as the specs see it.

local env = require "host.env"
local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local support = require "support.lab"
local task = require "host.task"

local M = {}

local BUILD = env.get("VIC_BUILD") or "build"

local methods = {}
local mt = { __name = "support.openstack", __index = methods }

local PATHS = { identity = "/v3", image = "/v2", network = "/v2.0", compute = "/v2.1" }

-- What a gate of the proxy is called; it is a part of a URL.
local function gate_of(match)
  return (match:gsub("%W", "_"))
end

-- A service keeps only so many connections open: all requests share a few.
local pool = http.pool {}

local function exchange(method, url, body, headers)
  headers = headers or {}
  headers["Content-Type"] = "application/json"
  local answer = assert(pool:request({ method = method, url = url, headers = headers,
    body = body and json.encode(body), timeout = 120 }))
  assert(answer.status < 300, ("%s %s: %d %s"):format(method, url, answer.status,
    answer.body))
  return answer.body ~= "" and json.decode(answer.body) or {}, answer
end

--- cloud:call(method, service, path, body, version) -> document         [waits]
-- As the project's administrator, not through the proxy; throws what is no success.
--
--   version  a microversion: "volume 3.42"; optional
function methods:call(method, service, path, body, version)
  if not self.token then
    local _, answer = exchange("POST", self.urls.identity .. "/v3/auth/tokens", {
      auth = {
        identity = { methods = { "password" }, password = { user = {
          name = self.admin, domain = { id = "default" }, password = self.password } } },
        scope = { project = { id = self.project_id } },
      },
    })
    self.token = answer.headers["x-subject-token"]
  end
  local prefix = PATHS[service] or "/v3/" .. self.project_id
  return (exchange(method, self.urls[service] .. prefix .. path, body,
    { ["X-Auth-Token"] = self.token, ["OpenStack-API-Version"] = version }))
end

--- cloud:inventory() -> sorted list of "kind id name"                   [waits]
-- All volumes, snapshots and images there are.
function methods:inventory()
  local list = {}
  for kind, place in pairs {
    volumes = { "volume", "/volumes/detail" }, snapshots = { "volume", "/snapshots/detail" },
    images = { "image", "/images?limit=500" },
  } do
    for _, object in ipairs(self:call("GET", place[1], place[2])[kind]) do
      list[#list + 1] = ("%s %s %s"):format(kind, object.id, object.name)
    end
  end
  table.sort(list)
  return list
end

--- cloud:status(server) -> text                                         [waits]
function methods:status(server)
  return self:call("GET", "compute", "/servers/" .. self.servers[server]).server.status
end

--- cloud:start(server)                                                  [waits]
-- Until it is ACTIVE.
function methods:start(server)
  if self:status(server) ~= "ACTIVE" then
    self:call("POST", "compute", ("/servers/%s/action"):format(self.servers[server]),
      { ["os-start"] = json.null })
    support.wait_for(server .. " is ACTIVE", function()
      return self:status(server) == "ACTIVE"
    end, 60)
  end
end

--- cloud:fault(fault), cloud:calm(name), cloud:reset(), cloud:seen() -> state   [waits]
-- The proxy's control port (spec/labs/openstack/services/proxy.py).
function methods:fault(fault)
  exchange("POST", self.control .. "/faults", fault)
end

function methods:calm(name)
  exchange("POST", self.control .. "/calm/" .. name)
end

function methods:reset()
  exchange("POST", self.control .. "/reset")
end

function methods:seen()
  return (exchange("GET", self.control .. "/state"))
end

--- cloud:hold(match, more)                                             [waits]
-- From now on requests that match wait at the proxy; `more`: of the fault. cloud:held(match)
-- returns when one does; cloud:let_go(match) passes on those there are and all to come.
function methods:hold(match, more)
  local fault = { match = match, gate = gate_of(match) }
  for key, value in pairs(more or {}) do
    fault[key] = value
  end
  self:fault(fault)
end

function methods:held(match)
  local gate = gate_of(match)
  support.wait_for("a request waits: " .. match, function()
    for _, name in ipairs(self:seen().waiting) do
      if name == gate then
        return true
      end
    end
  end, 300)
end

function methods:let_go(match)
  exchange("POST", self.control .. "/open/" .. gate_of(match))
end

local function with(base, more)
  for key, value in pairs(more or {}) do
    base[key] = value or nil
  end
  return base
end

--- cloud:secret(more) -> table, cloud:source(more) -> table
-- stringData and spec, as upstream's example has them; `more` replaces fields, false
-- removes one.
function methods:secret(more)
  return with({ username = self.username, password = self.password,
    project_name = self.project, domain_name = "default", ca_cert = self.ca }, more)
end

function methods:source(more)
  return with({ endpoint = self.auth_url, region = self.region,
    credentials = { name = "devstack-credentials", namespace = "default" } }, more)
end

--- cloud:objects(opts) -> YAML text
--
--   opts.machine  virtualMachineName
--   opts.secret, opts.source, opts.spec  tables: more, or false
function methods:objects(opts)
  local group = "migration.harvesterhci.io/v1beta1"
  local function object(api_version, kind, name, fields)
    return json.encode(with({ apiVersion = api_version, kind = kind,
      metadata = { name = name, namespace = "default" } }, fields))
  end
  return table.concat({
    object("v1", "Secret", "devstack-credentials",
      { stringData = self:secret(opts.secret) }),
    object(group, "OpenstackSource", "devstack", { spec = self:source(opts.source) }),
    object(group, "VirtualMachineImport", opts.name or "vm", { spec = with({
      virtualMachineName = opts.machine,
      networkMapping = {
        { sourceNetwork = "shared", destinationNetwork = "default/vlan1" },
        { sourceNetwork = "public", destinationNetwork = "default/vlan2" },
      },
      sourceCluster = { apiVersion = group, kind = "OpenstackSource", name = "devstack",
        namespace = "default" },
    }, opts.spec) }),
  }, "\n---\n") .. "\n"
end

--- cloud:args(folder, opts) -> list of arguments                        [waits]
-- Of `import` into folder/out; opts as cloud:objects has them.
function methods:args(folder, opts)
  assert(file.write(folder .. "/vm.yaml", self:objects(opts)))
  return { "import", "-f", folder .. "/vm.yaml", "--output", folder .. "/out" }
end

--- cloud:import(folder, opts) -> {status, signal, stdout, stderr}       [waits]
function methods:import(folder, opts)
  return support.run(self:args(folder, opts), { timeout = 1500 })
end

--- cloud:quota(limits)                                                  [waits]
-- Of the project's volumes; nil: Cinder's own again. One that has been set may not be set
-- below what there is, so each begins with these.
function methods:quota(limits)
  local path = "/os-quota-sets/" .. self.project_id
  self:call("DELETE", "volume", path)
  if limits then
    self:call("PUT", "volume", path, { quota_set = limits })
  end
end

--- cloud:remove(name)                                                   [waits]
-- All whose names begin with it, and the snapshots of such volumes.
function methods:remove(name)
  local function all(service, path, key)
    local found = {}
    for _, object in ipairs(self:call("GET", service, path)[key]) do
      if object.name:sub(1, #name) == name then
        found[#found + 1] = object.id
      end
    end
    return found
  end
  local function gone(service, path, key, query)
    local list = all(service, path, key)
    for _, id in ipairs(list) do
      pcall(self.call, self, "DELETE", service, ("/%s/%s%s"):format(key, id, query))
    end
    support.wait_for(key .. " " .. name .. " are gone", function()
      task.sleep(#list > 0 and 0.3 or 0)
      return #all(service, path, key) == 0
    end, 120)
  end
  gone("compute", "/servers", "servers", "")
  gone("image", "/images?limit=500", "images", "")
  gone("volume", "/volumes/detail", "volumes", "?cascade=true")
  gone("volume", "/snapshots/detail", "snapshots", "")
end

-- Mends the cloud that a spec had hurt before it was killed.
local function heal(cloud)
  cloud:remove("living-")
  cloud:remove("vm-import-")
  for _, path in ipairs { "/bin/qemu-img", "/nova/disks/format" } do
    assert(file.remove(cloud.folder .. path, { missing_ok = true }))
  end
  if file.stat(cloud.folder .. "/glance/away") then
    assert(file.rename(cloud.folder .. "/glance/away", cloud.folder .. "/glance/images"))
  end
  cloud:quota()
  cloud:call("POST", "compute", ("/servers/%s/action"):format(cloud.servers.lone),
    { unlock = json.null })
  for _, id in pairs(cloud.volumes) do
    if cloud:call("GET", "volume", "/volumes/" .. id).volume.status == "error" then
      cloud:call("POST", "volume", ("/volumes/%s/action"):format(id),
        { ["os-reset_status"] = { status = "in-use" } })
    end
  end
  cloud:reset()
end

--- openstack.cloud() -> cloud                                           [waits]
-- The one that `spec/labs/openstack/up BUILD/openstack` has started; its lab.json.
function M.cloud()
  local path = BUILD .. "/openstack/lab.json"
  local cloud = assert(json.decode(assert(file.read(path))))
  cloud = setmetatable(cloud, mt)
  heal(cloud)
  return cloud
end

return M
