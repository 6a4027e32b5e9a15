--- site.sample: a machine and its import that nobody has: for trying scripts and code on.

local M = {}

local MIB = 1024 * 1024
local GIB = 1024 * MIB

--- sample.machine(code) -> Machine
-- Anew each time.
--
--   code  generation of site.code: whose providers.machine looks at it
function M.machine(code)
  return assert(code:require("providers.machine").check({
    id = "vm-42",
    name = "Sample Machine 01",
    path = "/DC0/vm/Prod/Sample Machine 01",
    uuid = "564d1111-2222-3333-4444-555566667777",
    cpu = { sockets = 2, cores = 2 },
    memory_bytes = 4 * GIB,
    firmware = { uefi = true },
    guest = { id = "ubuntu64Guest", family = "linux", name = "Ubuntu Linux (64-bit)" },
    power_state = "off",
    disks = {
      { id = "2000", name = "Hard disk 1", capacity_bytes = 20 * GIB, bus = "scsi",
        controller = "ParaVirtualSCSIController0:0", datastore = "ssd-01" },
      { id = "2001", name = "Hard disk 2", capacity_bytes = 100 * GIB, bus = "scsi",
        controller = "ParaVirtualSCSIController0:1", datastore = "archive-01" },
    },
    nics = {
      { id = "4000", name = "Network adapter 1", mac = "00:50:56:aa:bb:01",
        model = "vmxnet3", network = { name = "VM Network", id = "network-7",
          path = "/DC0/network/VM Network" } },
      { id = "4001", name = "Network adapter 2", mac = "00:50:56:aa:bb:02",
        model = "vmxnet3", network = { name = "VLAN 20 backup", id = "dvportgroup-20",
          switch = "DSwitch" } },
    },
  }))
end

--- sample.import() -> VirtualMachineImport
-- Of that machine; anew each time.
function M.import()
  return {
    metadata = { name = "sample", namespace = "default",
      uid = "1a2b3c4d-0000-4000-8000-000000000000" },
    spec = {
      virtualMachineName = "Sample Machine 01",
      networkMapping = {
        { sourceNetwork = "VM Network", destinationNetwork = "default/vlan1" },
      },
    },
  }
end

--- sample.input(code) -> input of policy.plan's build
function M.input(code)
  local import = M.import()
  return {
    machine = M.machine(code),
    spec = import.spec,
    import = {
      name = import.metadata.name,
      namespace = import.metadata.namespace,
      uid = import.metadata.uid,
    },
  }
end

return M
