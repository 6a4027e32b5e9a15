--- policy.virtual_machine: a plan -> the KubeVirt VirtualMachine.
--
-- Source: KubeVirt API v1 (VirtualMachineSpec, DomainSpec) and its admission; what a
-- machine made in Harvester's UI carries beyond that.

local json = require "host.json"

local claim = require "policy.claim"
local firmware = require "policy.firmware"
local guest = require "policy.guest"
local metadata = require "policy.metadata"
local quantity = require "policy.quantity"

-- Harvester's default-vm-termination-grace-period-seconds.
local GRACE_SECONDS = 120

local RUN_STRATEGY = { Running = "RerunOnFailure", Stopped = "Halted" }

local M = {}

local function copy(map)
  local result = {}
  for key, value in pairs(map) do
    result[key] = value
  end
  return result
end

local function disks(plan)
  local devices, volumes = json.array({}), json.array({})
  for i, disk in ipairs(plan.disks) do
    local name = ("disk-%d"):format(i - 1)
    devices[i] = {
      name = name,
      bootOrder = disk.boot_order,
      disk = { bus = disk.bus },
      serial = disk.serial,
    }
    volumes[i] = { name = name, persistentVolumeClaim = { claimName = disk.name } }
  end
  return devices, volumes
end

-- As Harvester's UI does it; its forms know the disk by this name.
local function add_cloud_init(plan, devices, volumes)
  local data = plan.cloud_init
  if not data then
    return
  end
  devices[#devices + 1] = { name = "cloudinitdisk", disk = { bus = "virtio" } }
  volumes[#volumes + 1] = {
    name = "cloudinitdisk",
    cloudInitNoCloud = { userData = data.user_data, networkData = data.network_data },
  }
end

local function nics(plan)
  local interfaces, networks = json.array({}), json.array({})
  for i, nic in ipairs(plan.nics) do
    interfaces[i] = {
      name = nic.name,
      macAddress = nic.mac,
      model = nic.model,
      [nic.binding] = {},
    }
    networks[i] = {
      name = nic.name,
      multus = nic.network and { networkName = nic.network } or nil,
      pod = not nic.network and {} or nil,
    }
  end
  return interfaces, networks
end

local function devices(plan, disk_devices, interfaces)
  local list = {
    disks = disk_devices,
    inputs = json.array({ { bus = "usb", name = "tablet", type = "tablet" } }),
    interfaces = interfaces,
    tpm = firmware.tpm(plan.firmware),
  }
  if #interfaces == 0 then
    -- Otherwise KubeVirt gives a machine without NICs one on the pod network.
    list.autoattachPodInterface = false
  end
  return list
end

local function features(plan)
  return {
    acpi = { enabled = true },
    hyperv = guest.features(plan.os),
    smm = firmware.needs_smm(plan.firmware) and { enabled = true } or nil,
  }
end

-- Only a real one: libvirt refuses anything else.
local function smbios_uuid(machine)
  local digits = { 8, 4, 4, 4, 12 }
  for i, n in ipairs(digits) do
    digits[i] = ("%x"):rep(n)
  end
  local uuid = (machine.uuid or ""):lower()
  return uuid:find("^" .. table.concat(digits, "%-") .. "$") and uuid or nil
end

local function domain(input, plan, disk_devices, interfaces)
  local cpu, memory = plan.cpu, quantity.text(plan.memory_mib)
  return {
    clock = guest.clock(plan.os),
    cpu = {
      sockets = cpu.sockets,
      cores = cpu.cores,
      threads = 1,
      maxSockets = cpu.sockets, -- else KubeVirt reserves four times as many for hotplug
    },
    devices = devices(plan, disk_devices, interfaces),
    features = features(plan),
    firmware = firmware.manifest(plan.firmware, smbios_uuid(input.machine)),
    machine = { type = "q35" },
    memory = { guest = memory },
    -- Harvester's webhook makes the requests of these, by the cluster's overcommit.
    resources = {
      limits = { cpu = ("%d"):format(cpu.sockets * cpu.cores), memory = memory },
    },
  }
end

local function template(input, plan)
  local disk_devices, volumes = disks(plan)
  local interfaces, networks = nics(plan)
  add_cloud_init(plan, disk_devices, volumes)
  local defaults = input.defaults or {}
  return {
    metadata = {
      annotations = { ["harvesterhci.io/sshNames"] = "[]" },
      labels = { ["harvesterhci.io/vmName"] = plan.name },
    },
    spec = {
      domain = domain(input, plan, disk_devices, interfaces),
      evictionStrategy = "LiveMigrateIfPossible",
      networks = networks,
      terminationGracePeriodSeconds = defaults.termination_grace_seconds or GRACE_SECONDS,
      volumes = volumes,
    },
  }
end

local function claims(plan)
  local list = {}
  for i, disk in ipairs(plan.disks) do
    list[i] = claim.build(disk, plan)
  end
  return list
end

--- virtual_machine.build(input, plan) -> VirtualMachine
-- Its volumes are the claims named as the plan's disks, in the machine's order.
--
--   input.defaults.termination_grace_seconds  (default 120, as Harvester's)
function M.build(input, plan)
  local annotations = copy(plan.annotations)
  if plan.description then
    annotations[metadata.DESCRIPTION] = plan.description
  end
  local manifest = {
    apiVersion = "kubevirt.io/v1",
    kind = "VirtualMachine",
    metadata = {
      name = plan.name,
      namespace = plan.namespace,
      labels = copy(plan.labels),
      annotations = annotations,
    },
    spec = {
      runStrategy = RUN_STRATEGY[plan.power_state],
      template = template(input, plan),
    },
  }
  claim.annotate(manifest, claims(plan))
  return manifest
end

local function claim_names(manifest)
  local names = {}
  local ok = pcall(function()
    for _, volume in ipairs(manifest.spec.template.spec.volumes) do
      if volume.persistentVolumeClaim then
        names[volume.persistentVolumeClaim.claimName] = true
      end
    end
  end)
  return ok and names or {}
end

--- virtual_machine.check(value, plan) -> value | nil, message
-- What the later steps count on: kind, name and namespace, and a volume per disk.
function M.check(value, plan)
  if type(value) ~= "table" or type(value.metadata) ~= "table" then
    return nil, "a VirtualMachine is expected"
  end
  if value.apiVersion ~= "kubevirt.io/v1" or value.kind ~= "VirtualMachine" then
    return nil, "apiVersion kubevirt.io/v1, kind VirtualMachine is expected"
  end
  if value.metadata.name ~= plan.name or value.metadata.namespace ~= plan.namespace then
    return nil, "metadata.name and namespace are decided by the hooks name and namespace"
  end
  local names = claim_names(value)
  for _, disk in ipairs(plan.disks) do
    if not names[disk.name] then
      return nil, ("no volume refers to claim %s"):format(disk.name)
    end
  end
  return value
end

return M
