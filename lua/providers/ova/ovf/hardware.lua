--- providers.ova.ovf.hardware: CPUs, memory and firmware of a virtual system. Pure.

local nodes = require "providers.ova.ovf.nodes"
local numbers = require "providers.ova.ovf.numbers"

local PROCESSOR, MEMORY = 3, 4 -- ResourceType
local MOST_CPUS = 4096
local MIB = 1 << 20
local MOST_AS_MIB = 1 << 24 -- a number of no unit: above that it can only be bytes
-- Source: BiosType of ovirt-engine 4.4.
local OVIRT_UEFI = { ["3"] = true, ["4"] = true, q35_ovmf = true, q35_secure_boot = true }
local OVIRT_SECURE = { ["4"] = true, q35_secure_boot = true }

local M = {}

local function first_of(items, kind)
  for _, item in ipairs(items) do
    if item.type == kind then
      return item
    end
  end
  return nil
end

local function count(item, text, least)
  local value = numbers.whole(text, MOST_CPUS)
  if text and (not value or value < least) then
    nodes.refuse('Item "%s": "%s" is no number of CPUs', item.name, text)
  end
  return value
end

-- oVirt writes sockets, cores and threads, and no VirtualQuantity.
local function ovirt_cpu(item)
  local sockets = count(item, nodes.text(item.node, "num_of_sockets"), 1)
  local cores = count(item, nodes.text(item.node, "cpu_per_socket"), 1)
  local threads = count(item, nodes.text(item.node, "threads_per_cpu"), 1)
  return sockets and cores and { sockets = sockets, cores = cores * (threads or 1) }
end

-- VMware has the cores of a socket in the Item, Citrix in its platform settings.
local function cores_of(item, settings)
  local said = nodes.text(item.node, "CoresPerSocket")
    or (settings.xen.platform or ""):match("cores%-per%-socket=(%d+)")
  return count(item, said, 0) or 1
end

--- hardware.cpu(items, settings) -> {sockets, cores}
-- Without an Item of its own the standard leaves it open: one.
function M.cpu(items, settings)
  local item = first_of(items, PROCESSOR)
  if not item then
    return { sockets = 1, cores = 1 }
  end
  local topology = ovirt_cpu(item)
  if topology then
    return topology
  end
  local all = count(item, item.quantity, 1) or 1
  local cores = cores_of(item, settings)
  if cores == 0 or all % cores ~= 0 then
    cores = 1
  end
  return { sockets = all // cores, cores = cores }
end

--- hardware.memory(items, resolve) -> bytes
--
--   resolve  function  text -> text: what "${property}" stands for
function M.memory(items, resolve)
  local item = first_of(items, MEMORY)
  if not item then
    nodes.refuse("it says of no memory how much the machine has (ResourceType 4)")
  end
  local text = resolve(item.quantity or "")
  local plain = numbers.whole(text)
  local units = item.units or plain and plain >= MOST_AS_MIB and "byte" or "MiB"
  local bytes, problem = numbers.bytes(text, units)
  if not bytes or bytes < MIB then
    nodes.refuse('Item "%s": how much memory is not known: %s', item.name,
      problem or "it is less than 1 MiB")
  end
  return bytes
end

local function has_tpm(items)
  for _, item in ipairs(items) do
    if item.subtype == "vmware.vtpm" or item.device == "tpm" then
      return true
    end
  end
  return false
end

-- "order=dc;firmware=uefi"
local function xen_says(settings, key, what)
  return ((settings.xen[key] or ""):lower() .. ";"):find(what .. ";", 1, true) ~= nil
end

local function is_uefi(system, settings, part, bios_type)
  local said = settings.config.firmware or settings.extra.firmware
    or part and part.firmware or ""
  local subtype = system.settings
    and nodes.text(system.settings, "VirtualSystemSubType") or ""
  return said:lower():find("^u?efi") ~= nil or OVIRT_UEFI[bios_type] == true
    or xen_says(settings, "hvm_boot_params", "firmware=uefi")
    or subtype == "Microsoft:Hyper-V:SubType:2"
end

--- hardware.firmware(system, items, settings, part) -> {uefi, secure_boot, tpm}
--
--   part  table  of virtualbox.read, or nil
function M.firmware(system, items, settings, part)
  local bios_type = (nodes.text(system.node, "BiosType") or ""):lower()
  local uefi = is_uefi(system, settings, part, bios_type)
  local secure = settings.config["bootoptions.efisecurebootenabled"]
    or settings.extra["uefi.secureboot.enabled"] or ""
  return {
    uefi = uefi,
    secure_boot = uefi and (secure:lower() == "true" or OVIRT_SECURE[bios_type] == true
      or xen_says(settings, "platform", "secureboot=true")),
    tpm = has_tpm(items) or part ~= nil and part.tpm,
  }
end

return M
