--- providers.ova.ovf.items: the Items of a VirtualHardwareSection, as plain tables. Pure.
--
-- What is of another configuration, or only a bound of what is allowed, is left out. An
-- Item of the configuration in force takes the place of the common one of its id.
--
-- Source: DSP0243 2.1.1 §8, CIM_ResourceAllocationSettingData; oVirt's own: OvfWriter of
-- ovirt-engine; <StorageItem> and <EthernetPortItem> are OVF 2's.

local nodes = require "providers.ova.ovf.nodes"
local numbers = require "providers.ova.ovf.numbers"

local MOST = 2000 -- of one machine
local ELEMENTS = { Item = true, StorageItem = true, EthernetPortItem = true }

local M = {}

local function flag(node, ...)
  local text = nodes.text(node, ...)
  if text == nil then
    return nil
  end
  return text:lower() == "true" or text == "1"
end

-- {key -> value} of the vmw:Config elements of a node.
local function settings_of(node)
  local found = {}
  for _, child in ipairs(node) do
    if child.ns == nodes.VMWARE and child.name == "Config" then
      local key = nodes.foreign(child, nodes.VMWARE, "key")
      if key then
        found[key] = nodes.foreign(child, nodes.VMWARE, "value") or ""
      end
    end
  end
  return found
end

local function connections_of(node)
  local found = {}
  for _, child in ipairs(node) do
    if child.name == "Connection" then
      found[#found + 1] = nodes.trim(child.text)
    end
  end
  return found
end

-- "VmxNet3", "Microsoft Synthetic Ethernet Port" -> "vmxnet3", "microsoftsynthetic..."
local function subtype_of(node)
  return (nodes.text(node, "ResourceSubType", "OtherResourceType") or ""):lower()
end

local function item_of(node, place)
  local id = nodes.text(node, "InstanceID", "InstanceId") or "number " .. place
  local name = nodes.text(node, "ElementName", "Caption", "Description") or "Item " .. id
  local kind = nodes.text(node, "ResourceType")
  local number = numbers.whole(kind, 0xFFFF)
  if not number then
    nodes.refuse('Item "%s": its ResourceType "%s" is no number', name, kind or "")
  end
  return {
    node = node, place = place, id = id, name = name, type = number,
    subtype = subtype_of(node), device = (nodes.text(node, "Type") or ""):lower(),
    parent = nodes.text(node, "Parent"), address = nodes.text(node, "Address"),
    on_parent = nodes.text(node, "AddressOnParent"),
    resource = nodes.text(node, "HostResource"),
    quantity = nodes.text(node, "VirtualQuantity"),
    units = nodes.text(node, "AllocationUnits"),
    connections = connections_of(node),
    automatic = flag(node, "AutomaticAllocation"),
    required = nodes.required(node), settings = settings_of(node),
  }
end

-- Whether `node` counts in this configuration; and whether it is of that alone.
local function counts(node, configuration)
  local bound = nodes.trim(nodes.attr(node, "bound"))
  if bound and bound ~= "normal" then
    return false
  end
  local ids = nodes.trim(nodes.attr(node, "configuration"))
  if not ids then
    return true, false
  end
  for id in ids:gmatch("%S+") do
    if id == configuration then
      return true, true
    end
  end
  return false
end

--- items.read(hardware, configuration) -> list
--
--   hardware       node    a VirtualHardwareSection
--   configuration  string  the id in force, or nil
--
--   type         integer  ResourceType
--   subtype      string   ResourceSubType, in small letters
--   device       string   oVirt's Type, in small letters; "" for none
--   id, name, parent, address, on_parent, resource, quantity, units
--                string   as written; all but id and name may be nil
--   connections  list of strings
--   automatic    boolean  AutomaticAllocation, or nil
--   required     boolean  or nil
--   settings     table    vmw:Config: key -> value
--   place        integer  in the OVF
--   node
function M.read(hardware, configuration)
  local list, at, special = {}, {}, {}
  for place, node in ipairs(hardware) do
    local in_force, own
    if ELEMENTS[node.name] and (node.ns == "" or nodes.is_ovf(node.ns)) then
      in_force, own = counts(node, configuration)
    end
    if in_force then
      local item = item_of(node, place)
      local key = item.type .. "\0" .. item.id
      local before = at[key]
      if before and own ~= special[key] then
        list[before] = own and item or list[before]
      else
        list[#list + 1] = item
        at[key] = #list
      end
      special[key] = special[key] or own
    end
    if #list > MOST then
      nodes.refuse("it has more than %d Items", MOST)
    end
  end
  return list
end

return M
