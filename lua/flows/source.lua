--- flows.source: a VmwareSource, OpenstackSource or OvaSource: logs in and looks.
--
-- status.status is clusterReady or clusterNotReady, as upstream; why not stands in the
-- conditions.

local conditions = require "kube.conditions"
local json = require "host.json"
local time = require "host.time"

local M = {}

local AGAIN_READY, AGAIN_NOT = 300, 30 -- seconds

local REASON = {
  dns = "NameNotResolved",
  connect = "NotReachable",
  timeout = "NotReachable",
  tls = "CertificateNotTrusted",
  denied = "LoginFailed",
  notfound = "NotFound",
  unsupported = "NotSupported",
}

local function all_conditions(before, now, ready, reason, message, generation)
  local list = before
  local function set(type, is_true)
    list = conditions.set(list, {
      type = type,
      status = is_true and "True" or "False",
      reason = reason,
      message = message,
      observedGeneration = generation,
    }, now)
  end
  set("Ready", ready)
  set("Stalled", not ready)
  set("ClusterReady", ready)
  set("ClusterError", not ready)
  return list
end

local function write(env, kind, object, ready, reason, message, certificate)
  local before = object.status or {}
  local now = time.rfc3339(env.now())
  assert(env.store:patch(kind, object.metadata.namespace, object.metadata.name, {
    metadata = { resourceVersion = object.metadata.resourceVersion },
    status = {
      status = ready and "clusterReady" or "clusterNotReady",
      conditions = all_conditions(before.conditions, now, ready, reason, message,
        object.metadata.generation),
      certificateFingerprint = certificate and certificate.fingerprint or json.null,
    },
  }, { status = true }))
end

-- A kind without a provider is left as it was found, but for a condition that says so.
local function write_unsupported(env, kind, object, err)
  assert(env.store:patch(kind, object.metadata.namespace, object.metadata.name, {
    status = {
      conditions = conditions.set((object.status or {}).conditions, {
        type = "Stalled",
        status = "True",
        reason = "NotSupported",
        message = err.message,
        observedGeneration = object.metadata.generation,
      }, time.rfc3339(env.now())),
    },
  }, { status = true }))
end

--- source.reconcile(key, env) -> nil | {after = s}                      [waits]
--
--   key  {kind, namespace, name}
function M.reconcile(key, env)
  local object, err = env.store:get(key.kind, key.namespace, key.name)
  if not object then
    return err.kind ~= "notfound" and error(err) or nil
  end
  local source
  source, err = env.open_source(key)
  if not source and err.code == "NoProvider" then
    write_unsupported(env, key.kind, object, err)
    return nil
  elseif not source then
    write(env, key.kind, object, false, err.code or REASON[err.kind] or "Failed",
      err.message, { fingerprint = (object.status or {}).certificateFingerprint })
    return { after = AGAIN_NOT }
  end
  local borrowed <close> = source
  write(env, key.kind, object, true, "LoggedIn",
    "logged in; everything asked for is there", borrowed.certificate)
  return { after = AGAIN_READY }
end

return M
