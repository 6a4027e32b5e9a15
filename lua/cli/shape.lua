--- cli.shape: the types of the fields of our objects, which a cluster checks and a file
-- does not. Pure.
--
-- Source: the schemas in crds/; a spec compares them.

local base = require "base.shape"

local M = {}

local REFERENCE = { name = "string", namespace = "string" }

--- shape.SPECS: kind -> field of spec -> type, or the fields of an object. What stands
-- in the rows of a list is policy.spec's to check.
M.SPECS = {
  OvaSource = {
    url = "string",
    httpTimeoutSeconds = "integer",
    credentials = REFERENCE,
    thumbprint = "string",
    allowInsecureEndpoint = "boolean",
    ovfConfiguration = "string",
    leastRate = "integer",
  },
  VmwareSource = {
    endpoint = "string",
    dc = "string",
    credentials = REFERENCE,
    thumbprint = "string",
    leastRate = "integer",
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
    timeZone = "string",
  },
}

local STRINGS = { [base.EACH] = "string" }

--- shape.problem(object) -> text | nil
-- A field whose type is wrong: "spec.folder: must be of type string, ...".
--
--   object  table  with kind and metadata
function M.problem(object)
  local metadata = object.metadata
  return base.problem(metadata, REFERENCE, "metadata")
    or M.strings_problem(metadata.labels, "metadata.labels")
    or M.strings_problem(metadata.annotations, "metadata.annotations")
    or base.problem(object.spec, M.SPECS[object.kind] or {}, "spec")
end

--- shape.strings_problem(map, path) -> text | nil
-- The same of a map whose values are all strings.
function M.strings_problem(map, path)
  return base.problem(map, STRINGS, path)
end

return M
