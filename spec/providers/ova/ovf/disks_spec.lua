local support = require "support.ovf"

local RESOURCE2 = "<rasd:HostResource>ovf:/disk/vmdisk2</rasd:HostResource>"
local QUANTITY = "<rasd:AllocationUnits>GB</rasd:AllocationUnits>"
  .. "<rasd:VirtualQuantity>5</rasd:VirtualQuantity>"

local function ids(machine)
  local list = {}
  for i, disk in ipairs(machine.disks) do
    list[i] = disk.id
  end
  return list
end

describe("disks.read", function()
  it("orders the disks of a controller by unit", function()
    assert.same({ "vmdisk1", "vmdisk2" }, ids(support.machine("vmware")))
    assert.same({ "vmdisk2", "vmdisk1" }, ids(support.machine("vmware", {
      ["<rasd:AddressOnParent>0</rasd:AddressOnParent>\n        <rasd:ElementName>Hard"] =
        "<rasd:AddressOnParent>2</rasd:AddressOnParent>\n        <rasd:ElementName>Hard",
    })))
  end)

  it("finds a disk however its HostResource is written", function()
    for _, resource in ipairs { "/disk/vmdisk2", "disk/vmdisk2", "ovf://disk/vmdisk2",
      "vmdisk2", "file2" } do
      assert.same({ "vmdisk1", "vmdisk2" }, ids(support.machine("vmware",
        { ["ovf:/disk/vmdisk2"] = resource })), resource)
    end
  end)

  it("finds Citrix's by the Item's own id", function()
    assert.same({ "3f1d7a30" }, ids(support.machine("xen")))
    assert.same({ "3f1d7a30" }, ids(support.machine("xen", {
      ["<rasd:InstanceID>3f1d7a30"] =
        "<rasd:HostResource>ovf:/disk/3f1d7a30</rasd:HostResource><rasd:InstanceID>5",
    })))
  end)

  it("refuses an Item whose disk is not there", function()
    assert.equal('OVF: Item "Hard disk 2": its HostResource "ovf:/disk/x" names no Disk of '
      .. "the DiskSection", (support.refusal("vmware", { ["ovf:/disk/vmdisk2"] = "ovf:/disk/x" })))
  end)

  it("refuses a disk that two Items use", function()
    assert.equal('OVF: Disk "vmdisk1" is used by two Items of the machine',
      (support.refusal("vmware", { ["ovf:/disk/vmdisk2"] = "ovf:/disk/vmdisk1" })))
  end)

  it("takes a disk without a file for an empty one", function()
    local machine = support.machine("vmware", { ['ovf:fileRef="file2" '] = "" })
    assert.same({ capacity = 2 << 30 }, machine.files.vmdisk2)
    assert.equal("disk vmdisk2", support.codes(machine).OvfDiskEmpty.subject)
  end)

  it("takes the size of a disk without a Disk from its Item", function()
    local machine = support.machine("vmware", { [RESOURCE2] = QUANTITY })
    assert.same({ "vmdisk1", "item-7" }, ids(machine))
    assert.same({ capacity = 5 << 30 }, machine.files["item-7"])
    assert.truthy(support.refusal("vmware", { [RESOURCE2] = QUANTITY:gsub(">5<", ">-5<") })
      :find('Item "Hard disk 2": the size of its disk is not known', 1, true))
  end)

  it("takes the size of a raw file for that of a disk whose Item names the file", function()
    local machine = support.machine("vmware", { ["ovf:/disk/vmdisk2"] = "ovf:/file/file1",
      ["web%2001-disk1.vmdk"] = "a.raw", ["ovf:/disk/vmdisk1"] = "ovf:/disk/vmdisk2" })
    assert.equal(68608, machine.files["item-7"].capacity)
    assert.equal("raw", machine.files["item-7"].format)
    assert.equal('OVF: Item "Hard disk 2": its HostResource "ovf:/file/file2" names a file, '
      .. "and nothing says how large the disk in it is",
      (support.refusal("vmware", { ["ovf:/disk/vmdisk2"] = "ovf:/file/file2" })))
  end)

  it("takes a drive without a disk for none", function()
    local machine = support.machine("vmware", { [RESOURCE2] = "" })
    assert.same({ "vmdisk1" }, ids(machine))
    local found = support.codes(machine)
    assert.equal("Hard disk 2", found.OvfDeviceLeft.subject)
    assert.equal("disk vmdisk2", found.OvfDiskUnused.subject)
  end)

  it("gives a disk with a strange id another one", function()
    local machine = support.machine("vmware", { ['diskId="vmdisk2"'] = 'diskId="../x"',
      ["ovf:/disk/vmdisk2"] = "ovf:/disk/../x" })
    assert.truthy(machine.disks[2].id:find("^disk%-%d+$"))
    assert.equal("web%2001-disk2.vmdk.gz", machine.files[machine.disks[2].id].href)
  end)

  it("puts a disk of no controller on SATA", function()
    assert.equal("sata", support.machine("xen").disks[1].bus)
  end)
end)
