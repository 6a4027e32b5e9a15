--- kube.config: where the API server is and who we are.
--
-- The files of KUBECONFIG, merged, or ~/.kube/config, or the pod's ServiceAccount. What
-- is in files is read again when the server refuses us: tokens and CAs rotate.
-- Source: the kubeconfig v1 format; client-go's rules for which value wins.

local credentials = require "kube.credentials"
local env = require "host.env"
local errors = require "host.error"
local file = require "host.file"
local shape = require "base.shape"
local yaml = require "host.yaml"

local M = {}

local ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

local FILE = {
  ["current-context"] = "string",
  clusters = { { name = "string", cluster = {
    server = "string",
    ["certificate-authority"] = "string",
    ["certificate-authority-data"] = "string",
  } } },
  contexts = { { name = "string", context = {
    cluster = "string", user = "string", namespace = "string",
  } } },
  users = { { name = "string", user = credentials.USER } },
}

local function invalid(fmt, ...)
  return errors.new("invalid", fmt:format(...))
end

-- The entry's own part: what stands under `cluster`, `user` or `context`.
local function by_name(merged, what, name, path)
  for _, entry in ipairs(merged[what .. "s"]) do
    if entry.name == name then
      return entry[what] or {}, entry.folder
    end
  end
  error(invalid("kubeconfig %s: no %s is called %q", path, what, tostring(name)))
end

-- One file's document; where it is not what a kubeconfig is, an err says in which field.
local function document(text, path)
  local config = assert(yaml.parse(text, { what = path }))[1] or {}
  local problem = shape.problem(config, FILE, "kubeconfig " .. path)
  return problem and error(invalid("%s", problem)) or config
end

-- All files of a KUBECONFIG list as one: the first that names something wins.
local function read_files(list)
  local merged, first = { clusters = {}, users = {}, contexts = {} }, nil
  for path in list:gmatch("[^:]+") do
    local text, err = file.read(path)
    if text then
      local config = document(text, path)
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

local function server_of(cluster, path)
  for _, field in ipairs { "insecure-skip-tls-verify", "tls-server-name", "proxy-url" } do
    if cluster[field] then
      error(invalid("kubeconfig %s: %s is not supported%s", path, field,
        field:find("^insecure") and "; give certificate-authority-data" or ""))
    end
  end
  if not cluster.server or cluster.server == "" then
    error(invalid("kubeconfig %s: the cluster has no server", path))
  end
  local url = cluster.server:gsub("/+$", "")
  return url:find("^https?://") and url or "https://" .. url
end

-- {url, namespace, tls, credential}, or nil if none of the files is there. tls() reads
-- {ca, cert, key} anew.
local function from_files(list)
  local merged, path = read_files(list)
  if not path then
    return nil
  end
  local context = by_name(merged, "context", merged["current-context"], path)
  local cluster, cluster_folder = by_name(merged, "cluster", context.cluster, path)
  local user, user_folder = {}, "."
  if context.user and context.user ~= "" then
    user, user_folder = by_name(merged, "user", context.user, path)
  end
  return {
    url = server_of(cluster, path),
    namespace = context.namespace,
    tls = function()
      return {
        ca = credentials.text(cluster, "certificate-authority", cluster_folder),
        ca_field = "certificate-authority-data of kubeconfig " .. path,
        cert = credentials.text(user, "client-certificate", user_folder),
        key = credentials.text(user, "client-key", user_folder),
      }
    end,
    credential = credentials.of(user, { folder = user_folder, cluster = cluster }),
  }
end

local function in_cluster(get, account)
  local host = get("KUBERNETES_SERVICE_HOST")
  local port = get("KUBERNETES_SERVICE_PORT")
  if not host or not port then
    error(invalid("no Kubernetes API to talk to: KUBECONFIG is not set, there is no "
      .. "~/.kube/config, and this is not a pod"))
  end
  if host:find(":", 1, true) then
    host = "[" .. host .. "]"
  end
  local namespace = get("POD_NAMESPACE") or file.read(account .. "/namespace")
  return {
    url = ("https://%s:%s"):format(host, port),
    namespace = namespace and namespace:gsub("%s+$", ""),
    tls = function()
      local path = account .. "/ca.crt"
      return { ca = assert(file.read(path)), ca_field = path }
    end,
    credential = credentials.token_file(account .. "/token"),
  }
end

local function find(get, account)
  local list = get("KUBECONFIG")
  if list and list ~= "" then
    return from_files(list) or error(invalid("KUBECONFIG=%s: no such file", list))
  end
  local home = get("HOME")
  local found = home and not get("KUBERNETES_SERVICE_HOST")
    and from_files(home .. "/.kube/config")
  return found or in_cluster(get, account)
end

-- Headers of now; config.tls becomes another table when certificates have changed.
local function renew(config, found, again)
  local credential = found.credential(again)
  local tls = config.tls
  if again or not tls or credential.cert and credential.cert ~= tls.cert then
    local new = found.tls()
    new.cert = credential.cert or new.cert
    new.key = credential.key or new.key
    if not tls or new.ca ~= tls.ca or new.cert ~= tls.cert or new.key ~= tls.key then
      config.tls = new
    end
  end
  return credential.headers
end

--- config.load(opts) -> config | nil, err                               [waits]
--
--   opts.env          function  (name) -> string | nil   (default: our environment)
--   opts.account      string    folder of the pod's ServiceAccount (default: where it is)
--   config.url        string    "https://host:port"
--   config.tls        table     {ca, cert, key}, PEM; another table when they changed
--   config.namespace  string    ours
--   config.headers    function  (again) -> request headers | nil, err [waits]; again:
--                               after a refusal, everything is read again
--   err               invalid   nothing says where the API is, or what does is wrong;
--                     denied, notfound, exit, timeout: no credentials
function M.load(opts)
  local get = opts and opts.env or env.get
  local config = {}
  local found
  function config.headers(again)
    local ok, headers = pcall(renew, config, found, again)
    if ok then
      return headers
    end
    return nil, errors.of(headers)
  end
  local ok, problem = pcall(function()
    found = find(get, opts and opts.account or ACCOUNT)
  end)
  if not ok then
    return nil, errors.of(problem)
  end
  local headers, err = config.headers()
  if not headers then
    return nil, err
  end
  config.url = found.url
  config.namespace = found.namespace and found.namespace ~= "" and found.namespace
    or "default"
  return config
end

return M
