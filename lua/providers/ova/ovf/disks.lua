--- providers.ova.ovf.disks: the disks of a virtual system, and their files. Pure.
--
-- A disk is what its Item says, whatever its ResourceType: Hyper-V and Citrix have their
-- own for disks. Controllers come as their first disk does, the disks of each by unit.

local boot = require "providers.ova.ovf.boot"
local controllers_of = require "providers.ova.ovf.controllers"
local nodes = require "providers.ova.ovf.nodes"
local numbers = require "providers.ova.ovf.numbers"
local references = require "providers.ova.ovf.references"

local DISKS = { [17] = true, [19] = true, [31] = true, [32] = true } -- ResourceType
local MEDIA = { [14] = true, [15] = true, [16] = true, [18] = true }
local OTHERS = { "passthrough", "cd/dvd", "dvd", "floppy", "iso image" } -- of a subtype
local UNIT = { VirtualAHCIController = "sata", VirtualNVMEController = "nvme",
  VirtualIDEController = "ide" }

local M = {}

local function is_other(item)
  for _, word in ipairs(OTHERS) do
    if item.subtype:find(word, 1, true) then
      return true
    end
  end
  return MEDIA[item.type] == true
end

-- Items on which others hang: Hyper-V's disk hangs on a drive, that on a controller.
local function parents_of(items)
  local found = {}
  for _, item in ipairs(items) do
    if item.parent then
      found[item.parent] = true
    end
  end
  return found
end

-- What a disk's Item names; Citrix has the diskId for its InstanceID.
local function resource_of(item, refs)
  return item.resource or DISKS[item.type] and refs.disks[item.id] and item.id or nil
end

--- disks.items(items, refs) -> list
-- Those Items that are disks.
function M.items(items, refs)
  local list, parents = {}, parents_of(items)
  for _, item in ipairs(items) do
    local resource = resource_of(item, refs)
    local names_one = resource and references.disk_of(refs, resource) ~= nil
    local is_drive = not resource and parents[item.id]
    if not is_other(item) and (names_one or DISKS[item.type] and not is_drive)
      and (resource or item.quantity) then
      list[#list + 1] = item
    end
  end
  return list
end

-- The controller, past a drive in between.
local function controller_of(item, found)
  local at = item.parent
  for _ = 1, 3 do
    if at == nil then
      return nil
    elseif found.controllers[at] then
      return found.controllers[at]
    end
    at = found.by_id[at] and found.by_id[at].parent
  end
  return nil
end

-- Disks of no controller are numbered as they come.
local function unit_of(item, controller, found)
  local drive = found.by_id[item.parent or ""]
  local own = numbers.whole(item.on_parent, 0xFFFF)
  if drive and not found.controllers[item.parent] then
    own = numbers.whole(drive.on_parent, 0xFFFF) or own
  end
  if not controller then
    found.loose = found.loose + 1
  end
  return own or controller and 0 or found.loose - 1
end

-- Where nothing says what a disk hangs on: every guest has a driver for AHCI.
local function bus_of(item, entry, controller)
  if controller then
    return controller.bus, controller.class
  end
  local interface = entry and nodes.attr(entry.node, "disk-interface") or ""
  local bus, class = controllers_of.named(interface)
  if bus then
    return bus, class
  end
  return "sata", "unknown"
end

-- An id goes into names elsewhere: a strange one is replaced.
local function id_of(wanted, used, place)
  if #wanted > 80 or not wanted:find("^%w[%w._-]*$") then
    wanted = "disk-" .. place
  end
  return nodes.unique(used, wanted, place)
end

-- An empty disk has its size in the Item, as one has whose Item names a file; of a raw
-- file the size serves.
local function size_of_item(item, file, found)
  local is_raw = file.format == "raw" and not file.compression
  if is_raw and file.size and not item.quantity then
    return file.size
  elseif file.href and not item.quantity then
    nodes.refuse('Item "%s": its HostResource "%s" names a file, and nothing says how '
      .. "large the disk in it is", item.name, item.resource)
  end
  local bytes, problem = numbers.bytes(found.resolve(item.quantity or ""),
    item.units or "byte")
  if not bytes or bytes < 1 then
    nodes.refuse('Item "%s": the size of its disk is not known: %s', item.name,
      problem or "it is 0")
  end
  return bytes
end

local function named(item, refs)
  local resource = resource_of(item, refs)
  if not resource then
    return nil
  end
  local entry, file = references.disk_of(refs, resource)
  if not entry and not file then
    nodes.refuse('Item "%s": its HostResource "%s" names no Disk of the DiskSection',
      item.name, resource)
  end
  return entry, file
end

local function read_one(item, found)
  local entry, raw_file = named(item, found.refs)
  if entry and found.entries[entry] then
    nodes.refuse('Disk "%s" is used by two Items of the machine', entry.id)
  elseif entry then
    found.entries[entry] = true
    references.check(entry)
  end
  local file = references.file(found.refs, entry, raw_file) or {}
  local capacity = entry and references.capacity(entry, file.href and file, found.resolve)
    or size_of_item(item, file, found)
  local controller = controller_of(item, found)
  local bus, class = bus_of(item, entry, controller)
  local number = controller and controller.number or 0
  local unit = unit_of(item, controller, found)
  file.capacity = capacity
  return {
    id = id_of(entry and entry.id or "item-" .. item.id, found.ids, item.place),
    item = item, entry = entry, file = file, controller = controller, unit = unit,
    place = ("%s%d:%d"):format(UNIT[class] or bus, number, unit),
    name = nodes.cut(item.name, 253), capacity_bytes = capacity, bus = bus,
    class = ("%s%d:%d"):format(class, number, unit),
  }
end

-- By controller as its first disk comes, then by unit.
local function sort(list)
  local rank, n = {}, 0
  for _, disk in ipairs(list) do
    local key = disk.controller or disk
    if not rank[key] then
      n = n + 1
      rank[key] = n
    end
    disk.rank = rank[key]
  end
  table.sort(list, function(a, b)
    if a.rank ~= b.rank then
      return a.rank < b.rank
    elseif a.unit ~= b.unit then
      return a.unit < b.unit
    end
    return a.item.place < b.item.place
  end)
end

--- disks.read(system, items, refs, settings, resolve) -> disks, files, entries
--
--   disks    list   of Machine's disks
--   files    table  disk id -> what references.file says, and its capacity
--   entries  table  which of refs.list are used: entry -> true
function M.read(system, items, refs, settings, resolve)
  local found = { refs = refs, resolve = resolve, ids = {}, entries = {}, by_id = {},
    loose = 0, controllers = controllers_of.read(items) }
  for _, item in ipairs(items) do
    found.by_id[item.id] = found.by_id[item.id] or item
  end
  local list = {}
  for i, item in ipairs(M.items(items, refs)) do
    list[i] = read_one(item, found)
  end
  sort(list)
  local order, disks, files = boot.order(system, settings, list), {}, {}
  for i, disk in ipairs(list) do
    disks[i] = { id = disk.id, name = disk.name, capacity_bytes = disk.capacity_bytes,
      bus = disk.bus, controller = disk.class, boot_order = order[disk.id] }
    files[disk.id] = disk.file
  end
  return disks, files, found.entries
end

return M
