--- flows.import.steps.unread: an image that is being imported, which nobody reads.
--
-- Harvester's controller looks at an image when it changes. With an old cache, as it has
-- while an API server starts, it deletes the BackingImage that it has just made, takes
-- the one that is being deleted for the new one, and comes back to that image never
-- again. A change of the image brings it back; where nothing is wrong it finds nothing to
-- do.
--
-- Nothing brings it back to one that Longhorn has all of: Harvester takes note of that
-- when the BackingImage changes, and does so no more; and never of one whose beginning it
-- could not write down, because the API server was away at that moment. Such an image is
-- made again.
--
-- Source: Harvester 1.8.2, pkg/image/backingimage: Check, Initialize, createBackingImage,
-- OnChanged.

local disk_status = require "flows.import.disk_status"
local image = require "policy.image"

local M = {}

local KIND = "VirtualMachineImage"

-- Seconds without a reader, until Harvester is asked to look again; and that it may take
-- to see that Longhorn has all of an image.
local LONGEST = 60

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

-- Whether Harvester had time enough to see that Longhorn has all of it.
local function is_unnoticed(ctx, namespace, name)
  local since = ctx.target:whole_since(namespace, name)
  return since and math.abs(ctx.now() - since) >= LONGEST
end

local function make_again(import, ctx, namespace, name)
  ctx.target:delete(KIND, namespace, name, import)
  return { phase = "failed", message = ("Longhorn has all of it, and Harvester has taken "
    .. "no note of that for %d s: the image was deleted"):format(LONGEST) }
end

--- unread.look(import, ctx, disk, state) -> state                       [waits]
-- Once a minute Harvester is asked to look at it again; that it was is said as long as
-- nobody has read all of it. Where it cannot be asked, the next look asks. An image that
-- Harvester will never take note of is deleted, and has failed.
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
    local namespace = import.status.plan.namespace
    local name = entry.VirtualMachineImage or image.name(disk)
    if is_unnoticed(ctx, namespace, name) then
      return make_again(import, ctx, namespace, name)
    end
    asked = ctx.target:look_again(namespace, name, ctx.now()) or asked
  end
  if asked and sent.full_reads == 0 and (state.message or "") == "" then
    state.message = SAID
  end
  return state
end

return M
