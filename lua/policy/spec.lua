--- policy.spec: what an import asks for, as far as planning reads it.
--
-- Harvester's forms send "" for what the user left alone, and a cluster may not have
-- checked the object at all (import -f): here "" becomes unset and every field is
-- checked once, so that no decision has to.

local finding = require "policy.finding"
local invalid = require "policy.invalid"
local name = require "policy.name"
local object_id = require "base.object_id"

local M = {}

--- Values KubeVirt's admission takes. Source: KubeVirt API v1, DiskTarget.bus and
-- Interface.model; the enums of upstream's CRD are the same.
M.BUSES = { "sata", "scsi", "usb", "virtio" }
M.MODELS = { "e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "virtio" }
M.POWER_STATES = { "AsSource", "Running", "Stopped" }

local STRINGS = {
  "targetName", "targetPowerState", "storageClass", "defaultDiskBusType",
  "defaultNetworkInterfaceModel", "timeZone",
}
local ROWS = {
  networkMapping = { "sourceNetwork", "destinationNetwork", "networkInterfaceModel" },
  diskMapping = { "disk", "storageClass", "busType" },
}

--- spec.is_one_of(value, allowed) -> boolean
function M.is_one_of(value, allowed)
  for _, candidate in ipairs(allowed) do
    if value == candidate then
      return true
    end
  end
  return false
end

--- spec.is_destination(text) -> boolean
-- A network attachment definition: `namespace/name` or `name`.
function M.is_destination(text)
  local namespace, short = object_id.split(text)
  if namespace then
    return name.is_label(namespace) and name.is_subdomain(short)
  end
  return name.is_subdomain(text)
end

--- spec.is_time_zone(text) -> boolean
-- By its form alone: "Europe/Berlin", "Etc/GMT+1", "UTC".
function M.is_time_zone(text)
  return #text <= 64 and ("/" .. text):gsub("/%a[%w_+-]*", "") == ""
end

-- A string, or nil for unset. YAML makes `disk: 0` a number; that is meant as text.
local function text(value, path)
  if math.type(value) == "integer" then
    value = tostring(value)
  end
  if value == nil or value == "" then
    return nil
  end
  if type(value) ~= "string" then
    return nil, invalid("%s: a string is expected, not a %s", path, type(value))
  end
  return value
end

local function read_row(row, fields, path)
  if type(row) ~= "table" then
    return nil, invalid("%s: an object is expected, not a %s", path, type(row))
  end
  local clean = { path = path }
  for _, field in ipairs(fields) do
    local value, err = text(row[field], path .. "." .. field)
    if err then
      return nil, err
    end
    clean[field] = value
  end
  return clean
end

local function read_rows(rows, fields, path)
  if rows == nil or rows == "" then
    return {}
  end
  if type(rows) ~= "table" then
    return nil, invalid("%s: a list is expected, not a %s", path, type(rows))
  end
  local clean = {}
  for i, row in ipairs(rows) do
    local err
    clean[i], err = read_row(row, fields, ("%s[%d]"):format(path, i - 1))
    if err then
      return nil, err
    end
  end
  if #clean == 0 and next(rows) ~= nil then
    return nil, invalid("%s: a list is expected, not an object", path)
  end
  return clean
end

-- Takes a wrong value out of `holder`, so that the plan is made as if it were unset and
-- everything else that is wrong is reported at the same time.
local function refuse(findings, holder, field, path, code, allowed)
  findings[#findings + 1] = finding.blocks(code, path,
    ("\"%s\" is not possible; allowed: %s"):format(holder[field],
      type(allowed) == "table" and table.concat(allowed, ", ") or allowed),
    "correct the field or leave it empty")
  holder[field] = nil
end

local function check_enum(findings, holder, field, path, code, allowed)
  if holder[field] and not M.is_one_of(holder[field], allowed) then
    refuse(findings, holder, field, path, code, allowed)
  end
end

local function check_class(findings, holder, field, path)
  if holder[field] and not name.is_subdomain(holder[field]) then
    refuse(findings, holder, field, path, "StorageClassInvalid",
      "the name of a StorageClass")
  end
end

local function check_network_row(findings, row)
  check_enum(findings, row, "networkInterfaceModel", row.path .. ".networkInterfaceModel",
    "NetworkInterfaceModelInvalid", M.MODELS)
  local destination = row.destinationNetwork
  if destination and not M.is_destination(destination) then
    -- Stays in the row: the NIC is mapped, if to something impossible.
    findings[#findings + 1] = finding.blocks("DestinationNetworkInvalid",
      row.path .. ".destinationNetwork",
      ("\"%s\" cannot name a network; allowed: namespace/name, or a name in the import's "
        .. "namespace"):format(destination), "correct the field")
  end
  if destination and not row.sourceNetwork then
    findings[#findings + 1] = finding.blocks("SourceNetworkMissing",
      row.path .. ".sourceNetwork",
      ("a row leads to \"%s\", but does not say from which source network"):format(
        destination), "name the source network, or remove the row")
  end
end

local function check_disk_row(findings, row)
  check_enum(findings, row, "busType", row.path .. ".busType", "DiskBusInvalid", M.BUSES)
  check_class(findings, row, "storageClass", row.path .. ".storageClass")
end

local function check(clean)
  local findings = {}
  check_enum(findings, clean, "targetPowerState", "spec.targetPowerState",
    "TargetPowerStateInvalid", M.POWER_STATES)
  check_enum(findings, clean, "defaultDiskBusType", "spec.defaultDiskBusType",
    "DiskBusInvalid", M.BUSES)
  check_enum(findings, clean, "defaultNetworkInterfaceModel",
    "spec.defaultNetworkInterfaceModel", "NetworkInterfaceModelInvalid", M.MODELS)
  check_class(findings, clean, "storageClass", "spec.storageClass")
  if clean.timeZone and not M.is_time_zone(clean.timeZone) then
    refuse(findings, clean, "timeZone", "spec.timeZone", "TimeZoneInvalid",
      "a name of the time zone database, as Europe/Berlin")
  end
  for _, row in ipairs(clean.networkMapping) do
    check_network_row(findings, row)
  end
  for _, row in ipairs(clean.diskMapping) do
    check_disk_row(findings, row)
  end
  return findings
end

--- spec.read(spec) -> clean, findings | nil, err
-- What planning needs of a VirtualMachineImport's spec; `spec` itself is left alone.
--
--   clean.targetName, targetPowerState, storageClass, defaultDiskBusType,
--     defaultNetworkInterfaceModel, timeZone
--                                    string or nil, with no value that is not allowed
--   clean.skipPreflightChecks        boolean
--   clean.networkMapping             list of {sourceNetwork, destinationNetwork,
--                                    networkInterfaceModel, path}
--   clean.diskMapping                list of {disk, storageClass, busType, path}
--   findings                         a Blocks for each value that is not allowed
--   err                              a field has the wrong type
--
-- A row's `path` is where it stands in the object: "spec.diskMapping[0]".
function M.read(spec)
  if type(spec) ~= "table" then
    return nil, invalid("spec: an object is expected, not a %s", type(spec))
  end
  local clean = {}
  local err
  for _, field in ipairs(STRINGS) do
    clean[field], err = text(spec[field], "spec." .. field)
    if err then
      return nil, err
    end
  end
  for field, columns in pairs(ROWS) do
    clean[field], err = read_rows(spec[field], columns, "spec." .. field)
    if err then
      return nil, err
    end
  end
  local skip = spec.skipPreflightChecks
  if skip ~= nil and type(skip) ~= "boolean" then
    return nil, invalid("spec.skipPreflightChecks: a boolean is expected, not a %s",
      type(skip))
  end
  clean.skipPreflightChecks = skip or false
  return clean, check(clean)
end

return M
