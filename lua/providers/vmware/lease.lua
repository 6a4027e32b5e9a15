--- providers.vmware.lease: an HttpNfcLease: opened, kept, completed or aborted.
--
-- While one is held, vSphere refuses to start, move or delete the machine. It belongs to
-- the session that opened it and ends by itself when it is not renewed.

local errors = require "host.error"
local faults = require "providers.vmware.faults"
local properties = require "providers.vmware.properties"
local session_of = require "providers.vmware.session"
local soap = require "providers.vmware.soap"
local task = require "host.task"
local time = require "host.time"
local xml = require "host.xml"

local DEFAULT_TIMEOUT = 300 -- seconds; what vSphere gives where it does not say
local MOST_BETWEEN = 30     -- seconds between two renewals, at most
local CALL = 60             -- seconds that a goodbye waits for an ExportVm under way

-- Faults that mean: it is no more.
local LOST = {
  InvalidState = true,
  ManagedObjectNotFound = true,
  SessionEnded = true,
  Timedout = true,
}

local methods = {}
local mt = { __name = "vmware.lease", __index = methods }

local M = {}

-- Tells the server that the machine is free again. Nobody is left to hear of a failure;
-- what is gone by now needs no abort.
local function abort(session, ref)
  return session:call("HttpNfcLeaseAbort", {
    _this = ref,
    { "fault", {
      { "fault", { xsi = "SystemError", { "reason", "import ended" } } },
      { "localizedMessage", "The import ended before the export was complete." },
    } },
  }, { total_timeout = 10 })
end

-- Calls ExportVm in a task that outlives a cancelled caller, and aborts what comes of it
-- unless the caller took it: a lease nobody knows would lock the machine.
local function request(session, id)
  local call = session:goodbye(function()
    local reply, err = session:call("ExportVm",
      { _this = { type = "VirtualMachine", value = id } })
    if not reply then
      return nil, err
    end
    return session_of.returned(reply, "ExportVm")
  end)
  local taken = false
  local guard <close> = setmetatable({}, { __close = function()
    if not taken then
      session:goodbye(function()
        local ok, ref = call:join(CALL)
        if ok and ref then
          abort(session, ref)
        end
      end)
    end
  end })
  assert(guard)
  local ok, ref, err = call:join()
  taken = true
  if not ok then
    error(ref)
  end
  return ref, err
end

local function device_urls(info)
  local urls = {}
  for i, node in ipairs(xml.children(info, "deviceUrl")) do
    local thumbprint = xml.child_text(node, "sslThumbprint") or ""
    urls[i] = {
      key = xml.child_text(node, "key") or "",
      url = xml.child_text(node, "url") or "",
      thumbprint = thumbprint ~= "" and thumbprint or nil,
      disk = xml.child_text(node, "disk") == "true",
    }
  end
  return urls
end

-- One look: "ready" and its info, the state it is in, or nil, err.
local function look(lease)
  local props, err = properties.one(lease.session, lease.ref,
    { "state", "info", "error" }, { bound = lease.generation })
  if not props then
    return nil, err
  end
  local state = props.state and props.state.text or "unknown"
  if state == "error" then
    if not props.error then
      return nil, errors.new("gone", "the lease failed without a reason")
    end
    return nil, faults.of_method("exporting", props.error)
  end
  if state == "done" then
    return nil, errors.new("gone", "the lease is closed", { code = "InvalidState" })
  end
  return state, props.info
end

--- lease.request(session, id) -> lease | nil, err                       [waits]
-- Asks for the export of a machine. The lease is not ready yet; it is the caller's to
-- close from here on.
--
--   id   string  value of the machine's reference
--   err  busy    another task or lease has the machine, or it is not powered off
function M.request(session, id)
  local ref, err = request(session, id)
  if not ref then
    return nil, err
  end
  return setmetatable({
    session = session,
    ref = ref,
    generation = session.generation,
    timeout = DEFAULT_TIMEOUT,
    urls = {},
    percent = 0,
    why_lost = nil,
    ended = false,
  }, mt)
end

--- lease:wait(opts) -> true | nil, err                                  [waits]
-- Until it is ready: then `urls` and `timeout` are set.
--
--   opts.lease_wait  seconds  it may take
--   opts.poll        seconds  between two looks
--   lease.urls     list     {key, url, thumbprint or nil, disk}
--   lease.timeout  seconds  it lives without renewal
--   err  any kind of fault that the server found while preparing it; timeout
function methods:wait(opts)
  local deadline = time.monotonic() + opts.lease_wait
  while true do
    local state, info = look(self)
    if not state then
      return nil, info
    end
    if state == "ready" and info then
      self.timeout = tonumber(xml.child_text(info, "leaseTimeout")) or DEFAULT_TIMEOUT
      self.urls = device_urls(info)
      return true
    end
    if time.monotonic() >= deadline then
      return nil, errors.new("timeout", ("the lease is still %s after %g s")
        :format(state, opts.lease_wait))
    end
    task.sleep(opts.poll)
  end
end

-- One renewal; true, or the reason why the lease is no more.
local function renew(lease, interval)
  local _, err = lease.session:call("HttpNfcLeaseProgress", {
    _this = lease.ref, { "percent", lease.percent },
  }, { bound = lease.generation, total_timeout = math.max(interval * 3, 1) })
  if not err then
    lease.renewed = time.boottime()
    return
  end
  if LOST[err.code] or err.kind == "gone" then
    return err
  end
  -- The transport failed, or a fault that says nothing about the lease: only time tells.
  if time.boottime() - lease.renewed > lease.timeout then
    return err
  end
end

-- Renews until the lease is lost or the task is cancelled. A task of its own, on the
-- pool of API calls: no download can hold it up.
local function keep(lease)
  local interval = math.min(MOST_BETWEEN, lease.timeout / 10)
  while not lease.ended do
    task.sleep(interval)
    local err = not lease.ended and renew(lease, interval)
    if err and not lease.ended then
      lease.why_lost = errors.new("gone", "the export's lease is lost: " .. err.message,
        { code = "LeaseLost" })
      return
    end
  end
end

--- lease:keep()
-- Starts renewing it, every min(30 s, timeout / 10).
function methods:keep()
  self.renewed = time.boottime()
  self.keeper = task.spawn("keeps a lease", keep, self)
end

--- lease:lost() -> err | nil
-- Why it can be used no longer: err of kind gone.
function methods:lost()
  return self.why_lost
end

--- lease:prefer(algorithm) -> boolean                                   [waits]
-- Asks for manifest checksums of that kind ("sha256"); false: it stays sha1.
function methods:prefer(algorithm)
  local args = { _this = self.ref }
  for _, entry in ipairs(self.urls) do
    if entry.disk then
      args[#args + 1] = { "deviceUrlsToChecksumTypes",
        { { "key", entry.key }, { "value", algorithm } } }
    end
  end
  local reply = self.session:call("HttpNfcLeaseSetManifestChecksumType", args,
    { bound = self.generation })
  return reply ~= nil
end

--- lease:manifest() -> {[key] = entry} | nil, err                       [waits]
-- Checksums of what was sent so far, by key of the device URL. {} where the server
-- makes none.
--
--   entry  {sha1 =, [algorithm] =, size =}
function methods:manifest()
  local reply, err = self.session:call("HttpNfcLeaseGetManifest",
    { _this = self.ref }, { bound = self.generation })
  if not reply then
    if LOST[err.code] or not err.code then
      return nil, err
    end
    return {}
  end
  local found = {}
  for _, node in ipairs(xml.children(reply, "returnval")) do
    local entry = {
      sha1 = xml.child_text(node, "sha1"), size = tonumber(xml.child_text(node, "size")),
    }
    local algorithm = xml.child_text(node, "checksumType")
    if algorithm then
      entry[algorithm] = xml.child_text(node, "checksum")
    end
    found[xml.child_text(node, "key") or ""] = entry
  end
  return found
end

--- lease:complete() -> true | nil, err                                  [waits]
-- Ends it well. True too when the answer got lost but the lease is gone.
function methods:complete()
  local reply, err = self.session:call("HttpNfcLeaseComplete",
    { _this = self.ref }, { bound = self.generation })
  if not reply and soap.passing(err) then
    local _, why = look(self)
    reply = why and (LOST[why.code] or false)
  end
  if not reply then
    return nil, err
  end
  self.ended = true
  return true
end

--- lease:close()
-- Stops renewing it and, unless it was completed or closed, aborts it: as a goodbye.
function methods:close()
  local completed = self.ended
  self.ended = true
  self.session:goodbye(function()
    if self.keeper then
      self.keeper:cancel()
    end
    if not completed then
      abort(self.session, self.ref)
    end
  end)
end

mt.__close = methods.close

M.abort = abort
M.DEFAULT_TIMEOUT = DEFAULT_TIMEOUT

return M
