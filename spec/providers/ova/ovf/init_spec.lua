local finding = require "base.finding"
local machines = require "providers.machine"
local ovf = require "providers.ova.ovf"
local support = require "support.ovf"

local function summary(machine)
  local disks, nics = {}, {}
  for i, disk in ipairs(machine.disks) do
    local file = machine.files[disk.id]
    disks[i] = ("%s %d %s %s %s"):format(disk.id, disk.capacity_bytes, disk.controller,
      file.href or "empty", file.format or "-")
  end
  for i, nic in ipairs(machine.nics) do
    nics[i] = ("%s %s %s %s"):format(nic.network.name or "-", nic.mac or "-", nic.model,
      nic.connected)
  end
  local cpu = machine.cpu
  return {
    name = machine.name, cpu = ("%dx%d"):format(cpu.sockets, cpu.cores),
    memory = machine.memory_bytes >> 20, firmware = machine.firmware,
    family = machine.guest.family, disks = disks, nics = nics,
  }
end

describe("ovf.read", function()
  it("reads what ovftool writes", function()
    local machine = support.machine("vmware")
    assert.same({
      name = "web 01", cpu = "2x2", memory = 4096, family = "linux",
      firmware = { uefi = true, secure_boot = true, tpm = false },
      disks = {
        "vmdisk1 17179869184 ParaVirtualSCSIController0:0 web%2001-disk1.vmdk vmdk",
        "vmdisk2 2147483648 ParaVirtualSCSIController0:1 web%2001-disk2.vmdk.gz vmdk",
      },
      nics = { "VM Network - vmxnet3 true" },
    }, summary(machine))
    assert.same({}, machine.findings)
    assert.equal("web 01", machine.id)
    assert.equal("off", machine.power_state)
    assert.equal("ubuntu64Guest", machine.guest.id)
  end)

  it("reads what VirtualBox writes, its own part too", function()
    assert.same({
      name = "win", cpu = "2x1", memory = 2048, family = "windows",
      firmware = { uefi = true, secure_boot = false, tpm = true },
      disks = { "vmdisk1 8589934592 virtio-scsi0:0 win-disk001.vmdk vmdk" },
      nics = { "NAT 08:00:27:2a:fb:4e e1000 true", "NAT 08:00:27:ce:31:44 virtio false" },
    }, summary(support.machine("virtualbox")))
  end)

  it("reads what oVirt writes", function()
    local machine = support.machine("ovirt")
    assert.same({
      name = "db", cpu = "2x2", memory = 8192, family = "linux",
      firmware = { uefi = true, secure_boot = true, tpm = true },
      disks = {
        "aa11c0de-0000-4000-8000-000000000002 1073741824 virtio0:0 "
          .. "1c2a3c77-3c1b-4e5f-9a45-8d7e4bb1c9a2 raw",
        "aa11c0de-0000-4000-8000-000000000001 21474836480 virtio-scsi0:1 "
          .. "0b2a3c77-3c1b-4e5f-9a45-8d7e4bb1c9a1 qcow2",
      },
      nics = { "ovirtmgmt 56:6f:1a:2b:00:01 virtio true" },
    }, summary(machine))
    assert.equal("a5d91a3a-88a7-44fb-8d9a-c5e7f8b2f3c4", machine.uuid)
  end)

  it("reads what XenCenter writes", function()
    assert.same({
      name = "mail", cpu = "1x2", memory = 2048, family = "linux",
      firmware = { uefi = true, secure_boot = true, tpm = false },
      disks = {
        "3f1d7a30 10737418240 unknown0:0 3f1d7a30-2c5e-4a6a-9a0e-8b6b0f5f9f10.vhd vhd",
      },
      nics = { "Network 0 7a:5c:12:0f:3b:9d  true" },
    }, summary(support.machine("xen")))
  end)

  it("reads Hyper-V's items, of whatever prefix", function()
    local machine = support.machine("hyperv")
    assert.same({
      name = "app", cpu = "4x1", memory = 4096, family = "windows",
      firmware = { uefi = true, secure_boot = false, tpm = false },
      disks = { "d1 42949672960 scsi0:1 Virtual Hard Disks/app.vhdx vhdx" },
      nics = { "External 00:15:5d:01:2a:03 hyperv true" },
    }, summary(machine))
    assert.equal("6b29fc40-ca47-1067-b31d-00dd010662da", machine.uuid)
  end)

  it("gives a Machine and findings that their contracts take", function()
    for _, name in ipairs { "vmware", "virtualbox", "ovirt", "xen", "hyperv" } do
      local machine = support.machine(name, nil, { name = "another" })
      for _, item in ipairs(machine.findings) do
        assert(finding.check(item))
      end
      machine.files, machine.findings = nil, nil
      assert(machines.check(machine))
    end
  end)

  it("takes a machine that is alone under any name, and says so", function()
    local found = support.codes(support.machine("xen", nil, { name = "web" }))
    assert.equal("Warns", found.OvfNameDiffers.severity)
    assert.is_nil(support.codes(support.machine("xen", nil, { name = "mail" })).OvfNameDiffers)
  end)

  it("says which configuration it took when nobody asked for one", function()
    local machine = support.machine("appliance", nil, { name = "front" })
    assert.equal("large of small, large",
      support.codes(machine).OvfConfigurationChosen.detail)
    machine = support.machine("appliance", nil, { name = "front", configuration = "small" })
    assert.is_nil(support.codes(machine).OvfConfigurationChosen)
  end)

  it("takes the first of several descriptions of the hardware", function()
    local text = support.text("xen")
    local section = text:match("<VirtualHardwareSection.-</VirtualHardwareSection>")
    local machine = support.machine("xen", {
      ["</VirtualSystem>"] = section:gsub("2048", "1024") .. "</VirtualSystem>",
    })
    assert.equal(2048, machine.memory_bytes >> 20)
    assert.truthy(support.codes(machine).OvfHardwareChosen)
  end)

  it("refuses what is no OVF, or of a version it does not know", function()
    for text, reason in pairs {
      [""] = "^OVF:", ["no XML"] = "^OVF:", ["<a/>"] = "begins with <a>",
      ["<Envelope/>"] = "begins with <Envelope>",
      ["<!DOCTYPE a><a/>"] = "DOCTYPE",
      ['<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/3"/>'] = "envelope/3",
      ['<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"/>'] = "no virtual system",
    } do
      local machine, err = ovf.read(text)
      assert.is_nil(machine)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find(reason), err.message)
    end
  end)

  it("refuses a system without hardware", function()
    local text = support.text("hyperv"):gsub(
      "<VirtualHardwareSection.*</VirtualHardwareSection>", "")
    local _, err = ovf.read(text)
    assert.equal('OVF: virtual system "app" has no VirtualHardwareSection', err.message)
  end)
end)
