--- support.cloud: an OpenStack that nothing is known of but how to log in: the site of the
-- variables OS_*, whose server OS_VM_NAME is imported and stopped by that; without them the
-- lab of support.openstack, seen the same way.

local env = require "host.env"
local file = require "host.file"
local http = require "host.http"
local json = require "host.json"
local openstack = require "support.openstack"

local M = {}

local VARIABLES = { "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_USER_DOMAIN_NAME",
  "OS_PROJECT_DOMAIN_NAME" }
local TYPES = { volume = { "volumev3", "block-storage" }, image = { "image" } }

local methods = {}
local mt = { __name = "support.cloud", __index = methods }

local function of_lab()
  local lab = openstack.cloud()
  lab:reset()
  return { auth_url = lab.auth_url, region = lab.region, machine = "lone", ca = lab.ca,
    secret = { OS_USERNAME = lab.username, OS_PASSWORD = lab.password,
      OS_PROJECT_NAME = lab.project, OS_USER_DOMAIN_NAME = lab.domain } }
end

local function of_variables()
  local site = { auth_url = env.get("OS_AUTH_URL"), region = env.get("OS_REGION_NAME"),
    machine = assert(env.get("OS_VM_NAME"), "OS_VM_NAME: which server?"), secret = {} }
  for _, name in ipairs(VARIABLES) do
    site.secret[name] = env.get(name)
  end
  local ca = env.get("OS_CACERT")
  site.ca = ca and assert(file.read(ca))
  return site
end

--- cloud:with_secret(more) -> table, cloud:spec() -> table
-- stringData of the Secret, and the source's spec.
function methods:with_secret(more)
  local secret = { ca_cert = self.ca }
  for _, values in ipairs { self.secret, more or {} } do
    for key, value in pairs(values) do
      secret[key] = value
    end
  end
  return secret
end

function methods:spec()
  return { endpoint = self.auth_url, region = self.region,
    credentials = { name = "site", namespace = "default" } }
end

--- cloud:objects(name, opts) -> text
-- Secret, source `site` and an import of this name.
--
--   opts.secret, opts.source, opts.import  tables: more of each
function methods:objects(name, opts)
  local group = "migration.harvesterhci.io/v1beta1"
  local function object(version, kind, called, fields)
    return json.encode({ apiVersion = version, kind = kind, spec = fields.spec,
      metadata = { name = called, namespace = "default" }, stringData = fields.secret })
  end
  local source, import = self:spec(), { virtualMachineName = self.machine, sourceCluster = {
    apiVersion = group, kind = "OpenstackSource", name = "site", namespace = "default" } }
  for key, value in pairs(opts.source or {}) do
    source[key] = value
  end
  for key, value in pairs(opts.import or {}) do
    import[key] = value
  end
  return table.concat({
    object("v1", "Secret", "site", { secret = self:with_secret(opts.secret) }),
    object(group, "OpenstackSource", "site", { spec = source }),
    object(group, "VirtualMachineImport", name, { spec = import }),
  }, "\n---\n") .. "\n"
end

local function exchange(self, request)
  request.headers["Content-Type"] = "application/json"
  request.timeout = 120
  request.max_body = 2 ^ 26 | 0
  local pool = http.pool { tls = self.ca and { ca = self.ca } or {} }
  local answer = assert(pool:request(request))
  pool:close()
  assert(answer.status < 300, ("%s: %d %s"):format(request.url, answer.status, answer.body))
  return json.decode(answer.body), answer
end

local function log_in(self)
  local secret = self.secret
  local document, answer = exchange(self, {
    method = "POST", url = self.auth_url:gsub("/+$", ""):gsub("/v3$", "")
      .. "/v3/auth/tokens",
    headers = {}, body = json.encode { auth = {
      identity = { methods = { "password" }, password = { user = {
        name = secret.OS_USERNAME, password = secret.OS_PASSWORD,
        domain = { name = secret.OS_USER_DOMAIN_NAME } } } },
      scope = { project = { name = secret.OS_PROJECT_NAME, domain = {
        name = secret.OS_PROJECT_DOMAIN_NAME or secret.OS_USER_DOMAIN_NAME } } },
    } },
  })
  return document.token.catalog, answer.headers["x-subject-token"]
end

local function url_of(self, catalog, kind)
  for _, wanted in ipairs(TYPES[kind]) do
    for _, service in ipairs(catalog) do
      for _, endpoint in ipairs(service.type == wanted and service.endpoints or {}) do
        if endpoint.interface == "public"
          and (not self.region or endpoint.region == self.region) then
          return (endpoint.url:gsub("/+$", ""):gsub("/v2$", ""))
        end
      end
    end
  end
  error("the catalogue has no " .. kind)
end

--- cloud:ours() -> sorted list of "kind name"                           [waits]
-- Volumes, snapshots and images of the project that bear an import's name.
function methods:ours()
  local catalog, token = log_in(self)
  local found = {}
  for _, place in ipairs {
    { "volumes", "volume", "/volumes" }, { "snapshots", "volume", "/snapshots" },
    { "images", "image", "/v2/images?visibility=private&limit=1000" },
  } do
    local document = exchange(self, { url = url_of(self, catalog, place[2]) .. place[3],
      headers = { ["X-Auth-Token"] = token } })
    for _, object in ipairs(document[place[1]]) do
      if tostring(object.name):find("^vm%-import%-") then
        found[#found + 1] = place[1] .. " " .. object.name
      end
    end
  end
  table.sort(found)
  return found
end

--- cloud.is_site: whether the variables name one.
M.is_site = (env.get("OS_AUTH_URL") or "") ~= ""

--- cloud.open() -> cloud                                                [waits]
function M.open()
  return setmetatable(M.is_site and of_variables() or of_lab(), mt)
end

return M
