--- flows.import.create: the volumes and the VirtualMachine, as the plan says.

local claim = require "policy.claim"
local digest = require "host.digest"
local image = require "policy.image"
local json = require "host.json"

local M = {}

-- The route of each disk's image: unguessable, made once, in status before it is used.
local function routes(import, ctx)
  local list, changed = json.array({}), false
  for i, entry in ipairs(import.status.diskImportStatus) do
    local copy = {}
    for key, value in pairs(entry) do
      copy[key] = value
    end
    if not copy.diskRoute then
      copy.diskRoute = ("/%s/%s.raw"):format(digest.random(16), copy.diskName)
      changed = true
    end
    list[i] = copy
  end
  if changed then
    ctx.record({ diskImportStatus = list })
  end
  return list
end

-- Claims and, where somebody will serve them, images; the VirtualMachine last.
local function manifests(import, ctx)
  local plan, list = import.status.plan, {}
  local served = ctx.target:image_url("/") and routes(import, ctx)
  for i, disk in ipairs(plan.disks) do
    local id
    if served then
      local url = ctx.target:image_url(served[i].diskRoute)
      list[#list + 1] = image.build(disk, plan, { url = url })
      id = plan.namespace .. "/" .. disk.name
    end
    list[#list + 1] = claim.build(disk, plan, { image = id })
  end
  list[#list + 1] = plan.virtual_machine
  return list
end

--- create.run(import, ctx) -> outcome                                   [waits]
-- Where no machine can run (a directory), the manifests are the end.
function M.run(import, ctx)
  local plan = import.status.plan
  ctx.target:put_machine(manifests(import, ctx), import)
  if not ctx.target.can.run then
    return { done = "Written", message = ("%d disks and the manifests of %s are written")
      :format(#plan.disks, plan.name) }
  end
  return ctx.target:machine_state(plan, import)
end

return M
