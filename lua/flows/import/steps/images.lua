--- flows.import.steps.images: a VirtualMachineImage per disk; waits; submits failed ones
-- again.

local conditions = require "kube.conditions"
local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local image = require "policy.image"
local needed = require "flows.import.needed"
local mode = require "flows.import.mode"
local retry = require "flows.import.retry"
local time = require "host.time"
local unread = require "flows.import.steps.unread"
local waits = require "flows.waits"

local M = {}

local KIND = "VirtualMachineImage"

local function owner(import)
  return {
    apiVersion = import.apiVersion,
    kind = import.kind,
    name = import.metadata.name,
    uid = import.metadata.uid,
  }
end

local function name_of(import, disk)
  return disk_status.of(import, disk).VirtualMachineImage or image.name(disk)
end

--- images.submit(import, ctx, disk)                                     [waits]
-- Makes the disk's image, or takes the one that is there. Recorded before; what becomes
-- of it is for images.mark_submitted().
function M.submit(import, ctx, disk)
  local plan = import.status.plan
  local manifest = image.build(disk, plan, {
    url = ctx.target:image_url(disk_status.of(import, disk).diskRoute),
    backend = needed.backend(import, ctx, disk),
    owner = owner(import),
  })
  ctx.writer:remember({ kind = KIND, name = manifest.metadata.name, diskID = disk.id })
  local made = needed.put(import, ctx, manifest)
  if made.spec.url ~= manifest.spec.url then
    ctx.target:delete(KIND, plan.namespace, manifest.metadata.name, import)
    error(errors.new("busy", ("VirtualMachineImage %s is of an earlier attempt: it is "
      .. "being deleted"):format(manifest.metadata.name)))
  end
end

local function submit_all(import, ctx)
  M.publish(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    if not M.is_ready(disk_status.of(import, disk)) then
      M.submit(import, ctx, disk)
    end
  end
  M.mark_submitted(import, ctx, function()
    return true
  end)
  return "diskImageSubmitted"
end

--- images.mark_submitted(import, ctx, which)                            [waits]
--
--   which  function (disk) -> boolean: the image of that disk was submitted
function M.mark_submitted(import, ctx, which)
  disk_status.change(import, ctx, function(entry, disk)
    if not M.is_ready(entry) and which(disk) then
      entry.VirtualMachineImage = image.name(disk)
      disk_status.set(entry, ctx, "VirtualMachineImageSubmitted", "True", "Submitted",
        ("image %s is submitted"):format(entry.VirtualMachineImage))
      disk_status.set(entry, ctx, "VirtualMachineImageFailed", "False")
    end
  end)
end

-- Longhorn's checksum of an image that has come is the one of what was sent. Where it is
-- not, the image goes at once: nobody must ever take it for good.
local function check_sum(import, ctx, disk, state)
  local entry = disk_status.of(import, disk)
  local sent = entry.diskRoute and ctx.target:served(entry.diskRoute)
  if state.phase ~= "ready" or M.is_ready(entry) or not state.sha512
    or not (sent and sent.sha512) or sent.sha512 == state.sha512:lower() then
    return state
  end
  ctx.target:delete(KIND, import.status.plan.namespace, name_of(import, disk), import)
  return { phase = "failed", message = ("its SHA-512 is %s, of what was sent it is %s: "
    .. "the image was deleted"):format(state.sha512, sent.sha512) }
end

-- target:image_state of a disk's image; one that is not there has failed.
local function state_of(import, ctx, disk)
  local state, err = ctx.target:image_state(import.status.plan.namespace,
    name_of(import, disk))
  if not state and err.kind == "notfound" then
    state = { phase = "failed", message = "the image was deleted" }
  end
  return state or error(err)
end

--- images.look(import, ctx, which) -> {[disk id] = state}                [waits]
-- What Harvester says of each image (target:image_state); one whose checksum is not that
-- of what was sent is deleted, and has failed.
--
--   which  function (disk) -> boolean: of these; nil: of all
function M.look(import, ctx, which)
  local states = {}
  for _, disk in ipairs(import.status.plan.disks) do
    if not which or which(disk) then
      local state = check_sum(import, ctx, disk, state_of(import, ctx, disk))
      states[disk.id] = unread.look(import, ctx, disk, state)
    end
  end
  return states
end

-- From now on nobody reads the disk: its image is there, or not being made.
local function forget_route(import, ctx, disk)
  local route = disk_status.of(import, disk).diskRoute
  if route then
    ctx.target:forget(route)
  end
end

--- images.write_states(import, ctx, states)                             [waits]
-- Writes down which images have become ready, whose routes go, or have failed.
function M.write_states(import, ctx, states)
  local ready, failed = {}, false
  for _, disk in ipairs(import.status.plan.disks) do
    local entry, phase = disk_status.of(import, disk), (states[disk.id] or {}).phase
    ready[#ready + 1] = phase == "ready" and not M.is_ready(entry) and disk or nil
    failed = failed or phase == "failed" and not conditions.is_true(entry.diskConditions,
      "VirtualMachineImageFailed")
  end
  if #ready == 0 and not failed then
    return
  end
  disk_status.change(import, ctx, function(entry, disk)
    local state = states[disk.id] or {}
    if state.phase == "ready" then
      disk_status.set(entry, ctx, "VirtualMachineImageReady", "True", "Imported",
        ("image %s is ready"):format(name_of(import, disk)))
    elseif state.phase == "failed" then
      disk_status.set(entry, ctx, "VirtualMachineImageFailed", "True", "ImportFailed",
        state.message)
    end
  end)
  for _, disk in ipairs(ready) do
    forget_route(import, ctx, disk)
  end
end

--- images.describe(plan, states) -> text
-- "image 1/2 43 %", of all that are on their way.
function M.describe(plan, states)
  local parts = {}
  for i, disk in ipairs(plan.disks) do
    local state = states[disk.id] or {}
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

--- images.all_ready(import, ctx) -> state                               [waits]
-- All images are there: what they were made from is needed no longer.
function M.all_ready(import, ctx)
  local files = {}
  for i, disk in ipairs(import.status.plan.disks) do
    ctx.target.disks:remove(import.status.plan, disk)
    files[i] = disk_status.file_entry(disk)
  end
  ctx.writer:forget(table.unpack(files))
  return "diskImagesReady"
end

--- images.failed(import, ctx, texts) -> outcome
-- Counts an attempt; throws when it was the last.
--
--   texts  list: what went wrong
function M.failed(import, ctx, texts)
  local text = table.concat(texts, "; ")
  local attempt, tried = retry.next(import, ctx)
  if not attempt then
    error(errors.new("io", ("%s; given up after %d attempts"):format(text, tried),
      { reason = "ImageFailed", final = true }))
  end
  return {
    state = "diskImageFailed",
    after = attempt.after,
    message = ("%s; %s"):format(text, attempt.text),
    fields = attempt.fields,
  }
end

local function wait_for_images(import, ctx)
  M.publish(import, ctx)
  local plan, states = import.status.plan, M.look(import, ctx)
  M.write_states(import, ctx, states)
  local failed, importing, after = {}, false, waits.WATCHED
  for _, disk in ipairs(plan.disks) do
    local state = states[disk.id]
    if state.phase == "failed" then
      forget_route(import, ctx, disk) -- until it is submitted again
      failed[#failed + 1] = ("image %s: %s"):format(name_of(import, disk), state.message)
    elseif state.phase == "importing" then
      importing = true
      -- A DataVolume is not watched: Harvester may not have CDI at all.
      after = state.backend == "cdi" and waits.UNWATCHED or after
    end
  end
  if #failed > 0 then
    return M.failed(import, ctx, failed)
  elseif importing then
    return { wait = "ImagesImporting", after = after, message = M.describe(plan, states) }
  end
  return M.all_ready(import, ctx)
end

-- Not before the time of the next attempt: an image that fails fails in no time. A clock
-- that was set back makes that no longer than it was meant to be.
local function not_yet(import, ctx)
  local at = import.status.nextAttemptTime
  local left = math.min(at and (time.parse(at) or 0) - ctx.now() or 0, retry.LONGEST)
  if left <= 0 then
    return nil
  end
  local said = conditions.find(import.status.conditions, "Reconciling")
  return { wait = "DiskImageFailed", after = math.ceil(left), trouble = true,
    message = said and said.message or "" }
end

-- An outcome: it is not gone yet.
local function delete(import, ctx, disk)
  local name = name_of(import, disk)
  local gone, err = ctx.target:delete(KIND, import.status.plan.namespace, name, import)
  if gone then
    ctx.writer.story:removed(KIND, name, disk.name)
  end
  return not gone and { wait = "DiskImageFailed", after = waits.DELETION, trouble = true,
    message = ("deleting the failed image %s, to make it again%s"):format(name,
      err and ": " .. err.message or "") } or nil
end

--- images.delete_failed(import, ctx) -> outcome | nil                   [waits]
-- Of an import whose images have failed: those go, when it is time for another attempt.
-- An outcome: it is not yet, or they are not gone yet.
function M.delete_failed(import, ctx)
  local early = not_yet(import, ctx)
  if early then
    return early
  end
  local states = M.look(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    early = states[disk.id].phase == "failed" and delete(import, ctx, disk)
    if early then
      return early
    end
  end
end

--- images.delete_early(import, ctx) -> outcome | nil                    [waits]
-- Images that have failed while their disks still came had to wait too long for a byte,
-- most likely. Now that all is here they go, to be made again; no attempt is counted.
function M.delete_early(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    local entry = disk_status.of(import, disk)
    local state = (entry.VirtualMachineImage or "") ~= "" and not M.is_ready(entry)
      and state_of(import, ctx, disk) or {}
    if state.phase == "failed" then
      ctx.writer:event("Warning", "DiskImageFailed", ("image %s, while its disk still "
        .. "came: %s"):format(name_of(import, disk), state.message))
      local early = delete(import, ctx, disk)
      if early then
        return early
      end
    end
  end
end

--- images.give_up(import, ctx, disk)                                    [waits]
-- Wrong bytes went out of this disk. Its image goes, and its route: an image of that
-- route is never taken again, even if it cannot be deleted now.
function M.give_up(import, ctx, disk)
  local name = name_of(import, disk)
  forget_route(import, ctx, disk)
  disk_status.change(import, ctx, function(entry, other)
    if other.id == disk.id then
      entry.VirtualMachineImage, entry.diskRoute, entry.digests = nil, nil, nil
      disk_status.set(entry, ctx, "VirtualMachineImageReady", "False", "ImageGone",
        "what it was made from was wrong")
    end
  end)
  ctx.target:delete(KIND, import.status.plan.namespace, name, import)
end

local function submit_again(import, ctx)
  return M.delete_failed(import, ctx) or submit_all(import, ctx)
end

--- images.is_ready(entry) -> boolean
-- Of an entry of status.diskImportStatus: Harvester has the disk.
function M.is_ready(entry)
  return conditions.is_true(entry.diskConditions, "VirtualMachineImageReady")
end

--- images.serve(import, ctx)
-- The image server answers for every disk that has a route and whose image is not ready;
-- for those that are not here whole once they are being read. Again does no harm.
function M.serve(import, ctx)
  local plan = import.status.plan
  for _, disk in ipairs(plan.disks) do
    local entry = disk_status.of(import, disk)
    local wanted = entry.diskRoute and not M.is_ready(entry)
    if wanted and not mode.is_streamed(import)
      and ctx.target.disks:state(plan, disk) == "whole" then
      ctx.target:publish(plan, disk, entry.diskRoute)
    elseif wanted then
      ctx.target:hold(disk, entry.diskRoute)
    end
  end
end

--- images.publish(import, ctx)                                          [waits]
-- Gives every disk a route, and serves them.
function M.publish(import, ctx)
  disk_status.ensure_routes(import, ctx)
  M.serve(import, ctx)
end

--- images.verify(import, ctx)                                           [waits]
-- What status says is ready is looked at: an image that has gone since, by hand or with
-- a failed attempt, has to be made again.
function M.verify(import, ctx)
  local gone = {}
  for _, disk in ipairs(import.status.plan.disks) do
    if M.is_ready(disk_status.of(import, disk)) then
      local state, err = ctx.target:image_state(import.status.plan.namespace,
        name_of(import, disk))
      if not state and err.kind ~= "notfound" then
        error(err)
      end
      gone[disk.id] = not state or state.phase ~= "ready"
    end
  end
  if not next(gone) then
    return
  end
  disk_status.change(import, ctx, function(entry, disk)
    if gone[disk.id] then
      entry.VirtualMachineImage, entry.digests = nil, nil
      disk_status.set(entry, ctx, "VirtualMachineImageReady", "False", "ImageGone",
        "the image is not there any more")
    end
  end)
end

--- images.discard(import, ctx)                                          [waits]
-- Deletes the images of all disks: they are of an older state of the machine. Throws
-- busy until they are gone.
function M.discard(import, ctx)
  if not ctx.target.can.images then
    return
  end
  for _, disk in ipairs(import.status.plan.disks) do
    local name = name_of(import, disk)
    local gone, err = ctx.target:delete(KIND, import.status.plan.namespace, name, import)
    if not gone then
      error(err or errors.new("busy", ("VirtualMachineImage %s is of an older state of "
        .. "the machine: it is being deleted"):format(name), { after = waits.DELETION }))
    end
  end
  M.verify(import, ctx)
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
