--- providers.ova.ovf.virtualbox: VirtualBox's own part of an OVF, <vbox:Machine>. Pure.
--
-- It says what the standard's Items do not: firmware, TPM, MAC addresses, cables.
--
-- Source: VirtualBox 7, Main/xml/Settings.cpp; exports of VirtualBox 4.3 to 7.0.

local nodes = require "providers.ova.ovf.nodes"
local xml = require "host.xml"

local MODELS = { ["82540EM"] = "e1000", ["82543GC"] = "e1000", ["82545EM"] = "e1000",
  ["virtio"] = "virtio", ["Am79C970A"] = "pcnet", ["Am79C973"] = "pcnet",
  ["Am79C960"] = "pcnet" }

local M = {}

local function machine_of(system)
  for _, node in ipairs(system.node) do
    if node.ns == nodes.VIRTUALBOX and node.name == "Machine" then
      return node
    end
  end
  return nil
end

-- The first child so called of the first child so called ...
local function down(node, ...)
  for _, name in ipairs { ... } do
    node = node and xml.child(node, name)
  end
  return node
end

local function uuid_of(text)
  return (text or ""):match("^{?(%x+%-%x+%-%x+%-%x+%-%x+)}?$")
end

local function adapters(hardware)
  local list = {}
  local network = down(hardware, "Network")
  for _, node in ipairs(network and xml.children(network, "Adapter") or {}) do
    if node.attrs.enabled == "true" then
      list[#list + 1] = { mac = node.attrs.MACAddress,
        model = MODELS[node.attrs.type or ""],
        connected = node.attrs.cable ~= "false" }
    end
  end
  return list
end

--- virtualbox.read(system) -> part | nil
-- Nil: the OVF is not VirtualBox's.
--
--   uuid      string, or nil
--   os        string   its OSType, or nil
--   firmware  string   "BIOS", "EFI", "EFI32" ..., or nil
--   tpm       boolean
--   adapters  list of {mac, model, connected}, as the enabled ones come
function M.read(system)
  local machine = machine_of(system)
  if not machine then
    return nil
  end
  local hardware = down(machine, "Hardware")
  local firmware = hardware and (down(hardware, "Firmware") or down(hardware, "BIOS",
    "Firmware"))
  local tpm = down(hardware, "TrustedPlatformModule")
  return {
    uuid = uuid_of(hardware and hardware.attrs.uuid) or uuid_of(machine.attrs.uuid),
    os = nodes.trim(machine.attrs.OSType), firmware = firmware and firmware.attrs.type,
    tpm = tpm ~= nil and (tpm.attrs.type or "None") ~= "None",
    adapters = adapters(hardware),
  }
end

return M
