-- NICs go to the network of their VLAN: "VLAN 20 backup" -> default/vlan20. Where the
-- name says no number, the table decides; else the built-in policy (spec.networkMapping).

local BY_NAME = {
  ["VM Network"] = "default/vlan1",
  ["dvs-storage"] = "storage/vlan300",
}

return {
  nic_network = function(input)
    local name = input.nic.network.name or ""
    local vlan = name:lower():match("vlan[ _-]*(%d+)")
    if vlan then
      return "default/vlan" .. vlan
    end
    return BY_NAME[name]
  end,
}
