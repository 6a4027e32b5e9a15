--- flows.import.create: the volumes and the VirtualMachine, as the plan says.

local claim = require "policy.claim"
local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local image = require "policy.image"
local json = require "host.json"

local M = {}

local LOOK_EVERY = 10 -- seconds, besides what the machine's own changes bring

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

local function image_of(import, ctx, disk)
  local plan = import.status.plan
  local state, err = ctx.target:image_state(plan.namespace, image.name(disk))
  if state and state.phase ~= "ready" then
    err = errors.new("gone", ("image %s is not ready any more"):format(image.name(disk)))
  end
  return not err and state or error(err)
end

-- The claim of a disk, from its image: Longhorn's backing image is named by an
-- annotation; under CDI it is a clone, so that the image can go without the machine.
local function volume(import, ctx, disk)
  local plan = import.status.plan
  local state = image_of(import, ctx, disk)
  local opts = {
    image = plan.namespace .. "/" .. image.name(disk),
    storage_class = state.storage_class,
    size_bytes = state.size,
  }
  if state.backend == "cdi" then
    return claim.clone(disk, plan, opts)
  end
  return claim.build(disk, plan, opts)
end

-- From now on machine and volumes are the user's: nothing of them goes with the import.
local function hand_over(import, ctx)
  local plan = import.status.plan
  for _, disk in ipairs(plan.disks) do
    assert(ctx.target:disown("VirtualMachineImage", plan.namespace, image.name(disk),
      import.metadata.uid))
  end
  ctx.record({ recorded = json.array({}) })
  ctx.writer:release()
end

local function make(import, ctx)
  local plan, volumes = import.status.plan, {}
  for i, disk in ipairs(plan.disks) do
    volumes[i] = volume(import, ctx, disk)
    ctx.writer:remember({ kind = volumes[i].kind, name = disk.name, diskID = disk.id })
    assert(ctx.target:put(volumes[i], import))
  end
  local machine = plan.virtual_machine
  claim.annotate(machine, volumes)
  ctx.writer:remember({ kind = "VirtualMachine", name = plan.name })
  assert(ctx.target:put(machine, import))
  hand_over(import, ctx)
  return "virtualMachineCreated"
end

local function wait_until_it_runs(import, ctx)
  local plan = import.status.plan
  if plan.power_state == "Stopped" then
    return { done = "Stopped", message = plan.name .. " is created, and stays stopped as "
      .. "asked for" }
  end
  local state = assert(ctx.target:machine_state(plan.namespace, plan.name))
  if state.running then
    return { done = "Running", message = plan.name .. " runs",
      state = "virtualMachineRunning" }
  end
  return { wait = "WaitingForMachine", after = LOOK_EVERY,
    message = plan.name .. ": " .. state.message }
end

--- create.run(import, ctx) -> outcome                                   [waits]
-- Where no machine can run (a directory), the manifests are the end.
function M.run(import, ctx)
  if not ctx.target.can.run then
    return write(import, ctx)
  elseif import.status.importStatus == "virtualMachineCreated" then
    return wait_until_it_runs(import, ctx)
  end
  return make(import, ctx)
end

return M
