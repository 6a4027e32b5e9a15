--- providers.vmware.hardware: properties of a machine -> the neutral Machine. Pure.
--
-- Input are the nodes of the property collector's answer (properties.lua). Properties
-- that this release does not have are absent and have a harmless default.

local concerns = require "providers.vmware.concerns"
local devices = require "providers.vmware.devices"
local smbios = require "providers.vmware.smbios"
local xml = require "host.xml"

-- `config.extraConfig` is not among them: it carries secrets of the guest.
local PROPERTIES = {
  "name", "parent", "parentVApp", "network", "snapshot",
  "config.annotation", "config.bootOptions", "config.cpuHotAddEnabled",
  "config.firmware", "config.flags.diskUuidEnabled", "config.guestFullName",
  "config.guestId",
  "config.hardware.device", "config.hardware.memoryMB", "config.hardware.numCPU",
  "config.hardware.numCoresPerSocket", "config.keyId",
  "config.memoryHotAddEnabled", "config.template", "config.uuid", "config.version",
  "guest.guestFamily", "guest.hostName", "guest.net", "guest.toolsRunningStatus",
  "runtime.consolidationNeeded", "runtime.faultToleranceState", "runtime.powerState",
}
local POWER = { poweredOn = "on", poweredOff = "off", suspended = "suspended" }
local LINUX = {
  "linux", "ubuntu", "debian", "rhel", "centos", "sles", "suse", "fedora", "rocky",
  "alma", "photon", "coreos", "redhat", "mandr", "asianux", "oracle",
}

local M = {}

M.PROPERTIES = PROPERTIES

local function text(props, path)
  local node = props[path]
  return node and node.text ~= "" and node.text or nil
end

local function integer(props, path)
  return math.tointeger(tonumber(text(props, path) or ""))
end

local function is_true(props, path)
  return text(props, path) == "true"
end

--- hardware.family(guest_id, guest_family) -> "linux" | "windows" | "other"
--
--   guest_id      string  config.guestId, "ubuntu64Guest"
--   guest_family  string  guest.guestFamily as the tools report it, or nil
-- Source: VirtualMachineGuestOsIdentifier, VirtualMachineGuestOsFamily.
function M.family(guest_id, guest_family)
  if guest_family == "linuxGuest" or guest_family == "windowsGuest" then
    return (guest_family:gsub("Guest$", ""))
  end
  local id = (guest_id or ""):lower()
  if id:find("^win") then
    return "windows"
  end
  for _, word in ipairs(LINUX) do
    if id:find(word, 1, true) then
      return "linux"
    end
  end
  return "other"
end

-- Sockets, and cores of each. numCoresPerSocket is optional; absent or 0 means 1.
local function cpu(props)
  local all = math.max(integer(props, "config.hardware.numCPU") or 1, 1)
  local cores = math.max(integer(props, "config.hardware.numCoresPerSocket") or 1, 1)
  if all % cores ~= 0 then
    return { sockets = all, cores = 1 }
  end
  return { sockets = all // cores, cores = cores }
end

local function firmware(props, found)
  local uefi = text(props, "config.firmware") == "efi"
  local options = props["config.bootOptions"]
  return {
    uefi = uefi,
    secure_boot = uefi and options ~= nil
      and xml.child_text(options, "efiSecureBootEnabled") == "true",
    tpm = found.tpm,
  }
end

local function count_snapshots(node, name)
  local n = 0
  for _, child in ipairs(node and xml.children(node, name) or {}) do
    n = n + 1 + count_snapshots(child, "childSnapshotList")
  end
  return n
end

-- {device key -> addresses} of what the tools report, without link-local ones.
local function guest_addresses(props)
  local found = {}
  for _, nic in ipairs(props["guest.net"] or {}) do
    local list = {}
    for _, address in ipairs(xml.children(nic, "ipAddress")) do
      if address.text ~= "" and not address.text:lower():find("^fe80:") then
        list[#list + 1] = address.text
      end
    end
    found[xml.child_text(nic, "deviceConfigId") or ""] = list
  end
  return found
end

local function guest(props)
  local id = text(props, "config.guestId") or "otherGuest"
  return {
    id = id,
    family = M.family(id, text(props, "guest.guestFamily")),
    name = text(props, "config.guestFullName") or id,
    tools_running = text(props, "guest.toolsRunningStatus") == "guestToolsRunning",
    hostname = text(props, "guest.hostName"),
  }
end

--- hardware.machine(id, props, more) -> machine
-- The neutral Machine (providers.machine) of a virtual machine.
--
--   id     string  value of its reference
--   props  table   PROPERTIES -> val nodes
--   more   table   name, path  strings, from the inventory
--                  networks    list, as inventory.networks has it
function M.machine(id, props, more)
  local found = devices.read(props["config.hardware.device"] or {}, {
    boot_options = props["config.bootOptions"],
    disk_uuid = is_true(props, "config.flags.diskUuidEnabled"),
    networks = more.networks,
    addresses = guest_addresses(props),
  })
  local machine = {
    id = id,
    name = more.name,
    path = more.path,
    description = text(props, "config.annotation") or "",
    uuid = smbios.uuid(text(props, "config.uuid"), text(props, "config.version")),
    serial = smbios.serial(text(props, "config.uuid")),
    cpu = cpu(props),
    memory_bytes = (integer(props, "config.hardware.memoryMB") or 0) * 1024 * 1024,
    firmware = firmware(props, found),
    guest = guest(props),
    power_state = POWER[text(props, "runtime.powerState")] or "off",
    disks = found.disks,
    nics = found.nics,
    snapshots = count_snapshots(props.snapshot, "rootSnapshotList"),
  }
  machine.concerns = concerns.find(machine, found, {
    encrypted = props["config.keyId"] ~= nil,
    template = is_true(props, "config.template"),
    cpu_hotplug = is_true(props, "config.cpuHotAddEnabled"),
    memory_hotplug = is_true(props, "config.memoryHotAddEnabled"),
    consolidation = is_true(props, "runtime.consolidationNeeded"),
    fault_tolerance = text(props, "runtime.faultToleranceState"),
  })
  return machine
end

return M
