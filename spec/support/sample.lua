--- support.sample: a Machine and an import to plan for, with what a spec wants different.

local machine = require "providers.machine"

local GIB = 1024 * 1024 * 1024

local M = { GIB = GIB, UID = "1a2b3c4d-5e6f-7081-9203-a4b5c6d7e8f9" }

local function over(base, changes)
  for key, value in pairs(changes or {}) do
    base[key] = value
  end
  return base
end

--- sample.disk(n, changes) -> disk number n, from 0
function M.disk(n, changes)
  return over({
    id = tostring(2000 + n),
    name = "Hard disk " .. (n + 1),
    capacity_bytes = 10 * GIB,
    bus = "scsi",
    controller = "ParaVirtualSCSIController0:" .. n,
  }, changes)
end

--- sample.nic(n, changes) -> NIC number n, from 0
function M.nic(n, changes)
  return over({
    id = tostring(4000 + n),
    name = "Network adapter " .. (n + 1),
    mac = ("00:50:56:aa:bb:%02x"):format(n),
    network = {
      name = "net" .. n,
      id = "network-" .. n,
      path = "/DC0/network/net" .. n,
    },
    model = "vmxnet3",
  }, changes)
end

--- sample.machine(changes) -> Machine, checked; one disk, one NIC on net0
function M.machine(changes)
  return assert(machine.check(over({
    id = "vm-42",
    name = "web-01",
    cpu = { sockets = 2, cores = 4 },
    memory_bytes = 4 * GIB,
    guest = { id = "ubuntu64Guest", family = "linux" },
    power_state = "on",
    disks = { M.disk(0) },
    nics = { M.nic(0) },
  }, changes)))
end

--- sample.input(changes, spec) -> input of plan.build; the NIC's network is mapped
function M.input(changes, spec)
  return {
    machine = M.machine(changes),
    spec = over({
      virtualMachineName = "web-01",
      networkMapping = {
        { sourceNetwork = "net0", destinationNetwork = "default/vlan1" },
      },
    }, spec),
    import = { name = "import-web", namespace = "default", uid = M.UID },
  }
end

--- sample.find(findings, code) -> finding | nil
function M.find(findings, code)
  for _, item in ipairs(findings) do
    if item.code == code then
      return item
    end
  end
  return nil
end

return M
