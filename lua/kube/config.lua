--- kube.config: where the API server is and who we are.
--
-- The files of KUBECONFIG, merged, or ~/.kube/config, or the pod's ServiceAccount.
-- Source: the kubeconfig v1 format; client-go's rules for which value wins.

local digest = require "host.digest"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local json = require "host.json"
local process = require "host.process"
local time = require "host.time"
local yaml = require "host.yaml"

local M = {}

local ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
local TOKEN_FOR = 60          -- seconds until a token file is read again
local PLUGIN_WITHIN = 60      -- seconds

local function invalid(fmt, ...)
  return errors.new("invalid", fmt:format(...))
end

local function by_name(list, name, what, path)
  for _, entry in ipairs(list or {}) do
    if entry.name == name then
      return entry
    end
  end
  error(invalid("kubeconfig %s: no %s is called %q", path, what, tostring(name)))
end

-- The text of NAME-data (base64) or of the file that NAME names, beside the kubeconfig.
local function text_of(entry, name, folder)
  local data = entry[name .. "-data"]
  if data and data ~= "" then
    return assert(digest.base64_decode(data))
  end
  local path = entry[name]
  if not path or path == "" then
    return nil
  end
  if path:sub(1, 1) ~= "/" then
    path = folder .. "/" .. path
  end
  return assert(file.read(path))
end

-- A function that reads the token again once in a while, and when `again` is set.
local function token_file(path)
  local token, read_at
  return function(again)
    local now = time.monotonic()
    if again or not token or now - read_at > TOKEN_FOR then
      token, read_at = assert(file.read(path)):gsub("%s+$", ""), now
    end
    return token
  end
end

local function run_plugin(exec)
  local argv = { exec.command }
  for _, arg in ipairs(exec.args or {}) do
    argv[#argv + 1] = arg
  end
  local extra = {
    KUBERNETES_EXEC_INFO = json.encode({
      apiVersion = exec.apiVersion,
      kind = "ExecCredential",
      spec = { interactive = false },
    }),
    PATH = env.get("PATH"), HOME = env.get("HOME"),
  }
  for _, variable in ipairs(exec.env or {}) do
    extra[variable.name] = variable.value
  end
  local result = assert(process.run({
    argv = argv,
    env = extra,
    timeout = PLUGIN_WITHIN,
  }))
  if result.status ~= 0 then
    error(errors.new("denied", ("credential plugin %s: exit code %s"):format(exec.command,
      tostring(result.status))))
  end
  local credential = assert(json.decode(result.stdout))
  return assert(credential.status, "credential plugin " .. exec.command .. ": no status")
end

local function plugin_token(exec)
  local token, expires
  return function(again)
    if again or not token or expires and time.now() > expires - 10 then
      local status = run_plugin(exec)
      token = status.token
      expires = status.expirationTimestamp and time.parse(status.expirationTimestamp)
    end
    return token
  end
end

local function basic(user)
  local pair = digest.base64_encode(user.username .. ":" .. (user.password or ""))
  return function()
    return { Authorization = "Basic " .. pair }
  end
end

-- A function (again) -> request headers.
local function headers_of(user, folder)
  local token
  if user.exec then
    token = plugin_token(user.exec)
  elseif user.tokenFile and user.tokenFile ~= "" then
    local path = user.tokenFile
    token = token_file(path:sub(1, 1) == "/" and path or folder .. "/" .. path)
  elseif user.token and user.token ~= "" then
    token = function()
      return user.token
    end
  elseif user.username then
    return basic(user)
  end
  return function(again)
    return token and { Authorization = "Bearer " .. token(again) } or {}
  end
end

-- All files of a KUBECONFIG list as one: the first that names something wins.
local function read_files(list)
  local merged, first = { clusters = {}, users = {}, contexts = {} }, nil
  for path in list:gmatch("[^:]+") do
    local text, err = file.read(path)
    if text then
      local config = assert(yaml.parse(text, { what = path }))[1] or {}
      first = first or path
      merged["current-context"] = merged["current-context"] or config["current-context"]
      for _, what in ipairs { "clusters", "users", "contexts" } do
        for _, entry in ipairs(config[what] or {}) do
          entry.folder = path:match("^(.*)/[^/]*$") or "."
          table.insert(merged[what], entry)
        end
      end
    elseif err.kind ~= "notfound" then
      error(err)
    end
  end
  return merged, first
end

local function from_files(list)
  local merged, path = read_files(list)
  if not path then
    return nil
  end
  local context = by_name(merged.contexts, merged["current-context"], "context", path)
    .context
  local cluster = by_name(merged.clusters, context.cluster, "cluster", path)
  local user = by_name(merged.users, context.user, "user", path)
  if cluster.cluster["insecure-skip-tls-verify"] then
    error(invalid("kubeconfig %s: insecure-skip-tls-verify is not supported; give "
      .. "certificate-authority-data", path))
  end
  return {
    url = cluster.cluster.server:gsub("/+$", ""),
    tls = {
      ca = text_of(cluster.cluster, "certificate-authority", cluster.folder),
      cert = text_of(user.user, "client-certificate", user.folder),
      key = text_of(user.user, "client-key", user.folder),
    },
    namespace = context.namespace or "default",
    headers = headers_of(user.user, user.folder),
  }
end

local function in_cluster()
  local host = env.get("KUBERNETES_SERVICE_HOST")
  local port = env.get("KUBERNETES_SERVICE_PORT")
  if not host or not port then
    return nil, invalid("no Kubernetes API to talk to: KUBECONFIG is not set, there is "
      .. "no ~/.kube/config, and this is not a pod")
  end
  if host:find(":", 1, true) then
    host = "[" .. host .. "]"
  end
  local token = token_file(ACCOUNT .. "/token")
  return {
    url = ("https://%s:%s"):format(host, port),
    tls = { ca = assert(file.read(ACCOUNT .. "/ca.crt")) },
    namespace = assert(file.read(ACCOUNT .. "/namespace")):gsub("%s+$", ""),
    headers = function(again)
      return { Authorization = "Bearer " .. token(again) }
    end,
  }
end

--- config.load() -> config | nil, err                                   [waits]
--
--   config.url        string    "https://host:port"
--   config.tls        table     {ca, cert, key}, PEM
--   config.namespace  string    ours
--   config.headers    function  (again) -> request headers [waits]; again: after a 401
--   err               invalid   nothing says where the API is, or what does is wrong
function M.load()
  local ok, config = pcall(function()
    local list = env.get("KUBECONFIG")
    if list and list ~= "" then
      return from_files(list) or error(invalid("KUBECONFIG=%s: no such file", list))
    end
    local home = env.get("HOME")
    if home and not env.get("KUBERNETES_SERVICE_HOST") then
      return from_files(home .. "/.kube/config")
    end
    return nil
  end)
  if not ok then
    return nil, errors.of(config)
  elseif config then
    return config
  end
  return in_cluster()
end

return M
