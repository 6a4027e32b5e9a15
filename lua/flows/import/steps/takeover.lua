--- flows.import.steps.takeover: goes on with an import that an earlier controller began.
--
-- It has no plan, and names of its own. The machine is planned now. An image that
-- Harvester has whole is taken; any other, and any file in scratch, is given up: what an
-- earlier controller half did cannot be told from what it did wrongly.

local conditions = require "kube.conditions"
local disk_status = require "flows.import.disk_status"
local errors = require "host.error"
local preflight = require "flows.import.steps.preflight"
local waits = require "flows.waits"

local M = {}

local KIND = "VirtualMachineImage"

local function old_entries(import)
  return import.status.diskImportStatus or {}
end

-- Its file in scratch, by a name that is one.
local function remove_files(import, ctx)
  for _, entry in ipairs(old_entries(import)) do
    local name = entry.diskName or ""
    if name ~= "" and not name:find("/", 1, true) and name:sub(1, 1) ~= "." then
      ctx.target.disks:remove_file(name)
    end
  end
end

-- The entry of each disk of the plan, in their common order; nil when they are not of
-- the same disks.
local function paired(import)
  local old, disks = old_entries(import), import.status.plan.disks
  if #old ~= #disks then
    return nil
  end
  for i, disk in ipairs(disks) do
    if old[i].diskSize ~= disk.capacity_bytes then
      return nil
    end
  end
  return old
end

-- Deletes an image that is of no use; waits until it is gone.
local function give_up(import, ctx, name)
  local gone, err = ctx.target:delete(KIND, import.metadata.namespace, name, import)
  if not gone then
    error(err or errors.new("busy", ("image %s of the earlier controller is being "
      .. "deleted"):format(name), { after = waits.DELETION }))
  end
end

-- Names of images that are whole, by disk id; the others are deleted.
local function usable_images(import, ctx)
  local pairs_of, found = paired(import), {}
  for i, entry in ipairs(old_entries(import)) do
    local name = entry.VirtualMachineImage
    if name and name ~= "" then
      local state, err = ctx.target:image_state(import.metadata.namespace, name)
      if not state and err.kind ~= "notfound" then
        error(err)
      elseif pairs_of and state and state.phase == "ready" then
        found[import.status.plan.disks[i].id] = name
      elseif state then
        give_up(import, ctx, name)
      end
    end
  end
  return found
end

local function rewrite_entries(import, ctx, images)
  disk_status.change(import, ctx, function(entry, disk)
    entry.VirtualMachineImage = images[disk.id]
    if images[disk.id] then
      disk_status.set(entry, ctx, "VirtualMachineImageSubmitted", "True")
      disk_status.set(entry, ctx, "VirtualMachineImageReady", "True", "TakenOver",
        ("image %s of the earlier controller is taken over"):format(images[disk.id]))
    end
  end)
end

-- The machine is made already: all that was missing is to say so.
local function is_made(import, ctx)
  local name = import.status.importedVirtualMachineName
  if import.status.importStatus ~= "diskImagesReady" or (name or "") == "" then
    return false
  end
  local made, err = ctx.target:is_made_from(import.metadata.namespace, name,
    old_entries(import))
  return made == nil and error(err) or made
end

local function all_usable(import, images)
  for _, disk in ipairs(import.status.plan.disks) do
    if not images[disk.id] then
      return false
    end
  end
  return true
end

-- Takes what is whole, gives up the rest; says where that leaves the import.
local function take_disks(import, ctx)
  local before = import.status.importStatus
  local images = usable_images(import, ctx)
  remove_files(import, ctx)
  rewrite_entries(import, ctx, images)
  if before == "sourceReady" then
    return nil
  elseif all_usable(import, images) then
    return { state = "diskImagesReady",
      message = "the images of the earlier controller are taken over" }
  end
  return { state = "sourceReady", message = "disks that the earlier controller has not "
    .. "brought into the cluster are fetched again" }
end

--- takeover.run(import, ctx) -> outcome                                 [waits]
-- The step of an import that is under way and has no plan, or entries of disks that are
-- not the plan's.
function M.run(import, ctx)
  if is_made(import, ctx) then
    return { state = "virtualMachineCreated",
      message = "the earlier controller has made the machine" }
  end
  if not import.status.plan then
    local outcome = preflight.run(import, ctx)
    if outcome then
      return outcome
    end
  end
  ctx.record({ importedVirtualMachineName = import.status.plan.name })
  return take_disks(import, ctx)
end

-- The last thing that the earlier controller does, and may not have come to.
local function tidy(import, ctx)
  for _, entry in ipairs(old_entries(import)) do
    local name = entry.VirtualMachineImage
    if name and name ~= "" then
      local ok, err = ctx.target:disown(KIND, import.metadata.namespace, name,
        import.metadata.uid)
      if not ok and err.kind ~= "notfound" then
        error(err)
      end
    end
  end
  remove_files(import, ctx)
end

--- takeover.created: the step before waiting for a machine that the earlier controller
-- made: from now on its images are the user's.
M.created = { run = function(import, ctx)
  tidy(import, ctx)
  return nil
end }

--- takeover.running: the step of an import that ended well before we came.
M.running = { run = function(import, ctx)
  tidy(import, ctx)
  return { done = "Running", state = "virtualMachineRunning",
    message = import.status.importedVirtualMachineName .. " was imported" }
end }

--- takeover.failed: the step of an import that was given up before we came. A change of
-- its spec starts it again from then on.
M.failed = { run = function(import, ctx)
  local said = conditions.find(import.status.importConditions, "VMExportFailed") or {}
  local message = said.status == "True" and said.message or ""
  ctx.writer:stalled("Failed", message ~= "" and message
    or "given up by an earlier version of the controller, which did not say why", {
      observedGeneration = import.metadata.generation,
    })
  return { leave = true }
end }

--- takeover.is_due(import) -> boolean
-- Has an import that is under way no plan, or entries of an earlier controller's disks?
function M.is_due(import)
  local plan, known = import.status.plan, {}
  for _, disk in ipairs(plan and plan.disks or {}) do
    known[disk.name] = true
  end
  for _, entry in ipairs(old_entries(import)) do
    if not known[entry.diskName or ""] then
      return true
    end
  end
  return not plan
end

return M
