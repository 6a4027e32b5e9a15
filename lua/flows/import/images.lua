--- flows.import.images: a VirtualMachineImage per disk; waits; submits failed ones again.

local conditions = require "kube.conditions"
local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local image = require "policy.image"
local json = require "host.json"

local M = {}

local LOOK_EVERY = 5   -- seconds, besides what the images' own changes bring
local MAX_RETRIES = 5

local KIND = "VirtualMachineImage"

local function owner(import)
  return {
    apiVersion = import.apiVersion,
    kind = import.kind,
    name = import.metadata.name,
    uid = import.metadata.uid,
  }
end

local function submit(import, ctx, disk)
  local plan = import.status.plan
  local manifest = image.build(disk, plan, {
    url = ctx.target:image_url(disk_status.of(import, disk).diskRoute),
    backend = assert(ctx.target:backend(disk.storage_class)),
    owner = owner(import),
  })
  ctx.writer:remember({ kind = KIND, name = manifest.metadata.name, diskID = disk.id })
  local made = assert(ctx.target:put(manifest, import))
  if made.spec.url ~= manifest.spec.url then
    ctx.target:delete(KIND, plan.namespace, manifest.metadata.name, import)
    error(errors.new("busy", ("VirtualMachineImage %s is of an earlier attempt: it is "
      .. "being deleted"):format(manifest.metadata.name)))
  end
end

local function submit_all(import, ctx)
  M.publish(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    submit(import, ctx, disk)
  end
  disk_status.change(import, ctx, function(entry, disk)
    entry.VirtualMachineImage = image.name(disk)
    disk_status.set(entry, ctx, "VirtualMachineImageSubmitted", "True")
    disk_status.set(entry, ctx, "VirtualMachineImageFailed", "False")
  end)
  return "diskImageSubmitted"
end

-- What Harvester says of each image: states by disk id.
local function look(import, ctx)
  local states = {}
  for _, disk in ipairs(import.status.plan.disks) do
    local namespace = import.status.plan.namespace
    local state, err = ctx.target:image_state(namespace, image.name(disk))
    if not state and err.kind == "notfound" then
      state = { phase = "failed", message = "the image was deleted" }
    end
    states[disk.id] = state or error(err)
  end
  return states
end

local function write_states(import, ctx, states)
  local changed = false
  for _, disk in ipairs(import.status.plan.disks) do
    local entry, phase = disk_status.of(import, disk), states[disk.id].phase
    changed = changed
      or phase == "ready" and not M.is_ready(entry)
      or phase == "failed" and not conditions.is_true(entry.diskConditions,
        "VirtualMachineImageFailed")
  end
  if not changed then
    return
  end
  disk_status.change(import, ctx, function(entry, disk)
    local state = states[disk.id]
    if state.phase == "ready" then
      disk_status.set(entry, ctx, "VirtualMachineImageReady", "True", "Imported")
    elseif state.phase == "failed" then
      disk_status.set(entry, ctx, "VirtualMachineImageFailed", "True", "ImportFailed",
        state.message)
    end
  end)
end

local function describe(plan, states)
  local parts = {}
  for i, disk in ipairs(plan.disks) do
    local state = states[disk.id]
    if state.phase == "importing" then
      local text = ("image %d/%d"):format(i, #plan.disks)
      if math.type(state.progress) == "integer" then
        text = ("%s %d %%"):format(text, state.progress)
      end
      if (state.message or "") ~= "" then
        text = text .. " (" .. state.message .. ")"
      end
      parts[#parts + 1] = text
    end
  end
  return table.concat(parts, ", ")
end

-- All images are there: what they were made from is needed no longer.
local function all_ready(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    ctx.target:forget(disk_status.of(import, disk).diskRoute)
    ctx.target.disks:remove(import.status.plan, disk)
  end
  ctx.record({ attempt = json.null })
  return "diskImagesReady"
end

local function some_failed(import, ctx, failed)
  local attempt = (import.status.attempt or 0) + 1
  local most = import.spec.maxRetries or ctx.options.max_retries or MAX_RETRIES
  local text = table.concat(failed, "; ")
  if attempt > most then
    error(errors.new("io", ("%s; given up after %d attempts"):format(text, attempt),
      { reason = "ImageFailed", final = true }))
  end
  ctx.record({ attempt = attempt })
  return "diskImageFailed"
end

local function wait_for_images(import, ctx)
  M.publish(import, ctx)
  local plan, states = import.status.plan, look(import, ctx)
  write_states(import, ctx, states)
  local failed, importing = {}, false
  for _, disk in ipairs(plan.disks) do
    local state = states[disk.id]
    if state.phase == "failed" then
      failed[#failed + 1] = ("image %s: %s"):format(image.name(disk), state.message)
    end
    importing = importing or state.phase == "importing"
  end
  if #failed > 0 then
    return some_failed(import, ctx, failed)
  elseif importing then
    return { wait = "ImagesImporting", after = LOOK_EVERY,
      message = describe(plan, states) }
  end
  return all_ready(import, ctx)
end

-- Deletes what failed; makes all again once it is gone.
local function submit_again(import, ctx)
  local plan, states = import.status.plan, look(import, ctx)
  for _, disk in ipairs(plan.disks) do
    local name = image.name(disk)
    if states[disk.id].phase == "failed"
      and not assert(ctx.target:delete(KIND, plan.namespace, name, import)) then
      return { wait = "ImageFailed", after = LOOK_EVERY,
        message = ("deleting the failed image %s, to make it again"):format(name) }
    end
  end
  return submit_all(import, ctx)
end

--- images.is_ready(entry) -> boolean
-- Of an entry of status.diskImportStatus: Harvester has the disk.
function M.is_ready(entry)
  return conditions.is_true(entry.diskConditions, "VirtualMachineImageReady")
end

--- images.publish(import, ctx)                                          [waits]
-- The image server answers for every disk whose image is not ready. Again does no harm;
-- needed after each start.
function M.publish(import, ctx)
  disk_status.ensure_routes(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    local entry = disk_status.of(import, disk)
    if not M.is_ready(entry) then
      ctx.target:publish(import.status.plan, disk, entry.diskRoute)
    end
  end
end

local STEPS = {
  disksExported = submit_all,
  diskImageSubmitted = wait_for_images,
  diskImageFailed = submit_again,
}

--- images.run(import, ctx) -> outcome                                   [waits]
-- A target without images (a directory) has nothing to submit.
function M.run(import, ctx)
  if not ctx.target.can.images then
    return nil
  end
  return STEPS[import.status.importStatus](import, ctx)
end

return M
