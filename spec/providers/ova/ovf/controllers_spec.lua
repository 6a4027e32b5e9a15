local controllers = require "providers.ova.ovf.controllers"

local function one(kind, subtype, more)
  local item = { id = "3", name = "Controller", type = kind, subtype = subtype:lower() }
  for key, value in pairs(more or {}) do
    item[key] = value
  end
  local found = controllers.read({ item })["3"]
  return found and ("%s %s%d"):format(found.bus, found.class, found.number)
end

describe("controllers.read", function()
  it("knows the subtypes of VMware, VirtualBox and Hyper-V", function()
    for _, case in ipairs {
      { 5, "", "ide VirtualIDEController0" }, { 5, "PIIX4", "ide VirtualIDEController0" },
      { 5, "Microsoft:Hyper-V:Emulated IDE Controller", "ide VirtualIDEController0" },
      { 6, "lsilogic", "scsi VirtualLsiLogicController0" },
      { 6, "lsilogicsas", "scsi VirtualLsiLogicSASController0" },
      { 20, "LsiLogicSas", "scsi VirtualLsiLogicSASController0" },
      { 6, "buslogic", "scsi VirtualBusLogicController0" },
      { 6, "VirtualSCSI", "scsi ParaVirtualSCSIController0" },
      { 6, "Microsoft Synthetic SCSI Controller", "scsi scsi0" }, { 6, "", "scsi scsi0" },
      { 20, "VirtioSCSI", "scsi virtio-scsi0" }, { 20, "AHCI", "sata VirtualAHCIController0" },
      { 20, "vmware.sata.ahci", "sata VirtualAHCIController0" },
      { 20, "vmware.nvme.controller", "nvme VirtualNVMEController0" },
      { 20, "NVMe", "nvme VirtualNVMEController0" }, { 23, "vmware.usb.xhci", "usb usb0" },
    } do
      assert.equal(case[3], one(case[1], case[2]), case[2])
    end
  end)

  it("knows SATA by the Item's name where no subtype says it", function()
    assert.equal("sata VirtualAHCIController0", one(20, "", { name = "SATA controller 0" }))
  end)

  it("takes neither other devices nor storage itself for one", function()
    assert.is_nil(one(20, "", { name = "Graphical Controller" }))
    assert.is_nil(one(20, "ahci", { resource = "ovf:/disk/a" }))
    assert.is_nil(one(10, "e1000"))
  end)

  it("numbers them as the OVF says, else as they come", function()
    assert.equal("ide VirtualIDEController1", one(5, "", { address = "1" }))
    local list = {}
    for i, id in ipairs { "a", "b", "c" } do
      list[i] = { id = id, name = id, type = 5, subtype = "" }
    end
    local found = controllers.read(list)
    assert.equal(0, found.a.number)
    assert.equal(2, found.c.number)
  end)
end)

describe("controllers.named", function()
  it("reads oVirt's interfaces", function()
    for word, bus in pairs { VirtIO = "virtio", VirtIO_SCSI = "scsi", IDE = "ide",
      SATA = "sata" } do
      assert.equal(bus, controllers.named(word), word)
    end
    assert.is_nil(controllers.named(""))
  end)
end)
