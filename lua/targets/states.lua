--- targets.states: what a Harvester cluster says of images, of claims that are copied,
-- and of machines. Nothing is changed.

local conditions = require "kube.conditions"
local marks = require "base.marks"
local time = require "host.time"

local M = {}

local LONGHORN = "longhorn-system"

local function condition(object, type)
  return conditions.find(object.status and object.status.conditions, type)
end

-- What a CDI image's DataVolume says; CDI never reports failure through the image.
local function volume_message(client, namespace, name)
  local volume = client:get("DataVolume", namespace, name)
  if not volume then
    return nil
  end
  local running = condition(volume, "Running")
  local bound = condition(volume, "Bound")
  if running and running.status == "False" and (running.message or "") ~= "" then
    return running.message
  elseif bound and bound.status ~= "True" and (bound.message or "") ~= "" then
    return bound.message
  end
  return volume.status and volume.status.progress
end

-- Longhorn's status of an image, {} when there is no backing image (CDI), or it may not
-- be read. Harvester names them so; earlier versions by name.
local function backing(client, image)
  local names = { "vmi-" .. image.metadata.uid,
    ("%s-%s"):format(image.metadata.namespace, image.metadata.name) }
  for _, name in ipairs(image.spec.backend == "cdi" and {} or names) do
    local object = client:get("BackingImage", LONGHORN, name)
    if object then
      return object.status or {}
    end
  end
  return {}
end

-- The SHA-512 that Longhorn has computed of an image, or nil.
local function checksum(client, image)
  local sum = backing(client, image).checksum or ""
  return sum ~= "" and sum or nil
end

-- When Harvester was last asked to look at it again, nil: never; and when it was made.
local function looks(image)
  local meta = image.metadata
  return time.parse((meta.annotations or {})[marks.LOOK_AGAIN] or ""),
    time.parse(meta.creationTimestamp or "")
end

--- states.image(client, namespace, name) -> state | nil, err            [waits]
--
--   state.phase     "importing" | "ready" | "failed"
--   state.message   what Harvester says
--   state.progress  per cent or nil
--   state.backend   "backingimage" | "cdi"
--   state.looked_again, .created  while it is importing: seconds of the wall or nil: when
--                   Harvester was last asked to look at it again (target:look_again)
--   state.storage_class, .size  once it is ready: the class and bytes its claims need
--   state.sha512    then, where Longhorn has computed it: of what it received
--   err             notfound: it is not there any more
function M.image(client, namespace, name)
  local image, err = client:get("VirtualMachineImage", namespace, name)
  if not image then
    return nil, err
  end
  local status = image.status or {}
  local imported = condition(image, "Imported") or {}
  local limit = condition(image, "RetryLimitExceeded") or {}
  if imported.status == "True" then
    return {
      phase = "ready",
      storage_class = status.storageClassName,
      size = math.max(status.size or 0, status.virtualSize or 0),
      backend = image.spec.backend,
      sha512 = checksum(client, image),
    }
  elseif limit.status == "True" then
    return { phase = "failed", message = limit.message or imported.message or "" }
  end
  local message = limit.message or ""
  if message == "" and imported.status == "False" then
    message = imported.message or ""
  end
  if message == "" and image.spec.backend == "cdi" then
    message = volume_message(client, namespace, name) or ""
  end
  local looked_again, created = looks(image)
  return { phase = "importing", message = message, progress = status.progress,
    backend = image.spec.backend, looked_again = looked_again, created = created }
end

--- states.whole_since(client, namespace, name) -> seconds of the wall | nil  [waits]
-- When Longhorn had all of an image; nil: it has not, or nobody can tell.
function M.whole_since(client, namespace, name)
  local image = client:get("VirtualMachineImage", namespace, name)
  local since
  for _, file in pairs(image and backing(client, image).diskFileStatusMap or {}) do
    if file.state ~= "ready" then
      return nil
    end
    since = time.parse(file.lastStateTransitionTime or "")
  end
  return since
end

--- states.copy(client, namespace, name) -> message | nil                [waits]
-- What CDI says of a claim that it still copies from its image; nil: it is whole, or CDI
-- has no part in it (or has tidied its DataVolume away).
function M.copy(client, namespace, name)
  local volume, err = client:get("DataVolume", namespace, name)
  if not volume then
    return err.kind ~= "notfound" and err.kind ~= "denied" and error(err) or nil
  end
  local phase = volume.status and volume.status.phase
  if phase == "Succeeded" then
    return nil
  end
  local said = volume_message(client, namespace, name)
  return (phase or "Pending") .. (said and said ~= "" and ": " .. said or "")
end

-- The volumes that an earlier controller made of these disks: claims named after its
-- files, or the images' own claims.
local function old_claims(entries)
  local names = {}
  for _, entry in ipairs(entries) do
    names[(entry.diskName or ""):lower():gsub("%.img$", "")] = true
    names[entry.VirtualMachineImage or ""] = true
  end
  names[""] = nil
  return names
end

--- states.is_made_from(client, namespace, name, entries) -> boolean | nil, err  [waits]
-- Is there a VirtualMachine of that name that an earlier controller made of the disks of
-- these entries of status.diskImportStatus?
function M.is_made_from(client, namespace, name, entries)
  local machine, err = client:get("VirtualMachine", namespace, name)
  if not machine then
    if err.kind == "notfound" then
      return false
    end
    return nil, err
  end
  local claims, count = old_claims(entries), 0
  for _, volume in ipairs(machine.spec.template.spec.volumes or {}) do
    local claim = volume.persistentVolumeClaim
    if claim and not claims[claim.claimName] then
      return false
    end
    count = count + (claim and 1 or 0)
  end
  return count > 0 and (machine.metadata.labels or {})[marks.IMPORTED] == "true"
end

--- states.machine(client, namespace, name) -> state | nil, err          [waits]
--
--   state.running  boolean
--   state.stopped  boolean  its owner has said that it shall not run
--   state.message  what KubeVirt says while it does not run
--   err            notfound: it is not there
function M.machine(client, namespace, name)
  local machine, err = client:get("VirtualMachine", namespace, name)
  if not machine then
    return nil, err
  end
  local status = machine.status or {}
  local ready = condition(machine, "Ready") or {}
  local failure = condition(machine, "Failure") or {}
  local message = status.printableStatus or "not started yet"
  for _, text in ipairs { failure.message or "", ready.message or "" } do
    if text ~= "" then
      message = message .. ": " .. text
      break
    end
  end
  return {
    running = status.printableStatus == "Running" or ready.status == "True",
    stopped = machine.spec.runStrategy == "Halted" or machine.spec.running == false,
    message = message,
  }
end

return M
