--- policy.virtual_machine: a plan -> the KubeVirt VirtualMachine.
--
-- Source: KubeVirt API v1 (VirtualMachineSpec, DomainSpec) and its admission; what a
-- machine made in Harvester's UI carries beyond that.

local json = require "host.json"

local devices = require "policy.devices"
local firmware = require "policy.firmware"
local guest = require "policy.guest"
local machine_rules = require "policy.site.machine_rules"
local metadata = require "policy.metadata"
local quantity = require "base.quantity"

-- Harvester's default-vm-termination-grace-period-seconds.
local GRACE_SECONDS = 120

-- Thousandths of a CPU for each virtual one: KubeVirt's cpuAllocationRatio, 10.
local CPU_REQUEST = 100

local RUN_STRATEGY = { Running = "RerunOnFailure", Stopped = "Halted" }

local M = {}

local function copy(map)
  local result = {}
  for key, value in pairs(map) do
    result[key] = value
  end
  return result
end

local function domain_devices(input, plan)
  local list = {
    disks = devices.disks(plan),
    inputs = json.array({ { bus = "usb", name = "tablet", type = "tablet" } }),
    interfaces = devices.interfaces(plan),
    tpm = firmware.tpm(plan.firmware, input),
  }
  if #list.interfaces == 0 then
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

-- Without requests Kubernetes takes the limits for them, and a node that others use has
-- no such number of idle CPUs. Harvester's webhook writes its own over both, by the
-- cluster's overcommit; it must find both.
local function resources(cpus, memory)
  return {
    limits = { cpu = ("%d"):format(cpus), memory = memory },
    requests = { cpu = ("%dm"):format(cpus * CPU_REQUEST), memory = memory },
  }
end

local function domain(input, plan)
  local cpu, memory = plan.cpu, quantity.text(plan.memory_mib)
  return {
    clock = guest.clock(plan.os, input.spec.timeZone),
    cpu = {
      sockets = cpu.sockets,
      cores = cpu.cores,
      threads = 1,
      maxSockets = cpu.sockets, -- else KubeVirt reserves four times as many for hotplug
    },
    devices = domain_devices(input, plan),
    features = features(plan),
    firmware = firmware.manifest(plan.firmware, input),
    machine = { type = "q35" },
    memory = { guest = memory },
    resources = resources(cpu.sockets * cpu.cores, memory),
  }
end

local function template(input, plan)
  local defaults = input.defaults or {}
  return {
    metadata = {
      annotations = { ["harvesterhci.io/sshNames"] = "[]" },
      labels = { ["harvesterhci.io/vmName"] = plan.name },
    },
    spec = {
      domain = domain(input, plan),
      evictionStrategy = "LiveMigrateIfPossible",
      networks = devices.networks(plan),
      terminationGracePeriodSeconds = defaults.termination_grace_seconds or GRACE_SECONDS,
      volumes = devices.volumes(plan),
    },
  }
end

--- virtual_machine.build(input, plan) -> VirtualMachine
-- Its volumes are the claims named as the plan's disks, in the machine's order.
--
--   input.defaults.termination_grace_seconds  (default 120, as Harvester's)
function M.build(input, plan)
  local annotations = metadata.of_plan(plan)
  for key, value in pairs(devices.templates(plan)) do
    annotations[key] = value
  end
  return {
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

--- virtual_machine.check(value, input, plan) -> value | nil, message
-- The later steps count on kind, name, namespace and a volume per disk; what else may be
-- in it, machine_rules says, unless input.site.code.
function M.check(value, input, plan)
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
  local problem = not (input.site or {}).code
    and machine_rules.problem(value, M.build(input, plan), plan)
  if problem then
    return nil, problem .. " without --allow-code"
  end
  return value
end

return M
