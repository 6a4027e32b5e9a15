--- base.marks: how objects of a cluster are marked as an import's. Pure.

local M = {}

--- marks.IMPORTED: label, "true": an import has made it.
M.IMPORTED = "migration.harvesterhci.io/imported"

--- marks.IMPORT, marks.IMPORT_UID: annotations of what an import has made: that import's
-- "namespace/name", and its uid.
M.IMPORT = "migration.harvesterhci.io/import"
M.IMPORT_UID = "migration.harvesterhci.io/import-uid"

--- marks.LOOK_AGAIN: annotation of an image: when Harvester was last asked to look at it
-- again; of a source: another value, and we look at it and its Secret at once.
M.LOOK_AGAIN = "migration.harvesterhci.io/look-again"

--- marks.FINALIZER: on an import that has made something which would have to be removed.
M.FINALIZER = "migration.harvesterhci.io/vm-import-controller"

--- marks.is_held(import) -> boolean: whether our finalizer is on it
function M.is_held(import)
  for _, name in ipairs(import.metadata.finalizers or {}) do
    if name == M.FINALIZER then
      return true
    end
  end
  return false
end

return M
