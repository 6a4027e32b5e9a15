--- support.kube: a real API server (spec/labs/kube) for a spec file: started once, asked
-- with kubectl and with kube.client, stopped and hurt.

local client = require "kube.client"
local config = require "kube.config"
local digest = require "host.digest"
local file = require "host.file"
local json = require "host.json"
local kinds = require "base.kinds"
local lab = require "support.lab"
local process = require "host.process"
local task = require "host.task"

local M = {}

local HERE = "spec/labs/kube/"

local methods = {}
local mt = { __name = "support.kube", __index = methods }

local function script(name, args, env)
  local result = assert(process.run({
    argv = { HERE .. name, table.unpack(args) },
    env = env,
    inherit = true,
    timeout = 1200, -- the first one ever builds the programs
  }))
  assert(result.status == 0, name .. ": " .. result.stderr)
  return result.stdout
end

--- cluster:up(...)                                                      [waits]
-- Starts again what does not run, on the same data.
--
--   ...  flags for kube-apiserver
function methods:up(...)
  local said = script("up", { self.folder, ... })
  for name, value in said:gmatch("(KUBE[%w_]*)=([^\n]*)") do
    self.env[name] = value
  end
end

--- cluster:down(how, name)                                              [waits]
--
--   how   "keep" (SIGTERM) | "kill" (SIGKILL)
--   name  "etcd" | "kube-apiserver" | nil: all
function methods:down(how, name)
  script("down", { self.folder, "--" .. how, name })
end

local function is_stopped(pid)
  for _, thread in ipairs(file.list(("/proc/%s/task"):format(pid)) or {}) do
    local stat = file.read(("/proc/%s/task/%s/stat"):format(pid, thread))
    if stat and not stat:find("%) [Tt] ") then
      return false
    end
  end
  return true
end

--- cluster:signal(name, signal)                                         [waits]
-- Until it stands still, if that is what it is to do: threads go on for a moment.
--
--   signal  "STOP", "CONT", "TERM"
function methods:signal(name, signal)
  local pid = assert(file.read(("%s/%s.pid"):format(self.folder, name))):match("%d+")
  local result = assert(process.run({ argv = { "kill", "-" .. signal, pid } }))
  assert(result.status == 0, result.stderr)
  while signal == "STOP" and not is_stopped(pid) do
    task.sleep(0.001)
  end
end

--- cluster:run(args, opts) -> {status, stdout, stderr}                  [waits]
-- kubectl.
--
--   args             list
--   opts.kubeconfig  path (default: who may do all)
--   opts.stdin       string
function methods:run(args, opts)
  return assert(process.run({
    argv = { self.env.KUBE_BIN .. "/kubectl",
      "--kubeconfig=" .. (opts and opts.kubeconfig or self.env.KUBECONFIG),
      table.unpack(args) },
    stdin = opts and opts.stdin,
    timeout = 120,
    max_output = 64 << 20, -- the metrics of a server
  }))
end

--- cluster:kubectl(...) -> stdout                                       [waits]
-- Throws when it fails.
function methods:kubectl(...)
  local result = self:run({ ... })
  assert(result.status == 0, result.stderr)
  return result.stdout
end

--- cluster:apply(object) -> stdout                                      [waits]
--
--   object  table, or YAML text
function methods:apply(object)
  local result = self:run({ "apply", "-f", "-" }, {
    stdin = type(object) == "string" and object or json.encode(object),
  })
  assert(result.status == 0, result.stderr)
  return result.stdout
end

--- cluster:install()                                                    [waits]
-- The CRDs of the outside world and ours.
function methods:install()
  script("install", { self.folder, "--ours" })
end

--- cluster:namespace() -> name                                          [waits]
-- A fresh one.
function methods:namespace()
  local name = "t-" .. digest.random(4)
  self:kubectl("create", "namespace", name)
  return name
end

--- cluster:service_account(namespace, name, opts) -> path               [waits]
-- The kubeconfig of a ServiceAccount, made if it is not there.
--
--   opts.token_file  boolean  the token in a file beside it; again: it is rotated
function methods:service_account(namespace, name, opts)
  local said = script("serviceaccount", { self.folder, namespace .. "/" .. name,
    opts and opts.token_file and "--token-file" or nil })
  return (said:gsub("%s+$", ""))
end

--- cluster:config(path) -> kube.config                                  [waits]
--
--   path  of a kubeconfig (default: who may do all)
function methods:config(path)
  return assert(config.load({ env = function(name)
    return name == "KUBECONFIG" and (path or self.env.KUBECONFIG) or nil
  end }))
end

--- cluster:client(opts) -> kube.client, to be closed                    [waits]
-- opts as client.new's.
function methods:client(opts)
  local all = { config = opts and opts.config or self:config(), kinds = kinds }
  for name, value in pairs(opts or {}) do
    all[name] = value
  end
  return assert(client.new(all))
end

--- cluster:close()                                                      [waits]
-- Ends its programs and removes its files.
function methods:close()
  assert(self.keeper:cancel())
end

--- kube.start(...) -> cluster, to be closed                             [waits]
--
--   ...              flags for kube-apiserver
--   cluster.folder   its files
--   cluster.env      KUBECONFIG, KUBE_LIMITED, KUBE_ETCD ... as `up` prints them
function M.start(...)
  local made = assert(process.run({ argv = { "mktemp", "-d", "/tmp/vic-kube.XXXXXX" } }))
  local self = setmetatable({ folder = made.stdout:gsub("%s+$", ""), env = {} }, mt)
  -- Also when the whole run is ended in the middle.
  self.keeper = task.spawn(function()
    local guard <close> = setmetatable({}, { __close = function()
      task.goodbye(script, "down", { self.folder })
    end })
    assert(guard)
    while true do
      task.sleep(3600)
    end
  end)
  self:up(...)
  return self
end

--- kube.eventually(what, check, seconds) -> value                       [waits]
-- As lab.wait_for.
M.eventually = lab.wait_for

return M
