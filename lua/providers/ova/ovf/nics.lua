--- providers.ova.ovf.nics: the network adapters of a virtual system. Pure.

local nodes = require "providers.ova.ovf.nodes"

local ETHERNET, OTHER_ADAPTER = 10, 11 -- ResourceType
-- A word of the subtype -> Machine's model; the longer ones first.
local MODELS = {
  { "vmxnet3", "vmxnet3" }, { "vmxnet2", "vmxnet2" }, { "vmxnet", "vmxnet" },
  { "e1000e", "e1000e" }, { "e1000", "e1000" }, { "82540em", "e1000" },
  { "pcnet", "pcnet" }, { "flexible", "pcnet" }, { "sriov", "sriov" },
  { "virtio", "virtio" }, { "rtl8139", "rtl8139" }, { "synthetic", "hyperv" },
  { "emulated", "tulip" },
}
-- Source: VmInterfaceType of ovirt-engine.
local OVIRT = { ["0"] = "rtl8139", ["1"] = "rtl8139", ["2"] = "e1000", ["3"] = "virtio",
  ["4"] = "spapr", ["5"] = "sriov", ["6"] = "e1000e" }

local M = {}

-- "E1000 VmxNet3" are alternatives: the first one that is known.
local function model_of(item, adapter)
  for word in item.subtype:gmatch("%S+") do
    for _, known in ipairs(MODELS) do
      if word:find(known[1], 1, true) then
        return known[2]
      end
    end
  end
  return adapter and adapter.model or OVIRT[item.subtype] or item.subtype
end

-- "00-16-8B-DB-00-5E", "00168BDB005E" -> "00:16:8b:db:00:5e". What is meant for an
-- address and is none goes to policy, which says so; "7" is a place on a bus.
local function mac_of(text)
  local digits = text and text:gsub("[:.-]", ""):lower()
  if digits and #digits == 12 and digits:find("^%x+$") then
    return digits:gsub("..", "%0:"):sub(1, 17)
  end
  local is_meant = text and text:find("^%x+[:-]%x+[:-]%x+[:-]%x+")
  return is_meant and nodes.cut(text, 80) or nil
end

local function connected(item, adapter)
  local linked = (nodes.text(item.node, "Linked") or "true"):lower() ~= "false"
  local plugged = (nodes.text(item.node, "IsPlugged") or "true"):lower() ~= "false"
  return item.automatic ~= false and linked and plugged
    and (adapter == nil or adapter.connected)
end

local function one(item, adapter, id)
  local network = item.connections[1] and nodes.cut(item.connections[1], 253)
  return {
    id = id, name = nodes.cut(item.name, 253),
    mac = mac_of(nodes.text(item.node, "MACAddress") or item.address
      or adapter and adapter.mac),
    model = nodes.cut(model_of(item, adapter), 80),
    network = { name = network, id = network, path = network },
    connected = connected(item, adapter),
  }
end

--- nics.read(items, part) -> list of Machine's nics
--
--   part  table  of virtualbox.read, or nil
function M.read(items, part)
  local list, used = {}, {}
  for _, item in ipairs(items) do
    if item.type == ETHERNET or item.type == OTHER_ADAPTER then
      local id = nodes.unique(used, item.id, item.place)
      list[#list + 1] = one(item, part and part.adapters[#list + 1], id)
    end
  end
  return list
end

return M
