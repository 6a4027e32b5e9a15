local support = require "support.ovf"

local CORES = '<vmw:CoresPerSocket ovf:required="false">2</vmw:CoresPerSocket>'
local EFI = 'vmw:key="firmware" vmw:value="efi"'
local NVRAM = 'vmw:key="nvram" vmw:value="ovf:/file/file3"'
local MEMORY = "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>\n"
  .. "        <rasd:Description>Memory Size"
local OLD_MEMORY = "<rasd:VirtualQuantity>4096</rasd:VirtualQuantity>"

local function cpu(changes)
  local found = support.machine("vmware", changes).cpu
  return found.sockets .. "x" .. found.cores
end

local function memory(changes)
  return support.machine("vmware", changes).memory_bytes
end

local function firmware(name, changes)
  return support.machine(name, changes).firmware
end

describe("hardware.cpu", function()
  it("divides the CPUs by cores of a socket, where that goes", function()
    assert.equal("2x2", cpu())
    assert.equal("4x1", cpu({ [CORES] = "" }))
    assert.equal("4x1", cpu({ [CORES] = CORES:gsub(">2<", ">3<") }))
    assert.equal("4x1", cpu({ [CORES] = CORES:gsub(">2<", ">0<") }))
  end)

  it("refuses numbers that are none", function()
    for _, quantity in ipairs { "0", "-4", "1e9", "4097", "NaN" } do
      assert.equal(('OVF: Item "4 virtual CPU(s)": "%s" is no number of CPUs')
        :format(quantity), (support.refusal("vmware",
        { ["<rasd:VirtualQuantity>4<"] = ("<rasd:VirtualQuantity>%s<"):format(quantity) })))
    end
  end)

  it("is oVirt's sockets, cores and threads", function()
    assert.same({ sockets = 2, cores = 2 }, support.machine("ovirt").cpu)
  end)
end)

describe("hardware.memory", function()
  it("is exact, in whatever unit", function()
    assert.equal(4 << 30, memory())
    assert.equal(4096000000, memory({ [MEMORY] = MEMORY:gsub("2%^20", "10^6") }))
  end)

  it("is of MiB where there is no unit, but a number that only bytes can be", function()
    local none = MEMORY:gsub("<rasd:AllocationUnits>.-</rasd:AllocationUnits>", "")
    assert.equal(4 << 30, memory({ [MEMORY] = none }))
    assert.equal(1 << 30, memory({ [MEMORY] = none,
      [OLD_MEMORY] = "<rasd:VirtualQuantity>1073741824</rasd:VirtualQuantity>" }))
  end)

  it("refuses what is no memory", function()
    for _, quantity in ipairs { "0", "-1", "", "1180591620717411303424", "nan" } do
      assert.truthy(support.refusal("vmware",
        { [OLD_MEMORY] = ("<rasd:VirtualQuantity>%s</rasd:VirtualQuantity>"):format(quantity) })
        :find('^OVF: Item "4096MB of memory": how much memory is not known'), quantity)
    end
    assert.equal("OVF: it says of no memory how much the machine has (ResourceType 4)",
      (support.refusal("vmware", { ["<rasd:ResourceType>4<"] = "<rasd:ResourceType>2<" })))
  end)
end)

describe("hardware.firmware", function()
  it("is VMware's Config, or its ExtraConfig", function()
    assert.same({ uefi = true, secure_boot = true, tpm = false }, firmware("vmware"))
    assert.same({ uefi = false, secure_boot = false, tpm = false },
      firmware("vmware", { [EFI] = EFI:gsub("efi", "bios") }))
    assert.same({ uefi = true, secure_boot = true, tpm = false }, firmware("vmware", {
      [EFI] = 'vmw:key="other" vmw:value="x"',
      [NVRAM] = 'vmw:key="firmware" vmw:value="EFI"',
    }))
  end)

  it("is not read of a Config of somebody else's", function()
    assert.is_false(firmware("vmware",
      { ['<vmw:Config ovf:required="false" ' .. EFI] = "<Config " .. EFI }).uefi)
  end)

  it("is VirtualBox's own", function()
    assert.is_true(firmware("virtualbox").uefi)
    assert.is_false(firmware("virtualbox", { ['<Firmware type="EFI"/>'] = "" }).uefi)
    assert.is_true(firmware("virtualbox", { ['<Firmware type="EFI"/>'] =
      '<Firmware type="EFI64"/>' }).uefi)
  end)

  it("is oVirt's BiosType", function()
    assert.same({ uefi = true, secure_boot = true, tpm = true }, firmware("ovirt"))
    assert.same({ uefi = true, secure_boot = false, tpm = true },
      firmware("ovirt", { ["<BiosType>4"] = "<BiosType>3" }))
    assert.is_false(firmware("ovirt", { ["<BiosType>4"] = "<BiosType>2" }).uefi)
  end)

  it("is Citrix's boot parameters", function()
    assert.is_false(firmware("xen", { ["firmware=uefi"] = "firmware=bios" }).uefi)
    assert.same({ uefi = true, secure_boot = false, tpm = false },
      firmware("xen", { ["secureboot=true;"] = "" }))
  end)

  it("is the generation of a Hyper-V machine", function()
    assert.is_true(firmware("hyperv").uefi)
    assert.is_false(firmware("hyperv", { ["SubType:2"] = "SubType:1" }).uefi)
  end)

  it("has a TPM where the OVF has", function()
    assert.is_true(firmware("vmware", { ["vmware.vmci"] = "vmware.vtpm" }).tpm)
    assert.is_true(firmware("virtualbox").tpm)
    assert.is_false(firmware("virtualbox", { ['type="v2_0"'] = 'type="None"' }).tpm)
  end)
end)
