--- providers.openstack.compute: servers: finding, reading, power.

local errors = require "host.error"
local hardware = require "providers.openstack.hardware"
local json = require "host.json"
local pace = require "providers.openstack.pace"
local session_of = require "providers.openstack.session"
local shapes = require "providers.openstack.shapes"
local time = require "host.time"

local M = {}

local EMBEDDED = "compute 2.47" -- has the flavor in the server, and its description
local DESCRIBED = "compute 2.19"
local MOST_NEAR = 5
local PORTS = "/ports?fields=id&fields=created_at&fields=binding%3Avnic_type"
  .. "&fields=trunk_details&device_id="

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

-- a.b >= c.d
local function at_least(version, major, minor)
  local a, b = tostring(version or ""):match("^(%d+)%.(%d+)$")
  a, b = tonumber(a) or 0, tonumber(b) or 0
  return a > major or (a == major and b >= minor)
end

--- compute.version(session) -> microversion | nil                       [waits]
-- The newest of those that we know how to read; nil: an API without microversions.
function M.version(session)
  local document, err = session:call("compute", "GET", "/", { shape = shapes.version })
  if not document and session_of.passing(err) then
    return nil, err
  elseif not document then
    return DESCRIBED -- some put it behind a proxy that does not pass it
  end
  local newest = (document.version or {}).version
  if at_least(newest, 2, 47) then
    return EMBEDDED
  end
  return at_least(newest, 2, 19) and DESCRIBED or nil
end

local function escape(text)
  return (text:gsub("[^%w_-]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

-- A regular expression that means this text alone, as MySQL and PostgreSQL read it.
local function pattern(name)
  return escape("^" .. name:gsub("[%^%$%.%*%+%?%(%)%[%]{}|\\]", "\\%0") .. "$")
end

local function addresses(server)
  local list = {}
  for _, of_network in pairs(server.addresses or {}) do
    for _, address in ipairs(of_network) do
      list[#list + 1] = address.addr
    end
  end
  table.sort(list)
  return #list > 0 and table.concat(list, " ") or "no address"
end

local function describe(server)
  return ("%s (%s, %s, %s)"):format(server.name, server.id, server.status,
    addresses(server))
end

local function ambiguous(name, found)
  local candidates, texts = {}, {}
  for i, server in ipairs(found) do
    candidates[i] = { id = server.id, name = server.name, status = server.status,
      addresses = addresses(server) }
    texts[i] = ("%s (%s, %s)"):format(server.id, server.status, addresses(server))
  end
  return nil, errors.final(errors.new("invalid", ("%d servers are called %s: %s; name "
    .. "one by its id"):format(#found, name, table.concat(texts, ", ")),
    { candidates = candidates }))
end

-- Names that look like it: the same in another case, or one within the other.
local function near(session, name)
  local all = session:list("compute", "/servers/detail?limit=500", "servers") or {}
  local wanted, candidates, texts = name:lower(), {}, {}
  for _, server in ipairs(all) do
    local have = tostring(server.name):lower()
    if #candidates < MOST_NEAR and have ~= ""
      and (have:find(wanted, 1, true) or wanted:find(have, 1, true)) then
      candidates[#candidates + 1] = { id = server.id, name = server.name }
      texts[#texts + 1] = describe(server)
    end
  end
  return candidates, texts
end

local function not_found(session, name)
  local candidates, texts = near(session, name)
  return nil, errors.final(errors.new("notfound", ("the project has no server %s%s")
    :format(name, #texts > 0 and "; it has " .. table.concat(texts, ", ") or ""),
    { candidates = candidates }))
end

--- compute.find(session, name) -> id | nil, err                         [waits]
-- A server by UUID, or by its exact name.
--
--   err  notfound  err.candidates: those called nearly so
--        invalid   several have the name; err.candidates
function M.find(session, name)
  if name:find(UUID) then
    local document, err = session:call("compute", "GET", "/servers/" .. name:lower(),
      { shape = shapes.server })
    if document then
      return document.server.id
    elseif err.kind ~= "notfound" then
      return nil, err
    end
  end
  local listed, err = session:list("compute",
    "/servers/detail?name=" .. pattern(name), "servers")
  if not listed and err.kind == "invalid" then -- a database that reads patterns otherwise
    listed, err = session:list("compute", "/servers/detail", "servers")
  end
  if not listed then
    return nil, errors.wrap(err, "looking for server " .. name)
  end
  local found = {}
  for _, server in ipairs(listed) do
    if server.name == name then
      found[#found + 1] = server
    end
  end
  if #found == 1 then
    return found[1].id
  end
  if #found > 1 then
    return ambiguous(name, found)
  end
  return not_found(session, name)
end

--- compute.server(session, id, version) -> server, text | nil, err      [waits]
--
--   text  string  the answer as it came, for what JSON objects do not keep
--   err   gone    there is no such server
function M.server(session, id, version)
  local document, response = session:call("compute", "GET", "/servers/" .. id,
    { version = version, shape = shapes.server })
  if not document then
    local err = response
    if err.kind == "notfound" then
      err = errors.new("gone", ("server %s does not exist any more"):format(id))
    end
    return nil, err
  end
  return document.server, response.body
end

--- compute.flavor(session, server) -> flavor | nil, err                 [waits]
-- As the server embeds it, or fetched by its id.
function M.flavor(session, server)
  local flavor = server.flavor or {}
  if flavor.vcpus then
    return flavor
  end
  local path = "/flavors/" .. tostring(flavor.id)
  local document, err = session:call("compute", "GET", path, { shape = shapes.flavor })
  if not document then
    if err.kind == "notfound" then
      err = errors.final(errors.new("notfound", ("the flavor %s of server %s has been "
        .. "deleted, and this Nova (before 2.47) does not keep what it said; have the "
        .. "cloud's administrator make it again, or resize the server to another one")
        :format(tostring(flavor.id), server.id), { code = "FlavorDeleted" }))
    end
    return nil, errors.wrap(err, "reading the flavor of server " .. server.id)
  end
  flavor = document.flavor
  local extra = session:call("compute", "GET", path .. "/os-extra_specs",
    { shape = shapes.extra_specs })
  flavor.extra_specs = extra and extra.extra_specs or {}
  return flavor
end

--- compute.ports(session, id) -> ports | nil, err                       [waits]
-- os-interface, with what Neutron tells of each: created_at, vnic_type, is_trunk.
function M.ports(session, id)
  local document, err = session:call("compute", "GET", ("/servers/%s/os-interface")
    :format(id), { shape = shapes.interfaces })
  if not document then
    return nil, err
  end
  local ports = document.interfaceAttachments or {}
  local known = {}
  for _, port in ipairs(session:list("network", PORTS .. id, "ports") or {}) do
    known[port.id] = port
  end
  for _, port in ipairs(ports) do
    local told = known[port.port_id] or {}
    port.created_at = told.created_at
    port.vnic_type = told["binding:vnic_type"]
    port.is_trunk = told.trunk_details ~= nil
  end
  return ports
end

--- compute.networks(session) -> {{id, name}, ...} | nil, err            [waits]
function M.networks(session)
  return session:list("network", "/networks?fields=id&fields=name", "networks")
end

--- compute.power_state(session, id) -> "on" | "off" | "suspended" | nil, err   [waits]
function M.power_state(session, id)
  local server, err = M.server(session, id)
  if not server then
    return nil, err
  end
  return hardware.power_state(server)
end

--- compute.stop(session, id) -> true | nil, err                         [waits]
-- Asks Nova to stop it, which asks the guest first and cuts the power when that does not
-- answer in Nova's own time (60 s unless configured). True too when it is off, or about
-- to be.
function M.stop(session, id)
  local document, err = session:call("compute", "POST", ("/servers/%s/action"):format(id),
    { body = { ["os-stop"] = json.null } })
  if document then
    return true
  end
  local server = M.server(session, id)
  if server and (hardware.power_state(server) == "off"
    or server["OS-EXT-STS:task_state"] == "powering-off") then
    return true
  end
  return nil, errors.wrap(err, "stopping server " .. id)
end

--- compute.off(session, id, opts) -> true | nil, err                    [waits]
-- Stops it and waits until it is.
--
--   opts.poll, opts.stop_timeout  seconds
--   err  timeout  Nova has not stopped it in time
function M.off(session, id, opts)
  local ok, err = M.stop(session, id)
  if not ok then
    return nil, err
  end
  local deadline, pause = time.monotonic() + opts.stop_timeout, pace.new(opts.poll)
  while true do
    local state
    state, err = M.power_state(session, id)
    if state == "off" then
      return true
    elseif not state and not session_of.passing(err) then
      return nil, err
    elseif time.monotonic() >= deadline then
      return nil, errors.new("timeout", ("server %s is not SHUTOFF %g s after os-stop")
        :format(id, opts.stop_timeout))
    end
    pause()
  end
end

return M
