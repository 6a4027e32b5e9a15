--- support.pod: a pod of the chart's Deployment, or of its Job, as a process: the image's
-- root file system, read-only; the ServiceAccount's token; the arguments and environment
-- of the pod's spec; no privileges. Its address is one of the loopback's.

local digest = require "host.digest"
local env = require "host.env"
local file = require "host.file"
local http = require "host.http"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local M = {}

--- pod.root: the root file system of the image, made by scripts/image.
M.root = (env.get("VIC_BUILD") or "build") .. "/image/root"

local methods = {}
local mt = { __name = "support.pod", __index = methods }

--- pod:log() -> text                                                    [waits]
-- All that it has written so far.
function methods:log()
  return file.read(self.log_path, { max = 64 * 1024 * 1024 }) or ""
end

--- pod:signal(name)                                                     [waits]
function methods:signal(name)
  local result = assert(process.run({ argv = { "kill", "-" .. name, self.pid } }))
  assert(result.status == 0, result.stderr)
end

--- pod:wait(timeout) -> {status, signal, stdout}                        [waits]
-- Its end.
function methods:wait(timeout)
  local ok, result, err = self.runner:join(timeout or 60)
  assert(ok, result)
  return assert(result, err)
end

--- pod:stop() -> {status, signal}                                       [waits]
-- As the kubelet stops it.
function methods:stop()
  self:signal("TERM")
  return self:wait()
end

--- pod:kill()                                                           [waits]
function methods:kill()
  self:signal("KILL")
  self:wait()
end

--- pod:get(path) -> answer | nil, err                                   [waits]
-- Of its health and metrics port.
function methods:get(path)
  return http.request({ url = ("http://%s:8081%s"):format(self.address, path),
    timeout = 5 })
end

--- pod:is_ready() -> boolean                                            [waits]
-- Whether its readiness probe would find it ready.
function methods:is_ready()
  local answer = self:get("/readyz")
  return answer ~= nil and answer.status == 200
end

--- pod:wait_ready(seconds)                                              [waits]
function methods:wait_ready(seconds)
  local ok, err = pcall(lab.wait_for, "ready", function()
    return self.runner:done() or self:is_ready()
  end, seconds or 40)
  if not ok or self.runner:done() then
    error(("the pod at %s is not ready: %s: %s"):format(self.address, tostring(err),
      self:log()))
  end
end

mt.__close = function(self)
  self.runner:cancel(0)
end

-- The files that the kubelet mounts for a ServiceAccount.
local function account_of(site, namespace, name)
  local dir = ("%s/account-%s-%s"):format(site.dir, namespace, name)
  assert(file.mkdir(dir, { parents = true }))
  local token = site:kubectl({ "-n", namespace, "create", "token", name,
    "--duration=2h" }):gsub("%s+$", "")
  assert(file.write(dir .. "/token", token, { mode = 420 }))
  assert(file.write(dir .. "/namespace", namespace, { mode = 420 }))
  assert(file.write(dir .. "/ca.crt", assert(file.read(site.dir .. "/ca.crt")),
    { mode = 420 }))
  return dir
end

-- The container's environment, and nothing else.
local function environment(site, container, address, id)
  local host, port = site.cluster.env.KUBE_SERVER:match("^https://(.-):(%d+)$")
  local list = { "PATH=/usr/bin:/bin", "HOSTNAME=pod-" .. id,
    "KUBERNETES_SERVICE_HOST=" .. host, "KUBERNETES_SERVICE_PORT=" .. port }
  for _, variable in ipairs(container.env or {}) do
    local value = variable.value
    local from = variable.valueFrom and variable.valueFrom.fieldRef
    if from then
      assert(from.fieldPath == "status.podIP", from.fieldPath)
      value = address
    end
    list[#list + 1] = variable.name .. "=" .. value
  end
  return list
end

-- A volume at /tmp, for its user alone; "": the pod has none.
local function scratch_of(site, container, opts, id)
  if #(container.volumeMounts or {}) == 0 then
    return ""
  end
  assert(container.volumeMounts[1].mountPath == "/tmp")
  local dir = opts.scratch or ("%s/volume-%s"):format(site.dir, id)
  assert(file.mkdir(dir, { parents = true }))
  local result = assert(process.run({ argv = { "chown", opts.uid, dir } }))
  assert(result.status == 0, result.stderr)
  return dir
end

--- pod.start(site, spec, opts) -> pod, to be closed                     [waits]
--
--   site          support.site
--   spec          a pod template's spec, of namespace harvester-system
--   opts.address  loopback address that stands for the pod's; nil: it serves nothing
--   opts.uid      string, any user id                                (default "12345")
--   opts.scratch  folder that is its volume (default a new one)
--   pod.name      how its identity begins
function M.start(site, spec, opts)
  local id = digest.random(4)
  opts.uid = opts.uid or "12345"
  local container = spec.containers[1]
  local base = ("%s/pod-%s"):format(site.dir, id)
  local argv = { "spec/support/pod.sh", base .. ".pid", base .. ".log", M.root,
    account_of(site, "harvester-system", spec.serviceAccountName),
    scratch_of(site, container, opts, id), opts.uid, "/usr/bin/vm-import-controller",
    table.unpack(container.args) }
  argv[#argv + 1] = "--deny-endpoints=none" -- all of the lab is on loopback
  if opts.address then
    argv[#argv + 1] = ("--listen=%s:8080"):format(opts.address)
    argv[#argv + 1] = ("--metrics-listen=%s:8081"):format(opts.address)
  end
  local clean = { "env", "-i", table.unpack(environment(site, container, opts.address, id)) }
  local runner = task.spawn(process.run, {
    argv = table.move(argv, 1, #argv, #clean + 1, clean),
    timeout = 7200,
  })
  local self = setmetatable({ runner = runner, address = opts.address,
    log_path = base .. ".log", name = "pod-" .. id }, mt)
  self.pid = lab.wait_for("the pod runs", function()
    if runner:done() then
      local result = self:wait()
      error(result.stderr .. self:log())
    end
    return (file.read(base .. ".pid") or ""):match("^(%d+)\n")
  end)
  return self
end

return M
