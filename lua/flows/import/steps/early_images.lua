--- flows.import.steps.early_images: Harvester takes disks while they come (transferMode
-- Spool).
--
-- An image is made when its disk has begun to come. The download gets what has come so
-- far and waits for the rest, the end of which goes out when all is verified. Everything
-- else is as without it: status goes from sourceReady to disksExported when all disks are
-- here, and then looks at the images.

local disk_status = require "flows.import.disk_status"
local images = require "flows.import.steps.images"

local M = {}

local function comes(import, ctx, disk)
  return ctx.target.can.images and ctx.target.disks:comes(import.status.plan, disk)
end

--- early_images.serve(import, ctx, disk) -> served, to be closed        [waits]
-- Of a disk whose fetch was begun: whoever asks gets what has come of it. Closed before
-- `served.whole` was set: whoever asks waits for another fetch.
function M.serve(import, ctx, disk)
  local route = disk_status.of(import, disk).diskRoute
  local served = { is_published = comes(import, ctx, disk) }
  if served.is_published then
    ctx.target:publish(import.status.plan, disk, route)
  end
  return setmetatable(served, { __close = function()
    if served.is_published and not served.whole then
      ctx.target:hold(disk, route)
    end
  end })
end

-- Something of it has come, or all.
local function is_here(import, ctx, disk, transfer)
  if transfer then
    return transfer:progress().position > 0
  end
  return ctx.target.disks:state(import.status.plan, disk) == "whole"
end

--- early_images.submit(import, ctx, running)                            [waits]
-- Makes the images of disks that have begun to come, or are whole while others come, and
-- have none yet. One that cannot be made keeps none of the others; throws what came of
-- the first such.
--
--   running  {[disk id] = transfer}
function M.submit(import, ctx, running)
  local fresh, problem = {}, nil
  for _, disk in ipairs(import.status.plan.disks) do
    local submitted = (disk_status.of(import, disk).VirtualMachineImage or "") ~= ""
    if not submitted and comes(import, ctx, disk)
      and is_here(import, ctx, disk, running[disk.id]) then
      local ok, err = pcall(images.submit, import, ctx, disk)
      fresh[disk.id] = ok or nil
      problem = problem or not ok and err or nil
    end
  end
  if next(fresh) then
    images.mark_submitted(import, ctx, function(disk)
      return fresh[disk.id]
    end)
  end
  if problem then
    error(problem, 0)
  end
end

return M
