--- providers.ova.ovf.boot: which disks a machine of an OVF boots from, in order. Pure.
--
-- Said by VMware's BootOrderSection or `bios.hddOrder`, by oVirt's BootOrder or ovf:boot,
-- or by Citrix's isBootable; where nobody says it, the order is left to policy.

local nodes = require "providers.ova.ovf.nodes"
local numbers = require "providers.ova.ovf.numbers"

local M = {}

local function ids_of(list, say)
  local ids = {}
  for _, disk in ipairs(list) do
    local rank = say(disk)
    if rank then
      ids[#ids + 1] = { rank = rank, place = #ids, id = disk.id }
    end
  end
  table.sort(ids, function(a, b)
    if a.rank ~= b.rank then
      return a.rank < b.rank
    end
    return a.place < b.place
  end)
  return ids
end

-- <vmw:BootOrderSection vmw:instanceId="7 8" vmw:type="disk">
local function by_section(system, list)
  local order, n = {}, 0
  for _, node in ipairs(system.node) do
    if node.ns == nodes.VMWARE and node.name == "BootOrderSection" then
      for id in (nodes.foreign(node, nodes.VMWARE, "instanceId") or ""):gmatch("%S+") do
        n = n + 1
        order[id] = order[id] or n
      end
    end
  end
  return ids_of(list, function(disk)
    return order[disk.item.id]
  end)
end

-- "scsi0:0,ide1:0"
local function by_setting(settings, list)
  local order, n = {}, 0
  for place in (settings.extra["bios.hddorder"] or ""):lower():gmatch("[^,%s]+") do
    n = n + 1
    order[place] = order[place] or n
  end
  return ids_of(list, function(disk)
    return order[disk.place]
  end)
end

local function by_disk(list)
  return ids_of(list, function(disk)
    local rank = numbers.whole(nodes.text(disk.item.node, "BootOrder"), 1000)
    local node = disk.entry and disk.entry.node
    local said = node and (nodes.attr(node, "boot")
      or nodes.foreign(node, nodes.XEN, "isBootable")) or ""
    return rank and rank > 0 and rank or said:lower() == "true" and 1001 or nil
  end)
end

--- boot.order(system, settings, list) -> {disk id -> place, 1 first}
--
--   list  of {id, item, entry, place}, as disks.lua has them
function M.order(system, settings, list)
  local order = {}
  local ranked = by_section(system, list)
  if #ranked == 0 then
    ranked = by_setting(settings, list)
  end
  if #ranked == 0 then
    ranked = by_disk(list)
  end
  for i, entry in ipairs(ranked) do
    order[entry.id] = i
  end
  return order
end

return M
