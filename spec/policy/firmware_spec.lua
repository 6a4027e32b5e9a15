local plan = require "policy.plan"
local sample = require "support.sample"

local function planned(firmware, changes)
  changes = changes or {}
  changes.firmware = firmware
  local p = assert(plan.build(sample.input(changes)))
  return p, p.virtual_machine.spec.template.spec.domain
end

describe("policy.firmware", function()
  it("writes nothing for a BIOS machine", function()
    local p, domain = planned({})
    assert.same({ uefi = false, secure_boot = false, tpm = false }, p.firmware)
    for _, code in ipairs({ "SecureBootIgnored", "FirmwareVariablesLeft",
      "TpmStateLeft" }) do
      assert.is_nil(sample.find(p.findings, code))
    end
    assert.is_nil(domain.firmware)
    assert.is_nil(domain.features.smm)
    assert.is_nil(domain.devices.tpm)
  end)

  it("says that UEFI is without secure boot, which efi: {} would switch on", function()
    local p, domain = planned({ uefi = true })
    assert.same({ bootloader = { efi = { secureBoot = false } } }, domain.firmware)
    assert.is_nil(domain.features.smm)
    assert.equal("Informs", sample.find(p.findings, "FirmwareVariablesLeft").severity)
    assert.is_nil(sample.find(p.findings, "SecureBootIgnored"))
  end)

  it("gives secure boot the SMM that KubeVirt demands", function()
    local _, domain = planned({ uefi = true, secure_boot = true })
    assert.is_true(domain.firmware.bootloader.efi.secureBoot)
    assert.same({ enabled = true }, domain.features.smm)
  end)

  it("gives a TPM SMM, and no persistence that a cluster may refuse", function()
    for _, uefi in ipairs({ true, false }) do
      local p, domain = planned({ uefi = uefi, tpm = true })
      assert.same({}, domain.devices.tpm)
      assert.same({ enabled = true }, domain.features.smm)
      assert.equal("Warns", sample.find(p.findings, "TpmStateLeft").severity)
    end
  end)

  it("keeps the TPM's state, and UEFI's variables with it, where the cluster can", function()
    for _, uefi in ipairs({ true, false }) do
      local input = sample.input({ firmware = { uefi = uefi, tpm = true } })
      input.defaults = { persistent_state = true }
      local p = assert(plan.build(input))
      local domain = p.virtual_machine.spec.template.spec.domain
      assert.same({ persistent = true }, domain.devices.tpm)
      assert.same(uefi and { bootloader = { efi = { secureBoot = false, persistent = true } } }
        or nil, domain.firmware)
      assert.is_nil(sample.find(p.findings, "TpmStateLeft").message:find("forgets", 1, true))
      input.machine.firmware.tpm = false
      domain = assert(plan.build(input)).virtual_machine.spec.template.spec.domain
      assert.is_nil(domain.devices.tpm)
      assert.same(uefi and { bootloader = { efi = { secureBoot = false } } } or nil,
        domain.firmware)
    end
  end)

  it("does not make UEFI of a BIOS machine that states secure boot", function()
    local p, domain = planned({ secure_boot = true })
    assert.same({ uefi = false, secure_boot = false, tpm = false }, p.firmware)
    assert.is_nil(domain.firmware)
    assert.equal("Informs", sample.find(p.findings, "SecureBootIgnored").severity)
  end)

  it("keeps the SMBIOS UUID, if it is one", function()
    local _, domain = planned({}, { uuid = "4210C29B-1234-5678-9abc-def012345678" })
    assert.same({ uuid = "4210c29b-1234-5678-9abc-def012345678" }, domain.firmware)
    for _, text in ipairs({ "", "42 10 c2", "4210c29b-1234-5678-9abc-def01234567",
      "x210c29b-1234-5678-9abc-def012345678" }) do
      _, domain = planned({}, { uuid = text })
      assert.is_nil(domain.firmware, text)
    end
  end)

  it("keeps the SMBIOS serial, if it is one that a command line may hold", function()
    local serial = "VMware-42 10 c2 9b 12 34 56 78-9a bc de f0 12 34 56 78"
    local _, domain = planned({}, { serial = serial })
    assert.same({ serial = serial }, domain.firmware)
    for _, text in ipairs({ "", "a,b", "a\nb", "\xc3\xa4", "<serial>", ("x"):rep(65) }) do
      _, domain = planned({}, { serial = text })
      assert.is_nil(domain.firmware, text)
    end
  end)
end)
