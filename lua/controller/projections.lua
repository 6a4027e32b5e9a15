--- controller.projections: what the manager keeps of each object it watches. Pure.
--
-- A change in it makes the object's key due; all else is not kept, so that thousands of
-- objects cost little.

local conditions = require "kube.conditions"
local marks = require "base.marks"
local object_id = require "base.object_id"
local origin = require "base.origin"

local M = {}

local PLANNED = { virtualMachineImportValid = true, sourceReady = true,
  disksExported = true, diskImageSubmitted = true, diskImageFailed = true,
  diskImagesReady = true }

local function condition(object, type)
  local c = conditions.find(object.status and object.status.conditions, type)
  return c and ("%s %s"):format(c.status, c.message or "")
end

--- projections.source_id(kind, namespace, name) -> string
-- The same for an import that names a source and for the source.
function M.source_id(kind, namespace, name)
  return ("%s %s/%s"):format((kind or ""):lower(), namespace or "", name or "")
end

--- projections.source_of(import) -> string: source_id of the source that it names
function M.source_of(import)
  local ref = origin.of(import)
  return M.source_id(ref.kind, ref.namespace, ref.name)
end

-- The VirtualMachine it will make, as "namespace/name", while it is under way to it.
local function target_of(object, status)
  local dry = status.importStatus == "virtualMachineImportValid" and object.spec.dryRun
  return PLANNED[status.importStatus] and not dry and status.plan
    and object_id.of(status.plan.namespace, status.plan.name) or nil
end

-- Eight fields at most of what is at rest: with a ninth Lua makes room for sixteen.
function M.VirtualMachineImport(object)
  local status = object.status or {}
  return {
    uid = object.metadata.uid,
    generation = object.metadata.generation,
    deleting = object.metadata.deletionTimestamp ~= nil,
    cancelled = object.spec and object.spec.cancelled or false,
    state = status.importStatus or "",
    observed = status.observedGeneration,
    target = target_of(object, status),
    settled = status.conditions ~= nil and #(status.recorded or {}) == 0
      and not marks.is_held(object),
    source = M.source_of(object),
  }
end

-- States that the controller itself writes; "" only over VMMigrationFailed.
local OURS = {
  virtualMachineImportValid = true, virtualMachineImportInvalid = true,
  sourceReady = true, disksExported = true, diskImageSubmitted = true,
  diskImageFailed = true, diskImagesReady = true, virtualMachineCreated = true,
  virtualMachineRunning = true, VMMigrationFailed = true,
}

local function set_by_hand(value, before)
  return value.state ~= before.state and not OURS[value.state]
    and (value.state ~= "" or before.state ~= "VMMigrationFailed")
end

--- projections.interrupts(value, before) -> boolean
-- Of a VirtualMachineImport: a step that began before is of no use any more. It is being
-- deleted, was cancelled, is another one of that name, or somebody has set importStatus.
function M.interrupts(value, before)
  return value.uid ~= before.uid or value.deleting and not before.deleting
    or value.cancelled and not before.cancelled or set_by_hand(value, before)
end

--- projections.has_ended(value) -> boolean
-- Of a VirtualMachineImport: nothing is left to do until somebody changes something.
function M.has_ended(value)
  local ended = value.state == "virtualMachineRunning"
    and (not value.observed or value.observed == value.generation)
    or value.state == "VMMigrationFailed" and value.observed == value.generation
  return ended and value.settled and not value.deleting
end

--- projections.source(object): of a VmwareSource, OpenstackSource or OvaSource
function M.source(object)
  return {
    generation = object.metadata.generation,
    state = object.status and object.status.status,
    look_again = (object.metadata.annotations or {})[marks.LOOK_AGAIN],
  }
end

function M.VirtualMachineImage(object)
  return {
    import = (object.metadata.annotations or {})[marks.IMPORT],
    imported = condition(object, "Imported"),
    failed = condition(object, "RetryLimitExceeded"),
    progress = object.status and object.status.progress,
  }
end

function M.VirtualMachine(object)
  return {
    import = (object.metadata.annotations or {})[marks.IMPORT],
    state = object.status and object.status.printableStatus,
    ready = condition(object, "Ready"),
  }
end

return M
