--- policy.network: where each NIC is connected, with which model and address.
--
-- Every NIC is accounted for: mapped, on the management network, or left out by name.
-- The management network is KubeVirt's pod network; a machine has it at most once.

local json = require "host.json"

local finding = require "policy.finding"
local mapping = require "policy.mapping"
local spec = require "policy.spec"

local M = {}

--- The value of nic_network that means the management network. A network of that name
-- is written with its namespace.
M.MANAGEMENT = "management"

-- KubeVirt gives this address to the bridge inside the pod.
local RESERVED_MAC = "02:00:00:00:00:00"

-- Model at the source -> here. Linux has had virtio's driver for as long as vmxnet3's.
local MODEL = {
  e1000 = "e1000", e1000e = "e1000e", ne2k_pci = "ne2k_pci", pcnet = "pcnet",
  pcnet32 = "pcnet", rtl8139 = "rtl8139", virtio = "virtio",
  vmxnet = "virtio", vmxnet2 = "virtio", vmxnet3 = "virtio",
}

local function subject(nic)
  return "nic " .. nic.id
end

local function network_name(nic)
  local network = nic.network or {}
  return network.name or network.id or "no network"
end

local function with_namespace(destination, namespace)
  if destination:find("/", 1, true) then
    return destination
  end
  return namespace .. "/" .. destination
end

local function has_management(plan, but)
  for _, entry in ipairs(plan.nics) do
    if entry ~= but and entry.binding == "masquerade" then
      return true
    end
  end
  return false
end

local ADD_ROW = "add a row for the network to spec.networkMapping"

local function quoted(nic)
  return ('"%s"'):format(network_name(nic))
end

local function second_unmapped(input, nic)
  local what = "spec.networkMapping does not lead from its network anywhere, and the "
    .. "management network takes one NIC only"
  if input.spec.skipPreflightChecks then
    return false, {
      finding.warns("NicLeftOut", subject(nic), what .. "; the machine comes without it",
        ADD_ROW, quoted(nic)),
    }
  end
  return false, { finding.blocks("NicNotMapped", subject(nic), what, ADD_ROW,
    quoted(nic)) }
end

local function unmapped(input, plan, nic, entry)
  if has_management(plan, entry) then
    return second_unmapped(input, nic)
  end
  return M.MANAGEMENT, {
    finding.warns("NicOnManagementNetwork", subject(nic),
      "goes to the management network, behind address translation, where the guest must "
        .. "use DHCP: spec.networkMapping does not lead from its network anywhere",
      ADD_ROW, quoted(nic)),
  }
end

--- network.list(input) -> nics
-- One entry {id} per NIC, in the machine's order; network.set and the rest fill them.
function M.list(input)
  local nics = json.array({})
  for i, nic in ipairs(input.machine.nics) do
    nics[i] = { id = nic.id }
  end
  return nics
end

--- network.decide(input, plan, nic, entry) -> "namespace/name" | "management" | false
-- The second value is a list of findings; false: the NIC is left out.
function M.decide(input, plan, nic, entry)
  local row, other = mapping.find(input.spec.networkMapping, nic.network)
  if not row or not row.destinationNetwork then
    return unmapped(input, plan, nic, entry)
  end
  local destination = with_namespace(row.destinationNetwork, input.import.namespace)
  if other then
    return destination, {
      finding.blocks("NetworkMappingAmbiguous", subject(nic),
        ("%s and %s both speak of its network, and differ"):format(row.path, other.path),
        "keep one, or write switch/portgroup, the path or the reference of the network",
        quoted(nic)),
    }
  end
  return destination
end

--- network.check(value, input, plan, entry) -> value | nil, message
function M.check(value, input, plan, entry)
  if value == false then
    return value
  end
  if value == M.MANAGEMENT then
    if has_management(plan, entry) then
      return nil, "only one NIC can be on the management network"
    end
    return value
  end
  if type(value) ~= "string" or not spec.is_destination(value) then
    return nil, "namespace/name, a name, \"management\" or false is expected"
  end
  return with_namespace(value, input.import.namespace)
end

--- network.set(plan, entry, value)
-- Writes what nic_network decided into a NIC's entry.
function M.set(_, entry, value)
  if value == M.MANAGEMENT then
    entry.binding = "masquerade"
  elseif value then
    entry.binding = "bridge"
    entry.network = value
  end
end

--- network.names(plan)
-- Takes out the NICs left out, and names the others as upstream did: migrated-0 and so
-- on for mapped ones, pod-network for the management network.
function M.names(_, plan)
  local nics, mapped = json.array({}), 0
  for _, entry in ipairs(plan.nics) do
    if entry.network then
      entry.name = "migrated-" .. mapped
      mapped = mapped + 1
    elseif entry.binding then
      entry.name = "pod-network"
    end
    if entry.binding then
      nics[#nics + 1] = entry
    end
  end
  plan.nics = nics
end

--- network.model(input, plan, nic) -> model, findings
-- The row's model, else defaultNetworkInterfaceModel, else what suits the source's.
function M.model(input, plan, nic)
  local row = mapping.find(input.spec.networkMapping, nic.network)
  local stated = row and row.networkInterfaceModel
    or input.spec.defaultNetworkInterfaceModel
  if stated then
    return stated
  end
  local model = MODEL[nic.model]
  local needs_driver = (model or "virtio") == "virtio" and nic.model ~= "virtio"
  if plan.os == "windows" and needs_driver then
    -- Windows has no virtio driver of its own; Harvester's Windows template uses e1000.
    return "e1000", {
      finding.informs("NicModelForWindows", subject(nic),
        "becomes an e1000: the source's model has no equal that Windows has a driver for",
        "install the virtio driver, then choose virtio", nic.model),
    }
  end
  if model then
    return model
  end
  return "virtio", {
    finding.informs("NicModelChanged", subject(nic),
      "becomes a virtio one: the source's model has no equal",
      "state networkInterfaceModel for another one", nic.model or "unknown"),
  }
end

--- network.check_model(value) -> value | nil, message
function M.check_model(value)
  if spec.is_one_of(value, spec.MODELS) then
    return value
  end
  return nil, "allowed: " .. table.concat(spec.MODELS, ", ")
end

--- network.mac_fault(mac) -> text | nil
-- Why `mac` cannot be the address of a NIC; nil: it can.
function M.mac_fault(mac)
  if type(mac) ~= "string" or not mac:find("^" .. ("%x%x:"):rep(5) .. "%x%x$") then
    return "is not a MAC address"
  end
  if mac == "00:00:00:00:00:00" then
    return "is not an address"
  end
  if tonumber(mac:sub(1, 2), 16) % 2 == 1 then
    return "is a multicast address"
  end
  if mac == RESERVED_MAC then
    return "is KubeVirt's own"
  end
  return nil
end

local function holder_of(plan, mac, but)
  for _, entry in ipairs(plan.nics) do
    if entry ~= but and entry.mac == mac then
      return entry
    end
  end
  return nil
end

--- network.mac(input, plan, nic, entry) -> mac | nil, findings
-- The source's own: DHCP reservations, licences and the guest's interface names hang on
-- it. nil: Harvester makes one up.
function M.mac(_, plan, nic, entry)
  local mac = nic.mac and nic.mac:lower():gsub("-", ":")
  if not mac or mac == "" then
    return nil
  end
  local fault = M.mac_fault(mac)
  if fault then
    return nil, {
      finding.warns("MacDropped", subject(nic),
        ("gets a new address: the source's %s"):format(fault),
        "check the guest's network settings and its DHCP reservation", nic.mac),
    }
  end
  local holder = holder_of(plan, mac, entry)
  if holder then
    return mac, {
      finding.blocks("DuplicateMac", subject(nic),
        "another NIC has the same address; Harvester refuses such a machine",
        "give one of them another address at the source", mac),
    }
  end
  return mac
end

--- network.check_mac(value, input, plan, entry) -> mac | nil, message
function M.check_mac(value, _, plan, entry)
  if value == nil or value == "" then
    return nil
  end
  local mac = type(value) == "string" and value:lower():gsub("-", ":") or value
  local fault = M.mac_fault(mac)
  if fault then
    return nil, ("\"%s\" %s"):format(tostring(value), fault)
  end
  if holder_of(plan, mac, entry) then
    return nil, mac .. " is another NIC's address"
  end
  return mac
end

--- network.link(input, plan, nic) -> "down" | nil, findings
-- One that is not connected at the source must not speak up here: it is often a spare
-- with an address that another machine has.
function M.link(input, _, nic)
  if nic.connected then
    return nil
  end
  local can = (input.defaults or {}).link_state
  if can == false and not input.spec.skipPreflightChecks then
    return nil, {
      finding.blocks("NicDisconnected", subject(nic), "not connected at the source, and "
        .. "would be here: Harvester before 1.6 (KubeVirt 1.5) knows no such NIC",
        "connect or remove it at the source, or set spec.skipPreflightChecks to have it "
        .. "connected"),
    }
  elseif can == false then
    return nil, {
      finding.warns("NicDisconnected", subject(nic), "not connected at the source, but "
        .. "will be here: Harvester before 1.6 (KubeVirt 1.5) knows no such NIC",
        "set spec.targetPowerState: Stopped and remove the NIC here if that is unwanted"),
    }
  end
  local known = can == true
  return "down", {
    finding.new(known and "Informs" or "Warns", "NicLinkDown", subject(nic),
      "not connected at the source, and comes with its link down"
        .. (known and "" or ", where KubeVirt is 1.5 or later: it is connected else"),
      "set the interface's state to up when it is wanted"),
  }
end

--- network.check_link(value) -> "down" | nil, message
function M.check_link(value)
  if value == nil or value == "" or value == "up" then
    return nil
  elseif value == "down" then
    return value
  end
  return nil, "down or \"\" is expected"
end

local function names_of(networks)
  local names, seen = {}, {}
  for _, network in ipairs(networks) do
    local text = network.name or network.id
    if text and not seen[text] then
      seen[text] = true
      names[#names + 1] = text
    end
  end
  table.sort(names)
  local left = #names - 10
  if left > 0 then
    names = table.move(names, 1, 10, 1, {})
    names[11] = ("and %d more"):format(left)
  end
  return #names > 0 and table.concat(names, ", ") or "none"
end

local function used(row, nics)
  for _, nic in ipairs(nics) do
    if mapping.rank(row.sourceNetwork, nic.network) then
      return true
    end
  end
  return false
end

local function check_row(input, row)
  if not row.sourceNetwork or used(row, input.machine.nics) then
    return nil
  end
  local where = row.path .. ".sourceNetwork"
  if input.networks and not mapping.known(row.sourceNetwork, input.networks) then
    return finding.blocks("SourceNetworkUnknown", where,
      ("the source has no such network (it has: %s)"):format(names_of(input.networks)),
      "correct the row", ('"%s"'):format(row.sourceNetwork))
  end
  return finding.informs("SourceNetworkUnused", where, "the machine has no NIC there", "",
    ('"%s"'):format(row.sourceNetwork))
end

--- network.check_mapping(input) -> findings
-- Rows that lead from a network the source does not have Block; rows this machine has no
-- NIC for are merely mentioned: one mapping often serves many imports.
function M.check_mapping(input)
  local findings = {}
  for _, row in ipairs(input.spec.networkMapping) do
    findings[#findings + 1] = check_row(input, row)
  end
  return findings
end

return M
