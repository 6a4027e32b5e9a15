--- policy.image: the VirtualMachineImage that Harvester downloads a disk by.
--
-- Source: Harvester's harvesterhci.io/v1beta1 VirtualMachineImage and its webhook: the
-- display name is unique in its namespace, found by its label, and never changes; the
-- annotation storageClassName agrees with spec.targetStorageClassName.

local json = require "host.json"

local marks = require "base.marks"

-- Harvester counts a download that failed, and then often another failure: it makes the
-- backing image again while the one before is being deleted. An even number leaves the
-- last word, which people are shown, to a download.
local RETRY = 2

local M = {}

--- image.name(disk) -> string
-- Not the claim's: under CDI an image brings a claim of its own name.
function M.name(disk)
  return disk.name .. "-img"
end

--- image.build(disk, plan, opts) -> VirtualMachineImage
--
--   disk           of plan.disks
--   opts.url       where Harvester finds the raw image
--   opts.backend   "backingimage" | "cdi" (default backingimage)
--   opts.retry     failures that Harvester gets over, 0 to 10 (default 2)
--   opts.owner     ownerReference or nil
--
-- spec.checksum stays empty: it would have to be known before the first byte is read.
function M.build(disk, plan, opts)
  local class = disk.storage_class
  return {
    apiVersion = "harvesterhci.io/v1beta1",
    kind = "VirtualMachineImage",
    metadata = {
      name = M.name(disk),
      namespace = plan.namespace,
      labels = {
        ["harvesterhci.io/imageDisplayName"] = disk.display_name,
        [marks.IMPORTED] = "true",
      },
      annotations = class and { ["harvesterhci.io/storageClassName"] = class } or nil,
      ownerReferences = opts.owner and json.array({ opts.owner }) or nil,
    },
    spec = {
      backend = opts.backend or "backingimage",
      displayName = disk.display_name,
      retry = opts.retry or RETRY,
      sourceType = "download",
      targetStorageClassName = class,
      url = opts.url,
    },
  }
end

return M
