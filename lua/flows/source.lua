--- flows.source: a VmwareSource, OpenstackSource or OvaSource: logs in and looks.
--
-- status.status is clusterReady or clusterNotReady, as upstream; why not stands in the
-- conditions.

local conditions = require "kube.conditions"
local errors = require "host.error"
local journal = require "kube.journal"
local json = require "host.json"
local time = require "host.time"
local waits = require "flows.waits"

local M = {}

local REASON = {
  dns = "NameNotResolved",
  connect = "NotReachable",
  timeout = "NotReachable",
  tls = "CertificateNotTrusted",
  denied = "LoginFailed",
  notfound = "NotFound",
  unsupported = "NotSupported",
  internal = "Internal",
}

-- What a look at the source has shown: {ready, reason, message, certificate, pinned,
-- in_clear}
local function verdict(source, err, pin)
  if source then
    local certificate = source.certificate
    return {
      ready = true,
      reason = "LoggedIn",
      message = "logged in; everything asked for is there",
      fingerprint = certificate and certificate.fingerprint,
      certificate = certificate,
      in_clear = source.in_clear or {},
      in_clear_because = source.in_clear_because,
    }
  end
  -- The one met first is pinned even where the log-in fails then: the next one must not
  -- send the password to somebody else.
  local met = err.kind ~= "tls" and err.certificate or nil
  return {
    ready = false,
    reason = err.reason or err.code or REASON[err.kind] or "Failed",
    message = err.message,
    traceback = err.traceback,
    fingerprint = pin or met and met.fingerprint,
    certificate = met,
  }
end

-- The warning that stands while nothing but the first sight vouches for a certificate.
local function certificate_condition(seen)
  local certificate = seen.certificate
  if not certificate then
    return nil
  elseif certificate.trusted then
    return { status = "False", reason = "Verified", message = "" }
  end
  return { status = "True", reason = "PinnedAtFirstSight", message = ("nothing vouches "
    .. "for the certificate (issuer %s, SHA-256 fingerprint %s) but that it is the one "
    .. "met first; set spec.thumbprint to that fingerprint, or the CA in the Secret")
    :format(certificate.issuer or "unknown", certificate.fingerprint) }
end

-- The warning that stands while a source is asked in the clear; nil: it never was.
local function clear_condition(list, seen)
  local urls = seen.in_clear or {}
  if #urls > 0 then
    return { status = "True", reason = "PlainHTTP", message = ("http: what goes to and "
      .. "comes from %s can be read and changed on its way, %s"):format(
      table.concat(urls, ", "), seen.in_clear_because
      or "tokens and disks as well; spec.allowInsecureEndpoint allows it") }
  elseif seen.in_clear and conditions.is_true(list, "EndpointInsecure") then
    return { status = "False", reason = "Encrypted", message = "" }
  end
  return nil
end

local function all_conditions(object, seen, now)
  local list = (object.status or {}).conditions
  local function set(type, condition)
    condition.type = type
    condition.observedGeneration = object.metadata.generation
    list = conditions.set(list, condition, now)
  end
  local function same(type, is_true)
    set(type, { status = is_true and "True" or "False", reason = seen.reason,
      message = seen.message })
  end
  same("Ready", seen.ready)
  same("Stalled", not seen.ready)
  same("ClusterReady", seen.ready)
  same("ClusterError", not seen.ready)
  local certificate = certificate_condition(seen)
  if certificate then
    set("CertificateUnverified", certificate)
  end
  local clear = clear_condition(list, seen)
  if clear then
    set("EndpointInsecure", clear)
  end
  return list
end

-- An older CustomResourceDefinition would forget the pin, and whatever comes next would
-- be believed: rather not at all.
local function check_kept(env, object, seen, after)
  if not seen.fingerprint or (after.status or {}).certificateFingerprint then
    return
  end
  if env.repair_definitions then
    env.repair_definitions()
  end
  error(errors.new("gone", ("the CustomResourceDefinition of %s is of an older version: "
    .. "it does not keep status.certificateFingerprint; apply the one of this version")
    :format(object.kind), { reason = "OldCustomResourceDefinition" }))
end

-- What a condition says, once in the log, and as an Event.
local function tell(env, object, level, reason, message, opts)
  local lines = env.journal or journal.new(false)
  local state = (object.status or {}).status or ""
  if lines:is_new(object, opts.state or state, reason, message) then
    local log = lines:of(object)
    log[level](log, message, { reason = reason, state = opts.state or state,
      scriptGeneration = env.script_generation, traceback = opts.traceback })
  end
  if env.event and opts.event then
    env.event(object, level == "info" and "Normal" or "Warning", reason, message)
  end
end

local function tell_all(env, object, seen)
  local before = (object.status or {}).status
  local now = seen.ready and "clusterReady" or "clusterNotReady"
  tell(env, object, seen.ready and "info" or "warn", seen.reason, seen.message,
    { state = now, event = before ~= now or not seen.ready, traceback = seen.traceback })
  for _, warning in pairs { certificate_condition(seen) or false,
    clear_condition(nil, seen) or false } do
    if warning and warning.status == "True" then
      tell(env, object, "warn", warning.reason, warning.message,
        { state = now, event = true })
    end
  end
end

local function write(env, kind, object, seen)
  local now = env.now()
  local after = assert(env.store:patch(kind, object.metadata.namespace,
    object.metadata.name, {
      metadata = { resourceVersion = object.metadata.resourceVersion },
      status = {
        status = seen.ready and "clusterReady" or "clusterNotReady",
        conditions = all_conditions(object, seen, time.rfc3339(now)),
        certificateFingerprint = seen.fingerprint or json.null,
        observedGeneration = object.metadata.generation,
        nextAttemptTime = not seen.ready and time.rfc3339(now + waits.SOURCE)
          or json.null,
      },
    }, { status = true }))
  check_kept(env, object, seen, after)
  tell_all(env, object, seen)
end

-- A kind without a provider is left as it was found, but for a condition that says so.
local function write_unsupported(env, kind, object)
  local message = ("%s cannot be used yet; it is left as it was found"):format(kind)
  assert(env.store:patch(kind, object.metadata.namespace, object.metadata.name, {
    status = {
      conditions = conditions.set((object.status or {}).conditions, {
        type = "Stalled",
        status = "True",
        reason = "NotSupported",
        message = message,
        observedGeneration = object.metadata.generation,
      }, time.rfc3339(env.now())),
    },
  }, { status = true }))
  tell(env, object, "warn", "NotSupported", message, {})
end

-- Somebody else has changed it meanwhile: their change is looked at next.
local function is_stale(problem)
  return errors.of(problem).kind == "conflict"
end

local function look(key, env, object)
  if env.supports and not env.supports(key.kind) then
    return write_unsupported(env, key.kind, object)
  end
  local pin = (object.status or {}).certificateFingerprint
  local ok, source, err = xpcall(env.open_source, journal.explained, key,
    { fresh = true })
  if not ok then -- our own fault; but the user must see that it is not ready, and why
    err = source
    if err.kind == "internal" then
      write(env, key.kind, object, verdict(nil, err, pin))
    end
    error(source, 0)
  end
  if not source and err.code == "NoProvider" then
    return write_unsupported(env, key.kind, object)
  end
  local borrowed <close> = source
  local seen = verdict(borrowed, err, pin)
  write(env, key.kind, object, seen)
  return { after = seen.ready and waits.SOURCE_READY or waits.SOURCE }
end

--- source.reconcile(key, env) -> nil | {after = s}                      [waits]
--
--   key  {kind, namespace, name}
function M.reconcile(key, env)
  local object, err = env.store:get(key.kind, key.namespace, key.name)
  if not object then
    return err.kind ~= "notfound" and error(err) or nil
  elseif object.metadata.deletionTimestamp then
    return nil
  end
  local ok, result = pcall(look, key, env, object)
  if ok then
    return result
  elseif is_stale(result) then
    return waits.behind(errors.of(result))
  end
  error(result, 0)
end

return M
