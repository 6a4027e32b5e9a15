--- kube.lag: a webhook that denies because it has not seen yet what is there.
--
-- Webhooks judge by caches. After the API server was away, those of Harvester may be
-- minutes old: they say `namespaces "x" not found` of one that was made meanwhile. Time
-- alone cures that, so it is no verdict on the object.

local errors = require "host.error"
local kinds = require "base.kinds"

local M = {}

local AGAIN_MOST = 30 -- seconds between two tries: nobody says when it has caught up
local CLUSTER_WIDE = { StorageClass = true }

-- The name of the kind whose resource an API server calls so.
local function kind_of(resource)
  for name, kind in pairs(kinds) do
    if type(kind) == "table" and kind.plural
      and resource == kind.plural .. (kind.group ~= "" and "." .. kind.group or "") then
      return name
    end
  end
end

-- The API server has looked for the namespace before it asks any webhook.
local function is_there(client, namespace, resource, name)
  if resource == "namespaces" then
    return name == namespace
  end
  local kind = kind_of(resource)
  local where = not CLUSTER_WIDE[kind] and namespace or nil
  local there = kind and client:get(kind, where, name)
  return there and not there.metadata.deletionTimestamp
end

--- lag.of(client, namespace, err) -> err                                [waits]
-- Of what refused an object of that namespace: the same, or, where a webhook misses what
-- is there, one that says so and is waited for (kind busy, .behind).
function M.of(client, namespace, err)
  local resource, name = err.message:match('([%l%d.-]+) "([^"]+)" not found')
  if not err.webhook or not resource
    or not is_there(client, namespace, resource, name) then
    return err
  end
  return errors.new("busy", ("%s; it is there: the webhook has not seen it yet"):format(
    err.message), { api = err.api, status = err.status, webhook = err.webhook,
    behind = true, retry_most = AGAIN_MOST })
end

return M
