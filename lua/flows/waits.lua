--- flows.waits: how many seconds pass until what waits is looked at again.
--
-- A change of a watched object brings a look at once; these are for what brings none, or
-- gets lost. What grows from one try to the next is flows.import.retry's and
-- flows.import.outage's.

local M = {}

M.SOURCE_READY = 300 -- a source that is well
M.SOURCE = 30        -- one that is not, or is missing, or whose machine runs again
M.ROOM = 30          -- room in the cluster
M.PLACE = 300        -- a place under the limits
M.INVALID = 300      -- a verdict that only the outside can change
M.DEFINITION = 30    -- a definition that the cluster serves
M.LEFTOVERS = 10     -- what could not be removed
M.DELETION = 5       -- an object that is being deleted
M.DISK = 10          -- a disk that another replica writes
M.WATCHED = 60       -- images and machines: their changes come by themselves
M.UNWATCHED = 10     -- copies and DataVolumes: theirs do not

local NEW_LEADER = 5 -- who leads now has to have begun

--- waits.behind(err) -> {after, again}
-- Of a write that was refused: another writer was quicker, which is looked at at once; or
-- another replica leads.
function M.behind(err)
  return { after = err.reason == "NotLeader" and NEW_LEADER or 0, again = err.message }
end

return M
