--- support.many: a machine at the simulator with very many small disks and NICs.

local json = require "host.json"

local M = {}

local PER_CONTROLLER = 16

--- many.disk(n) -> scenario entry of disk n, from 0: of its own size and contents
function M.disk(n)
  return { controller = "pvscsi", bus = n // PER_CONTROLLER, pattern = "text",
    seed = 100 + n, capacity = ("%dKiB"):format(1024 + 64 * n) }
end

--- many.scenario(disks, nics) -> scenario of lab.simulator
-- DC0 has the machine "many", off, with 16 disks on each controller; its NICs are on
-- networks "VLAN 1" and so on.
function M.scenario(disks, nics)
  local machine = { name = "many", firmware = "efi", disks = {}, nics = {} }
  local networks = json.array({})
  for i = 0, disks - 1 do
    machine.disks[i + 1] = M.disk(i)
  end
  for i = 1, nics do
    networks[i] = { name = "VLAN " .. i }
    machine.nics[i] = { network = "VLAN " .. i,
      mac = ("00:50:56:00:07:%02x"):format(i) }
  end
  return { datacenters = { { path = "DC0", networks = networks,
    machines = { machine } } } }
end

--- many.spec(nics, more) -> spec of its import
-- The networks are mapped to default/vlan1 and default/vlan2, as support.site has them.
function M.spec(nics, more)
  local spec = { networkMapping = json.array({}) }
  for i = 1, nics do
    spec.networkMapping[i] = { sourceNetwork = "VLAN " .. i,
      destinationNetwork = ("default/vlan%d"):format(2 - i % 2) }
  end
  for key, value in pairs(more or {}) do
    spec[key] = value
  end
  return spec
end

return M
