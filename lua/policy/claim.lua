--- policy.claim: the PersistentVolumeClaim of an imported disk.
--
-- A claim's name is the disk's; the machine's volumes refer to it.

local json = require "host.json"

local marks = require "base.marks"
local object_id = require "base.object_id"
local quantity = require "base.quantity"

local TEMPLATES = "harvesterhci.io/volumeClaimTemplates"
local IMAGE_ID = "harvesterhci.io/imageId"

local BIND_NOW = "cdi.kubevirt.io/storage.bind.immediate.requested"

local M = {}

--- claim.build(disk, plan, opts) -> PersistentVolumeClaim
--
--   disk                of plan.disks
--   opts.image          "namespace/name" of the VirtualMachineImage it is made from
--   opts.storage_class  what the image says (default disk.storage_class)
--   opts.size_bytes     at least this much, e.g. the image's virtualSize
--   opts.access_modes   list (default ReadWriteMany: live migration)
--   opts.volume_mode    (default Block)
--
-- The size is whole MiB, at least the disk's capacity: Longhorn rounds up anyway, and a
-- claim one byte short is refused.
function M.build(disk, plan, opts)
  opts = opts or {}
  return {
    apiVersion = "v1",
    kind = "PersistentVolumeClaim",
    metadata = {
      name = disk.name,
      namespace = plan.namespace,
      labels = { [marks.IMPORTED] = "true" },
      annotations = opts.image and { [IMAGE_ID] = opts.image } or nil,
    },
    spec = {
      accessModes = json.array(opts.access_modes or { "ReadWriteMany" }),
      resources = {
        requests = {
          storage = quantity.storage(math.max(disk.capacity_bytes, opts.size_bytes or 0)),
        },
      },
      storageClassName = opts.storage_class or disk.storage_class,
      volumeMode = opts.volume_mode or "Block",
    },
  }
end

--- claim.clone(disk, plan, opts) -> DataVolume
-- Under CDI: a copy of the image's own claim, of the disk's name. The machine never runs
-- from the image's claim, which goes when somebody deletes the image.
--
--   opts  as claim.build
--
-- Of a machine that stays stopped nobody would use it: a class that waits for the first
-- consumer would wait, and the disk be in its image alone. So it is copied at once.
--
-- Source: CDI's DataVolume, source pvc; its annotation for immediate binding.
function M.clone(disk, plan, opts)
  local claim = M.build(disk, plan, opts)
  if plan.power_state == "Stopped" then
    claim.metadata.annotations[BIND_NOW] = "true"
  end
  local namespace, name = object_id.split(opts.image)
  return {
    apiVersion = "cdi.kubevirt.io/v1beta1",
    kind = "DataVolume",
    metadata = claim.metadata,
    spec = {
      source = { pvc = { namespace = namespace, name = name } },
      pvc = claim.spec,
    },
  }
end

-- As Harvester's UI writes it: name and imageId, and the spec.
local function template(claim)
  local annotations = claim.metadata.annotations
  local image = annotations and annotations[IMAGE_ID]
  return {
    metadata = {
      name = claim.metadata.name,
      annotations = image and { [IMAGE_ID] = image } or nil,
    },
    spec = claim.spec.pvc or claim.spec,
  }
end

--- claim.annotation(claims) -> {["harvesterhci.io/volumeClaimTemplates"] = text}
-- What a VirtualMachine says of its claims. Without it Harvester shows the disks as
-- volumes of unknown origin and cannot resize them.
function M.annotation(claims)
  local templates = json.array({})
  for i, claim in ipairs(claims) do
    templates[i] = template(claim)
  end
  return { [TEMPLATES] = json.encode(templates) }
end

--- claim.annotate(virtual_machine, claims)
-- Writes that annotation. Planning writes it from what is planned; a target that knows
-- the claims in the end (the class an image gets is known only when it is ready) writes
-- it again.
function M.annotate(virtual_machine, claims)
  for key, text in pairs(M.annotation(claims)) do
    virtual_machine.metadata.annotations[key] = text
  end
end

return M
