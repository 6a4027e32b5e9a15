-- The storage class follows from the datastore that a disk lies on; patterns are those of
-- Lua's string.find, the first that fits counts.

local CLASSES = {
  { "^nvme", "fast-replicated" },
  { "^ssd", "harvester-longhorn" },
  { "archive", "single-replica" },
}

return {
  disk_storage_class = function(input)
    for _, row in ipairs(CLASSES) do
      if (input.disk.datastore or ""):find(row[1]) then
        return row[2]
      end
    end
  end,
}
