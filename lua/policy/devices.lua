--- policy.devices: what a VirtualMachine says of its plan's disks and NICs.
--
-- All of it follows from plan.disks, plan.nics and plan.cloud_init alone. It is how they
-- are written, not a decision: policy.recorded leaves it out of the status and writes it
-- again.

local json = require "host.json"

local claim = require "policy.claim"

-- As Harvester's UI does it; its forms know the disk by this name.
local CLOUD_INIT = "cloudinitdisk"

local M = {}

--- devices.disks(plan) -> spec.domain.devices.disks
function M.disks(plan)
  local list = json.array({})
  for i, disk in ipairs(plan.disks) do
    list[i] = {
      name = ("disk-%d"):format(i - 1),
      bootOrder = disk.boot_order,
      disk = { bus = disk.bus },
      serial = disk.serial,
    }
  end
  if plan.cloud_init then
    list[#list + 1] = { name = CLOUD_INIT, disk = { bus = "virtio" } }
  end
  return list
end

--- devices.volumes(plan) -> spec.volumes
function M.volumes(plan)
  local list = json.array({})
  for i, disk in ipairs(plan.disks) do
    list[i] = {
      name = ("disk-%d"):format(i - 1),
      persistentVolumeClaim = { claimName = disk.name },
    }
  end
  local data = plan.cloud_init
  if data then
    list[#list + 1] = {
      name = CLOUD_INIT,
      cloudInitNoCloud = { userData = data.user_data, networkData = data.network_data },
    }
  end
  return list
end

--- devices.interfaces(plan) -> spec.domain.devices.interfaces
function M.interfaces(plan)
  local list = json.array({})
  for i, nic in ipairs(plan.nics) do
    list[i] = {
      name = nic.name,
      macAddress = nic.mac,
      model = nic.model,
      state = nic.state,
      [nic.binding] = {},
    }
  end
  return list
end

--- devices.networks(plan) -> spec.networks
function M.networks(plan)
  local list = json.array({})
  for i, nic in ipairs(plan.nics) do
    list[i] = {
      name = nic.name,
      multus = nic.network and { networkName = nic.network } or nil,
      pod = not nic.network and {} or nil,
    }
  end
  return list
end

--- devices.templates(plan) -> {[annotation] = text}: the claims, as planned
function M.templates(plan)
  local claims = {}
  for i, disk in ipairs(plan.disks) do
    claims[i] = claim.build(disk, plan)
  end
  return claim.annotation(claims)
end

return M
