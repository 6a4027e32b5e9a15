--- support.machine: a neutral Machine for specs.

local M = {}

--- machine.new(changes) -> Machine
-- A Linux guest with two disks and one NIC; top-level fields are replaced.
function M.new(changes)
  local machine = {
    id = "vm-1", name = "web 01", description = "", path = "/DC0/vm/web 01",
    uuid = "564d0000-0000-0000-0000-000000000001",
    cpu = { sockets = 1, cores = 2 },
    memory_bytes = 2 * 2 ^ 30 // 1 | 0,
    firmware = { uefi = true, secure_boot = false, tpm = false },
    guest = { id = "debian11_64Guest", family = "linux", name = "Debian",
      tools_running = true },
    power_state = "off",
    disks = {
      { id = "2000", name = "Hard disk 1", capacity_bytes = 1048576, bus = "scsi",
        controller = "ParaVirtualSCSIController0:0", boot_order = 1 },
      { id = "2001", name = "Hard disk 2", capacity_bytes = 2097152, bus = "scsi",
        controller = "ParaVirtualSCSIController0:1" },
    },
    nics = {
      { id = "4000", name = "Network adapter 1", mac = "00:50:56:00:00:01",
        network = { name = "VM Network", id = "network-7", path = "/DC0/network/VM Network" },
        model = "vmxnet3", addresses = {}, connected = true },
    },
    snapshots = 0,
    concerns = {},
  }
  for key, value in pairs(changes or {}) do
    machine[key] = value
  end
  return machine
end

return M
