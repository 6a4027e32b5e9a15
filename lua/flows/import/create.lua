--- flows.import.create: the volumes and the VirtualMachine, as the plan says.

local claim = require "policy.claim"
local disk_status = require "flows.import.disk_status"
local image = require "policy.image"

local M = {}

-- What a directory holds: claims and, where somebody will serve them, images.
local function manifests(import, ctx)
  local plan, list = import.status.plan, {}
  local served = ctx.target:image_url("/") ~= nil
  if served then
    disk_status.ensure_routes(import, ctx)
  end
  for _, disk in ipairs(plan.disks) do
    local made
    if served then
      local route = disk_status.of(import, disk).diskRoute
      made = image.build(disk, plan, { url = ctx.target:image_url(route) })
      list[#list + 1] = made
    end
    list[#list + 1] = claim.build(disk, plan, {
      image = made and plan.namespace .. "/" .. made.metadata.name,
    })
  end
  list[#list + 1] = plan.virtual_machine
  return list
end

local function write(import, ctx)
  local plan = import.status.plan
  ctx.target:put_machine(manifests(import, ctx), import)
  return { done = "Written", message = ("%d disks and the manifests of %s are written")
    :format(#plan.disks, plan.name) }
end

--- create.run(import, ctx) -> outcome                                   [waits]
-- Where no machine can run (a directory), the manifests are the end.
function M.run(import, ctx)
  if not ctx.target.can.run then
    return write(import, ctx)
  end
  return ctx.target:create(import, ctx)
end

return M
