--- providers.vmware: virtual machines of vCenter or of one ESXi host.
--
-- The contract of providers/init.lua over the vSphere Web Services API. One log-in lasts
-- from open() to close(), whatever happens in between.

local devices = require "providers.vmware.devices"
local endpoint_of = require "providers.vmware.endpoint"
local errors = require "host.error"
local export_of = require "providers.vmware.export"
local find = require "providers.vmware.find"
local hardware = require "providers.vmware.hardware"
local inventory = require "providers.vmware.inventory"
local lease = require "providers.vmware.lease"
local machine_of = require "providers.machine"
local names = require "providers.vmware.names"
local power = require "providers.vmware.power"
local preflight = require "providers.vmware.preflight"
local properties = require "providers.vmware.properties"
local session_of = require "providers.vmware.session"
local soap = require "providers.vmware.soap"
local stamp = require "providers.vmware.stamp"
local text = require "base.text"
local time = require "host.time"

local POLL = 1           -- seconds between two looks at a task or a lease
local TASK_TIMEOUT = 300 -- seconds that a power-off may take
local LOST_ANSWER = 10   -- seconds to see whether a power-off arrived nevertheless
local MOST_PROBLEM = 200 -- bytes of what is wrong with a machine's devices
local LEASE_WAIT = 600   -- seconds that vSphere may prepare an export

local methods = {}
local mt = { __name = "vmware.source", __index = methods }

local M = { source = methods, export = export_of.methods }

local function check_secret(secret)
  for _, field in ipairs { "username", "password" } do
    if (secret[field] or "") == "" then
      return nil, errors.final(errors.new("invalid", "the Secret has no " .. field,
        { check = "secret" }))
    end
  end
  return true
end

-- Logs in over a connection and looks for the datacenter.
local function enter(connection, endpoint, spec, secret, opts)
  local session, err = session_of.open {
    pool = connection.pool, url = endpoint.url, versions = connection.versions,
    username = secret.username, password = secret.password, backoff = opts.backoff,
    fence = opts.fence,
  }
  if not session then
    connection.pool:close()
    return nil, err
  end
  local dc, why = inventory.datacenter(session, spec.dc)
  if not dc then
    session:close()
    return nil, why
  end
  return session, dc
end

--- vmware.open(spec, secret, opts) -> source | nil, err                 [waits]
-- Connects, logs in, finds the datacenter.
--
--   spec.endpoint    string  URL of the API; "vc.example.com" will do
--   spec.dc          string  datacenter: name, path or reference; "": the only one
--   spec.thumbprint  string  SHA-1 or SHA-256 fingerprint of the certificate, or nil
--   secret           table   username, password, caCert
--   opts             table   as providers/init.lua has it, and for tests: http, poll,
--                            backoff, task_timeout, lease_wait seconds, now
--   err  err.check = endpoint, secret, dns, connect, tls, version, login or dc
--        invalid   a field of spec or secret; notfound: dc, with err.candidates
--        denied    wrong user name or password
--        tls       the certificate; err.certificate, err.code
function M.open(spec, secret, opts)
  opts = opts or {}
  local endpoint, err = endpoint_of.parse(spec.endpoint)
  local ok = endpoint
  if ok then
    ok, err = check_secret(secret)
  end
  if not ok then
    return nil, err
  end
  local connection
  connection, err = endpoint_of.connect(endpoint, spec, secret, {
    http = opts.http or require "host.http", strict_tls = opts.strict_tls,
    fingerprint = opts.fingerprint,
  })
  if not connection then
    return nil, err
  end
  local session, dc = enter(connection, endpoint, spec, secret, opts)
  if not session then
    dc.certificate = connection.certificate
    return nil, dc
  end
  return setmetatable({
    session = session,
    dc = dc,
    endpoint = endpoint,
    tls = connection.tls,
    certificate = connection.certificate,
    product = session.content.product,
    can = { guest_shutdown = true, power_off = true, resume = false, reread = true },
    now = opts.now or time.now,
    waits = {
      poll = opts.poll or POLL,
      task_timeout = opts.task_timeout or TASK_TIMEOUT,
      lost_answer = LOST_ANSWER,
      lease_wait = opts.lease_wait or LEASE_WAIT,
    },
  }, mt)
end

--- source:find(ref) -> id | nil, err                                    [waits]
-- find.machine within the source's datacenter.
function methods:find(ref)
  return find.machine(self.session, self.dc, ref)
end

-- The networks that a machine is plugged into, as far as the account sees them.
local function networks_of(session, props)
  local refs, seen = {}, {}
  for _, node in ipairs(props.network or {}) do
    if not seen[node.text] then
      seen[node.text] = true
      refs[#refs + 1] = session_of.reference(node)
    end
  end
  return inventory.networks_of(session, refs)
end

--- source:inspect(id) -> machine | nil, err                             [waits]
-- The neutral Machine, with all of its concerns.
--
--   err  gone    it does not exist any more
--        denied  the account may not read its configuration
function methods:inspect(id)
  local ref = { type = "VirtualMachine", value = id }
  local props, err = properties.one(self.session, ref, hardware.PROPERTIES)
  if not props then
    return nil, err
  end
  if not props.name or not props["config.hardware.device"] then
    return nil, errors.new("denied", "the account may not read the configuration of the "
      .. "machine, or vSphere does not have it now (inaccessible)")
  end
  local problem = devices.problem(props["config.hardware.device"])
  if problem then
    return nil, errors.new("format", "the devices that vSphere gives the machine: "
      .. text.cut(problem, MOST_PROBLEM))
  end
  local paths, networks
  paths, err = inventory.paths(self.session, { { ref = ref, props = props } })
  if paths then
    networks, err = networks_of(self.session, props)
  end
  if not networks then
    return nil, err
  end
  return machine_of.check(hardware.machine(id, props, {
    name = names.decode(props.name.text), path = paths[id], networks = networks,
  }))
end

--- source:networks() -> networks | nil, err                             [waits]
-- All networks of the datacenter: {id, name, path, switch or nil}.
function methods:networks()
  local found, err = inventory.networks(self.session, self.dc)
  if not found then
    return nil, err
  end
  local networks = {}
  for i, n in ipairs(found) do
    networks[i] = { id = n.id, name = n.name, path = n.path, switch = n.switch }
  end
  return networks
end

--- source:preflight(machine, spec) -> findings | nil, err               [waits]
-- Findings of why the machine cannot be exported now.
--
--   spec  table  the import's: forcePowerOff
function methods:preflight(machine, spec)
  return preflight.findings(self.session, machine.id, spec, self.waits)
end

--- source:power_state(id) -> "on" | "off" | "suspended" | nil, err      [waits]
function methods:power_state(id)
  return power.state(self.session, id)
end

--- source:stamp(machine) -> text | nil, err                             [waits]
-- Another one whenever the guest may have written (providers.vmware.stamp).
function methods:stamp(machine)
  return stamp.of(self.session, machine.id)
end

--- source:shutdown_guest(id) -> true | nil, err                         [waits]
-- Asks the guest to shut down and does not wait until it has.
function methods:shutdown_guest(id)
  return power.shutdown_guest(self.session, id)
end

--- source:power_off(id) -> true | nil, err                              [waits]
-- Cuts the power; true too when it was off already.
function methods:power_off(id)
  return power.off(self.session, id, self.waits)
end

--- source:export(machine, opts) -> export | nil, err                    [waits]
-- export.open; the machine must be off. To be closed before the source.
--
--   opts.recorded  list      what earlier runs recorded
--   opts.record    function(entry)  default: remembers nothing
--   opts.waiting   function(message, until_time)  default: does not wait
function methods:export(machine, opts)
  opts = opts or {}
  return export_of.open(self.session, machine, {
    endpoint = self.endpoint,
    tls = self.tls,
    api_version = self.session.content.api_version,
    recorded = opts.recorded,
    record = opts.record or function() end,
    waiting = opts.waiting,
    now = self.now,
    lease_wait = self.waits.lease_wait,
    poll = self.waits.poll,
  })
end

--- source:cleanup(recorded) -> remaining | nil, err                     [waits]
-- Aborts leases of earlier runs. One that this session cannot see ends by itself.
--
--   remaining  list  of entries, when the server could not be asked or must not be
function methods:cleanup(recorded)
  local remaining = {}
  for _, entry in ipairs(recorded or {}) do
    if entry.id and entry.kind == export_of.KIND then
      local reply, err = lease.abort(self.session,
        { type = "HttpNfcLease", value = entry.id })
      if not reply and (soap.passing(err) or err.reason == "NotLeader") then
        remaining[#remaining + 1] = entry
      end
    end
  end
  return remaining
end

--- source:close()
-- Logs out, as a goodbye, after the goodbyes of its exports.
function methods:close()
  self.closed = true
  self.session:close()
end

mt.__close = methods.close

return M
