--- flows.import.edits: changes of a spec when they come too late, and what is said of it.
--
-- Until an import is under way everything may change, and it is planned anew. Afterwards
-- what its plan was made of is fixed: the CustomResourceDefinition refuses such a change,
-- and where an older one stands, or the import has ended, it is ignored, which a
-- condition says. The rest counts whenever it is read next.

local conditions = require "kube.conditions"
local json = require "host.json"
local values = require "base.values"

local M = {}

local TYPE = "SpecChangeIgnored"

--- edits.FIXED: the fields that a plan is made of.
M.FIXED = {
  "sourceCluster", "virtualMachineName", "folder", "networkMapping",
  "defaultNetworkInterfaceModel", "storageClass", "defaultDiskBusType", "diskMapping",
  "skipPreflightChecks", "dryRun", "transferMode", "targetName", "targetPowerState",
  "timeZone",
}

-- States with a plan that is being carried out.
local UNDER_WAY = { sourceReady = true, disksExported = true, diskImageSubmitted = true,
  diskImageFailed = true, diskImagesReady = true, virtualMachineCreated = true,
  virtualMachineRunning = true }

-- An absent field, null, "", false and an empty list are one.
local function plain(value)
  if value == json.null or value == "" or value == false then
    return nil
  elseif type(value) ~= "table" then
    return value
  end
  local result = setmetatable({}, getmetatable(value))
  for key, item in pairs(value) do
    result[key] = plain(item)
  end
  return next(result) ~= nil and result or nil
end

--- edits.fixed(spec) -> table
-- The fixed fields as they are now, for status.plannedFrom.
function M.fixed(spec)
  local fields = {}
  for _, name in ipairs(M.FIXED) do
    fields[name] = plain(spec[name])
  end
  return fields
end

-- Fixed fields that are not what the import was planned from, as "spec.NAME".
local function changed(import)
  local names, planned = {}, import.status.plannedFrom
  for _, name in ipairs(planned and M.FIXED or {}) do
    if not values.same(plain(planned[name]), plain((import.spec or {})[name])) then
      names[#names + 1] = "spec." .. name
    end
  end
  return names
end

local function ready(import)
  return conditions.find(import.status and import.status.conditions, "Ready")
end

-- The message about changes that came too late; nil: all of them count.
local function ignored(import)
  local names = table.concat(changed(import), ", ")
  if conditions.is_true(import.status.conditions, "Ready") then
    return ("the import had ended before the spec was changed%s: nothing is done about "
      .. "it; create another import instead"):format(names ~= "" and " (" .. names .. ")"
      or "")
  elseif names ~= "" then
    return ("changed after it was planned, and ignored: %s; set it back, or delete this "
      .. "import and create another"):format(names)
  end
end

--- edits.unseen(import) -> boolean
-- Has the spec of an import that is under way, or done, changed since it was looked at?
function M.unseen(import)
  local status, generation = import.status or {}, import.metadata.generation
  local done = ready(import)
  if not UNDER_WAY[status.importStatus] then
    return false
  end
  return status.observedGeneration ~= nil and status.observedGeneration ~= generation
    or done ~= nil and done.status == "True" and done.observedGeneration ~= nil
    and done.observedGeneration ~= generation
end

--- edits.note(import, ctx)                                              [waits]
-- Says what is ignored. Whoever waits for Ready goes on waiting for, or has, this
-- generation's.
function M.note(import, ctx)
  local message = ignored(import)
  local before = conditions.find(import.status.conditions, TYPE)
  ctx.writer:seen(ready(import), (message or before) and {
    type = TYPE,
    status = message and "True" or "False",
    reason = message and "PlannedBefore" or "SetBack",
    message = message or "",
  })
  if message then
    ctx.writer:event("Warning", TYPE, message)
  end
end

return M
