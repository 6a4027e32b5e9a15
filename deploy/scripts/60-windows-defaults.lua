-- Windows guests whose notes say "virtio: yes" have the virtio drivers and use them; all
-- others start from SATA, with an e1000. Each gets a label to be found by.

local function is_windows(input)
  return input.plan.os == "windows"
end

local function is_prepared(input)
  return input.machine.description:find("virtio: yes", 1, true) ~= nil
end

return {
  disk_bus = function(input)
    if is_windows(input) then
      return is_prepared(input) and "virtio" or "sata"
    end
  end,

  nic_model = function(input)
    if is_windows(input) then
      return is_prepared(input) and "virtio" or "e1000"
    end
  end,

  labels = function(input, builtin)
    if is_windows(input) then
      builtin["site.example.org/patch-group"] = "windows"
      return builtin
    end
  end,
}
