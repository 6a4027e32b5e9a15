--- controller.secrets: the credentials of sources, as the cluster keeps them.

local digest = require "host.digest"
local errors = require "host.error"

local M = {}

local AGAIN = 30 -- seconds until what may not be read is asked for again

--- secrets.text(value) -> value
-- Without the line's end that `echo` and editors leave: nobody types one into a password.
function M.text(value)
  return (value:gsub("\r?\n$", ""))
end

-- The administrator gives that right, namespace by namespace: nobody's failed attempt.
local function not_readable(namespace, name, err)
  return errors.new("denied", ("Secret %s/%s may not be read (%s); list namespace %s in "
    .. "the chart's secretNamespaces, or grant get on it"):format(namespace, name,
    err.message, namespace), { reason = "SecretNotReadable", waits = "SecretNotReadable",
    after = AGAIN })
end

--- secrets.reader(client) -> read
-- What sessions and flows read Secrets with:
-- read(credentials, namespace) -> {data, version} | nil, err            [waits]
--
--   client       kube.client
--   credentials  {name, namespace}  as a source's spec has them
--   namespace    string             of the source: where credentials do not say
--   err          notfound with reason SecretNotFound; denied with reason and waits
--                SecretNotReadable; or the client's
function M.reader(client)
  return function(credentials, namespace)
    local from = credentials.namespace
    from = from ~= "" and from or namespace
    local secret, err = client:get("Secret", from, credentials.name)
    if not secret and err.kind == "notfound" then
      return nil, errors.new("notfound", ("Secret %s/%s does not exist"):format(from,
        credentials.name), { reason = "SecretNotFound" })
    elseif not secret and err.kind == "denied" then
      return nil, not_readable(from, credentials.name, err)
    elseif not secret then
      return nil, err
    end
    local data = {}
    for key, value in pairs(secret.data or {}) do
      data[key] = M.text(assert(digest.base64_decode(value)))
    end
    return { data = data, version = secret.metadata.resourceVersion }
  end
end

return M
