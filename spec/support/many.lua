--- support.many: a machine at the simulator with very many small disks and NICs.

local json = require "host.json"

local M = {}

local PER_CONTROLLER = 16

--- many.disk(n) -> scenario entry of disk n, from 0: of its own size and contents
function M.disk(n)
  return { controller = "pvscsi", bus = n // PER_CONTROLLER, pattern = "text",
    seed = 100 + n, capacity = ("%dKiB"):format(1024 + 64 * n) }
end

local function machine(name, disks, nics, tag)
  local made = { name = name, firmware = "efi", disks = {}, nics = {} }
  for i = 0, disks - 1 do
    made.disks[i + 1] = M.disk(i)
  end
  for i = 1, nics do
    made.nics[i] = { network = "VLAN " .. i,
      mac = ("00:50:56:00:%02x:%02x"):format(tag, i) }
  end
  return made
end

--- many.scenario(disks, nics, names) -> scenario of lab.simulator
-- DC0 has machines of these names (default {"many"}), off, each with 16 disks on each
-- controller, and NICs of its own addresses on networks "VLAN 1" and so on.
function M.scenario(disks, nics, names)
  local networks, machines = json.array({}), {}
  for i = 1, nics do
    networks[i] = { name = "VLAN " .. i }
  end
  for i, name in ipairs(names or { "many" }) do
    machines[i] = machine(name, disks, nics, i)
  end
  return { datacenters = { { path = "DC0", networks = networks, machines = machines } } }
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
