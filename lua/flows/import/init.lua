--- flows.import: the life of a VirtualMachineImport.
--
-- importStatus is the checkpoint: each value names the steps that come next. A step
-- does idempotent things and says how it went on; importStatus is written by what is
-- made of that (flows.import.outcome) alone.
--
-- A step is `run(import, ctx)` and returns
--
--   nil                                   done: the next step of the same row
--   "state"                               the next importStatus
--   {state, message, fields, after = s}   the same, with fields of the status
--   {wait = reason, message, after = s}   look again in so many seconds; with `trouble`
--                                         something is in the way, which the log warns
--                                         of; `event`: "Warning", an Event says it too
--   {rest = reason, message}              nothing goes on, as was asked for
--   {done = reason, message, state}       the good end; importStatus: state, or it stays
--   {invalid = reason, message}           virtualMachineImportInvalid, tried again later
--   {leave = true, after = s or nil}      the status says all already
--
-- or throws: tried again with back-off, or failed for good. If err.waits is a reason it
-- is nobody's failure: looked at again after err.after seconds, no attempt counted; and
-- so is what cannot be reached (outage.lua). An outcome with `outage` goes on after one
-- that is not over yet.

local admit = require "flows.import.steps.admit"
local again = require "flows.import.steps.again"
local cleanup = require "flows.import.steps.cleanup"
local conditions = require "kube.conditions"
local create = require "flows.import.steps.create"
local edits = require "flows.import.edits"
local errors = require "host.error"
local fetch = require "flows.import.steps.fetch"
local images = require "flows.import.steps.images"
local journal = require "kube.journal"
local json = require "host.json"
local last_look = require "flows.import.steps.last_look"
local marks = require "base.marks"
local origin = require "base.origin"
local outage = require "flows.import.outage"
local outcomes = require "flows.import.outcome"
local place = require "policy.site.namespace"
local place_step = require "flows.import.steps.place"
local power_off = require "flows.import.steps.power_off"
local preflight = require "flows.import.steps.preflight"
local recorded = require "policy.recorded"
local sanitize = require "flows.import.steps.sanitize"
local status = require "flows.import.status"
local takeover = require "flows.import.steps.takeover"
local time = require "host.time"
local waits = require "flows.waits"

local M = { kind = "VirtualMachineImport" }

local STEPS = {
  [""] = { preflight, sanitize },
  virtualMachineImportInvalid = { preflight, sanitize },
  virtualMachineImportValid = { admit },
  sourceReady = { place_step, power_off, fetch },
  disksExported = { fetch.refill, images, last_look, create },
  diskImageSubmitted = { fetch.refill, images },
  diskImageFailed = { fetch.refill, images },
  diskImagesReady = { last_look, create },
  virtualMachineCreated = { create },
}

-- For the log.
local NAMES = {
  [admit] = "admit", [again] = "again", [cleanup.again] = "cleanup", [create] = "create",
  [fetch] = "fetch", [fetch.refill] = "refill", [images] = "images",
  [last_look] = "last_look", [place_step] = "place", [power_off] = "power_off",
  [preflight] = "preflight", [sanitize] = "sanitize", [takeover] = "takeover",
  [takeover.created] = "takeover", [takeover.failed] = "takeover",
  [takeover.running] = "takeover",
}

-- What a step gets (flows.environment): the environment, and this import's writer.
local function context(writer, env)
  return setmetatable({
    writer = writer,
    record = function(fields)
      writer:record(fields)
    end,
  }, { __index = env })
end

local function walk(import, ctx, steps)
  for _, step in ipairs(steps) do
    ctx.writer:at(NAMES[step])
    local outcome = step.run(import, ctx)
    if outcome then
      return outcome
    end
  end
  error("the last step of a row must say what comes next")
end

local cancel = { run = function(import)
  local made = import.status and import.status.importStatus == "virtualMachineCreated"
  error(errors.new("cancelled", made and "cancelled by spec.cancelled; the machine was "
    .. "made before and stays" or "cancelled by spec.cancelled",
    { reason = "Cancelled", final = true }))
end }

-- States whose steps need the source; later ones are finished without it.
local NEEDS_SOURCE = { [""] = true, virtualMachineImportInvalid = true,
  virtualMachineImportValid = true, sourceReady = true }

-- States that cannot go on without a plan.
local NEEDS_PLAN = { sourceReady = true, disksExported = true, diskImageSubmitted = true,
  diskImageFailed = true, diskImagesReady = true }

local unsupported = { run = function(import, ctx)
  ctx.writer:stalled("NotSupported", ("a %s cannot be imported from yet; the import is "
    .. "left as it was found"):format(origin.of(import).kind), {})
  return { leave = true }
end }

-- Somebody has written what no step of ours is for.
local unknown = { run = function(import, ctx)
  local known = { "virtualMachineRunning", "VMMigrationFailed" }
  for state in pairs(STEPS) do
    known[#known + 1] = state ~= "" and state or nil
  end
  table.sort(known)
  ctx.writer:stalled("UnknownState", ("status.importStatus is %q, which is none of %s: "
    .. 'nothing is done; set it to "" to start over'):format(import.status.importStatus,
    table.concat(known, ", ")), {})
  return { leave = true }
end }

-- The plan's namespace was decided by rules that may be others by now.
local misplaced = { run = function(import, ctx)
  ctx.writer:stalled("NamespaceNotAllowed", ("status.plan.namespace is %s, which is "
    .. "neither the import's namespace nor listed in --allowed-namespaces (chart: "
    .. "allowedNamespaces): nothing is made there; list it, or delete the import"):format(
    import.status.plan.namespace), {})
  return { leave = true, after = waits.INVALID }
end }

local function is_misplaced(import, ctx)
  local plan = import.status and import.status.plan
  return plan ~= nil and plan.namespace ~= nil
    and not place.is_open(plan.namespace, import.metadata, ctx.options.site)
end

-- Somebody has written a plan that is none: nothing of it is carried out.
local unusable = { run = function(import, ctx)
  ctx.writer:stalled("PlanNotUsable", ("%s; nothing is done: set status.importStatus to "
    .. '"" to plan anew'):format(recorded.problem(import.status.plan)), {})
  return { leave = true }
end }

local function is_unusable(import)
  local plan = import.status and import.status.plan
  return plan ~= nil and recorded.problem(plan) ~= nil
end

local function is_supported(import, ctx)
  local kind = origin.of(import).kind
  return not kind or not ctx.supports or ctx.supports(kind)
end

-- The steps of an import that has ended, or nil: it stays so.
local function due_at_end(import, ctx, state)
  local seen = import.status.observedGeneration
  if #(import.status.recorded or {}) > 0 or marks.is_held(import) then
    return { cleanup.again }
  elseif not import.status.conditions then
    return { state == "VMMigrationFailed" and takeover.failed or takeover.running }
  elseif state == "VMMigrationFailed" and seen and seen ~= import.metadata.generation
    and not import.spec.cancelled then
    ctx.writer:record({ importStatus = "", attempt = json.null })
    return STEPS[""]
  end
  return nil
end

-- The steps of an import that an earlier controller began.
local function due_taken_over(import, state)
  if NEEDS_PLAN[state] and takeover.is_due(import) then
    return { takeover, table.unpack(STEPS[state]) }
  elseif not import.status or import.status.plan then
    return nil
  elseif state == "virtualMachineImportValid" then
    return STEPS[""]
  elseif state == "virtualMachineCreated" then
    return { takeover.created, create }
  end
end

local function is_done(import)
  return conditions.is_true(import.status and import.status.conditions, "Ready")
end

-- The steps due now, or nil: this state is an end.
local function due(import, ctx)
  local state = import.status and import.status.importStatus or ""
  if state == "VMMigrationFailed" or state == "virtualMachineRunning" then
    return due_at_end(import, ctx, state)
  elseif import.spec.cancelled then
    return not is_done(import) and { cancel } or nil
  end
  if NEEDS_PLAN[state] and is_misplaced(import, ctx) then
    return { misplaced }
  end
  local planless = NEEDS_PLAN[state] and not import.status.plan
  if (NEEDS_SOURCE[state] or planless) and not is_supported(import, ctx) then
    return { unsupported }
  elseif NEEDS_PLAN[state] and is_unusable(import) then
    return { unusable }
  end
  local steps = due_taken_over(import, state)
  if steps then
    return steps
  elseif again.is_due(import, ctx) then
    return { again, table.unpack(STEPS[state]) }
  elseif state == "virtualMachineImportValid"
    and import.status.observedGeneration ~= import.metadata.generation then
    return STEPS[""] -- what was planned is not what is asked for any more
  end
  return STEPS[state] or { unknown }
end

-- Whether the write itself failed, so that another would too.
local function cannot_be_written(err)
  return err.kind == "conflict" or err.reason == status.OLD_DEFINITION
end

-- One step, and what it said or threw written down.
local function take(import, ctx, steps)
  -- For a step that goes on: the next state, written down before it returns.
  ctx.advance = function(state)
    if import.status.importStatus ~= state then
      outcomes.advance(import, ctx, { state = state })
    end
  end
  local began = time.monotonic()
  local ok, outcome = xpcall(walk, journal.explained, import, ctx, steps)
  local result
  if ok then
    if type(outcome) == "string" or not outcome.outage then
      outage.over(import, ctx)
    end
    result = outcomes.settle(import, ctx, outcome)
  elseif cannot_be_written(outcome) then
    error(outcome)
  else
    result = outcomes.catch(import, ctx, outcome, time.monotonic() - began)
  end
  ctx.writer:release()
  return result
end

-- Said where an older CustomResourceDefinition keeps it too.
local function say_old_definition(import, ctx, err)
  ctx.writer:condition("Stalled", "True", err.reason, err.message,
    { level = "error", event = "Warning" })
  if ctx.repair_definitions then
    ctx.repair_definitions()
  end
end

--- import.serve(key, env)                                               [waits]
-- After a start: the image server answers again for the disks of an import whose images
-- are being downloaded. Nothing is written.
function M.serve(key, env)
  local import, err = env.store:get(M.kind, key.namespace, key.name)
  if not import then
    return err.kind ~= "notfound" and error(err) or nil
  end
  local seen = import.status or {}
  local between = seen.importStatus == "diskImageFailed" -- two attempts at its images
  if seen.plan and seen.diskImportStatus and not between then
    images.serve(import, env)
  end
end

--- import.reconcile(key, env) -> nil | {after = s}                      [waits]
-- One step of one import, as flows/init.lua says.
function M.reconcile(key, env)
  local import, err = env.store:get(M.kind, key.namespace, key.name)
  if not import then
    return err.kind ~= "notfound" and error(err) or nil
  end
  local writer <close> = status.writer(import, env)
  local ctx = context(writer, env)
  local ok, result = xpcall(function()
    if import.metadata.deletionTimestamp then
      writer:at("cleanup")
      return cleanup.deleted(import, ctx)
    end
    if ctx.target.can.run and edits.unseen(import) then
      edits.note(import, ctx)
    end
    local steps = due(import, ctx)
    return steps and take(import, ctx, steps)
  end, journal.explained)
  if ok then
    return result
  elseif result.kind == "conflict" then
    -- Somebody else wrote: look again and decide again. Or leads: leave it to them.
    return waits.behind(result)
  elseif result.reason == status.OLD_DEFINITION then
    say_old_definition(import, ctx, result)
    return { after = waits.DEFINITION }
  end
  error(result, 0)
end

return M
