--- providers.openstack: servers of a project in an OpenStack cloud.
--
-- The contract of providers/init.lua over Keystone v3, Nova, Cinder, Glance and Neutron.

local bounds = require "providers.bounds"
local compute = require "providers.openstack.compute"
local credentials_of = require "providers.openstack.credentials"
local errors = require "host.error"
local export_of = require "providers.openstack.export"
local hardware = require "providers.openstack.hardware"
local keystone = require "providers.openstack.keystone"
local machine_of = require "providers.machine"
local preflight = require "providers.openstack.preflight"
local remote = require "providers.openstack.remote"
local session_of = require "providers.openstack.session"
local state_of = require "providers.openstack.state"
local trust = require "providers.trust"

local POLL = 2             -- seconds between two looks at something that is being made
local STOP_TIMEOUT = 300   -- seconds that Nova may take to stop a server
local DELETE_TIMEOUT = 120 -- seconds that something may take to go
local RETRY_COUNT, RETRY_DELAY = 30, 10 -- as upstream: uploadImageRetryCount, ...Delay

local methods = {}
local mt = { __name = "openstack.source", __index = methods }

local M = { source = methods, export = export_of.methods }

local function connect(url, spec, credentials, opts)
  return trust.connect {
    url = url, what = "Keystone", http = opts.http or require "host.http",
    thumbprint = spec.thumbprint, ca = credentials.ca, ca_field = "ca_cert",
    strict_tls = opts.strict_tls, fingerprint = opts.fingerprint,
    probe = function(pool)
      return pool:request { url = url, timeout = 30, total_timeout = bounds.SECONDS,
        max_body = bounds.ANSWER.max_body }
    end,
  }
end

local NO_ANSWER = { dns = true, connect = true, timeout = true, tls = true }

-- Of the service's URL in the catalogue, or of the next one where that does not answer.
local function first_answer(session, service, path)
  while true do
    local document, err = session:call(service, "GET", path,
      { once = session.others[service] })
    if document or not (NO_ANSWER[err.kind] and session:give_up(service)) then
      return document, err
    end
  end
end

-- Whether the account sees the project's servers, and all services answer.
local function verify(session)
  for _, check in ipairs {
    { "compute", "/servers?limit=1", "servers" },
    { "volume", "/volumes?limit=1", "volumes" },
    { "image", "/images?limit=1", "images" },
    { "network", "/networks?limit=1&fields=id", "networks" },
  } do
    local document, err = first_answer(session, check[1], check[2])
    if not document then
      err = errors.wrap(err, "listing the project's " .. check[3])
      err.check = check[1]
      return nil, err
    end
  end
  return compute.version(session)
end

-- Logs in over a connection and looks whether all that is needed answers.
local function enter(connection, url, spec, credentials, opts)
  local region = (spec.region or "") ~= "" and spec.region or credentials.region
  local session, err = session_of.open {
    pool = connection.pool, url = url, credentials = credentials, region = region,
    backoff = opts.backoff, fence = opts.fence, insecure = spec.allowInsecureEndpoint,
  }
  if not session then
    connection.pool:close()
    return nil, err
  end
  local version, why = verify(session)
  if why then
    session:close()
    return nil, why
  end
  return session, version
end

local function waits_of(spec, opts)
  local function number(value, default)
    value = math.tointeger(value) or 0
    return value > 0 and value or default
  end
  return {
    poll = opts.poll or POLL,
    stop_timeout = opts.stop_timeout or STOP_TIMEOUT,
    delete_timeout = opts.delete_timeout or DELETE_TIMEOUT,
    retry_count = number(spec.uploadImageRetryCount, RETRY_COUNT),
    retry_delay = number(spec.uploadImageRetryDelay, RETRY_DELAY),
  }
end

--- openstack.open(spec, secret, opts) -> source | nil, err              [waits]
-- Connects, logs in, finds the services of the region, lists what it will need.
--
--   spec.endpoint    string  URL of Keystone; with or without /v3
--   spec.region      string  or "": the Secret's, or the only one
--   spec.thumbprint  string  fingerprint of the certificate, or nil
--   spec.allowInsecureEndpoint  boolean  http to other machines will do
--   spec.uploadImageRetryCount, spec.uploadImageRetryDelay  integers
--   secret           table   see credentials.read
--   opts             table   as providers/init.lua has it, and for tests: http, poll,
--                            backoff, stop_timeout, delete_timeout seconds
--   err  err.check = endpoint, secret, dns, connect, tls, login, project, region,
--        catalogue, compute, volume, image or network
function M.open(spec, secret, opts)
  opts = opts or {}
  local url, err = keystone.endpoint(spec.endpoint, spec.allowInsecureEndpoint)
  local credentials
  if url then
    credentials, err = credentials_of.read(secret)
  end
  if not credentials then
    return nil, err
  end
  local connection
  connection, err = connect(url, spec, credentials, opts)
  if not connection then
    return nil, err
  end
  local session, version = enter(connection, url, spec, credentials, opts)
  if not session then
    version.certificate = version.certificate or connection.certificate
    return nil, version
  end
  return setmetatable({
    session = session,
    version = version,
    tls = connection.tls,
    certificate = connection.certificate,
    in_clear = session:in_clear(),
    can = { guest_shutdown = true, power_off = true, resume = true, reread = true },
    waits = waits_of(spec, opts),
  }, mt)
end

--- source:find(ref) -> id | nil, err                                    [waits]
-- compute.find; a folder says nothing here.
function methods:find(ref)
  return compute.find(self.session, ref.name)
end

-- The image's properties: of the image it was booted from, or those that Cinder keeps of
-- the one its boot volume was made of. An image that is gone says nothing.
local function image_of(session, server, volumes)
  local id = type(server.image) == "table" and server.image.id
  if id then
    local image, err = remote.get(session, "image", id)
    if not image and err.kind ~= "notfound" and err.kind ~= "denied" then
      return nil, errors.wrap(err, "reading the image of server " .. server.id)
    end
    return image or {}, true
  end
  for _, volume in ipairs(volumes) do
    if type(volume.volume_image_metadata) == "table" then
      return volume.volume_image_metadata, false
    end
  end
  return {}, false
end

local function network_names(session)
  local listed, err = compute.networks(session)
  if not listed then
    return nil, err
  end
  local names = {}
  for _, network in ipairs(listed) do
    names[network.id] = network.name
  end
  return names
end

-- All that hardware.machine wants to know.
local function gather(self, id)
  local session = self.session
  local server, text = compute.server(session, id, self.version)
  if not server then
    return nil, text
  end
  local found = { server = server, text = text, project = session.token.project.name }
  local err
  found.flavor, err = compute.flavor(session, server)
  if found.flavor then
    found.volumes, err = state_of.volumes(session, server)
  end
  if found.volumes then
    found.image, err = image_of(session, server, found.volumes)
    found.has_root = err == true
  end
  if found.image then
    found.ports, err = compute.ports(session, id)
  end
  if found.ports then
    found.networks, err = network_names(session)
  end
  if not found.networks then
    return nil, err
  end
  return found
end

--- source:inspect(id) -> machine | nil, err                             [waits]
-- The neutral Machine, with all of its concerns.
--
--   err  gone    it does not exist any more
--        denied  the account may not read a part of it
function methods:inspect(id)
  local found, err = gather(self, id)
  if not found then
    return nil, err
  end
  return machine_of.check(hardware.machine(found))
end

--- source:networks() -> networks | nil, err                             [waits]
-- All networks that the project sees: {id, name, path}.
function methods:networks()
  local listed, err = compute.networks(self.session)
  if not listed then
    return nil, err
  end
  local networks = {}
  for i, network in ipairs(listed) do
    networks[i] = { id = network.id, name = network.name, path = network.name }
  end
  return networks
end

--- source:preflight(machine, spec) -> findings | nil, err               [waits]
-- Findings of why the server cannot be exported now.
function methods:preflight(machine)
  return preflight.findings(self.session, machine, self.version)
end

--- source:power_state(id) -> "on" | "off" | "suspended" | nil, err      [waits]
function methods:power_state(id)
  return compute.power_state(self.session, id)
end

--- source:stamp(machine) -> text | nil, err                             [waits]
-- Another one whenever its disks may hold something else (state.lua).
function methods:stamp(machine)
  local now, err = state_of.of(self.session, machine.id, self.version)
  return now and now.stamp, err
end

--- source:shutdown_guest(id) -> true | nil, err                         [waits]
-- Asks Nova to stop the server, which asks the guest; does not wait until it has.
function methods:shutdown_guest(id)
  return compute.stop(self.session, id)
end

--- source:power_off(id) -> true | nil, err                              [waits]
-- Stops it and waits for SHUTOFF: OpenStack has no harder way for a project's members.
function methods:power_off(id)
  return compute.off(self.session, id, self.waits)
end

--- source:export(machine, opts) -> export | nil, err                    [waits]
-- export.open; the server must be off.
--
--   opts.id        string  the import's uid
--   opts.recorded  list    what earlier runs recorded
--   opts.record    function(entry)
--   opts.report    function(message), optional
function methods:export(machine, opts)
  return export_of.open(self.session, machine, {
    id = assert(opts.id, "an export needs the import's id"),
    tls = self.tls,
    version = self.version,
    recorded = opts.recorded,
    record = opts.record or function() end,
    report = opts.report,
    waits = self.waits,
  })
end

--- source:cleanup(recorded) -> remaining, err | nil, err                [waits]
-- Removes images, volumes and snapshots that were made for an import.
--
--   remaining  list  of entries that could not be removed now; err says why
function methods:cleanup(recorded)
  return export_of.remove(self.session, recorded or {}, self.waits)
end

--- source:close()
function methods:close()
  self.closed = true
  self.session:close()
end

mt.__close = methods.close

return M
