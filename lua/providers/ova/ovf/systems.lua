--- providers.ova.ovf.systems: the virtual systems of an OVF, which one is meant, and in
-- which configuration. Pure.

local nodes = require "providers.ova.ovf.nodes"

local MOST_NAMES = 100 -- of candidates

local M = {}

-- The hardware sections of a system; several are alternatives.
local function hardware_of(node)
  return nodes.all(node, "VirtualHardwareSection")
end

local function system_of(node, above)
  local hardware = hardware_of(node)
  local settings = hardware[1] and nodes.first(hardware[1], "System")
  local id = nodes.trim(nodes.attr(node, "id"))
  local identifier = settings and nodes.text(settings, "VirtualSystemIdentifier")
  local first_name = nodes.text(node, "Name") or id or identifier
  return {
    node = node, above = above, hardware = hardware, settings = settings,
    id = id or first_name, name = first_name, identifier = identifier,
  }
end

local function collect(node, above, found)
  for _, system in ipairs(nodes.all(node, "VirtualSystem")) do
    found[#found + 1] = system_of(system, above)
  end
  for _, collection in ipairs(nodes.all(node, "VirtualSystemCollection")) do
    local chain = table.move(above, 1, #above, 1, {})
    chain[#chain + 1] = collection
    collect(collection, chain, found)
  end
  return found
end

--- systems.read(root) -> list
--
--   node        the VirtualSystem
--   above       list of nodes: the collections that it is in, the outermost first
--   hardware    list of nodes: its VirtualHardwareSections
--   settings    node   the System of the first of these, or nil
--   id          string, or nil
--   name        string, or nil
--   identifier  string, or nil: what System calls it
function M.read(root)
  return collect(root, {}, {})
end

local function names_of(list)
  local names = {}
  for i = 1, math.min(#list, MOST_NAMES) do
    names[i] = list[i].name and nodes.cut(list[i].name, 253)
      or ("number %d, without a name"):format(i)
  end
  return names
end

local function find(list, name)
  for _, field in ipairs { "id", "name", "identifier" } do
    local found
    for _, system in ipairs(list) do
      if system[field] == name and found and found ~= system then
        return nil, true
      elseif system[field] == name then
        found = system
      end
    end
    if found then
      return found
    end
  end
  return nil
end

local function none_meant(list, name, several)
  local names = names_of(list)
  local said = table.concat(names, '", "', 1, math.min(#names, 10))
  local what = several and ('several of its %d virtual systems are called "%s"')
    :format(#list, name)
    or name and ('none of its %d virtual systems is called "%s"'):format(#list, name)
    or ("it holds %d virtual systems; one must be chosen"):format(#list)
  nodes.fail("notfound", ('%s; there are "%s"%s'):format(what, said,
    #names > 10 and " and more" or ""), { candidates = names })
end

--- systems.pick(list, name) -> system
-- The one that is alone, or the one so called: by id, else by name, else by identifier.
--
--   name  string, or nil
--
-- Throws notfound with the names of all.
function M.pick(list, name)
  if #list == 0 then
    nodes.refuse("it describes no virtual system")
  elseif #list == 1 then
    return list[1]
  end
  local found, several = nil, false
  if name then
    found, several = find(list, name)
  end
  return found or none_meant(list, name, several)
end

local function none_called(ids, wanted)
  local shown = {}
  for i = 1, math.min(#ids, MOST_NAMES) do
    shown[i] = nodes.cut(ids[i], 253)
  end
  local said = #ids == 0 and "none" or ('"%s"'):format(table.concat(shown, '", "'))
  nodes.fail("notfound", ('it has no configuration "%s"; there are %s'):format(wanted,
    said), { candidates = shown })
end

--- systems.configuration(root, wanted) -> id | nil, ids
-- Which deployment option is in force: the one asked for, the default one, else the
-- first; nil: there are none.
--
-- Throws notfound with the ids of all.
function M.configuration(root, wanted)
  local ids, default = {}, nil
  for _, section in ipairs(nodes.all(root, "DeploymentOptionSection")) do
    for _, node in ipairs(nodes.all(section, "Configuration")) do
      local id = nodes.trim(nodes.attr(node, "id"))
      ids[#ids + 1] = id
      if nodes.trim(nodes.attr(node, "default")) == "true" then
        default = default or id
      end
    end
  end
  if not wanted then
    return default or ids[1], ids
  end
  for _, id in ipairs(ids) do
    if id == wanted then
      return id, ids
    end
  end
  none_called(ids, wanted)
end

return M
