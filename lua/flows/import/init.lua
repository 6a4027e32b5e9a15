--- flows.import: the life of a VirtualMachineImport.
--
-- importStatus is the checkpoint: each value names the steps that come next. A step
-- does idempotent things and says how it went on; only this file writes importStatus.
--
-- A step is `run(import, ctx)` and returns
--
--   nil                                   done: the next step of the same row
--   "state"                               the next importStatus
--   {state, message, fields, after = s}   the same, with fields of the status
--   {wait = reason, message, after = s}   look again in so many seconds
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
local create = require "flows.import.steps.create"
local edits = require "flows.import.edits"
local errors = require "host.error"
local fetch = require "flows.import.steps.fetch"
local images = require "flows.import.steps.images"
local json = require "host.json"
local last_look = require "flows.import.steps.last_look"
local log = require "host.log"
local marks = require "base.marks"
local origin = require "base.origin"
local outage = require "flows.import.outage"
local power_off = require "flows.import.steps.power_off"
local preflight = require "flows.import.steps.preflight"
local retry = require "flows.import.retry"
local sanitize = require "flows.import.steps.sanitize"
local status = require "flows.import.status"
local takeover = require "flows.import.steps.takeover"
local time = require "host.time"

local M = { kind = "VirtualMachineImport" }

local STEPS = {
  [""] = { preflight, sanitize },
  virtualMachineImportInvalid = { preflight, sanitize },
  virtualMachineImportValid = { admit },
  sourceReady = { power_off, fetch },
  disksExported = { fetch.refill, images, last_look, create },
  diskImageSubmitted = { fetch.refill, images },
  diskImageFailed = { fetch.refill, images },
  diskImagesReady = { last_look, create },
  virtualMachineCreated = { create },
}

-- Attempts at its images count across these.
local KEEPS_ATTEMPT = { diskImageSubmitted = true, diskImageFailed = true,
  diskImagesReady = true }

local INVALID_AGAIN = 300              -- seconds
local CLEAN_AGAIN = 10                 -- seconds
local OLD_DEFINITION_AGAIN = 30        -- seconds

local MESSAGES = {
  virtualMachineImportValid = "checked and planned",
  sourceReady = "the source is ready, and there is a place for the import",
  disksExported = "all disks are here",
  diskImageSubmitted = "an image of each disk is submitted",
  diskImageFailed = "an image has failed",
  diskImagesReady = "the images of all disks are ready",
  virtualMachineCreated = "the machine is created",
}

-- What a step gets: the environment, and this import's writer.
local function context(writer, env)
  return setmetatable({
    writer = writer,
    record = function(fields)
      writer:record(fields)
    end,
    report = function(fields)
      writer:report(fields)
    end,
  }, { __index = env })
end

local function upper(text)
  return (text:gsub("^%l", string.upper))
end

local function reason_of(err)
  return (upper(err.reason or err.code or err.kind):gsub("[^%w_]", ""))
end

-- The end of an import that did not succeed. What it made goes, now or later.
local function fail(import, ctx, err)
  local clean, why = cleanup.run(import, ctx)
  local reason, off = reason_of(err), power_off.stays_off(import)
  local message = off and err.message .. "; " .. off or err.message
  ctx.writer:stalled(reason, message, {
    importStatus = "VMMigrationFailed",
    observedGeneration = import.metadata.generation,
  })
  ctx.writer:event("Warning", reason, message)
  ctx.writer:release()
  if not clean then
    ctx.writer:event("Warning", "CleaningUp", why.message)
  end
  return not clean and { after = CLEAN_AGAIN } or nil
end

-- An attempt has failed: again, or for good.
local function try_again(import, ctx, err)
  local attempt = not err.final and not ctx.is_final(err)
    and retry.next(import, ctx, err.after)
  if not attempt then
    return fail(import, ctx, err)
  end
  local message = ("%s; %s"):format(err.message, attempt.text)
  ctx.writer:working(reason_of(err), message, attempt.fields)
  ctx.writer:event("Warning", reason_of(err), message)
  return { after = attempt.after }
end

-- The next state, written down with whatever belongs to it.
local function advance(import, ctx, outcome)
  local before, state = import.status and import.status.importStatus or "", outcome.state
  local message = outcome.message or MESSAGES[state] or ""
  local fields = {
    importStatus = state,
    attempt = KEEPS_ATTEMPT[state] and KEEPS_ATTEMPT[before] and import.status.attempt
      or json.null,
    nextAttemptTime = json.null,
  }
  for key, value in pairs(outcome.fields or {}) do
    fields[key] = value
  end
  ctx.writer:working(upper(state), message, fields)
  ctx.writer:event(state == "diskImageFailed" and "Warning" or "Normal", upper(state),
    message)
  return { after = outcome.after or 0 }
end

local function finish(import, ctx, outcome)
  local message = outcome.message or ""
  ctx.writer:release() -- who sees the end sees it clean
  ctx.writer:finished(outcome.done, message, {
    importStatus = outcome.state or import.status.importStatus,
    observedGeneration = import.metadata.generation,
  })
  ctx.writer:event("Normal", outcome.done, message)
  return nil
end

local function invalid(import, ctx, outcome)
  ctx.writer:stalled(outcome.invalid, outcome.message, {
    importStatus = "virtualMachineImportInvalid",
    observedGeneration = import.metadata.generation,
    attempt = json.null, -- those before it came to no verdict; this is one
    nextAttemptTime = time.rfc3339(ctx.now() + INVALID_AGAIN),
  })
  ctx.writer:event("Warning", outcome.invalid, outcome.message)
  return { after = INVALID_AGAIN }
end

-- What a step returned, written down.
local function settle(import, ctx, outcome)
  if type(outcome) == "string" then
    return advance(import, ctx, { state = outcome })
  elseif outcome.leave then
    return outcome.after and { after = outcome.after }
  elseif outcome.done then
    return finish(import, ctx, outcome)
  elseif outcome.invalid then
    return invalid(import, ctx, outcome)
  elseif outcome.rest then
    ctx.writer:resting(outcome.rest, outcome.message)
    return nil
  elseif outcome.state then
    return advance(import, ctx, outcome)
  end
  local fields = outcome.fields or {}
  fields.nextAttemptTime = time.rfc3339(ctx.now() + outcome.after)
  ctx.writer:working(outcome.wait, outcome.message, fields)
  return { after = outcome.after }
end

-- What a step has thrown: waited for, tried again, or the end.
local function catch(import, ctx, err, took)
  if err.waits then
    return settle(import, ctx, { wait = err.waits, message = err.message,
      after = err.after })
  end
  local reason = outage.of(err, outage.ask(import, ctx))
  if not reason then
    outage.over(import, ctx)
    return try_again(import, ctx, err)
  end
  local outcome, given_up = outage.wait(import, ctx, reason, err, took)
  return outcome and settle(import, ctx, outcome) or fail(import, ctx, given_up)
end

local function walk(import, ctx, steps)
  for _, step in ipairs(steps) do
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

-- What needs the source; later states are finished without it.
local NEEDS_SOURCE = { [""] = true, virtualMachineImportInvalid = true,
  virtualMachineImportValid = true, sourceReady = true }

-- What cannot go on without a plan.
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
  local conditions = import.status and import.status.conditions
  for _, condition in ipairs(conditions or {}) do
    if condition.type == "Ready" then
      return condition.status == "True"
    end
  end
  return false
end

-- The steps due now, or nil: this state is an end.
local function due(import, ctx)
  local state = import.status and import.status.importStatus or ""
  if state == "VMMigrationFailed" or state == "virtualMachineRunning" then
    return due_at_end(import, ctx, state)
  elseif import.spec.cancelled then
    return not is_done(import) and { cancel } or nil
  end
  local planless = NEEDS_PLAN[state] and not import.status.plan
  if (NEEDS_SOURCE[state] or planless) and not is_supported(import, ctx) then
    return { unsupported }
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

-- A programming mistake becomes an err too; where it was stands in the log.
local function explainer(import)
  return function(problem)
    local err = errors.of(problem)
    if type(problem) ~= "table" then
      log.error(status.named(import, err.message), { traceback = debug.traceback() })
    end
    return err
  end
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
      advance(import, ctx, { state = state })
    end
  end
  local began = time.monotonic()
  local ok, outcome = xpcall(walk, explainer(import), import, ctx, steps)
  local result
  if ok then
    if type(outcome) == "string" or not outcome.outage then
      outage.over(import, ctx)
    end
    result = settle(import, ctx, outcome)
  elseif cannot_be_written(outcome) then
    error(outcome)
  else
    result = catch(import, ctx, outcome, time.monotonic() - began)
  end
  ctx.writer:release()
  return result
end

-- Said where an older CustomResourceDefinition keeps it too.
local function say_old_definition(import, ctx, err)
  ctx.writer:event("Warning", err.reason, err.message)
  ctx.writer:condition("Stalled", "True", err.reason, err.message)
  log.error(status.named(import, err.message))
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
  if seen.plan and seen.diskImportStatus then
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
      return cleanup.deleted(import, ctx)
    end
    if ctx.target.can.run and edits.unseen(import) then
      edits.note(import, ctx)
    end
    local steps = due(import, ctx)
    return steps and take(import, ctx, steps)
  end, explainer(import))
  if ok then
    return result
  elseif result.kind == "conflict" then
    -- Somebody else wrote: look again and decide again. Or leads: leave it to them.
    return { after = result.reason == "NotLeader" and 5 or 0, again = result.message }
  elseif result.reason == status.OLD_DEFINITION then
    say_old_definition(import, ctx, result)
    return { after = OLD_DEFINITION_AGAIN }
  end
  error(result, 0)
end

return M
