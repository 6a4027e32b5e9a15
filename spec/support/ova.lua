--- support.ova: OVF packages as ovftool makes them, of disks that are given.

local digest = require "host.digest"
local shell = require("support.disks")
local tar = require "support.tar"

local M = {}

local ENVELOPE = [[
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References>%s</References>
<DiskSection><Info>Disks</Info>%s</DiskSection>
<NetworkSection><Info>Networks</Info><Network ovf:name="VM Network"/></NetworkSection>
<VirtualSystem ovf:id="%s"><Info>A machine</Info><Name>%s</Name>
<OperatingSystemSection ovf:id="101"><Info>Guest</Info></OperatingSystemSection>
<VirtualHardwareSection><Info>Hardware</Info>
%s</VirtualHardwareSection>
</VirtualSystem>
</Envelope>
]]

local FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

-- An Item with its children, which stand in the order of their names.
local function item(fields)
  local text = {}
  for _, name in ipairs { "AddressOnParent", "AllocationUnits", "Connection", "ElementName",
    "HostResource", "InstanceID", "Parent", "ResourceSubType", "ResourceType",
    "VirtualQuantity" } do
    if fields[name] then
      text[#text + 1] = ("<rasd:%s>%s</rasd:%s>"):format(name, fields[name], name)
    end
  end
  return "<Item>" .. table.concat(text) .. "</Item>\n"
end

--- ova.STREAM: what qemu-img has to be told for a stream-optimised VMDK
M.STREAM = "-o subformat=streamOptimized"

--- ova.image(folder, name, format, options?) -> disk, for ova.files
-- A disk of 16 MiB with something in it, as an image of that format; disk.raw: its SHA-512.
function M.image(folder, name, format, options)
  local size, path = 16 << 20, ("%s/%s"):format(folder, name)
  local raw = path .. ".raw"
  shell.run(("truncate -s %d '%s' && head -c 3000000 /dev/urandom | dd of='%s' bs=1M seek=2 "
    .. "conv=notrunc 2>&1 && printf end | dd of='%s' bs=1 seek=%d conv=notrunc 2>&1"):format(size,
    raw, raw, raw, size - 3))
  shell.run(("qemu-img convert -f raw -O %s %s '%s' '%s'"):format(format, options or "", raw,
    path))
  local handle <close> = assert(io.open(path, "rb"))
  return { name = name, data = handle:read("a"), capacity = size,
    raw = shell.digest("sha512", raw) }
end

--- ova.description(name, disks) -> text of an OVF
--
--   disks[i].name      string  of its file, nil: it has none
--   disks[i].capacity  bytes
--   disks[i].size      bytes of its file
--   disks[i].file      string  more attributes of its File
--   disks[i].format    string  the URI of its format
function M.description(name, disks)
  local files, sections, items = "", "", item { ElementName = "2 CPUs", InstanceID = 1,
    ResourceType = 3, VirtualQuantity = 2 } .. item { AllocationUnits = "byte * 2^20",
    ElementName = "memory", InstanceID = 2, ResourceType = 4, VirtualQuantity = 512 }
    .. item { ElementName = "SCSI Controller 0", InstanceID = 3, ResourceSubType =
    "VirtualSCSI", ResourceType = 6 } .. item { Connection = "VM Network", ElementName =
    "Ethernet 1", InstanceID = 4, ResourceSubType = "VmxNet3", ResourceType = 10 }
  for i, disk in ipairs(disks) do
    if disk.name then
      files = files .. ('<File ovf:href="%s" ovf:id="file%d" ovf:size="%d" %s/>'):format(
        disk.name, i, disk.size or #disk.data, disk.file or "")
    end
    sections = sections .. ('<Disk ovf:capacity="%d" ovf:capacityAllocationUnits="byte" '
      .. 'ovf:diskId="vmdisk%d" %s ovf:format="%s"/>'):format(disk.capacity, i,
      disk.name and ('ovf:fileRef="file%d"'):format(i) or "", disk.format or FORMAT)
    items = items .. item { AddressOnParent = i - 1, ElementName = "Hard Disk " .. i,
      HostResource = "ovf:/disk/vmdisk" .. i, InstanceID = 10 + i, Parent = 3,
      ResourceType = 17 }
  end
  return ENVELOPE:format(files, sections, name, name, items)
end

--- ova.manifest(files, algorithm?) -> text
--
--   files  list of {name, data}
function M.manifest(files, algorithm)
  local lines = {}
  for i, one in ipairs(files) do
    lines[i] = ("%s(%s)= %s\n"):format((algorithm or "sha256"):upper(), one[1],
      digest[algorithm or "sha256"](one[2]))
  end
  return table.concat(lines)
end

--- ova.files(name, disks, opts?) -> list of {name, data}: OVF, manifest, disks
--
--   opts.algorithm  string    of the manifest; false: there is none
--   opts.manifest   function (text) -> text, another one
function M.files(name, disks, opts)
  opts = opts or {}
  local all = { { name .. ".ovf", M.description(name, disks) } }
  for _, disk in ipairs(disks) do
    all[#all + 1] = disk.name and { disk.name, disk.data } or nil
  end
  if opts.algorithm ~= false then
    local text = M.manifest(all, opts.algorithm)
    table.insert(all, 2, { name .. ".mf", opts.manifest and opts.manifest(text) or text })
  end
  return all
end

--- ova.pack(files, order?) -> bytes of an archive
--
--   order  list of their places, as { 3, 1, 2 }; those left out are left out
function M.pack(files, order)
  local members = {}
  for i, place in ipairs(order or {}) do
    members[i] = tar.member(table.unpack(files[place]))
  end
  for i, one in ipairs(order and {} or files) do
    members[i] = tar.member(table.unpack(one))
  end
  return tar.archive(table.unpack(members))
end

return M
