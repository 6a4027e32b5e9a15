--- providers.ova.ovf.guest: the operating system of a virtual system. Pure.
--
-- Source: CIM_OperatingSystem.OsType; vmw:osType is vSphere's guestId, vbox:OSType
-- VirtualBox's; oVirt has its own in the Description.

local hardware = require "providers.vmware.hardware"
local nodes = require "providers.ova.ovf.nodes"
local numbers = require "providers.ova.ovf.numbers"

-- First and last of the numbers of a family.
local NUMBERS = {
  { 15, 19, "windows" }, { 36, 36, "linux" }, { 58, 58, "windows" },
  { 63, 63, "windows" }, { 67, 67, "windows" }, { 69, 77, "windows" },
  { 79, 80, "linux" }, { 82, 101, "linux" },
  { 103, 103, "windows" }, { 105, 105, "windows" }, { 106, 109, "linux" },
  { 111, 116, "windows" },
}

local UUID = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

local M = {}

local function by_number(text)
  local number = numbers.whole(text, 0xFFFF)
  for _, range in ipairs(NUMBERS) do
    if number and number >= range[1] and number <= range[2] then
      return range[3]
    end
  end
  return "other"
end

-- "Microsoft Windows Server 2019 (64-bit)", "Ubuntu_64"
local function by_words(text)
  local plain = text:lower():gsub("^microsoft%s+", "")
  return hardware.family(plain)
end

--- guest.read(system, part) -> Machine's guest
--
--   part  table  of virtualbox.read, or nil
function M.read(system, part)
  local section = nodes.first(system.node, "OperatingSystemSection")
  if not section then
    local os = nodes.cut(part and part.os or "", 253)
    return { id = os, name = os, family = by_words(os) }
  end
  local description = nodes.text(section, "Description") or ""
  local id = nodes.trim(nodes.foreign(section, nodes.VMWARE, "osType"))
    or nodes.text(section, "OSType") or part and part.os or description
  local family = by_words(id)
  if family == "other" then
    family = by_words(description)
  end
  if family == "other" then
    family = by_number(nodes.attr(section, "id"))
  end
  return { id = nodes.cut(id, 253), family = family,
    name = nodes.cut(description ~= "" and description or id, 253) }
end

--- guest.uuid(system, settings, part) -> text | nil
-- The SMBIOS UUID: VMware's setting, VirtualBox's own, the id that oVirt gives the
-- operating system, what Hyper-V calls BIOSGUID.
function M.uuid(system, settings, part)
  local section = nodes.first(system.node, "OperatingSystemSection")
  for _, text in ipairs {
    settings.config.uuid or "", part and part.uuid or "",
    section and nodes.attr(section, "id") or "",
    system.settings and nodes.text(system.settings, "BIOSGUID") or "",
  } do
    local uuid = text:lower():match("^{?(%x[%x-]+)}?$")
    if uuid and uuid:gsub("%x", "x") == UUID then
      return uuid
    end
  end
  return nil
end

return M
