--- kube.credentials: who we are to an API server: the user of a kubeconfig, or a token
-- in a file that others write anew, as headers and a client certificate.
--
-- Source: the kubeconfig v1 format, client.authentication.k8s.io/v1 (ExecCredential).

local digest = require "host.digest"
local errors = require "host.error"
local file = require "host.file"
local json = require "host.json"
local process = require "host.process"
local shape = require "base.shape"
local task = require "host.task"
local time = require "host.time"

local M = {}

local TOKEN_FOR = 60     -- seconds until a token file is read again
local PLUGIN_WITHIN = 60 -- seconds
local EARLY = 10         -- seconds before its end that a plugin's credential is renewed

--- credentials.USER: the type of a user of a kubeconfig, as base.shape has it.
M.USER = {
  ["client-certificate"] = "string", ["client-certificate-data"] = "string",
  ["client-key"] = "string", ["client-key-data"] = "string",
  token = "string", tokenFile = "string", username = "string", password = "string",
  as = "string",
  exec = {
    [shape.NEEDED] = { "command" },
    apiVersion = "string", command = "string", args = { "string" },
    env = { { [shape.NEEDED] = { "name", "value" }, name = "string", value = "string" } },
    installHint = "string", interactiveMode = "string", provideClusterInfo = "boolean",
  },
}

-- What a plugin prints.
local ANSWER = { status = {
  token = "string", expirationTimestamp = "string",
  clientCertificateData = "string", clientKeyData = "string",
} }

--- credentials.text(entry, name, folder) -> PEM | nil                   [waits]
-- Of NAME-data (base64), or of the file that NAME names. Throws an err.
--
--   entry   table   cluster or user of a kubeconfig
--   folder  string  of the kubeconfig: what relative paths begin at
function M.text(entry, name, folder)
  local data = entry[name .. "-data"]
  if data and data ~= "" then
    return digest.base64_decode(data)
      or error(errors.new("invalid", ("kubeconfig: %s-data is not base64"):format(name)))
  end
  local path = entry[name]
  if not path or path == "" then
    return nil
  end
  return assert(file.read(path:sub(1, 1) == "/" and path or folder .. "/" .. path))
end

local function bearer(token)
  return { headers = { Authorization = "Bearer " .. token } }
end

--- credentials.token_file(path) -> credential
-- Reads it again once a minute, and when asked to. One that cannot be read for a moment
-- leaves the token as it was.
function M.token_file(path)
  local token, read_at
  return function(again)
    local now = time.monotonic()
    if again or not token or now - read_at > TOKEN_FOR then
      local text, err = file.read(path)
      if not text and not token then
        error(err)
      end
      token, read_at = text and text:gsub("%s+$", "") or token, now
    end
    return bearer(token)
  end
end

-- The plugin's stderr is for people; its last line says most.
local function plugin_failed(exec, result)
  local said = result.stderr:gsub("%s+$", ""):match("[^\n]*$"):sub(1, 200)
  local ended = result.signal and "ended by signal " .. result.signal
    or "exit code " .. result.status
  return errors.new("denied", ("credential plugin %s: %s%s%s"):format(exec.command, ended,
    said ~= "" and ": " .. said or "",
    exec.installHint and "; " .. exec.installHint or ""))
end

local function plugin_env(exec, cluster)
  local variables = {
    KUBERNETES_EXEC_INFO = json.encode({
      apiVersion = exec.apiVersion,
      kind = "ExecCredential",
      spec = {
        interactive = false,
        cluster = exec.provideClusterInfo and cluster or nil,
      },
    }),
  }
  for _, variable in ipairs(exec.env or {}) do
    variables[variable.name] = variable.value
  end
  return variables
end

local function run_plugin(exec, opts)
  local command = exec.command
  if command:find("/", 1, true) and command:sub(1, 1) ~= "/" then
    command = opts.folder .. "/" .. command
  end
  local result, err = process.run({
    argv = { command, table.unpack(exec.args or {}) },
    env = plugin_env(exec, opts.cluster),
    inherit = true,
    timeout = PLUGIN_WITHIN,
  })
  if not result then
    error(errors.wrap(err, "credential plugin " .. exec.command
      .. (exec.installHint and " (" .. exec.installHint .. ")" or "")))
  elseif result.status ~= 0 then
    error(plugin_failed(exec, result))
  end
  local said = json.decode(result.stdout)
  local problem = shape.problem(said, ANSWER, "its answer")
  local status = not problem and said and said.kind == "ExecCredential" and said.status
  if not status or not (status.token or status.clientCertificateData) then
    error(errors.new("denied", ("credential plugin %s: it printed no ExecCredential with "
      .. "a token or a certificate%s"):format(exec.command, problem and ": " .. problem
      or "")))
  end
  return status
end

-- When a credential ends, by a clock that nobody sets; nil: it does not.
local function end_of(status, opts)
  local expires = status.expirationTimestamp and time.parse(status.expirationTimestamp)
  return expires and opts.boottime() + expires - opts.now()
end

-- Run once for however many ask at the same time, and again when it expires.
local function plugin(exec, opts)
  if exec.interactiveMode == "Always" then
    error(errors.new("invalid", ("credential plugin %s: interactiveMode Always, but "
      .. "nobody is here to answer"):format(exec.command)))
  end
  local gate = task.semaphore(1)
  local credential, ends, got_at
  return function(again)
    local asked_at = time.monotonic()
    local permit <close> = assert(gate:acquire())
    assert(permit)
    if not credential or again and got_at < asked_at
      or ends and opts.boottime() > ends - EARLY then
      local status = run_plugin(exec, opts)
      credential = status.token and bearer(status.token) or { headers = {} }
      credential.cert, credential.key = status.clientCertificateData, status.clientKeyData
      ends = end_of(status, opts)
      got_at = time.monotonic()
    end
    return credential
  end
end

local function given(value)
  return value ~= nil and value ~= ""
end

local function constant(headers)
  return function()
    return { headers = headers }
  end
end

local function of_user(user, opts)
  if given(user.tokenFile) then
    local path = user.tokenFile
    return M.token_file(path:sub(1, 1) == "/" and path or opts.folder .. "/" .. path)
  elseif given(user.token) then
    return constant({ Authorization = "Bearer " .. user.token })
  elseif given(user.username) then
    return constant({ Authorization = "Basic " .. digest.base64_encode(
      user.username .. ":" .. (user.password or "")) })
  elseif user.exec then
    return plugin(user.exec, { folder = opts.folder, cluster = opts.cluster,
      now = opts.now or time.now, boottime = opts.boottime or time.boottime })
  end
  return constant({})
end

local function impersonating(credential, user)
  return function(again)
    local result = credential(again)
    local headers = { ["Impersonate-User"] = user }
    for name, value in pairs(result.headers) do
      headers[name] = value
    end
    return { headers = headers, cert = result.cert, key = result.key }
  end
end

--- credentials.of(user, opts) -> credential
--
--   user          table   as under `users` in a kubeconfig
--   opts.folder   string  of the kubeconfig
--   opts.cluster  table   what a plugin is told of the cluster
--   opts.now, opts.boottime  functions () -> seconds, for tests
--   credential    function (again) -> {headers, cert, key} [waits]; again: after a
--                 refusal. Throws an err.
function M.of(user, opts)
  for _, field in ipairs { "auth-provider", "as-uid", "as-groups", "as-user-extra" } do
    if user[field] then
      error(errors.new("invalid", ("kubeconfig: a user's %s is not supported"):format(
        field)))
    end
  end
  local credential = of_user(user, opts)
  return given(user.as) and impersonating(credential, user.as) or credential
end

return M
