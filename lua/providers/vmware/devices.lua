--- providers.vmware.devices: config.hardware.device -> disks and NICs. Pure.
--
-- Devices refer to their controller by key. A disk is named by its place, "class of
-- controller, bus, unit" ("ParaVirtualSCSIController0:0"), as an export names it: bus
-- and unit alone are not unique, and neither order can be relied on.

local names = require "providers.vmware.names"
local xml = require "host.xml"

-- Class of controller -> bus of its disks.
local CONTROLLERS = {
  ParaVirtualSCSIController = "scsi",
  VirtualAHCIController = "sata",
  VirtualBusLogicController = "scsi",
  VirtualIDEController = "ide",
  VirtualLsiLogicController = "scsi",
  VirtualLsiLogicSASController = "scsi",
  VirtualNVMEController = "nvme",
  VirtualSATAController = "sata",
  VirtualSCSIController = "scsi",
  VirtualUSBController = "usb",
  VirtualUSBXHCIController = "usb",
}
local NICS = {
  VirtualE1000 = "e1000",
  VirtualE1000e = "e1000e",
  VirtualPCNet32 = "pcnet",
  VirtualSriovEthernetCard = "sriov",
  VirtualVmxnet = "vmxnet",
  VirtualVmxnet2 = "vmxnet2",
  VirtualVmxnet3 = "vmxnet3",
  VirtualVmxnet3Vrdma = "vmxnet3",
}
-- Devices that do not travel, for concerns.lua.
local SPECIAL = {
  VirtualPCIPassthrough = "passthrough",
  VirtualSCSIPassthrough = "passthrough",
  VirtualSriovEthernetCard = "sriov",
  VirtualUSB = "usb_device",
  VirtualUSBController = "usb_controller",
  VirtualUSBXHCIController = "usb_controller",
}

local M = {}

local function integer(node, name)
  return math.tointeger(tonumber(xml.child_text(node, name) or ""))
end

--- devices.label(node) -> text: as people see it, "CD/DVD drive 1"
function M.label(node)
  local info = xml.child(node, "deviceInfo")
  return info and xml.child_text(info, "label")
    or "device " .. (xml.child_text(node, "key") or "?")
end

-- {key -> {class, bus, number, shared}} of the disk controllers.
local function controllers(list)
  local found = {}
  for _, node in ipairs(list) do
    local class = xml.type(node)
    if CONTROLLERS[class] then
      found[xml.child_text(node, "key")] = {
        class = class,
        bus = CONTROLLERS[class],
        key = integer(node, "key"),
        number = integer(node, "busNumber") or 0,
        sharing = xml.child_text(node, "sharedBus"),
      }
    end
  end
  return found
end

-- {disk key -> place in the boot order}; {} when the firmware decides.
local function boot_order(options)
  local order, n = {}, 0
  for _, entry in ipairs(options and xml.children(options, "bootOrder") or {}) do
    if xml.type(entry) == "VirtualMachineBootOptionsBootableDiskDevice" then
      n = n + 1
      order[xml.child_text(entry, "deviceKey") or ""] = n
    end
  end
  return order
end

-- What concerns.lua has to know of a disk.
local function facts(node, controller)
  local backing = xml.child(node, "backing")
  local mode = backing and xml.child_text(backing, "diskMode") or "persistent"
  local compatibility = backing and xml.child_text(backing, "compatibilityMode")
  return {
    backing = backing and xml.type(backing) or nil,
    mode = mode,
    raw_device = compatibility,
    multi_writer = backing ~= nil
      and xml.child_text(backing, "sharing") == "sharingMultiWriter",
    sharing = controller and controller.sharing,
    encrypted = backing ~= nil and xml.child(backing, "keyId") ~= nil,
    delta = backing ~= nil and xml.child(backing, "parent") ~= nil,
    placed = backing ~= nil and (xml.child(backing, "datastore") ~= nil
      or (xml.child_text(backing, "fileName") or ""):find("^%[.+%]") ~= nil),
  }
end

local function capacity(node)
  local bytes = integer(node, "capacityInBytes")
  return bytes or (integer(node, "capacityInKB") or 0) * 1024
end

-- A guest reads a disk's UUID as its serial on SCSI alone, and only where the machine is
-- set to show it (disk.EnableUUID); NVMe, SATA and IDE disks have serials of VMware's.
-- Source: VirtualMachineFlagInfo.diskUuidEnabled.
local function serial_of(backing, controller, visible)
  local uuid = backing and xml.child_text(backing, "uuid")
  if not visible or not uuid or controller and controller.bus ~= "scsi" then
    return nil
  end
  return uuid:gsub("-", ""):lower()
end

local function disk(node, by_key, order, visible)
  local key = xml.child_text(node, "key")
  local controller = by_key[xml.child_text(node, "controllerKey") or ""]
  local unit = integer(node, "unitNumber") or 0
  local backing = xml.child(node, "backing")
  local file = backing and xml.child_text(backing, "fileName") or ""
  return {
    id = key,
    name = M.label(node),
    capacity_bytes = capacity(node),
    bus = controller and controller.bus or "scsi",
    controller = controller
      and ("%s%d:%d"):format(controller.class, controller.number, unit)
      or "unknown:" .. unit,
    boot_order = order[key],
    serial = serial_of(backing, controller, visible),
    datastore = file:match("^%[(.-)%]"),
  }, { controller and controller.key or math.maxinteger, unit }
end

-- Disks in machine order, by key of the controller, then unit; and their facts by id.
local function disks(list, by_key, order, visible)
  local found, place, known = {}, {}, {}
  for _, node in ipairs(list) do
    if xml.type(node) == "VirtualDisk" then
      local d, at = disk(node, by_key, order, visible)
      found[#found + 1] = d
      place[d] = at
      known[d.id] = facts(node, by_key[xml.child_text(node, "controllerKey") or ""])
    end
  end
  table.sort(found, function(a, b)
    if place[a][1] ~= place[b][1] then
      return place[a][1] < place[b][1]
    end
    return place[a][2] < place[b][2]
  end)
  return found, known
end

local function find(networks, field, value)
  for _, network in ipairs(value and networks or {}) do
    if network[field] == value then
      return { id = network.id, name = network.name, path = network.path,
        switch = network.switch }
    end
  end
  return nil
end

-- The network of a NIC, by what it is plugged into; its own words when the account may
-- not see the network.
local function network_of(node, networks)
  local backing = xml.child(node, "backing")
  local port = backing and xml.child(backing, "port")
  local group = port and xml.child_text(port, "portgroupKey")
  local opaque = backing and xml.child_text(backing, "opaqueNetworkId")
  local name = backing and xml.child_text(backing, "deviceName")
  local ref = backing and xml.child_text(backing, "network")
  local found = find(networks, "key", group) or find(networks, "id", group)
    or find(networks, "opaque_id", opaque) or find(networks, "id", ref)
    or find(networks, "name", name and names.decode(name))
  local id = group or opaque or ref or name
  return found or { id = id, name = name and names.decode(name) or id or "" }
end

local function nic(node, networks, addresses)
  local key = xml.child_text(node, "key")
  local connectable = xml.child(node, "connectable")
  local class = xml.type(node)
  local mac = xml.child_text(node, "macAddress")
  return {
    id = key,
    name = M.label(node),
    mac = mac and mac ~= "" and mac:lower() or nil,
    network = network_of(node, networks),
    model = NICS[class] or class,
    addresses = addresses[key] or {},
    connected = connectable == nil
      or xml.child_text(connectable, "startConnected") == "true",
  }
end

-- Devices that stay behind: kind -> list of labels.
local function special(list)
  local found = {}
  for _, node in ipairs(list) do
    local kind = SPECIAL[xml.type(node)]
    if kind then
      found[kind] = found[kind] or {}
      table.insert(found[kind], M.label(node))
    end
  end
  return found
end

-- Elements of a device that decide which one it is, and what it holds.
local ONCE = { "key", "controllerKey", "unitNumber", "busNumber", "capacityInBytes",
  "capacityInKB", "backing", "macAddress" }

local function is_read(node)
  local class = xml.type(node)
  return CONTROLLERS[class] or class == "VirtualDisk" or NICS[class]
end

--- devices.problem(list) -> text | nil
-- What of the devices that we read lacks a key, or has twice what it can have but once.
function M.problem(list)
  local seen = {}
  for _, node in ipairs(list) do
    local key = xml.child_text(node, "key") or ""
    if is_read(node) and (key == "" or seen[key]) then
      return M.label(node) .. (key == "" and " has no key" or " has another one's key")
    end
    for _, name in ipairs(is_read(node) and ONCE or {}) do
      if #xml.children(node, name) > 1 then
        return ("%s has more than one %s"):format(M.label(node), name)
      end
    end
    seen[key] = true
  end
  return nil
end

--- devices.read(list, more) -> found
-- What a virtual machine is made of.
--
--   list  node   the val of config.hardware.device, without devices.problem
--   more  table  boot_options  the val of config.bootOptions, or nil
--                networks      list, as inventory.networks has it
--                addresses     {device key -> addresses}
--                disk_uuid     boolean: the guest sees the UUIDs of its disks
--
--   found.disks    list   Machine's disks, in machine order
--   found.facts    table  disk id -> what concerns.lua looks at
--   found.nics     list   Machine's nics, in device order
--   found.tpm      boolean
--   found.special  table  kind -> labels of devices that do not travel
function M.read(list, more)
  local by_key = controllers(list)
  local found = { nics = {}, tpm = false, special = special(list) }
  found.disks, found.facts = disks(list, by_key,
    boot_order(more.boot_options), more.disk_uuid)
  for _, node in ipairs(list) do
    local class = xml.type(node)
    if NICS[class] or xml.child(node, "macAddress") then
      table.insert(found.nics, nic(node, more.networks, more.addresses or {}))
    elseif class == "VirtualTPM" then
      found.tpm = true
    end
  end
  return found
end

return M
