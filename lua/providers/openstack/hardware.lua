--- providers.openstack.hardware: a server, its flavor, image and volumes -> the neutral
-- Machine. Pure.
--
-- Source: Nova's metadata definitions (hw_*, os_*), Compute API microversion 2.47.

local concerns_of = require "providers.openstack.concerns"
local json = require "host.json"

local M = {}

local GIB = 2 ^ 30 | 0
local MIB = 2 ^ 20 | 0

--- hardware.ROOT: the id of a root disk that is no volume.
M.ROOT = "root"

local POWER = { ACTIVE = "on", SHUTOFF = "off", PAUSED = "suspended",
  SUSPENDED = "suspended" }
local BY_NUMBER = { [1] = "on", [3] = "suspended", [4] = "off", [6] = "off",
  [7] = "suspended" }
local BUSES = { virtio = true, scsi = true, sata = true, ide = true, usb = true }
local BY_DEVICE = { v = "virtio", s = "scsi", h = "ide" }

--- hardware.power_state(server) -> "on" | "off" | "suspended"
-- It is off only when Nova says so and is not about to change it.
function M.power_state(server)
  local state = POWER[server.status]
    or BY_NUMBER[math.tointeger(server["OS-EXT-STS:power_state"])] or "on"
  local task = server["OS-EXT-STS:task_state"]
  if state == "off" and type(task) == "string"
    and (task:find("^power") or task:find("^reboot") or task:find("^rebuild")) then
    return "on"
  end
  return state
end

local property = concerns_of.property

local function firmware(found)
  local uefi = (property(found, "hw_firmware_type") or ""):lower() == "uefi"
  local secure = (property(found, "os_secure_boot") or ""):lower()
  return {
    uefi = uefi,
    -- A BIOS has none, whatever a property says.
    secure_boot = uefi and secure == "required",
    tpm = (property(found, "hw_tpm_version") or property(found, "hw_tpm_model")) ~= nil,
  }
end

local function cpu(found)
  local all = math.max(math.tointeger(found.flavor.vcpus) or 1, 1)
  local sockets = math.tointeger(tonumber(property(found, "hw_cpu_sockets") or 1)) or 1
  if sockets < 1 or all % sockets ~= 0 then
    sockets = 1
  end
  return { sockets = sockets, cores = all // sockets }
end

local function guest(found)
  local distro = property(found, "os_distro") or ""
  local kind = (property(found, "os_type") or ""):lower()
  local family = (kind == "windows" or distro:lower():find("^win")) and "windows"
    or kind == "linux" and "linux" or "other"
  return {
    id = distro ~= "" and distro or kind,
    family = family,
    name = property(found, "os_version") or "",
    -- os-stop asks the guest, and cuts the power only when it does not answer.
    tools_running = true,
  }
end

-- vda < vdb < ... < vdz < vdaa; nil: nobody says which device it is.
local function device_rank(device)
  local letters = (device or ""):gsub("^/dev/", ""):match("^x?[hsv]d(%l+)%d*$")
  return letters and ("%03d%s"):format(#letters, letters)
end

local function bus_of(found, device)
  local wanted = (property(found, "hw_disk_bus") or ""):lower()
  if BUSES[wanted] then
    return wanted
  end
  return BY_DEVICE[(device or ""):match("([a-z])d%l+$") or ""] or "virtio"
end

local function controller(found, bus, number)
  if bus == "scsi" and (property(found, "hw_scsi_model") or "") == "virtio-scsi" then
    return "virtio-scsi0:" .. number
  end
  return ("%s0:%d"):format(bus, number)
end

local function device_of(volume, server_id)
  for _, attachment in ipairs(volume.attachments or {}) do
    if attachment.server_id == server_id then
      return attachment.device
    end
  end
  return nil
end

local function volume_disk(found, volume)
  local device = device_of(volume, found.server.id)
  return {
    id = volume.id,
    name = volume.name ~= "" and volume.name or volume.id,
    capacity_bytes = (math.tointeger(volume.size) or 0) * GIB,
    serial = volume.id,
    datastore = type(volume.volume_type) == "string" and volume.volume_type or nil,
    device = device,
    rank = device_rank(device),
    bootable = tostring(volume.bootable) == "true",
  }
end

-- The root disk of a server booted from an image lives on the hypervisor.
local function root_disk(found, concerns)
  local gib = math.tointeger(found.flavor.disk) or 0
  local capacity = gib * GIB
  if gib == 0 then
    local image = found.image
    capacity = math.tointeger(image.virtual_size)
      or image.disk_format == "raw" and math.tointeger(image.size) or 0
    if capacity == 0 then
      concerns_of.root_size(concerns, M.ROOT)
    end
  end
  local device = found.server["OS-EXT-SRV-ATTR:root_device_name"]
  return {
    id = M.ROOT, name = "root disk", capacity_bytes = capacity, device = device,
    rank = device_rank(device or "vda") or "", is_root = true, boot_order = 1,
  }
end

-- Which one the server boots from: what is no volume; the device that Nova calls the
-- root; the first one. Where no volume is known to be one of these, one that can boot and
-- has no device is likelier than a data disk.
local function root_of(found, list)
  local device = found.server["OS-EXT-SRV-ATTR:root_device_name"]
  local first = device_rank("vda")
  for _, is_root in ipairs {
    function(disk) return disk.is_root end,
    function(disk) return device and disk.device == device end,
    function(disk) return disk.rank == first end,
    function(disk) return not disk.rank and disk.bootable end,
  } do
    for _, disk in ipairs(list) do
      if is_root(disk) then
        return disk
      end
    end
  end
  return nil
end

-- The root first, then by device; those of which nobody says the device come last, as
-- Nova lists them.
local function sort_disks(found, list)
  local root = root_of(found, list)
  for i, disk in ipairs(list) do
    disk.place = i
    disk.group = disk == root and 1 or disk.rank and 2 or 3
  end
  table.sort(list, function(a, b)
    if a.group ~= b.group then
      return a.group < b.group
    elseif (a.rank or "") ~= (b.rank or "") then
      return (a.rank or "") < (b.rank or "")
    end
    return a.place < b.place
  end)
end

--- hardware.order(server, volumes, has_root) -> ids of the volumes
-- In the order in which they are disks of the Machine.
function M.order(server, volumes, has_root)
  local found, list, ids = { server = server, volumes = volumes }, {}, {}
  if has_root then
    list[1] = { id = M.ROOT, is_root = true }
  end
  for _, volume in ipairs(volumes) do
    list[#list + 1] = volume_disk(found, volume)
  end
  sort_disks(found, list)
  for _, disk in ipairs(list) do
    ids[#ids + 1] = not disk.is_root and disk.id or nil
  end
  return ids
end

local KEPT = { "id", "name", "capacity_bytes", "serial", "datastore", "bus", "controller",
  "boot_order" }

local function disks(found, concerns)
  local list = {}
  if found.has_root then
    list[1] = root_disk(found, concerns)
  end
  for _, volume in ipairs(found.volumes) do
    concerns_of.volume(concerns, volume)
    list[#list + 1] = volume_disk(found, volume)
  end
  sort_disks(found, list)
  concerns_of.order(concerns, list)
  for i, disk in ipairs(list) do
    disk.bus = bus_of(found, disk.device)
    disk.controller = controller(found, disk.bus, i - 1)
    disk.boot_order = i == 1 and 1 or nil
    local kept = {}
    for _, name in ipairs(KEPT) do
      kept[name] = disk[name]
    end
    list[i] = kept
  end
  return list
end

-- MAC -> its place in the answer's text: Nova writes the addresses in the order in which
-- the guest has its NICs, and a JSON object's order is lost once it is decoded.
local function mac_order(text)
  local order, n = {}, 0
  for mac in (text or ""):gmatch('"OS%-EXT%-IPS%-MAC:mac_addr"%s*:%s*"([%x:]+)"') do
    if not order[mac:lower()] then
      n = n + 1
      order[mac:lower()] = n
    end
  end
  return order
end

--- hardware.order_ports(ports, text) -> ports
-- In the order of the guest's NICs.
--
--   ports  list    of os-interface, with created_at where Neutron tells it
--   text   string  the server's answer as it came
function M.order_ports(ports, text)
  local order = mac_order(text)
  local list = {}
  for i, port in ipairs(ports) do
    list[i] = { port = port, place = i, rank = order[port.mac_addr:lower()] or math.huge,
      created = port.created_at or "" }
  end
  table.sort(list, function(a, b)
    if a.rank ~= b.rank then
      return a.rank < b.rank
    elseif a.created ~= b.created then
      return a.created < b.created
    end
    return a.place < b.place
  end)
  for i, entry in ipairs(list) do
    list[i] = entry.port
  end
  return list
end

local function nics(found)
  local list = {}
  for i, port in ipairs(M.order_ports(found.ports, found.text)) do
    local addresses = json.array({})
    for _, fixed in ipairs(port.fixed_ips or {}) do
      addresses[#addresses + 1] = fixed.ip_address
    end
    local name = found.networks[port.net_id]
    list[i] = {
      id = port.port_id,
      name = "port " .. port.port_id,
      mac = port.mac_addr:lower(),
      network = { name = name, id = port.net_id, path = name },
      model = property(found, "hw_vif_model") or "virtio",
      addresses = addresses,
    }
  end
  return list
end

--- hardware.machine(found) -> machine
-- Not yet checked by providers.machine.
--
--   found.server    table   GET /servers/{id}; found.text: as it came
--   found.flavor    table   vcpus, ram, disk, extra_specs
--   found.image     table   the image's properties, or the boot volume's; {} if unknown
--   found.has_root  boolean its root disk is no volume
--   found.volumes   list    GET /volumes/{id} of each, as Nova lists them
--   found.ports     list    of compute.ports
--   found.networks  table   id -> name
--   found.project   string  name, or nil
function M.machine(found)
  local server, concerns = found.server, {}
  concerns_of.machine(concerns, found)
  local list = disks(found, concerns)
  return {
    id = server.id,
    name = server.name,
    description = type(server.description) == "string" and server.description or "",
    path = found.project and found.project .. "/" .. server.name or server.name,
    uuid = server.id,
    cpu = cpu(found),
    memory_bytes = (math.tointeger(found.flavor.ram) or 0) * MIB,
    firmware = firmware(found),
    guest = guest(found),
    power_state = M.power_state(server),
    disks = list,
    nics = nics(found),
    concerns = concerns,
  }
end

return M
