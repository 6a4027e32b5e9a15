local devices = require "providers.vmware.devices"
local xml = require "host.xml"

local XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

local function node(text)
  return assert(xml.parse(("<val %s>%s</val>"):format(XSI, text)))
end

local function device(class, key, text)
  return ('<VirtualDevice xsi:type="%s"><key>%s</key>%s</VirtualDevice>'):format(class, key,
    text or "")
end

local SCSI = device("ParaVirtualSCSIController", "1000", "<busNumber>0</busNumber>"
  .. "<sharedBus>noSharing</sharedBus>")

-- A disk at unit 0 of that controller; backing: XML within it, or false: it has none.
local function disk(backing, more)
  return device("VirtualDisk", "2000", "<controllerKey>1000</controllerKey><unitNumber>0"
    .. "</unitNumber>" .. (backing and '<backing xsi:type="FlatBacking">' .. backing
    .. "</backing>" or "") .. (more or "<capacityInBytes>4096</capacityInBytes>"))
end

local function read(text, more)
  return devices.read(node(text), more or {})
end

local function first(text, more)
  local found = read(text, more)
  return found.disks[1], found.facts[found.disks[1].id]
end

describe("providers.vmware.devices: a disk", function()
  it("has the place of its controller and unit", function()
    assert.same({ id = "2000", name = "device 2000", capacity_bytes = 4096, bus = "scsi",
      controller = "ParaVirtualSCSIController0:0" }, (first(SCSI .. disk(""))))
  end)

  for class, bus in pairs { ParaVirtualSCSIController = "scsi", VirtualAHCIController = "sata",
    VirtualBusLogicController = "scsi", VirtualIDEController = "ide",
    VirtualLsiLogicController = "scsi", VirtualLsiLogicSASController = "scsi",
    VirtualNVMEController = "nvme", VirtualSATAController = "sata",
    VirtualSCSIController = "scsi", VirtualUSBController = "usb",
    VirtualUSBXHCIController = "usb" } do
    it(("is %s behind a %s"):format(bus, class), function()
      local d = first(device(class, "1000", "<busNumber>3</busNumber>") .. disk(""))
      assert.equal(bus, d.bus)
      assert.equal(class .. "3:0", d.controller)
    end)
  end

  it("without a controller, a bus or a unit is somewhere all the same", function()
    local d = first(disk(""))
    assert.equal("scsi unknown:0", d.bus .. " " .. d.controller)
    assert.equal("VirtualIDEController0:0", first(device("VirtualIDEController", "1000")
      .. disk("")).controller)
    assert.equal("unknown:0", first(device("VirtualDisk", "1")).controller)
  end)

  it("is as large as its bytes say, else its KiB", function()
    assert.equal(3072, first(disk("", "<capacityInKB>3</capacityInKB>")).capacity_bytes)
    assert.equal(9, first(disk("", "<capacityInKB>3</capacityInKB><capacityInBytes>9"
      .. "</capacityInBytes>")).capacity_bytes)
    assert.equal(0, first(disk("", " ")).capacity_bytes)
  end)

  it("is called as people see it", function()
    assert.equal("Hard disk 1", first(disk("", "<deviceInfo><label>Hard disk 1</label>"
      .. "</deviceInfo>")).name)
    assert.equal("device 2000", first(disk("", "<deviceInfo><summary>x</summary></deviceInfo>"))
      .name)
    assert.equal("device ?", devices.label(node("")))
  end)

  it("stands in the order of controllers, then of units", function()
    local function at(key, controller, unit)
      return device("VirtualDisk", key, ("<controllerKey>%s</controllerKey><unitNumber>%d"
        .. "</unitNumber>"):format(controller, unit))
    end
    local found = read(at("5", "9", 0) .. at("4", "1001", 1) .. at("3", "1000", 2)
      .. at("2", "1000", 10) .. at("1", "1001", 0) .. SCSI
      .. device("ParaVirtualSCSIController", "1001", "<busNumber>1</busNumber>"))
    local keys = {}
    for i, d in ipairs(found.disks) do
      keys[i] = d.id
    end
    assert.equal("3 2 1 4 5", table.concat(keys, " "))
  end)

  it("has its place in the boot order, where that is of disks", function()
    local options = node('<bootOrder xsi:type="VirtualMachineBootOptionsBootableEthernetDevice">'
      .. '<deviceKey>4000</deviceKey></bootOrder>'
      .. '<bootOrder xsi:type="VirtualMachineBootOptionsBootableDiskDevice">'
      .. '<deviceKey>7</deviceKey></bootOrder>'
      .. '<bootOrder xsi:type="VirtualMachineBootOptionsBootableDiskDevice">'
      .. '<deviceKey>2000</deviceKey></bootOrder>')
    assert.equal(2, first(disk(""), { boot_options = options }).boot_order)
    assert.is_nil(first(disk("")).boot_order)
  end)

  it("has a serial where the guest sees one", function()
    local UUID = "<uuid>6000C29B-9C2C-BE3A</uuid>"
    assert.equal("6000c29b9c2cbe3a", first(SCSI .. disk(UUID), { disk_uuid = true }).serial)
    assert.equal("6000c29b9c2cbe3a", first(disk(UUID), { disk_uuid = true }).serial)
    assert.is_nil(first(SCSI .. disk(UUID), { disk_uuid = false }).serial)
    assert.is_nil(first(SCSI .. disk(""), { disk_uuid = true }).serial)
    assert.is_nil(first(SCSI .. disk(false), { disk_uuid = true }).serial)
    assert.is_nil(first(device("VirtualNVMEController", "1000") .. disk(UUID),
      { disk_uuid = true }).serial)
  end)

  it("lies on a datastore", function()
    assert.equal("ds 1", first(disk("<fileName>[ds 1] web/web.vmdk</fileName>")).datastore)
    assert.is_nil(first(disk("<fileName>web.vmdk</fileName>")).datastore)
    assert.is_nil(first(disk(false)).datastore)
  end)

  it("is told of to those who judge it", function()
    local function facts(backing)
      return select(2, first(SCSI .. disk(backing)))
    end
    assert.same({ backing = "FlatBacking", mode = "persistent", multi_writer = false,
      sharing = "noSharing", encrypted = false, delta = false, placed = false }, facts(""))
    assert.same({ mode = "persistent", multi_writer = false, sharing = "noSharing",
      encrypted = false, delta = false, placed = false }, facts(false))
    assert.equal("independent_persistent",
      facts("<diskMode>independent_persistent</diskMode>").mode)
    assert.equal("physicalMode",
      facts("<compatibilityMode>physicalMode</compatibilityMode>").raw_device)
    assert.is_true(facts("<sharing>sharingMultiWriter</sharing>").multi_writer)
    assert.is_false(facts("<sharing>sharingNone</sharing>").multi_writer)
    assert.is_true(facts("<keyId/>").encrypted)
    assert.is_true(facts("<parent/>").delta)
    assert.is_true(facts("<datastore>d</datastore>").placed)
    assert.is_true(facts("<fileName>[ds] a</fileName>").placed)
    assert.is_false(facts("<fileName>[]</fileName>").placed)
    assert.is_nil(select(2, first(disk(""))).sharing)
  end)
end)

describe("providers.vmware.devices: a NIC", function()
  local NETWORKS = {
    { id = "network-7", name = "VM/Network", path = "/p1" },
    { id = "dvportgroup-1", name = "dvs", path = "/p2", switch = "s", key = "key-1" },
    { id = "opaque", name = "segment", path = "/p3", opaque_id = "o-1" },
  }

  local function nic(backing, more, opts)
    local text = device("VirtualVmxnet3", "4000", ("<backing>%s</backing>%s"):format(backing,
      more or ""))
    opts = opts or { networks = NETWORKS }
    return read(text, opts).nics[1]
  end

  for backing, id in pairs {
    ["<port><portgroupKey>key-1</portgroupKey></port>"] = "dvportgroup-1",
    ["<port><portgroupKey>dvportgroup-1</portgroupKey></port>"] = "dvportgroup-1",
    ["<opaqueNetworkId>o-1</opaqueNetworkId>"] = "opaque",
    ["<network>network-7</network><deviceName>old name</deviceName>"] = "network-7",
    ["<deviceName>VM%2fNetwork</deviceName>"] = "network-7",
  } do
    it("is plugged into the network of " .. backing, function()
      assert.equal(id, nic(backing).network.id)
    end)
  end

  it("tells of its network what is known", function()
    assert.same({ id = "dvportgroup-1", name = "dvs", path = "/p2", switch = "s" },
      nic("<port><portgroupKey>key-1</portgroupKey></port>").network)
  end)

  it("says itself what it is plugged into, where nobody may see that", function()
    assert.same({ id = "key-9", name = "key-9" },
      nic("<port><portgroupKey>key-9</portgroupKey></port>").network)
    assert.same({ id = "o-9", name = "o-9" },
      nic("<opaqueNetworkId>o-9</opaqueNetworkId>").network)
    assert.same({ id = "network-9", name = "a/b" },
      nic("<network>network-9</network><deviceName>a%2fb</deviceName>").network)
    assert.same({ id = "n", name = "n" }, nic("<deviceName>n</deviceName>").network)
    assert.same({ name = "" }, nic("").network)
    assert.same({ id = "n", name = "n" }, nic("<deviceName>n</deviceName>", "", {}).network)
  end)

  it("has an address of its own, and those of the guest", function()
    local found = nic("", "<macAddress>00:50:56:AA:BB:CC</macAddress>",
      { addresses = { ["4000"] = { "10.0.0.1" } } })
    assert.equal("00:50:56:aa:bb:cc", found.mac)
    assert.same({ "10.0.0.1" }, found.addresses)
    assert.equal("4000", found.id)
    assert.is_nil(nic("", "<macAddress></macAddress>").mac)
    assert.same({}, nic("").addresses)
  end)

  it("is connected, unless it says otherwise", function()
    local function connected(value)
      return nic("", value and ("<connectable><startConnected>%s</startConnected></connectable>")
        :format(value)).connected
    end
    assert.is_true(connected(nil))
    assert.is_true(connected("true"))
    assert.is_false(connected("false"))
  end)

  for class, model in pairs { VirtualE1000 = "e1000", VirtualE1000e = "e1000e",
    VirtualPCNet32 = "pcnet", VirtualSriovEthernetCard = "sriov", VirtualVmxnet = "vmxnet",
    VirtualVmxnet2 = "vmxnet2", VirtualVmxnet3 = "vmxnet3", VirtualVmxnet3Vrdma = "vmxnet3" } do
    it("knows " .. class, function()
      assert.equal(model, read(device(class, "1")).nics[1].model)
    end)
  end

  it("of a class that nobody knows is one where it has a MAC", function()
    assert.equal("VirtualFuture", read(device("VirtualFuture", "1", "<macAddress>a</macAddress>"))
      .nics[1].model)
    assert.same({}, read(device("VirtualFuture", "1")).nics)
  end)
end)

describe("providers.vmware.devices: what does not travel", function()
  it("is told by kind, with its labels", function()
    local found = read(device("VirtualPCIPassthrough", "1")
      .. device("VirtualSCSIPassthrough", "2") .. device("VirtualSriovEthernetCard", "3")
      .. device("VirtualUSB", "4") .. device("VirtualUSBController", "5")
      .. device("VirtualUSBXHCIController", "6") .. device("VirtualCdrom", "7"))
    assert.same({ passthrough = { "device 1", "device 2" }, sriov = { "device 3" },
      usb_device = { "device 4" }, usb_controller = { "device 5", "device 6" } }, found.special)
  end)

  it("but a TPM is one", function()
    assert.is_true(read(device("VirtualTPM", "1")).tpm)
    assert.is_false(read(device("VirtualCdrom", "1")).tpm)
  end)
end)
