local support = require "support.ovf"

local SECTION = '<vmw:BootOrderSection vmw:instanceId="7 8" vmw:type="disk">'
local NVRAM = 'vmw:key="nvram" vmw:value="ovf:/file/file3"'

local function order(name, changes)
  local found = {}
  for _, disk in ipairs(support.machine(name, changes).disks) do
    found[disk.id] = disk.boot_order
  end
  return found
end

describe("boot.order", function()
  it("is what VMware's section says", function()
    assert.same({ vmdisk2 = 1, vmdisk1 = 2 }, order("vmware"))
    assert.same({ vmdisk1 = 1 }, order("vmware", { ['"7 8"'] = '"9 8"' }))
  end)

  it("is what bios.hddOrder says where the section is not there", function()
    assert.same({ vmdisk1 = 2, vmdisk2 = 1 }, order("vmware", {
      [SECTION] = '<vmw:BootOrderSection vmw:type="disk">',
      [NVRAM] = 'vmw:key="bios.hddOrder" vmw:value="scsi0:1,scsi0:0"',
    }))
  end)

  it("is the disk that Citrix calls bootable", function()
    assert.same({ ["3f1d7a30"] = 1 }, order("xen"))
    assert.same({}, order("xen", { ['xen:isBootable="true"'] = 'xen:isBootable="false"' }))
  end)

  it("is left open where nobody says it", function()
    assert.same({}, order("vmware", { [SECTION] = '<vmw:BootOrderSection>' }))
  end)

  it("is oVirt's BootOrder, or the disk that it boots", function()
    assert.same({ ["aa11c0de-0000-4000-8000-000000000001"] = 1 }, order("ovirt"))
    assert.same({ ["aa11c0de-0000-4000-8000-000000000001"] = 1 }, order("ovirt",
      { ["<BootOrder>1</BootOrder>"] = "" }))
  end)
end)
