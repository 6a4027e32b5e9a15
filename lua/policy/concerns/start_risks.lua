--- policy.concerns.start_risks: what keeps a guest from starting on other hardware, or
-- off its network, and can be mended in the guest before it is moved.
--
-- Known from the guest's identifier and its buses alone; nothing is read from its disks.
--
-- Source: dracut (hostonly is the default from RHEL 7 and SLES 12 on), LVM's devices file
-- (the default from RHEL 9 on), systemd.net-naming-scheme, Windows' in-box drivers.

local finding = require "policy.finding"

local M = {}

-- Families whose initramfs has the drivers of the machine that made it alone: the first
-- version of which that is so.
local HOST_ONLY = { almalinux = 8, amazonlinux = 2, centos = 7, fedora = 19,
  opensuse = 13, oraclelinux = 7, redhat = 7, rhel = 7, rocky = 8, rockylinux = 8,
  sled = 12, sles = 12 }

-- And those whose LVM takes only devices that a file names, by WWID.
local DEVICES_FILE = { almalinux = 9, centos = 9, oraclelinux = 9, redhat = 9, rhel = 9,
  rocky = 9, rockylinux = 9 }

-- Systems without a driver for AHCI of their own.
local BEFORE_AHCI = { "^winxp", "^winnet", "^win2000", "^winnt", "^win9", "^winme",
  "^win31", "^other24xlinux", "^other26xlinux", "^other%-?%d*guest$", "^other$",
  "^otherguest64$", "^dosguest", "^os2guest", "^netware" }

local DRACUT = "in the guest, before: dracut -f --regenerate-all --add-drivers \"ahci "
  .. "virtio_pci virtio_blk virtio_scsi\""

-- "rhel9_64Guest" -> "rhel", 9; the version is nil where the identifier has none.
local function family_of(machine)
  local id = (machine.guest.id or ""):lower()
  local word, version = id:match("^(%a+)(%d*)")
  if not word then
    return nil
  elseif version == "64" or version == "32" then
    version = nil -- "fedora64Guest"
  end
  return (word:gsub("guest$", "")), tonumber(version or "")
end

local function is_of(families, machine)
  local family, version = family_of(machine)
  local first = families[family or ""]
  return first ~= nil and (not version or version >= first)
end

-- The disk that is started from, at the source and here.
local function boot_disk(machine, plan)
  local first
  for _, entry in ipairs(plan.disks) do
    if not first or (entry.boot_order or math.huge) < (first.boot_order or math.huge) then
      first = entry
    end
  end
  for _, disk in ipairs(machine.disks) do
    if first and disk.id == first.id then
      return disk, first
    end
  end
end

-- The bus whose driver the guest must have; virtio-scsi is one of its own.
local function driver_of(disk)
  local virtio_scsi = disk.bus == "scsi"
    and (disk.controller or ""):lower():find("^virtio")
  return virtio_scsi and "virtio-scsi" or disk.bus
end

local function has_driver(machine, bus)
  local wanted = bus == "scsi" and "virtio-scsi" or bus
  for _, disk in ipairs(machine.disks) do
    if driver_of(disk) == wanted then
      return true
    end
  end
  return false
end

local function subject(disk)
  return "disk " .. disk.id
end

-- Within one controller the first unit is the one; between two nobody knows.
local function guessed(machine, disk)
  local controllers, several, seen = {}, false, nil
  for _, other in ipairs(machine.disks) do
    local controller = (other.controller or ""):match("^(.*):%d+$") or other.bus
    several = several or seen ~= nil and not controllers[controller]
    controllers[controller], seen = true, controller
    if other.boot_order then
      return nil
    end
  end
  return several and finding.warns("BootDiskGuessed", subject(disk), "is started from "
    .. "here, as the first of several controllers' disks: the source does not say which",
    "set the boot order at the source, or in a site script (boot_order)") or nil
end

local function initramfs(machine, disk, entry)
  if not is_of(HOST_ONLY, machine) or has_driver(machine, entry.bus) then
    return nil
  end
  return finding.warns("InitramfsHostOnly", subject(disk), ("moves from %s to %s, and "
    .. "such a guest's initramfs has only the drivers of the hardware it was made on: it "
    .. "may end in the dracut shell"):format(disk.bus, entry.bus), DRACUT)
end

local function devices_file(machine, disk, entry)
  if not is_of(DEVICES_FILE, machine) or driver_of(disk) == entry.bus then
    return nil
  end
  return finding.warns("LvmDevicesFile", subject(disk), "LVM of version 9 takes only the "
    .. "devices that /etc/lvm/devices/system.devices names, by identifiers that are "
    .. "others here: its volumes may not be found",
    "in the guest, before: rm /etc/lvm/devices/system.devices, then dracut -f; after: "
    .. "vgimportdevices -a")
end

local function ahci(machine, disk, entry)
  local id = (machine.guest.id or ""):lower()
  if disk.bus ~= "ide" or entry.bus ~= "sata" then
    return nil
  end
  for _, pattern in ipairs(BEFORE_AHCI) do
    if id:find(pattern) then
      return finding.warns("GuestNeedsAhci", subject(disk), "moves from IDE, which "
        .. "KubeVirt does not have, to SATA, for which this guest may have no driver",
        "install an AHCI driver in the guest before, or do not import it")
    end
  end
end

-- Names by slot, as ens192, are of the board that is left behind; so are static settings
-- bound to them.
local function interface_names(machine, plan, findings)
  if plan.os ~= "linux" then
    return
  end
  local here = {}
  for _, entry in ipairs(plan.nics) do
    here[entry.id] = true
  end
  for _, nic in ipairs(machine.nics) do
    if here[nic.id] then
      local addresses = table.concat(nic.addresses or {}, ", ")
      findings[#findings + 1] = finding.informs("InterfaceNameChanges", "nic " .. nic.id,
        "a name that comes from its slot, as ens192, is another one here, and settings "
        .. "that are bound to it do not count", "bind the guest's settings to the MAC "
        .. "address, which it keeps", addresses ~= "" and addresses or nil)
    end
  end
end

--- start_risks.find(machine, plan) -> findings
--
--   machine  a Machine (providers.machine)
--   plan     with os, disks and nics decided
function M.find(machine, plan)
  local findings = {}
  local disk, entry = boot_disk(machine, plan)
  for _, check in ipairs(disk and { guessed, initramfs, devices_file, ahci } or {}) do
    findings[#findings + 1] = check(machine, disk, entry)
  end
  interface_names(machine, plan, findings)
  return findings
end

return M
