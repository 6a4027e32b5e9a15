--- providers.vmware.smbios: what a guest reads of its machine's identity. Pure.
--
-- Source: dmidecode in guests on ESXi, pyvmomi#688: from hardware version 13 on the first
-- three fields of the UUID are little-endian there, as SMBIOS 2.6 has them, while
-- config.uuid is not; the serial is made of config.uuid's bytes as they stand.

local M = {}

local SWAPPED_FROM = 13 -- hardware version

local FORM = "^(%x%x)(%x%x)(%x%x)(%x%x)%-(%x%x)(%x%x)%-(%x%x)(%x%x)(%-%x%x%x%x%-"
  .. ("%x"):rep(12) .. ")$"

--- smbios.uuid(uuid, version) -> text | nil
-- The UUID that dmidecode and WMI show in the guest.
--
--   uuid     string  config.uuid, or nil
--   version  string  config.version: "vmx-19", or nil
function M.uuid(uuid, version)
  local number = tonumber((version or ""):match("^vmx%-0*(%d+)$"))
  if not uuid or not number or number < SWAPPED_FROM then
    return uuid
  end
  return (uuid:gsub(FORM, "%4%3%2%1-%6%5-%8%7%9"))
end

--- smbios.serial(uuid) -> text | nil
-- "VMware-42 2c 5c 2f 5f 0d 1a 2b-8c 3d 4e 5f 60 71 82 93", to which licences and cloud
-- agents hold; nil where config.uuid is none.
function M.serial(uuid)
  local digits = (uuid or ""):lower():gsub("-", "")
  if not digits:find("^" .. ("%x"):rep(32) .. "$") then
    return nil
  end
  local function bytes(text)
    return (text:gsub("%x%x", "%0 "):gsub(" $", ""))
  end
  return ("VMware-%s-%s"):format(bytes(digits:sub(1, 16)), bytes(digits:sub(17)))
end

return M
