--- flows.import.steps.unread: an image that is being imported, of which nobody reads a
-- byte.
--
-- Harvester's controller looks at an image when it changes. With an old cache, as it has
-- while an API server starts, it deletes the BackingImage that it has just made, takes
-- the one that is being deleted for the new one, and comes back to that image never
-- again. A change of the image brings it back; where nothing is wrong it finds nothing to
-- do.
--
-- Source: Harvester 1.8.2, pkg/image/backingimage: Check, Initialize, createBackingImage.

local disk_status = require "flows.import.disk_status"
local image = require "policy.image"

local M = {}

local LONGEST = 60 -- seconds without a reader, until Harvester is asked to look again

local SAID = "nobody reads it: Harvester was asked to look at the image again"

-- What the image server has sent of it, or nil while somebody reads.
local function unread(entry, ctx)
  local sent = entry.diskRoute and ctx.target:served(entry.diskRoute)
  return sent and sent.active == 0 and sent or nil
end

-- A clock that was set back makes that no longer.
local function is_due(state, now)
  local last = state.looked_again or state.created
  return last and math.abs(now - last) >= LONGEST
end

--- unread.look(import, ctx, disk, state) -> state                       [waits]
-- Once a minute Harvester is asked to look at it again; that it was is said as long as
-- nobody has read all of it. Where it cannot be asked, the next look asks.
--
--   state  as target:image_state returns it
function M.look(import, ctx, disk, state)
  local entry = disk_status.of(import, disk)
  local sent = state.phase == "importing" and unread(entry, ctx)
  if not sent then
    return state
  end
  local asked = state.looked_again
  if is_due(state, ctx.now()) then
    local name = entry.VirtualMachineImage or image.name(disk)
    asked = ctx.target:look_again(import.status.plan.namespace, name, ctx.now()) or asked
  end
  if asked and sent.full_reads == 0 and (state.message or "") == "" then
    state.message = SAID
  end
  return state
end

return M
