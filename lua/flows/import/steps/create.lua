--- flows.import.steps.create: the volumes and the VirtualMachine, as the plan says.

local claim = require "policy.claim"
local conditions = require "kube.conditions"
local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local image = require "policy.image"
local images = require "flows.import.steps.images"
local json = require "host.json"
local needed = require "flows.import.needed"
local recorded = require "policy.recorded"
local waits = require "flows.waits"

local M = {}

-- The manifests in a directory: claims and, where somebody will serve them, images.
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
  list[#list + 1] = recorded.virtual_machine(plan)
  return list
end

local function write(import, ctx)
  local plan = import.status.plan
  ctx.target:put_machine(manifests(import, ctx), import)
  return { done = "Written", message = ("%d disks and the manifests of %s are written")
    :format(#plan.disks, plan.name) }
end

local function image_name(import, disk)
  return disk_status.of(import, disk).VirtualMachineImage or image.name(disk)
end

-- What Harvester says of the image of each disk, by disk id; or nil and why one of them
-- cannot be used any more.
local function image_states(import, ctx)
  local plan, states = import.status.plan, {}
  for _, disk in ipairs(plan.disks) do
    local name = image_name(import, disk)
    local state, err = ctx.target:image_state(plan.namespace, name)
    if not state and err.kind ~= "notfound" then
      error(err)
    elseif not state or state.phase ~= "ready" then
      return nil, ("image %s is not ready any more"):format(name)
    end
    states[disk.id] = state
  end
  return states
end

-- The claim of a disk, from its image: Longhorn's backing image is named by an
-- annotation; under CDI it is a clone, so that the image can go without the machine.
local function volume(import, disk, state)
  local plan = import.status.plan
  local opts = {
    image = plan.namespace .. "/" .. image_name(import, disk),
    storage_class = state.storage_class,
    size_bytes = state.size,
  }
  if state.backend == "cdi" then
    return claim.clone(disk, plan, opts)
  end
  return claim.build(disk, plan, opts)
end

-- From now on images, volumes and machine are the user's: nothing of them goes with the
-- import. One write says so and that the machine is created.
local function hand_over(import, ctx)
  local plan = import.status.plan
  for _, disk in ipairs(plan.disks) do
    local ok, err = ctx.target:disown("VirtualMachineImage", plan.namespace,
      image_name(import, disk), import.metadata.uid)
    if not ok and err.kind ~= "notfound" then -- one that has gone is nobody's any more
      error(err)
    end
  end
  return { state = "virtualMachineCreated", fields = { recorded = json.array({}) } }
end

local function make(import, ctx)
  needed.check_networks(import, ctx)
  local plan, volumes = import.status.plan, {}
  local states, problem = image_states(import, ctx)
  if not states then
    return images.failed(import, ctx, { problem })
  end
  for i, disk in ipairs(plan.disks) do
    volumes[i] = volume(import, disk, states[disk.id])
    ctx.writer:remember({ kind = volumes[i].kind, name = disk.name, diskID = disk.id })
    needed.put(import, ctx, volumes[i])
  end
  local machine = recorded.virtual_machine(plan)
  claim.annotate(machine, volumes)
  ctx.writer:remember({ kind = "VirtualMachine", name = plan.name })
  needed.put(import, ctx, machine)
  return hand_over(import, ctx)
end

-- Of a machine that stays stopped: disks that CDI still copies are in their images alone.
local function wait_for_copies(plan, ctx)
  local texts = {}
  for i, disk in ipairs(plan.disks) do
    local said = ctx.target:copy_state(plan.namespace, disk.name)
    texts[#texts + 1] = said and ("disk %d/%d into claim %s: %s"):format(i, #plan.disks,
      disk.name, said) or nil
  end
  return #texts > 0 and { wait = "ClonePending", after = waits.UNWATCHED,
    message = ("%s is created; its images are being copied, and stay until they are: %s")
      :format(plan.name, table.concat(texts, "; ")) } or nil
end

-- Which of the machine's claims are there, and which are not, for people.
local function claims_left(ctx, plan)
  local kept, gone = {}, {}
  for _, disk in ipairs(plan.disks or {}) do
    local found, err = ctx.store:get("PersistentVolumeClaim", plan.namespace, disk.name)
    if not found and err.kind ~= "notfound" then
      error(err)
    end
    table.insert(found and kept or gone, disk.name)
  end
  local parts = {}
  for what, names in pairs { kept = kept, gone = gone } do
    parts[#parts + 1] = #names > 0 and ("claims %s are %s"):format(
      table.concat(names, ", "), what) or nil
  end
  table.sort(parts)
  return #parts > 0 and "; " .. table.concat(parts, ", ") or ""
end

-- The machine that was made is not there: its owner's doing, and the end. One that was
-- done with it before stays done.
local function deleted(import, ctx, plan)
  if conditions.is_true(import.status.conditions, "Ready") then
    return { leave = true }
  end
  error(errors.new("notfound", ("VirtualMachine %s/%s was deleted after this import had "
    .. "made it%s"):format(plan.namespace, plan.name, claims_left(ctx, plan)),
    { reason = "MachineDeleted", final = true }))
end

-- Imports that an earlier controller brought this far have no plan; they run.
local function wait_until_it_runs(import, ctx)
  local plan = import.status.plan or {
    name = import.status.importedVirtualMachineName,
    namespace = import.metadata.namespace,
  }
  if plan.power_state == "Stopped" then
    return wait_for_copies(plan, ctx) or { done = "Stopped",
      message = plan.name .. " is created, and stays stopped as asked for" }
  end
  local state, err = ctx.target:machine_state(plan.namespace, plan.name)
  if not state and err.kind == "notfound" then
    return deleted(import, ctx, plan)
  elseif not state then
    error(err)
  elseif state.running then
    return { done = "Running", message = plan.name .. " runs",
      state = "virtualMachineRunning" }
  elseif state.stopped then
    return plan.disks and wait_for_copies(plan, ctx) or { done = "StoppedByOwner",
      message = ("%s was made to run, and somebody has stopped it since; it is left so")
        :format(plan.name) }
  end
  return { wait = "WaitingForMachine", after = waits.WATCHED,
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
