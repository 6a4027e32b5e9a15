local plan = require "policy.plan"
local sample = require "support.sample"

local NONE = "none"

-- Severity of a finding for this guest, its disk on `bus` at the source.
local function said(code, id, bus, changes, spec)
  local family = id:lower():find("^win") and "windows" or "linux"
  local list = { guest = { id = id, family = family }, disks = { sample.disk(0, {
    bus = bus, controller = bus == "virtio-scsi" and "virtio0:0" or nil }) } }
  if bus == "virtio-scsi" then
    list.disks[1].bus = "scsi"
  end
  for key, value in pairs(changes or {}) do
    list[key] = value
  end
  local found = sample.find(assert(plan.build(sample.input(list, spec))).findings, code)
  return found and found.severity or NONE, found
end

describe("policy.concerns.start_risks", function()
  it("warns of an initramfs without the new bus's driver, by distribution", function()
    for id, severity in pairs({
      rhel9_64Guest = "Warns", rhel7_64Guest = "Warns", rhel6_64Guest = NONE,
      centos7_64Guest = "Warns", centos6_64Guest = NONE, centos64Guest = "Warns",
      oracleLinux8_64Guest = "Warns", rockylinux_64Guest = "Warns", rhel = "Warns",
      almalinux_64Guest = "Warns", fedora64Guest = "Warns", sles15_64Guest = "Warns",
      sles11_64Guest = NONE, opensuse64Guest = "Warns", debian12_64Guest = NONE,
      ubuntu64Guest = NONE, windows2019srv_64Guest = NONE, [""] = NONE, ["64"] = NONE,
    }) do
      assert.equal(severity, (said("InitramfsHostOnly", id, "scsi")), id)
    end
  end)

  it("does not where the guest has that driver", function()
    local id = "rhel9_64Guest"
    assert.equal(NONE, (said("InitramfsHostOnly", id, "sata")))
    assert.equal(NONE, (said("InitramfsHostOnly", id, "virtio")))
    assert.equal("Warns", (said("InitramfsHostOnly", id, "nvme")))
    assert.equal(NONE, (said("InitramfsHostOnly", id, "scsi", { disks = { sample.disk(0),
      sample.disk(1, { bus = "sata" }) } })))
    local virtio = { defaultDiskBusType = "scsi" }
    assert.equal("Warns", (said("InitramfsHostOnly", id, "scsi", nil, virtio)))
    assert.equal(NONE, (said("InitramfsHostOnly", id, "virtio-scsi", nil, virtio)))
    local _, found = said("InitramfsHostOnly", id, "scsi")
    assert.equal("disk 2000", found.subject)
    assert.matches("dracut -f", found.action, 1, true)
  end)

  it("says that the boot disk is a guess among controllers", function()
    local function guess(...)
      return (said("BootDiskGuessed", "ubuntu64Guest", "scsi", { disks = { ... } }))
    end
    local ide = { bus = "ide", controller = "VirtualIDEController0:0" }
    local second = { controller = "ParaVirtualSCSIController1:0" }
    assert.equal("Warns", guess(sample.disk(0, ide), sample.disk(1)))
    assert.equal("Warns", guess(sample.disk(0), sample.disk(1, second)))
    assert.equal(NONE, guess(sample.disk(0)))
    assert.equal(NONE, guess(sample.disk(0), sample.disk(1), sample.disk(2)))
    ide.boot_order = 1
    assert.equal(NONE, guess(sample.disk(0), sample.disk(1, ide)))
    local bare = { controller = "" }
    assert.equal(NONE, guess(sample.disk(0, bare), sample.disk(1, bare)))
  end)

  it("speaks of the disk that is started from", function()
    local _, found = said("InitramfsHostOnly", "rhel9_64Guest", "scsi", { disks = {
      sample.disk(0, { boot_order = 2 }), sample.disk(1, { boot_order = 1 }) } })
    assert.equal("disk 2001", found.subject)
    assert.equal(NONE, (said("InitramfsHostOnly", "rhel9_64Guest", "scsi", { disks = {} })))
  end)

  it("warns of LVM's devices file from version 9 on", function()
    for id, severity in pairs({ rhel9_64Guest = "Warns", rhel10_64Guest = "Warns",
      rhel8_64Guest = NONE, centos9_64Guest = "Warns", almalinux_64Guest = "Warns",
      fedora64Guest = NONE, sles15_64Guest = NONE }) do
      assert.equal(severity, (said("LvmDevicesFile", id, "scsi")), id)
    end
    assert.equal(NONE, (said("LvmDevicesFile", "rhel9_64Guest", "virtio")))
  end)

  it("warns of guests on IDE that know nothing else", function()
    for id, severity in pairs({ winXPProGuest = "Warns", winNetStandardGuest = "Warns",
      win2000ServGuest = "Warns", otherGuest = "Warns", otherGuest64 = "Warns",
      other24xLinuxGuest = "Warns", other5xLinux64Guest = NONE, windows7_64Guest = NONE,
      debian12_64Guest = NONE }) do
      assert.equal(severity, (said("GuestNeedsAhci", id, "ide")), id)
      assert.equal(NONE, (said("GuestNeedsAhci", id, "scsi")), id)
    end
  end)

  it("says which addresses hang on an interface's name", function()
    local severity, found = said("InterfaceNameChanges", "ubuntu64Guest", "scsi", { nics = {
      sample.nic(0, { addresses = { "192.0.2.7", "2001:db8::7" } }) } })
    assert.equal("Informs", severity)
    assert.equal("nic 4000", found.subject)
    assert.equal("192.0.2.7, 2001:db8::7", found.detail)
    assert.equal(NONE, (said("InterfaceNameChanges", "windows9Server64Guest", "scsi")))
    assert.equal(NONE, (said("InterfaceNameChanges", "ubuntu64Guest", "scsi", { nics = {} })))
  end)
end)
