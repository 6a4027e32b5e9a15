--- cli.shape: the types of the fields of our objects, which a cluster checks and a file
-- does not. Pure.
--
-- Source: the schemas in crds/; a spec compares them.

local json = require "host.json"

local M = {}

local REFERENCE = { name = "string", namespace = "string" }

--- shape.SPECS: kind -> field of spec -> type, or the fields of an object. What stands
-- in the rows of a list is policy.spec's to check.
M.SPECS = {
  VmwareSource = {
    endpoint = "string",
    dc = "string",
    credentials = REFERENCE,
    thumbprint = "string",
  },
  VirtualMachineImport = {
    sourceCluster = {
      apiVersion = "string",
      kind = "string",
      name = "string",
      namespace = "string",
      fieldPath = "string",
      resourceVersion = "string",
      uid = "string",
    },
    virtualMachineName = "string",
    folder = "string",
    networkMapping = "array",
    defaultNetworkInterfaceModel = "string",
    storageClass = "string",
    defaultDiskBusType = "string",
    diskMapping = "array",
    forcePowerOff = "boolean",
    gracefulShutdownTimeoutSeconds = "integer",
    skipPreflightChecks = "boolean",
    dryRun = "boolean",
    cancelled = "boolean",
    maxRetries = "integer",
    giveUpAfter = "string",
    transferMode = "string",
    onFailure = "string",
    targetName = "string",
    targetPowerState = "string",
  },
}

local function type_of(value)
  if type(value) == "table" then
    return json.is_array(value) and "array" or "object"
  end
  return math.type(value) == "integer" and "integer" or type(value)
end

-- What is wrong with a value that should be of this type, or nil.
local function mismatch(value, should, path)
  local is = type_of(value)
  if is == should or (type(value) == "table" and next(value) == nil) then
    return nil
  end
  return ("%s: must be of type %s, and is of type %s%s"):format(path, should, is,
    should == "string" and type(value) ~= "table" and ": put it into quotes" or "")
end

local function check(value, wanted, path)
  if type(wanted) == "string" or value == nil then
    return value ~= nil and mismatch(value, wanted, path) or nil
  end
  local problem = mismatch(value, "object", path)
  for field, inner in pairs(problem and {} or wanted) do
    problem = problem or check(value[field], inner, path .. "." .. field)
  end
  return problem
end

local function check_strings(map, path)
  local problem = check(map, {}, path)
  for key, value in pairs(not problem and map or {}) do
    problem = problem or mismatch(value, "string", path .. "." .. tostring(key))
  end
  return problem
end

--- shape.problem(object) -> text | nil
-- A field whose type is wrong: "spec.folder: must be of type string, ...".
--
--   object  table  with kind and metadata
function M.problem(object)
  local metadata = object.metadata
  return check(metadata, REFERENCE, "metadata")
    or check_strings(metadata.labels, "metadata.labels")
    or check_strings(metadata.annotations, "metadata.annotations")
    or check(object.spec, M.SPECS[object.kind] or {}, "spec")
end

--- shape.strings_problem(map, path) -> text | nil
-- The same of a map whose values are all strings.
M.strings_problem = check_strings

return M
