--- providers.openstack.concerns: what of a server does not come along, or comes
-- otherwise. Pure.
--
-- Source: Nova's flavor extra specs and image properties (hw:*, resources*,
-- pci_passthrough), Neutron's vnic types (binding:vnic_type) and trunk_details.

local finding = require "base.finding"

local M = {}

local function add(list, code, severity, subject, message, action)
  list[#list + 1] = finding.new(severity, code, subject, message, action)
end

--- concerns.property(found, name) -> text | nil
-- Of image or flavor: hw_tpm_model of one is hw:tpm_model of the other.
function M.property(found, name)
  local value = found.image[name]
  if value == nil then
    local extra = found.flavor.extra_specs or {}
    value = extra[(name:gsub("_", ":", 1))]
  end
  return value ~= nil and type(value) ~= "table" and tostring(value) or nil
end

--- concerns.volume(list, volume)
-- Of a volume as Cinder describes it.
function M.volume(list, volume)
  local subject = "disk " .. volume.id
  local attached = #(volume.attachments or {})
  if volume.encrypted == true then
    add(list, "DiskEncrypted", "Blocks", subject, "the volume is encrypted by "
      .. "Cinder; its plain bytes cannot be had from the API",
      "retype the volume to a type without encryption, or detach it")
  end
  if volume.multiattach == true and attached > 1 then
    add(list, "DiskShared", "Warns", subject, ("the volume is attached to %d "
      .. "servers; the import makes a copy of it"):format(attached),
      "stop the other servers too")
  end
end

--- concerns.root_size(list, id)
-- Nobody says how large the root disk is.
function M.root_size(list, id)
  add(list, "RootDiskSizeUnknown", "Blocks", "disk " .. id,
    "flavor and image do not say how large the root disk is",
    "make a volume of it, or resize the server to a flavor with a disk")
end

--- concerns.order(list, disks)
-- Disks in the order that the machine will have, of which some name no device (rank).
function M.order(list, disks)
  if #disks < 2 then
    return
  end
  for i, disk in ipairs(disks) do
    if not disk.rank then
      add(list, "DiskOrderGuessed", "Warns", "disk " .. disk.id, ("OpenStack does "
        .. "not say as which device \"%s\" is attached; it becomes disk %d of %d")
        :format(disk.name, i, #disks), i == 1 and "look whether it is the one that boots"
        or "look whether the guest mounts its disks by UUID or label")
    end
  end
end

-- Disks of the flavor (ephemeral, swap) that no API can read.
local function check_flavor_disks(list, flavor)
  local ephemeral = math.tointeger(flavor.ephemeral
    or flavor["OS-FLV-EXT-DATA:ephemeral"])
  if ephemeral and ephemeral > 0 then
    add(list, "EphemeralDiskNotExported", "Blocks", "machine",
      ("the flavor gives an ephemeral disk of %d GiB, which OpenStack does not export")
        :format(ephemeral),
      "copy what is needed to a volume; skip the check if nothing of it is needed")
  end
  local swap = math.tointeger(tonumber(flavor.swap)) or 0
  if swap > 0 then
    add(list, "SwapDiskNotExported", "Informs", "machine",
      ("the flavor gives a swap disk of %d MiB; the imported machine has none")
        :format(swap))
  end
end

-- "pci_passthrough:alias", "resources:VGPU", "resources1:PGPU", "accel:device_profile".
local DEVICES = { "^pci_passthrough:alias$", "^resources[%w_-]*:[VP]GPU",
  "^resources[%w_-]*:PCI_DEVICE$", "^resources[%w_-]*:CUSTOM_.*GPU",
  "^accel:device_profile$" }

local function is_device(name)
  for _, pattern in ipairs(DEVICES) do
    if name:find(pattern) then
      return true
    end
  end
  return false
end

local function check_devices(list, found)
  local given = {}
  for name, value in pairs(found.flavor.extra_specs or {}) do
    if is_device(name) then
      given[#given + 1] = ("%s=%s"):format(name, tostring(value))
    end
  end
  if #given > 0 then
    table.sort(given)
    add(list, "HostDevicesNotImported", "Warns", "machine", ("the flavor "
      .. "gives devices of the host (a GPU or another PCI device): %s; the imported "
      .. "machine has none"):format(table.concat(given, ", ")),
      "add hostDevices or gpus to the VirtualMachine where the cluster has such")
  end
end

local function check_processors(list, found)
  local policy = (M.property(found, "hw_cpu_policy") or "shared"):lower()
  if policy ~= "shared" then
    add(list, "DedicatedCpusNotImported", "Warns", "machine", ("the server "
      .. "has CPUs of its own (cpu_policy %s); the imported machine shares them")
      :format(policy),
      "set dedicatedCpuPlacement on the VirtualMachine where nodes have a CPU manager")
  end
end

-- Sizes that are the processor's ordinary ones.
local ORDINARY = { small = true, any = true, ["4"] = true, ["4kb"] = true, ["4k"] = true }

local function check_memory(list, found)
  local pages = (M.property(found, "hw_mem_page_size") or "any"):lower()
  if not ORDINARY[pages] then
    add(list, "HugepagesNotImported", "Warns", "machine", ("the server's memory is "
      .. "of huge pages (mem_page_size %s); the imported machine's is not"):format(pages),
      "set memory.hugepages on the VirtualMachine where nodes have some")
  end
  local encrypted = (M.property(found, "hw_mem_encryption") or ""):lower()
  if encrypted == "true" then
    add(list, "MemoryEncryptionNotImported", "Warns", "machine", "the server's "
      .. "memory is encrypted (mem_encryption); the imported machine's is not",
      "set launchSecurity on the VirtualMachine where nodes can")
  end
end

local function check_floating(list, server)
  local floating = {}
  for _, addresses in pairs(server.addresses or {}) do
    for _, address in ipairs(addresses) do
      if address["OS-EXT-IPS:type"] == "floating" then
        floating[#floating + 1] = address.addr
      end
    end
  end
  if #floating > 0 then
    table.sort(floating)
    add(list, "FloatingAddresses", "Warns", "machine", ("floating addresses stay "
      .. "in OpenStack: %s"):format(table.concat(floating, ", ")),
      "give the imported machine an address of its own network")
  end
end

local function check_server(list, server)
  if server.config_drive == "True" or server.config_drive == true then
    add(list, "ConfigDrive", "Informs", "machine", "the config drive is not "
      .. "imported; cloud-init may have read it at the first boot only")
  end
end

local function check_port(list, port)
  local subject, kind = "nic " .. port.port_id, tostring(port.vnic_type or "normal")
  if kind ~= "normal" then
    add(list, "NicOnHardware", "Warns", subject, ("the port is no virtual NIC but a "
      .. "device of the host (vnic_type %s, SR-IOV or alike); it becomes a virtual one")
      :format(kind), "look whether the guest has the driver, and knows the NIC by its "
      .. "new name")
  end
  if port.is_trunk then
    add(list, "TrunkNotImported", "Warns", subject, "the port is the parent of "
      .. "a trunk; the VLANs of its subports do not come along",
      "map its network to one that passes them, or give the machine a NIC for each")
  end
end

--- concerns.machine(list, found)
-- Of server, flavor, image and ports, as hardware.machine has them.
function M.machine(list, found)
  check_flavor_disks(list, found.flavor)
  check_floating(list, found.server)
  check_server(list, found.server)
  check_devices(list, found)
  check_processors(list, found)
  check_memory(list, found)
  for _, port in ipairs(found.ports) do
    check_port(list, port)
  end
end

return M
