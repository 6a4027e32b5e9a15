--- policy.disk: name, bus, order, serial and storage class of each disk.
--
-- A machine that starts is worth more than a fast one: without a word from the user each
-- disk gets a bus that its guest surely has a driver for.

local json = require "host.json"

local finding = require "policy.finding"
local name = require "policy.name"
local spec = require "policy.spec"

local M = {}

-- Bus at the source -> here. pvscsi and LSI have no equal in KubeVirt and a guest that
-- ran on them need not have virtio in its initramfs, nor Windows its driver; a driver for
-- AHCI all have had since 2007, though some leave it out of their initramfs
-- (policy.concerns.start_risks). The same is true of NVMe; a q35 board has no IDE.
local BUS = {
  ide = "sata", nvme = "sata", sata = "sata", scsi = "sata",
  usb = "usb", virtio = "virtio",
}

-- Longest serial a guest can see, by bus. Source: QEMU (virtio-blk and ATA: 20 bytes;
-- scsi-disk's page 0x80: 36). KubeVirt itself takes 256.
local SERIAL_MAX = { scsi = 36 }
local SERIAL_MAX_ELSE = 20

local function subject(disk)
  return "disk " .. disk.id
end

-- The machine's disks by what a mapping row may call them: id, else name, else place
-- from 0. Of two of one name it is the first.
local function callable(disks)
  local found = {}
  for i = #disks, 1, -1 do
    found[tostring(i - 1)] = disks[i]
  end
  for _, field in ipairs({ "name", "id" }) do
    for i = #disks, 1, -1 do
      found[disks[i][field]] = disks[i]
    end
  end
  return found
end

-- The disk that a row means, of what callable() found; places may have leading zeros.
local function meant(row, found)
  local place = row.disk:find("^%d+$") and math.tointeger(tonumber(row.disk))
  return found[row.disk] or place and found[tostring(place)] or nil
end

local function row_of(input, disk)
  if #input.spec.diskMapping == 0 then
    return nil
  end
  local found = callable(input.machine.disks)
  for _, row in ipairs(input.spec.diskMapping) do
    if row.disk and meant(row, found) == disk then
      return row
    end
  end
  return nil
end

local function same_name(disks, text)
  local count = 0
  for _, disk in ipairs(disks) do
    if disk.name == text then
      count = count + 1
    end
  end
  return count
end

local function known(disks)
  local texts = {}
  for i, disk in ipairs(disks) do
    texts[i] = ("%s (\"%s\")"):format(disk.id, disk.name)
  end
  return table.concat(texts, ", ")
end

local function check_row(input, row, taken)
  local disks, found = input.machine.disks, callable(input.machine.disks)
  local where = row.path .. ".disk"
  if not row.disk then
    return finding.blocks("DiskMappingIncomplete", where,
      "a row does not say which disk it means", "name the disk, or remove the row")
  end
  local disk = meant(row, found)
  if not disk then
    return finding.blocks("MappedDiskUnknown", where,
      ("the machine has no disk \"%s\"; it has %s"):format(row.disk, known(disks)),
      "name a disk by its id, its name, or its place from 0")
  end
  if disk.id ~= row.disk and same_name(disks, row.disk) > 1 then
    return finding.blocks("MappedDiskAmbiguous", where,
      ("more than one disk is called \"%s\": %s"):format(row.disk, known(disks)),
      "name the disk by its id")
  end
  if taken[disk] then
    return finding.blocks("MappedDiskTwice", where,
      ("disk %s is already mapped by %s"):format(disk.id, taken[disk]),
      "keep one of the two rows")
  end
  taken[disk] = row.path
  return nil
end

--- disk.check_mapping(input) -> findings
-- A row that names no disk of this machine is a typing mistake, not a wish.
function M.check_mapping(input)
  local findings, taken = {}, {}
  for _, row in ipairs(input.spec.diskMapping) do
    findings[#findings + 1] = check_row(input, row, taken)
  end
  return findings
end

--- disk.list(input, plan) -> disks, findings
-- One entry per disk, in the machine's order, with what no site decides: {id, name,
-- display_name, capacity_bytes}.
function M.list(input, plan)
  local disks, findings = json.array({}), {}
  for i, source in ipairs(input.machine.disks) do
    local disk_name = name.disk(plan.name, input.import.uid, i - 1)
    disks[i] = {
      id = source.id,
      name = disk_name,
      display_name = disk_name,
      capacity_bytes = source.capacity_bytes,
    }
    if source.capacity_bytes <= 0 then
      findings[#findings + 1] = finding.blocks("DiskCapacityInvalid", subject(source),
        ("has a capacity of %d bytes"):format(source.capacity_bytes),
        "repair or remove the disk at the source")
    end
  end
  return disks, findings
end

-- virtio-scsi is what "scsi" means here; its guest has the driver in use.
local function bus_from_source(source)
  if source.bus == "scsi" and (source.controller or ""):lower():find("^virtio") then
    return "scsi"
  end
  return BUS[source.bus] or "sata"
end

--- disk.bus(input, plan, source) -> "sata" | "scsi" | "usb" | "virtio", findings
-- diskMapping's busType, else defaultDiskBusType, else what the guest surely has.
function M.bus(input, plan, source)
  local row = row_of(input, source)
  local safe = bus_from_source(source)
  local bus = row and row.busType or input.spec.defaultDiskBusType or safe
  if plan.os == "windows" and (bus == "virtio" or bus == "scsi") and bus ~= safe then
    return bus, {
      finding.warns("WindowsNeedsDriver", subject(source),
        ("on bus %s Windows starts only with the virtio driver installed"):format(bus),
        "install the driver at the source first, or use sata"),
    }
  end
  return bus
end

--- disk.check_bus(value) -> value | nil, message
function M.check_bus(value)
  if spec.is_one_of(value, spec.BUSES) then
    return value
  end
  return nil, "allowed: " .. table.concat(spec.BUSES, ", ")
end

--- disk.storage_class(input, plan, source) -> name | nil
-- diskMapping's class, else the import's, else the target's default; nil: the cluster's.
function M.storage_class(input, _, source)
  local row = row_of(input, source)
  return row and row.storageClass
    or input.spec.storageClass
    or input.defaults and input.defaults.storage_class
    or nil
end

--- disk.check_storage_class(value) -> value | nil, message
function M.check_storage_class(value)
  if value == nil or value == "" then
    return nil
  end
  if name.is_subdomain(value) then
    return value
  end
  return nil, "the name of a StorageClass is expected"
end

--- disk.boot_order(input) -> ids
-- Disk ids, first to boot first: those the source orders, then the others as they stand.
function M.boot_order(input)
  local order = json.array({})
  local ordered = {}
  for i, disk in ipairs(input.machine.disks) do
    ordered[i] = { id = disk.id, at = disk.boot_order or math.huge, place = i }
  end
  table.sort(ordered, function(a, b)
    if a.at ~= b.at then
      return a.at < b.at
    end
    return a.place < b.place
  end)
  for i, disk in ipairs(ordered) do
    order[i] = disk.id
  end
  return order
end

--- disk.check_boot_order(value, plan) -> ids | nil, message
-- Every disk of the plan exactly once.
function M.check_boot_order(value, plan)
  if type(value) ~= "table" or #value ~= #plan.disks then
    return nil, "a list of all disk ids is expected"
  end
  local left = {}
  for _, disk in ipairs(plan.disks) do
    left[disk.id] = true
  end
  for _, id in ipairs(value) do
    if not left[id] then
      return nil, "each disk id is expected exactly once"
    end
    left[id] = nil
  end
  return value
end

--- disk.set_boot_order(plan, ids)
-- Writes boot_order, 1 first, into the plan's disks.
function M.set_boot_order(plan, ids)
  local place = {}
  for i, id in ipairs(ids) do
    place[id] = i
  end
  for _, disk in ipairs(plan.disks) do
    disk.boot_order = place[disk.id]
  end
end

--- disk.seen(source) -> text
-- The serial that the guest reads at the source: a virtio disk there carries no more
-- than here.
function M.seen(source)
  local serial = source.serial or ""
  return source.bus == "virtio" and serial:sub(1, SERIAL_MAX_ELSE) or serial
end

--- disk.serial(source, bus) -> serial | nil
-- The serial that the guest will read here: characters that libvirt takes, cut to what
-- the bus can carry.
function M.serial(source, bus)
  local serial = (source.serial or ""):gsub("[^A-Za-z0-9_.+-]", "")
  serial = serial:sub(1, SERIAL_MAX[bus] or SERIAL_MAX_ELSE)
  return serial ~= "" and serial or nil
end

local function serial_finding(source, disk, alike)
  local message = "the guest reads no serial any more"
  if alike then
    message = message .. ": cut to what the bus carries, two would be alike"
  elseif disk.serial then
    message = ("the guest reads another serial: a %s disk carries %d characters of those "
      .. "that libvirt takes"):format(disk.bus, SERIAL_MAX[disk.bus] or SERIAL_MAX_ELSE)
  end
  return finding.informs("SerialChanged", subject(source), message,
    "check the guest for links by serial (/dev/disk/by-id)")
end

--- disk.serials(input, plan) -> findings
-- Writes each disk's serial, once its bus is known. Two disks that would look alike
-- after the cut get none: a wrong /dev/disk/by-id link is worse than a missing one.
function M.serials(input, plan)
  local findings, count = {}, {}
  for i, source in ipairs(input.machine.disks) do
    local disk = plan.disks[i]
    disk.serial = M.serial(source, disk.bus)
    if disk.serial then
      count[disk.serial] = (count[disk.serial] or 0) + 1
    end
  end
  for i, source in ipairs(input.machine.disks) do
    local disk = plan.disks[i]
    local alike = disk.serial and count[disk.serial] > 1
    if alike then
      disk.serial = nil
    end
    if M.seen(source) ~= (disk.serial or "") then
      findings[#findings + 1] = serial_finding(source, disk, alike)
    end
  end
  return findings
end

return M
