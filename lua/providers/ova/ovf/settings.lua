--- providers.ova.ovf.settings: settings of a virtual system that are no Items. Pure.
--
-- vmw:Config and vmw:ExtraConfig of ovftool, and Citrix's
-- VirtualSystemOtherConfigurationData. ExtraConfig may carry secrets: of it a few keys
-- are read, nothing else is kept.

local nodes = require "providers.ova.ovf.nodes"

-- Keys of vmw:Config that say what this reads, or that concern VMware's own programs.
local CONFIG = { "^firmware$", "^uuid$", "^bootOptions%.", "^tools%.", "^powerOpInfo%.",
  "^flags%.", "^cpuHot", "^memoryHot", "^nestedHV", "^virtualICH7M", "^virtualSMC",
  "Allocation%.", "^simultaneousThreads", "^vPMC", "^fixedPassthru", "^cpuFeatureMask" }
local EXTRA = { firmware = true, ["bios.hddorder"] = true,
  ["uefi.secureboot.enabled"] = true }

local M = {}

local function is_read(key)
  for _, pattern in ipairs(CONFIG) do
    if key:find(pattern) then
      return true
    end
  end
  return false
end

local function read_vmware(node, found)
  local key = nodes.trim(nodes.foreign(node, nodes.VMWARE, "key")) or ""
  local value = nodes.trim(nodes.foreign(node, nodes.VMWARE, "value")) or ""
  local known
  if node.name == "Config" then
    known = is_read(key)
    found.config[key:lower()] = value
  elseif EXTRA[key:lower()] then
    known = true
    found.extra[key:lower()] = value
  end
  if not known and nodes.required(node) then
    table.insert(found.required, key)
  end
end

-- Citrix writes "HVM_boot_params" and "HVM-boot-params".
local function read_xen(node, found)
  local key = node.attrs.Name or nodes.text(node, "Name") or ""
  found.xen[key:lower():gsub("-", "_")] = nodes.text(node, "Value") or ""
end

--- settings.read(system) -> settings
--
--   config    table  vmw:Config, keys in small letters
--   extra     table  vmw:ExtraConfig, keys in small letters, those that are read
--   xen       table  Citrix's, keys in small letters
--   required  list   keys that the OVF calls required, and nobody here reads
function M.read(system)
  local found = { config = {}, extra = {}, xen = {}, required = {} }
  for _, parent in ipairs { system.node, system.hardware[1] } do
    for _, node in ipairs(parent) do
      if node.ns == nodes.VMWARE and node.name:find("Config$") then
        read_vmware(node, found)
      elseif node.ns == nodes.XEN then
        read_xen(node, found)
      end
    end
  end
  return found
end

return M
