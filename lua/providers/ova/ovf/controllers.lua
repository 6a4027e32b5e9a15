--- providers.ova.ovf.controllers: what disks hang on. Pure.
--
-- Source: CIM_ResourceAllocationSettingData.ResourceType; subtypes as ovftool,
-- VirtualBox, oVirt and Hyper-V write them.

local numbers = require "providers.ova.ovf.numbers"

-- ResourceType -> what it is where the subtype says nothing.
local TYPES = {
  [5] = { "ide", "VirtualIDEController" }, [6] = { "scsi", "scsi" },
  [7] = { "scsi", "scsi" }, [8] = { "scsi", "scsi" }, [23] = { "usb", "usb" },
}
-- A word of the subtype -> bus, class; the longer words first.
local SUBTYPES = {
  { "virtioscsi", "scsi", "virtio-scsi" }, { "virtio-scsi", "scsi", "virtio-scsi" },
  { "virtio_scsi", "scsi", "virtio-scsi" },
  { "lsilogicsas", "scsi", "VirtualLsiLogicSASController" },
  { "lsilogic", "scsi", "VirtualLsiLogicController" },
  { "buslogic", "scsi", "VirtualBusLogicController" },
  { "virtualscsi", "scsi", "ParaVirtualSCSIController" },
  { "pvscsi", "scsi", "ParaVirtualSCSIController" },
  { "ahci", "sata", "VirtualAHCIController" },
  { "sata", "sata", "VirtualAHCIController" },
  { "nvme", "nvme", "VirtualNVMEController" }, { "virtio", "virtio", "virtio" },
  { "ide", "ide", "VirtualIDEController" }, { "piix", "ide", "VirtualIDEController" },
  { "usb", "usb", "usb" },
}
local OTHER_STORAGE = 20 -- SATA, NVMe; oVirt's video

local M = {}

local function by_words(text)
  for _, known in ipairs(SUBTYPES) do
    if text:find(known[1], 1, true) then
      return known[2], known[3]
    end
  end
  return nil
end

--- controllers.named(text) -> bus | nil, class
-- What a word says: "VirtIO_SCSI" of oVirt's disk-interface.
function M.named(text)
  return by_words(text:lower())
end

-- A subtype must fit the type: "ide" is in many words.
local function kind_of(item)
  local default = TYPES[item.type]
  if not default and item.type ~= OTHER_STORAGE then
    return nil
  end
  local bus, class = by_words(item.subtype)
  if not bus and item.type == OTHER_STORAGE then
    bus, class = by_words(item.name:lower())
  elseif default and (not bus or item.type ~= 6 and bus ~= default[1]) then
    bus, class = default[1], default[2]
  end
  return bus, class
end

--- controllers.read(items) -> controllers
-- {InstanceID -> {bus, class, number}}; number: which one of its class, as the OVF says,
-- else as it comes.
function M.read(items)
  local found, count = {}, {}
  for _, item in ipairs(items) do
    local bus, class = kind_of(item)
    if bus and not item.resource and not found[item.id] then
      local number = numbers.whole(item.address, 255) or count[class] or 0
      count[class] = math.max(count[class] or 0, number + 1)
      found[item.id] = { bus = bus, class = class, number = number }
    end
  end
  return found
end

--- controllers.is(item) -> boolean: whether it is one that disks could hang on
function M.is(item)
  return kind_of(item) ~= nil and not item.resource
end

return M
