--- providers.ova.ovf.nics: the network adapters of a virtual system. Pure.

local finding = require "base.finding"
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

-- "00-16-8B-DB-00-5E", "0800272AFB4E" -> "00:16:8b:db:00:5e"; nil: no address at all;
-- false: none that a NIC may have.
local function mac_of(text)
  if not text then
    return nil
  end
  local digits = text:gsub("[:.-]", ""):lower()
  if not digits:find("^%x+$") or #digits ~= 12 then
    if text:find("^%x+[:-]%x+[:-]%x+[:-]%x+") then
      return false
    end
    return nil -- "7" is a place on a bus
  elseif digits == ("0"):rep(12) or tonumber(digits:sub(1, 2), 16) & 1 == 1 then
    return false
  end
  return digits:gsub("..", "%0:"):sub(1, 17)
end

local function connected(item, adapter)
  local linked = (nodes.text(item.node, "Linked") or "true"):lower() ~= "false"
  local plugged = (nodes.text(item.node, "IsPlugged") or "true"):lower() ~= "false"
  return item.automatic ~= false and linked and plugged
    and (adapter == nil or adapter.connected)
end

local function one(item, adapter, id, findings)
  local said = nodes.text(item.node, "MACAddress") or item.address
    or adapter and adapter.mac
  local mac = mac_of(said)
  if mac == false then
    findings[#findings + 1] = finding.warns("OvfMacInvalid", "nic " .. id,
      "the OVF gives it an address that no adapter can have; it gets a new one",
      "state the address here if the guest needs its own", said)
  end
  local network = item.connections[1] and nodes.cut(item.connections[1], 253)
  return {
    id = id, name = nodes.cut(item.name, 253), mac = mac or nil,
    model = nodes.cut(model_of(item, adapter), 80),
    network = { name = network, id = network, path = network },
    connected = connected(item, adapter),
  }
end

--- nics.read(items, part, findings) -> list of Machine's nics
--
--   part      table  of virtualbox.read, or nil
--   findings  list   to which those of NICs are added
function M.read(items, part, findings)
  local list, used = {}, {}
  for _, item in ipairs(items) do
    if item.type == ETHERNET or item.type == OTHER_ADAPTER then
      local id = nodes.unique(used, item.id, item.place)
      list[#list + 1] = one(item, part and part.adapters[#list + 1], id, findings)
    end
  end
  return list
end

return M
