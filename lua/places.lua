--- places: how many imports may move disks at once, in all and per source. Pure.
--
-- A place is taken when an import is admitted and freed when it has ended; what status
-- says counts, so that a restart finds the places taken that are taken.

local methods = {}
local mt = { __name = "places", __index = methods }

local M = {}

local MOVING = {
  sourceReady = true, disksExported = true, diskImageSubmitted = true,
  diskImageFailed = true, diskImagesReady = true,
}

--- places:see(uid, source, state)
-- What status says of an import; state nil: it is gone.
function methods:see(uid, source, state)
  if MOVING[state] then
    self.taken[uid] = source
  elseif state ~= "virtualMachineImportValid" then
    self.taken[uid] = nil
  end
end

--- places:take(uid, source) -> true | false, why
--
--   source  string  which source it is, "namespace/name"
function methods:take(uid, source)
  if self.taken[uid] then
    return true
  end
  local all, same = 0, 0
  for _, other in pairs(self.taken) do
    all = all + 1
    same = same + (other == source and 1 or 0)
  end
  if all >= self.most then
    return false, ("%d imports are under way, as many as may be at once"):format(all)
  elseif same >= self.most_per_source then
    return false, ("%d imports from %s are under way, as many as may be at once"):format(
      same, source)
  end
  self.taken[uid] = source
  return true
end

--- places.new(most, most_per_source) -> places
function M.new(most, most_per_source)
  return setmetatable({ most = most, most_per_source = most_per_source, taken = {} }, mt)
end

return M
