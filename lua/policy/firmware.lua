--- policy.firmware: BIOS or UEFI, secure boot, TPM.

local finding = require "policy.finding"

local SERIAL_MAX = 64 -- characters; SMBIOS itself sets no bound

local M = {}

local function keeps_state(input)
  return input.defaults ~= nil and input.defaults.persistent_state == true
end

-- What was sealed stays with the TPM it was sealed by.
local function tpm_concern(input)
  if keeps_state(input) then
    return finding.warns("TpmStateLeft", "machine", "what is sealed in the source's TPM "
      .. "(BitLocker keys, for one) stays there; the machine gets a new one",
      "have the recovery keys at hand for its first start, or suspend the encryption "
      .. "before the import")
  end
  return finding.warns("TpmStateLeft", "machine",
    "what is sealed in the source's TPM (BitLocker keys, for one) stays there; the "
      .. "machine gets a new, empty TPM, which forgets at each stop",
    "have the recovery keys at hand, or suspend the encryption before the import; "
      .. "make the TPM persistent afterwards where the cluster offers it")
end

local function concerns(input, firmware)
  local machine = input.machine
  local findings = {}
  if machine.firmware.secure_boot and not firmware.uefi then
    findings[#findings + 1] = finding.informs("SecureBootIgnored", "machine",
      "the source states secure boot for a machine that starts from BIOS; it has none")
  end
  if firmware.uefi then
    -- The variables live in a file of their own, which no export carries.
    findings[#findings + 1] = finding.informs("FirmwareVariablesLeft", "machine",
      "boot entries kept in the firmware's variables stay at the source; the guest "
        .. "starts from \\EFI\\BOOT\\BOOTX64.EFI",
      "if that file is missing, make it in the guest first (grub-install --removable)")
  end
  if firmware.tpm then
    findings[#findings + 1] = tpm_concern(input)
  end
  return findings
end

--- firmware.decide(input) -> {uefi, secure_boot, tpm}, findings
function M.decide(input)
  local source = input.machine.firmware
  local firmware = {
    uefi = source.uefi,
    secure_boot = source.uefi and source.secure_boot,
    tpm = source.tpm,
  }
  return firmware, concerns(input, firmware)
end

--- firmware.check(value) -> {uefi, secure_boot, tpm} | nil, message
function M.check(value)
  if type(value) ~= "table" then
    return nil, "a table {uefi, secure_boot, tpm} is expected"
  end
  for _, field in ipairs({ "uefi", "secure_boot", "tpm" }) do
    if type(value[field]) ~= "boolean" then
      return nil, field .. " must be a boolean"
    end
  end
  if value.secure_boot and not value.uefi then
    return nil, "secure_boot needs uefi"
  end
  return { uefi = value.uefi, secure_boot = value.secure_boot, tpm = value.tpm }
end

-- Only a real one: libvirt refuses anything else.
local function uuid_of(machine)
  local digits = { 8, 4, 4, 4, 12 }
  for i, n in ipairs(digits) do
    digits[i] = ("%x"):rep(n)
  end
  local uuid = (machine.uuid or ""):lower()
  return uuid:find("^" .. table.concat(digits, "%-") .. "$") and uuid or nil
end

-- What libvirt's XML and QEMU's command line take as it is.
local function serial_of(machine)
  local serial = machine.serial or ""
  return serial:find("^[%w ._+-]+$") and #serial <= SERIAL_MAX and serial or nil
end

--- firmware.manifest(firmware, input) -> domain.firmware
-- `efi: {}` would mean secure boot on, so it is always said. UUID and serial are those
-- that the guest has read at the source: licences are bound to them. A TPM that is kept
-- measures UEFI's variables, so they are kept with it.
--
--   input  of plan.build
function M.manifest(firmware, input)
  local machine = input.machine
  local manifest = { uuid = uuid_of(machine), serial = serial_of(machine) }
  if firmware.uefi then
    manifest.bootloader = { efi = { secureBoot = firmware.secure_boot,
      persistent = firmware.tpm and keeps_state(input) or nil } }
  end
  return next(manifest) and manifest or nil
end

--- firmware.needs_smm(firmware) -> boolean
-- KubeVirt refuses secure boot without System Management Mode; a TPM fails without it.
function M.needs_smm(firmware)
  return firmware.secure_boot or firmware.tpm
end

--- firmware.tpm(firmware, input) -> devices.tpm | nil
-- Kept across stops where input.defaults.persistent_state says that the cluster can:
-- elsewhere KubeVirt refuses that, and BitLocker asks for its key at every start.
function M.tpm(firmware, input)
  return firmware.tpm and { persistent = keeps_state(input) or nil } or nil
end

return M
