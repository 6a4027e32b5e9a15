-- A Linux guest keeps the addresses that it had: cloud-init (which must be installed in
-- it) sets them, by MAC address. Prefix, gateway and name servers are known per subnet.

local DNS = { "10.1.1.53", "10.1.2.53" }

local SUBNETS = {
  { pattern = "^10%.1%.20%.", prefix = 24, gateway = "10.1.20.1" },
  { pattern = "^192%.168%.7%.", prefix = 24, gateway = "192.168.7.1" },
}

local NIC = [[
  nic%d:
    match: {macaddress: "%s"}
    addresses: ["%s/%d"]
    routes: [{to: "default", via: "%s"}]
    nameservers: {addresses: ["%s"]}
]]

-- The first address of a NIC that lies in a known subnet, and that subnet.
local function known(nic)
  for _, address in ipairs(nic.addresses) do
    for _, subnet in ipairs(SUBNETS) do
      if address:find(subnet.pattern) then
        return address, subnet
      end
    end
  end
end

local function macs(plan)
  local by_id = {}
  for _, nic in ipairs(plan.nics) do
    by_id[nic.id] = nic.mac
  end
  return by_id
end

return {
  cloud_init = function(input)
    if input.plan.os ~= "linux" then
      return nil
    end
    local by_id, parts = macs(input.plan), {}
    for i, nic in ipairs(input.machine.nics) do
      local address, subnet = known(nic)
      if address and by_id[nic.id] then
        parts[#parts + 1] = NIC:format(i, by_id[nic.id], address, subnet.prefix,
          subnet.gateway, table.concat(DNS, '", "'))
      end
    end
    if parts[1] then
      return { network_data = "version: 2\nethernets:\n" .. table.concat(parts) }
    end
  end,
}
