--- providers.vmware.inventory: where things are: datacenters, paths, networks.
--
-- Paths are inventory paths: "/Region EU/DC0/vm/Prod/web", names as vSphere stores them
-- (names.lua), without the root folder. A datacenter may lie in folders.

local errors = require "host.error"
local names = require "providers.vmware.names"
local properties = require "providers.vmware.properties"
local session_of = require "providers.vmware.session"
local xml = require "host.xml"

local DEEPEST = 64 -- folders within folders
local ROOT_NAMES = { Datacenters = true, ["ha-folder-root"] = true }
local NETWORKS = { "Network", "DistributedVirtualPortgroup", "OpaqueNetwork" }
local NETWORK_PROPERTIES = {
  Network = { "name", "parent" },
  DistributedVirtualPortgroup = {
    "name", "parent", "key", "config.distributedVirtualSwitch",
  },
  OpaqueNetwork = { "name", "parent", "summary" },
}

local M = {}

-- Notes name and parent of objects into `known`, by reference value.
local function note(known, objects)
  for _, object in ipairs(objects) do
    local props = object.props
    known[object.ref.value] = {
      name = props.name and props.name.text,
      parent = session_of.reference(props.parent)
        or session_of.reference(props.parentVApp)
        or session_of.reference(props.parentFolder),
    }
  end
end

-- Asks for parents until `known` leads from every object to the root.
local function complete(session, known)
  for _ = 1, DEEPEST do
    local refs, asked = {}, {}
    for _, entry in pairs(known) do
      local parent = entry.parent
      if parent and not known[parent.value] and not asked[parent.value] then
        asked[parent.value] = true
        refs[#refs + 1] = parent
      end
    end
    if #refs == 0 then
      return true
    end
    local objects, err = properties.get(session, refs, {
      ManagedEntity = { "name", "parent" }, VirtualApp = { "parentFolder" },
    })
    if not objects then
      return nil, err
    end
    note(known, objects)
    for value in pairs(asked) do
      known[value] = known[value] or {}
    end
  end
  return nil, errors.new("format", ("a folder that lies in more than %d others"):format(
    DEEPEST))
end

-- The path of an object in `known`; a name that may not be read is shown as "?".
local function path_of(known, value)
  local parts, entry, depth = {}, known[value], 0
  while entry and entry.parent and depth < DEEPEST do
    table.insert(parts, 1, entry.name or "?")
    entry, depth = known[entry.parent.value], depth + 1
  end
  return "/" .. table.concat(parts, "/")
end

--- inventory.paths(session, objects) -> {[reference value] = path} | nil, err  [waits]
-- The inventory paths of objects that were read with `name` and `parent`.
function M.paths(session, objects)
  local known, paths = {}, {}
  note(known, objects)
  local ok, err = complete(session, known)
  if not ok then
    return nil, err
  end
  for _, object in ipairs(objects) do
    paths[object.ref.value] = path_of(known, object.ref.value)
  end
  return paths
end

--- inventory.parts(path) -> list
-- A path that somebody typed, as parts; the root folder's own name, which vSphere's
-- client shows, is not part of a path.
function M.parts(path)
  local parts = names.split(path)
  if ROOT_NAMES[parts[1]] then
    table.remove(parts, 1)
  end
  return parts
end

-- The datacenters that `wanted` can mean: the whole path, a reference, else the name.
local function matching(datacenters, wanted)
  local by_path, by_name = {}, {}
  local parts = M.parts(wanted)
  for _, dc in ipairs(datacenters) do
    if dc.ref.value == wanted or wanted == "Datacenter:" .. dc.ref.value then
      return { dc }
    end
    if names.same_path(names.split(dc.path), parts) then
      by_path[#by_path + 1] = dc
    elseif names.same(dc.name, wanted) then
      by_name[#by_name + 1] = dc
    end
  end
  return #by_path > 0 and by_path or by_name
end

local function paths_in(list)
  local paths = {}
  for i, entry in ipairs(list) do
    paths[i] = entry.path
  end
  table.sort(paths)
  return paths
end

local function refuse(kind, message, candidates)
  return nil, errors.final(errors.new(kind, message,
    { check = "dc", candidates = candidates }))
end

--- inventory.datacenter(session, wanted) -> dc | nil, err               [waits]
-- The datacenter that a source names in `dc`.
--
--   wanted  string  name, inventory path or reference; "" or nil: the only one there is
--   dc      table   {ref, name, path}
--   err     notfound  none of that name; err.candidates: the paths of all there are
--           invalid   it means several; err.candidates
function M.datacenter(session, wanted)
  local objects, err = properties.list(session, session.content.rootFolder,
    { "Datacenter" }, { Datacenter = { "name", "parent" } })
  local paths
  if objects then
    paths, err = M.paths(session, objects)
  end
  if not paths then
    err.check = "dc"
    return nil, err
  end
  local all = {}
  for i, object in ipairs(objects) do
    local path = paths[object.ref.value]
    all[i] = { ref = object.ref, path = path, name = path:match("[^/]*$") }
  end
  wanted = (wanted or ""):match("^%s*(.-)%s*$")
  local found = wanted == "" and all or matching(all, wanted)
  if #found == 1 then
    return found[1]
  end
  local candidates = paths_in(#found > 0 and found or all)
  local list = table.concat(candidates, ", ")
  if #all == 0 then
    return refuse("notfound", "the account sees no datacenter at all", candidates)
  end
  if #found == 0 then
    return refuse("notfound", ("spec.dc %q is no datacenter here; there is %s")
      :format(wanted, list), candidates)
  end
  return refuse("invalid", ("spec.dc %q can mean several datacenters: %s")
    :format(wanted, list), candidates)
end

-- {switch reference value -> name} of the distributed switches of port groups.
local function switch_names(session, objects)
  local refs, seen, found = {}, {}, {}
  for _, object in ipairs(objects) do
    local ref = session_of.reference(object.props["config.distributedVirtualSwitch"])
    if ref and not seen[ref.value] then
      seen[ref.value] = true
      refs[#refs + 1] = ref
    end
  end
  local switches, err = properties.get(session, refs,
    { DistributedVirtualSwitch = { "name" } })
  if not switches then
    return nil, err
  end
  for _, object in ipairs(switches) do
    found[object.ref.value] = object.props.name and names.decode(object.props.name.text)
  end
  return found
end

local function network(object, path, switches)
  local props = object.props
  local switch = session_of.reference(props["config.distributedVirtualSwitch"])
  return {
    id = object.ref.value,
    name = names.decode(props.name and props.name.text or object.ref.value),
    path = path,
    switch = switch and switches[switch.value] or nil,
    key = props.key and props.key.text or nil,
    opaque_id = props.summary and xml.child_text(props.summary, "opaqueNetworkId") or nil,
  }
end

-- Objects read with NETWORK_PROPERTIES -> networks, in order of their paths.
local function described(session, objects)
  local paths, err = M.paths(session, objects)
  local switches
  if paths then
    switches, err = switch_names(session, objects)
  end
  if not switches then
    return nil, err
  end
  local list, seen = {}, {}
  for _, object in ipairs(objects) do
    local id = object.ref.value
    if not seen[id] then
      seen[id] = true
      list[#list + 1] = network(object, paths[id], switches)
    end
  end
  table.sort(list, function(a, b)
    return a.path < b.path
  end)
  return list
end

--- inventory.networks(session, dc) -> networks | nil, err               [waits]
-- All networks of a datacenter.
--
--   networks  list  {id, name, path, switch = the distributed switch's name or nil,
--                   key = that of a port group or nil, opaque_id = or nil}, by path
function M.networks(session, dc)
  local objects, err = properties.list(session, dc.ref, NETWORKS, NETWORK_PROPERTIES)
  if not objects then
    return nil, err
  end
  return described(session, objects)
end

--- inventory.networks_of(session, refs) -> networks | nil, err          [waits]
-- Those of some references, as inventory.networks has them.
function M.networks_of(session, refs)
  local objects, err = properties.get(session, refs, NETWORK_PROPERTIES)
  if not objects then
    return nil, err
  end
  return described(session, objects)
end

return M
