--- providers.ova.ovf.left: what of an OVF does not come along, as findings. Pure.
--
-- The standard has whoever meets a section or a setting that is required and not known
-- refuse the OVF; ovf:required says it, and where it is missing the standard means true.
-- Many tools forget it: what is required in so many words blocks, the rest is said.

local controllers = require "providers.ova.ovf.controllers"
local finding = require "base.finding"
local nodes = require "providers.ova.ovf.nodes"

local SECTIONS = {} -- those that are read here, or change nothing here
for name in ([[DiskSection NetworkSection DeploymentOptionSection VirtualHardwareSection
  OperatingSystemSection ProductSection AnnotationSection EulaSection StartupSection
  ResourceAllocationSection PlacementSection PlacementGroupSection SnapshotsSection
  BootOrderSection StorageGroupSection StorageSection IpAssignmentSection
  NetworkPortProfileSection]]):gmatch("%S+") do
  SECTIONS[name] = true
end

-- ResourceTypes that come along, or of which nothing is lost where they stay behind.
local SILENT = {}
for _, number in ipairs { 2, 3, 4, 10, 11, 14, 15, 16, 24, 26, 28, 29 } do
  SILENT[number] = true
end
local DEVICES = {
  [0] = "a device of oVirt's", [1] = "a device", [7] = "a Fibre Channel adapter",
  [8] = "an iSCSI adapter", [9] = "an InfiniBand adapter", [12] = "an I/O slot",
  [13] = "an I/O device", [17] = "a drive without a disk", [18] = "a tape drive",
  [19] = "storage without a disk", [20] = "a storage device", [21] = "a serial port",
  [22] = "a parallel port", [23] = "a USB controller", [25] = "an IEEE 1394 controller",
  [30] = "a switch port", [33] = "an Ethernet connection", [35] = "a sound card",
}
local MINOR = { [0] = true, [21] = true, [22] = true, [23] = true, [25] = true,
  [35] = true }
-- Parts of every VMware machine that no guest misses.
local SUBTYPES = {}
for name in ([[vmware.vmci vmware.pcicontroller vmware.ps2controller vmware.siocontroller
  vmware.keyboard vmware.pointingdevice vmware.vtpm
  vmware.precisionclock]]):gmatch("%S+") do
  SUBTYPES[name] = true
end

local M = {}

local function device(item)
  local what = DEVICES[item.type] or ("of ResourceType %d, which is not known"):format(
    item.type)
  if item.subtype:find("passthrough", 1, true) and item.type < 14 then
    return finding.warns("OvfDeviceLeft", item.name,
      "a device of the host; the imported machine lacks it",
      "add a device of the target's hosts if it is needed")
  elseif item.required == false or MINOR[item.type] then
    return finding.informs("OvfDeviceLeft", item.name, what .. "; it stays behind")
  end
  return finding.warns("OvfDeviceLeft", item.name, what .. "; it stays behind",
    "see whether the guest needs it", item.subtype ~= "" and item.subtype or nil)
end

--- left.devices(items, disks, findings)
-- Of Items that are neither disks nor anything else that comes along.
--
--   disks  list  those of the Items that are disks
function M.devices(items, disks, findings)
  local is_disk, is_drive = {}, {}
  for _, item in ipairs(disks) do
    is_disk[item] = true
    is_drive[item.parent or ""] = true
  end
  for _, item in ipairs(items) do
    local carried = is_disk[item] or is_drive[item.id] or SILENT[item.type]
      or SUBTYPES[item.subtype] or item.device == "video" or item.device == "tpm"
      or item.type ~= 23 and controllers.is(item)
    if not carried then
      findings[#findings + 1] = device(item)
    elseif (item.type == 15 or item.type == 16 or item.type == 14) and item.resource then
      findings[#findings + 1] = finding.warns("OvfImageLeft", item.name,
        "an image lies in it; drive and image stay behind",
        "upload the image and attach it here if the guest needs it", item.resource)
    end
  end
end

--- left.disks(list, used, findings)
-- Disks of the DiskSection that no Item uses.
function M.disks(list, used, findings)
  for _, disk in ipairs(list) do
    if not used[disk] then
      findings[#findings + 1] = finding.warns("OvfDiskUnused", "disk " .. disk.id,
        "the OVF has it, and no machine in it uses it; it stays behind",
        "import its file as an image if it is needed")
    end
  end
end

-- Whether a node is a section: by its name, or because it says whether it is required.
local function is_section(node)
  return nodes.kind(node):find("Section$") ~= nil
    or node.ns ~= "" and not nodes.is_ovf(node.ns) and nodes.required(node) ~= nil
end

local function section(node, findings)
  local kind, required = nodes.kind(node), nodes.required(node)
  if not is_section(node) or SECTIONS[kind] or required == false then
    return
  elseif kind == "EncryptionSection" or required then
    findings[#findings + 1] = finding.blocks("OvfSectionRequired", kind,
      "the OVF requires what this section says, and it is not known here",
      "export the machine again without it; skipPreflightChecks imports it all the same")
  else
    findings[#findings + 1] = finding.warns("OvfSectionLeft", kind,
      "a section that is not known here; what it says is not followed",
      "see whether the machine needs it")
  end
end

--- left.sections(root, system, findings)
function M.sections(root, system, findings)
  local holders = table.move(system.above, 1, #system.above, 2, { root })
  holders[#holders + 1] = system.node
  for _, holder in ipairs(holders) do
    for _, node in ipairs(holder) do
      if node.ns ~= nodes.VIRTUALBOX then
        section(node, findings)
      end
    end
  end
end

--- left.settings(settings, findings)
function M.settings(settings, findings)
  if #settings.required > 0 then
    findings[#findings + 1] = finding.warns("OvfSettingLeft", "machine",
      "the OVF requires settings that are not known here",
      "see whether the guest needs them", table.concat(settings.required, ", ", 1,
      math.min(#settings.required, 10)))
  end
end

-- Xen's paravirtual machines have a kernel for Xen alone, and maybe no boot loader.
local function is_paravirtual(system, settings)
  local kind = system.settings and nodes.text(system.settings, "VirtualSystemType") or ""
  return kind:find("^xen%-") ~= nil or (settings.xen.pv_bootloader or "") ~= ""
    or (settings.xen.pv_kernel or "") ~= ""
end

--- left.start(system, settings, part, findings)
-- What may keep the guest from starting as it did.
--
--   part  table  of virtualbox.read, or nil
function M.start(system, settings, part, findings)
  if is_paravirtual(system, settings) then
    findings[#findings + 1] = finding.warns("OvfParavirtualXen", "machine",
      "a paravirtual machine of Xen's; its kernel may start nowhere else",
      "install a kernel and a boot loader for hardware in the guest before")
  end
  if part and part.firmware == "EFI32" then
    findings[#findings + 1] = finding.warns("OvfFirmware32Bit", "machine",
      "it starts from an EFI of 32 bits; here that has 64",
      "see that the guest has a boot loader for it")
  end
end

--- left.properties(system, keys, findings)
-- What whoever deploys an appliance is asked, and the guest then reads.
function M.properties(system, keys, findings)
  local transport = system.hardware[1] and nodes.trim(nodes.attr(system.hardware[1],
    "transport"))
  if transport and #keys > 0 then
    findings[#findings + 1] = finding.warns("OvfPropertiesLeft", "machine",
      ("an appliance that asks for %d settings when it is deployed; nothing passes them "
        .. "to the guest here"):format(#keys),
      "configure it in the guest, or by cloud-init",
      table.concat(keys, ", ", 1, math.min(#keys, 10)))
  end
end

return M
