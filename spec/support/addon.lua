--- support.addon: the addon on a site: installed with helm, its pods run by support.pod,
-- its Service played by the stand-in for Harvester.

local digest = require "host.digest"
local helm = require "support.helm"
local json = require "host.json"
local pod = require "support.pod"
local site_of = require "support.site"
local yaml = require "host.yaml"

local M = {}

M.namespace = "harvester-system"
M.name = "harvester-vm-import-controller"

local SERVICE = M.name .. "." .. M.namespace .. ".svc:8080"

local methods = {}
local mt = { __name = "support.addon", __index = methods }

--- addon:helm(...) -> stdout                                            [waits]
function methods:helm(...)
  return helm.run({ ... }, self.site.kubeconfig)
end

--- addon:install(...)                                                   [waits]
-- As Harvester installs it, over what is there.
--
--   ...  more flags
function methods:install(...)
  return helm.run({ "upgrade", "--install", "vm-import-controller", helm.chart,
    "--namespace", M.namespace, "--values", "spec/deploy/values/addon.yaml", ... },
    self.site.kubeconfig)
end

--- addon:deployment() -> object                                         [waits]
function methods:deployment()
  return json.decode(self.site:kubectl({ "-n", M.namespace, "get", "deployment", M.name,
    "-o", "json" }))
end

--- addon:hook() -> object                                               [waits]
-- The Job that runs before it is uninstalled.
function methods:hook()
  local text = helm.run({ "get", "hooks", "vm-import-controller", "--namespace",
    M.namespace }, self.site.kubeconfig)
  for _, document in ipairs(assert(yaml.parse(text, { what = "hooks" }))) do
    if document.kind == "Job" then
      return document
    end
  end
end

--- addon:pod(n, opts) -> pod, to be closed                              [waits]
-- Of the Deployment, as it stands in the cluster.
--
--   n  the pod's address ends in it
function methods:pod(n, opts)
  local all = { address = ("%s.%d"):format(self.network, n) }
  for key, value in pairs(opts or {}) do
    all[key] = value
  end
  return pod.start(self.site, self:deployment().spec.template.spec, all)
end

--- addon:serve(pod)                                                     [waits]
-- The Service sends requests there from now on.
function methods:serve(target)
  self.site.harvester:resolve({ [SERVICE] = target.address .. ":8080" })
end

--- addon:metric(pod, pattern) -> number                                 [waits]
-- The sum of the samples whose lines match.
function methods:metric(target, pattern)
  local sum = 0
  for line in assert(target:get("/metrics")).body:gmatch("[^\n]+") do
    local value = line:find("^" .. pattern) and line:match(" (%S+)$")
    sum = sum + (tonumber(value) or 0)
  end
  return sum
end

function methods:close()
  self.site:close()
end

--- addon.open(opts) -> addon, to be closed                              [waits]
-- A cluster whose namespace harvester-system takes restricted pods only.
--
--   opts  as site.open's
function M.open(opts)
  local site = site_of.open(opts)
  site:try({ "create", "namespace", M.namespace })
  site:kubectl({ "label", "--overwrite", "namespace", M.namespace,
    "pod-security.kubernetes.io/enforce=restricted" })
  local network = tonumber(digest.random(2), 16)
  return setmetatable({
    site = site,
    network = ("127.%d.%d"):format(64 + network % 64, network // 64 % 256),
  }, mt)
end

return M
