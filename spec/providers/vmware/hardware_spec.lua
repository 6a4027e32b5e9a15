local hardware = require "providers.vmware.hardware"
local machine_of = require "providers.machine"
local vsphere = require "support.vsphere"

local NETWORKS = {
  { id = "network-7", name = "VM Network", path = "/DC0/network/VM Network" },
  { id = "dvportgroup-13", name = "DC0_DVPG0", path = "/DC0/network/DC0_DVPG0",
    switch = "DVS0", key = "dvportgroup-13" },
  { id = "opaque-1", name = "segment", path = "/DC0/network/segment",
    opaque_id = "5a25539a" },
}

-- The Machine of the recorded answers, their texts changed; `disks`: more of each
-- disk's backing.
local function machine(changes)
  changes = changes or {}
  local devices = vsphere.data("hardware", changes.hardware)
  if changes.disks then
    devices = devices:gsub("<split>", changes.disks .. "<split>")
  end
  local props = vsphere.props(devices, vsphere.data("config", changes.config),
    vsphere.data("runtime", changes.runtime))
  for path, text in pairs(changes.props or {}) do
    props[path] = vsphere.props(vsphere.objects {
      { type = "VirtualMachine", value = "vm-79", props = { [path] = { raw = text } } },
    })[path]
  end
  return assert(machine_of.check(hardware.machine("vm-79", props, {
    name = "multi", path = "/DC0/vm/multi", networks = NETWORKS,
  })))
end

local function places(m)
  local list = {}
  for i, disk in ipairs(m.disks) do
    list[i] = ("%s %s %d"):format(disk.bus, disk.controller, disk.capacity_bytes)
  end
  return list
end

local function codes(m)
  local list = {}
  for _, finding in ipairs(m.concerns) do
    list[finding.code] = finding
  end
  return list
end

describe("hardware.machine", function()
  it("divides CPUs by cores of a socket", function()
    assert.same({ sockets = 2, cores = 2 }, machine().cpu)
    assert.same({ sockets = 4, cores = 1 },
      machine({ config = { [":int\">2</val>"] = ":int\">0</val>" } }).cpu)
  end)

  it("counts sockets alone where cores do not divide the CPUs", function()
    assert.same({ sockets = 4, cores = 1 },
      machine({ config = { [":int\">2</val>"] = ":int\">3</val>" } }).cpu)
  end)

  it("keeps memory exact, and UUID and serial as the guest reads them", function()
    local m = machine()
    assert.equal(2048 * 1024 * 1024, m.memory_bytes)
    assert.equal("dd5a42d5-a82a-ec54-8452-6a8d12eb59cd", m.uuid)
    assert.equal("VMware-d5 42 5a dd 2a a8 54 ec-84 52 6a 8d 12 eb 59 cd", m.serial)
    assert.equal("d5425add-2aa8-54ec-8452-6a8d12eb59cd",
      machine({ config = { ["vmx-15"] = "vmx-11" } }).uuid)
  end)

  it("sees UEFI, secure boot and TPM, and no secure boot without UEFI", function()
    assert.same({ uefi = true, secure_boot = true, tpm = true }, machine().firmware)
    assert.same({ uefi = false, secure_boot = false, tpm = true },
      machine({ config = { [">efi<"] = ">bios<" } }).firmware)
  end)

  it("orders disks by controller and unit, and names their place", function()
    assert.same({
      "ide VirtualIDEController0:0 1048576",
      "scsi ParaVirtualSCSIController0:0 10486784",
      "scsi ParaVirtualSCSIController0:1 1048576",
      "scsi VirtualLsiLogicController1:0 1048576",
      "sata VirtualAHCIController0:0 1048576",
      "nvme VirtualNVMEController0:0 1048576",
    }, places(machine()))
  end)

  it("takes the unit, not the key, for the order on a controller", function()
    local m = machine({ hardware = {
      ["<unitNumber>0</unitNumber>\n                <capacityInKB>10241"] =
        "<unitNumber>2</unitNumber>\n                <capacityInKB>10241",
    } })
    assert.equal("ParaVirtualSCSIController0:1", m.disks[2].controller)
    assert.equal("ParaVirtualSCSIController0:2", m.disks[3].controller)
  end)

  it("takes the capacity in KiB where an old release has no other", function()
    local m = machine({ hardware = {
      ["<capacityInBytes>10486784</capacityInBytes>"] = "" } })
    assert.equal(10241 * 1024, m.disks[2].capacity_bytes)
  end)

  it("reads boot order and datastore of disks", function()
    local m = machine({
      props = { ["config.bootOptions"] = [[
        <bootOrder xsi:type="VirtualMachineBootOptionsBootableEthernetDevice">
          <deviceKey>208</deviceKey></bootOrder>
        <bootOrder xsi:type="VirtualMachineBootOptionsBootableDiskDevice">
          <deviceKey>206</deviceKey></bootOrder>
        <bootOrder xsi:type="VirtualMachineBootOptionsBootableDiskDevice">
          <deviceKey>202</deviceKey></bootOrder>]] },
    })
    assert.is_nil(m.disks[1].boot_order)
    assert.equal(2, m.disks[2].boot_order)
    assert.equal(1, m.disks[6].boot_order)
    assert.equal("LocalDS_0", m.disks[2].datastore)
  end)

  -- bus -> serial, of disks on all kinds of bus that have a UUID each
  local function serials(visible)
    local m = machine({
      props = { ["config.flags.diskUuidEnabled"] = visible },
      disks = "<uuid>6000C29a-1b2c-3d4e</uuid>",
    })
    local found = {}
    for _, disk in ipairs(m.disks) do
      found[disk.bus] = found[disk.bus] or disk.serial
    end
    return found
  end

  it("takes a disk's UUID for its serial only where the guest can see it", function()
    assert.same({ scsi = "6000c29a1b2c3d4e" }, serials("true"))
    assert.same({}, serials("false"))
    assert.same({}, serials(nil))
  end)

  it("accounts for every NIC with its network, model and lower-case MAC", function()
    local m = machine({ hardware = { ["00:50:56:00:00:01"] = "00:50:56:AB:CD:EF" } })
    assert.equal(4, #m.nics)
    assert.same({ "vmxnet3", "e1000e", "e1000", "vmxnet3" },
      { m.nics[1].model, m.nics[2].model, m.nics[3].model, m.nics[4].model })
    assert.equal("00:50:56:ab:cd:ef", m.nics[2].mac)
    assert.same({ id = "network-7", name = "VM Network",
      path = "/DC0/network/VM Network" }, m.nics[1].network)
    assert.same({ id = "dvportgroup-13", name = "DC0_DVPG0", switch = "DVS0",
      path = "/DC0/network/DC0_DVPG0" }, m.nics[2].network)
  end)

  it("finds an opaque network by its own id", function()
    local m = machine({ hardware = { ["<deviceName>VM Network</deviceName>\n"
      .. '                  <network type="Network">network-7</network>'] =
      "<opaqueNetworkId>5a25539a</opaqueNetworkId>"
      .. "<opaqueNetworkType>nsx.LogicalSwitch</opaqueNetworkType>" } })
    assert.equal("segment", m.nics[1].network.name)
  end)

  it("keeps a NIC whose network the account may not see", function()
    local m = machine({ hardware = { ["dvportgroup-13"] = "dvportgroup-99" } })
    assert.same({ id = "dvportgroup-99", name = "dvportgroup-99" }, m.nics[2].network)
  end)

  it("gives NICs the addresses that the guest reports, but no link-local ones", function()
    local m = machine({ runtime = { ["<deviceConfigId>208"] =
      "<ipAddress>10.0.0.5</ipAddress><ipAddress>FE80::1</ipAddress>"
      .. "<ipAddress>2001:db8::5</ipAddress><deviceConfigId>208" } })
    assert.same({ "10.0.0.5", "2001:db8::5" }, { table.unpack(m.nics[1].addresses) })
    assert.equal(0, #m.nics[2].addresses)
  end)

  it("counts snapshots of the whole tree", function()
    local m = machine({ props = { snapshot = "<rootSnapshotList><childSnapshotList/>"
      .. "<childSnapshotList><childSnapshotList/></childSnapshotList></rootSnapshotList>"
    } })
    assert.equal(4, m.snapshots)
  end)

  it("does with the least a server can say", function()
    local m = hardware.machine("vm-1", {}, { name = "x", path = "/x", networks = {} })
    assert.same({ sockets = 1, cores = 1 }, m.cpu)
    assert.equal("off", m.power_state)
    assert.equal("other", m.guest.family)
  end)
end)

describe("hardware.family", function()
  it("believes the tools, then the configured guest", function()
    assert.equal("windows", hardware.family("otherGuest64", "windowsGuest"))
    assert.equal("windows", hardware.family("windows2019srv_64Guest"))
    assert.equal("windows", hardware.family("winNetStandardGuest"))
    assert.equal("linux", hardware.family("debian10_64Guest"))
    assert.equal("linux", hardware.family("other5xLinux64Guest"))
    assert.equal("linux", hardware.family("vmwarePhoton64Guest"))
    assert.equal("other", hardware.family("freebsd13_64Guest"))
    assert.equal("other", hardware.family("darwin21_64Guest"))
  end)
end)

describe("concerns", function()
  local BACKING = 'XMLSchema-instance:type="VirtualDiskFlatVer2BackingInfo"'

  -- The recorded machine, its first disk backed in another way.
  local function with_backing(text)
    return codes(machine({ hardware = {
      ["<diskMode>persistent</diskMode>"] = text
        .. "<diskMode>persistent</diskMode>" } }))
  end

  it("finds nothing but the virtual TPM in the recorded machine", function()
    local found = codes(machine())
    assert.equal("Warns", found.EncryptedMachine.severity)
    found.EncryptedMachine = nil
    assert.same({}, found)
  end)

  it("blocks on a raw device that vSphere does not export, warns of the other", function()
    local found = with_backing("<compatibilityMode>physicalMode</compatibilityMode>")
    assert.equal("Blocks", found.RawDevicePhysical.severity)
    assert.equal("disk 202", found.RawDevicePhysical.subject)
    found = with_backing("<compatibilityMode>virtualMode</compatibilityMode>")
    assert.equal("Warns", found.RawDeviceVirtual.severity)
    assert.is_nil(found.RawDevicePhysical)
  end)

  it("sees shared, encrypted and linked disks", function()
    assert.truthy(with_backing("<sharing>sharingMultiWriter</sharing>").SharedDisk)
    assert.truthy(with_backing("<keyId><keyId>1</keyId></keyId>").EncryptedDisk)
    assert.truthy(with_backing("<parent/>").LinkedDisk)
    assert.truthy(codes(machine({ hardware = {
      ["noSharing"] = "physicalSharing" } })).SharedDisk)
  end)

  it("does not call a disk with snapshots a linked clone", function()
    local m = machine({
      hardware = { ["<diskMode>"] = "<parent/><diskMode>" },
      props = { snapshot = "<rootSnapshotList/>" },
    })
    assert.is_nil(codes(m).LinkedDisk)
  end)

  it("sees independent disks and disks on no datastore", function()
    local found = codes(machine({ hardware = {
      ["<diskMode>persistent"] = "<diskMode>independent_nonpersistent" } }))
    assert.equal("independent_nonpersistent", found.IndependentDisk.detail)
    found = codes(machine({ hardware = {
      ["[LocalDS_0] multi/disk0.vmdk"] = "",
      ['<datastore type="Datastore">/datastore/LocalDS_0@folder-5</datastore>'] = "",
    } }))
    assert.equal("Blocks", found.MissingDatastore.severity)
  end)

  it("names devices that do not travel", function()
    local function device(class)
      return codes(machine({ hardware = {
        ['"VirtualKeyboard"'] = ('"%s"'):format(class) } }))
    end
    assert.truthy(device("VirtualPCIPassthrough").Passthrough)
    assert.truthy(device("VirtualSriovEthernetCard").SRIOV)
    assert.equal("Keyboard ", device("VirtualUSB").USBDevice.subject)
    assert.equal("Informs", device("VirtualUSBXHCIController").USBController.severity)
  end)

  it("sees what the machine is in", function()
    for path, code in pairs {
      ["runtime.consolidationNeeded"] = "ConsolidationNeeded",
      ["config.template"] = "Template",
      ["config.cpuHotAddEnabled"] = "Hotplug",
      ["config.keyId"] = "EncryptedMachine",
    } do
      assert.truthy(codes(machine({ props = { [path] = "true" } }))[code], code)
    end
    local found = codes(machine({ props = {
      ["runtime.faultToleranceState"] = "running" } }))
    assert.truthy(found.FaultTolerance)
    found = codes(machine({ props = {
      ["runtime.faultToleranceState"] = "notConfigured" } }))
    assert.is_nil(found.FaultTolerance)
  end)

  it("puts the worst first", function()
    local m = machine({ hardware = { [BACKING] = BACKING, ["<diskMode>"] =
      "<compatibilityMode>physicalMode</compatibilityMode><diskMode>" },
      props = { ["config.template"] = "true" } })
    assert.equal("Blocks", m.concerns[1].severity)
    assert.equal("Informs", m.concerns[#m.concerns].severity)
  end)
end)

describe("hardware.machine: what vSphere does not say", function()
  it("of the guest's name is its id", function()
    local props = vsphere.props(vsphere.data("hardware"))
    props["config.guestId"] = { text = "debian12_64Guest" }
    local guest = hardware.machine("vm-79", props, { name = "n", path = "/n",
      networks = NETWORKS }).guest
    assert.equal("debian12_64Guest", guest.name)
    assert.equal("linux", guest.family)
  end)

  it("of a key means that it is not encrypted", function()
    local props = vsphere.props(vsphere.data("config"))
    local function found()
      return codes(hardware.machine("vm-79", props, { name = "n", path = "/n",
        networks = NETWORKS })).EncryptedMachine
    end
    assert.is_nil(found())
    props["config.keyId"] = { text = "k" }
    assert.truthy(found())
  end)
end)
