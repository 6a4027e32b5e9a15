-- A MAC address is kept only where a licence or a DHCP reservation hangs on it; all other
-- machines get new ones, so that old and new may run side by side.

local KEEP = {
  ["license-server"] = true,
  ["plc-gateway"] = true,
}

return {
  nic_mac = function(input)
    if not KEEP[input.machine.name] then
      return "" -- none: the cluster makes one
    end
  end,
}
