--- kube.ensure: an object is there, made now or before.
--
-- Look first, create, and on whatever refusal look again: only what is there counts.
-- AlreadyExists is but one way to learn that something is there. Webhooks are asked
-- before the server can say it, and deny in words of their own what exists (Harvester:
-- 409 Conflict, "A resource with the same name exists"); an answer may be lost; another
-- replica may have been quicker.

local errors = require "host.error"
local lag = require "kube.lag"
local task = require "host.task"

local M = {}

-- Webhooks judge by caches, which may not have seen yet that something is gone: seconds
-- until one that denied what is not there is asked once more.
local CACHES = 1
local TRIES = 2

local function name_of(object)
  local meta = object.metadata
  return ("%s %s%s"):format(object.kind, meta.namespace and meta.namespace .. "/" or "",
    meta.name)
end

-- The object of that name in the cluster: ours, or why it cannot be taken.
local function adopt(there, manifest, is_ours)
  if not is_ours(there) then
    return nil, errors.final(errors.new("invalid", ("%s exists and is somebody else's: "
      .. "rename or remove it"):format(name_of(manifest)), { reason = "NotOurs" }))
  elseif there.metadata.deletionTimestamp then
    return nil, errors.new("busy", name_of(manifest) .. " of an earlier attempt is still "
      .. "being deleted")
  end
  return there
end

-- object | nil, err | nil: it is not there.
local function look(client, manifest, is_ours)
  local meta = manifest.metadata
  local there, err = client:get(manifest.kind, meta.namespace, meta.name)
  if there then
    return adopt(there, manifest, is_ours)
  elseif err.kind ~= "notfound" then
    return nil, err
  end
end

-- The server's words, and that it is no older object which stands in the way.
local function refused(manifest, err)
  if err.kind ~= "invalid" and err.kind ~= "denied" then
    return err
  end
  return errors.new(err.kind, ("%s; %s is not there: change what it objects to"):format(
    err.message, name_of(manifest)), { status = err.status, reason = err.reason,
    webhook = err.webhook })
end

--- ensure.object(client, manifest, is_ours, opts) -> object, made | nil, err   [waits]
-- Creates it, or takes the one that is there.
--
--   is_ours      function (object) -> boolean: may it be taken?
--   opts.caches  seconds  before what a webhook denied is asked for again (default 1)
--   made         true: it was not there before
--   err          invalid, final: it is somebody else's; busy: ours, but it is being
--                deleted, or a webhook lags (kube.lag); else why it cannot be made, when
--                it is not there
function M.object(client, manifest, is_ours, opts)
  local there, err = look(client, manifest, is_ours)
  for try = 1, TRIES do
    if there or err then
      return there, err
    end
    local made, refusal = client:create(manifest.kind, manifest)
    if made then
      return made, true
    end
    there, err = look(client, manifest, is_ours)
    if not there and not err and (try == TRIES or not refusal.webhook) then
      return nil, refused(manifest, lag.of(client, manifest.metadata.namespace, refusal))
    elseif not there and not err then
      task.sleep(opts and opts.caches or CACHES)
    end
  end
  return there, err
end

return M
