--- flows.import.outcome: what a step has returned or thrown, written down.
--
-- flows.import says what a step may return.

local cleanup = require "flows.import.steps.cleanup"
local json = require "host.json"
local outage = require "flows.import.outage"
local place = require "flows.import.steps.place"
local power_off = require "flows.import.steps.power_off"
local retry = require "flows.import.retry"
local same_error = require "flows.import.same_error"
local text = require "base.text"
local time = require "host.time"
local waits = require "flows.waits"

local M = {}

-- Attempts at its images count across these.
local KEEPS_ATTEMPT = { diskImageSubmitted = true, diskImageFailed = true,
  diskImagesReady = true }

local MESSAGES = {
  virtualMachineImportValid = "checked and planned",
  sourceReady = "the source is ready, and there is a place for the import",
  disksExported = "all disks are here",
  diskImageSubmitted = "an image of each disk is submitted",
  diskImageFailed = "an image has failed",
  diskImagesReady = "the images of all disks are ready",
  virtualMachineCreated = "the machine is created",
}

local function upper(word)
  return (word:gsub("^%l", string.upper))
end

local function reason_of(err)
  return text.word(upper(err.reason or err.code or err.kind))
end

-- The end of an import that did not succeed. What it made goes, now or later.
local function fail(import, ctx, err)
  local clean, why = cleanup.run(import, ctx)
  same_error.forget(import, ctx) -- who begins it anew has two fetches again
  local reason, off = reason_of(err), power_off.stays_off(import)
  local message = off and err.message .. "; " .. off or err.message
  ctx.writer:stalled(reason, message, {
    importStatus = "VMMigrationFailed",
    observedGeneration = import.metadata.generation,
  }, { event = "Warning", traceback = err.traceback })
  ctx.writer:release()
  if not clean then
    ctx.writer:event("Warning", "CleaningUp", why.message)
  end
  return not clean and { after = waits.LEFTOVERS } or nil
end

-- An attempt has failed: again, or for good.
local function try_again(import, ctx, err)
  local attempt = not err.final and not ctx.is_final(err)
    and retry.next(import, ctx, err.after)
  if not attempt then
    return fail(import, ctx, err)
  end
  local message = ("%s; %s"):format(err.message, attempt.text)
  place.leave(import, ctx)
  ctx.writer:working(reason_of(err), message, attempt.fields,
    { event = "Warning", traceback = err.traceback })
  return { after = attempt.after }
end

--- outcome.advance(import, ctx, outcome) -> {after = s}                 [waits]
-- The next state, written down with whatever belongs to it.
function M.advance(import, ctx, outcome)
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
  ctx.writer:working(upper(state), message, fields,
    { event = state == "diskImageFailed" and "Warning" or "Normal" })
  return { after = outcome.after or 0 }
end

local function finish(import, ctx, outcome)
  local message = outcome.message or ""
  ctx.writer:release() -- who sees the end sees it clean
  ctx.writer:finished(outcome.done, message, {
    importStatus = outcome.state or import.status.importStatus,
    observedGeneration = import.metadata.generation,
  }, { event = "Normal" })
  return nil
end

local function invalid(import, ctx, outcome)
  ctx.writer:stalled(outcome.invalid, outcome.message, {
    importStatus = "virtualMachineImportInvalid",
    observedGeneration = import.metadata.generation,
    attempt = json.null, -- those before it came to no verdict; this is one
    nextAttemptTime = time.rfc3339(ctx.now() + waits.INVALID),
  }, { event = "Warning" })
  return { after = waits.INVALID }
end

--- outcome.settle(import, ctx, outcome) -> nil | {after = s}            [waits]
-- Writes down the outcome that a step returned.
function M.settle(import, ctx, outcome)
  if type(outcome) == "string" then
    return M.advance(import, ctx, { state = outcome })
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
    return M.advance(import, ctx, outcome)
  end
  local fields = outcome.fields or {}
  fields.nextAttemptTime = time.rfc3339(ctx.now() + outcome.after)
  ctx.writer:working(outcome.wait, outcome.message, fields,
    { event = outcome.event, level = outcome.trouble and "warn" })
  return { after = outcome.after }
end

--- outcome.catch(import, ctx, err, took) -> nil | {after = s}           [waits]
-- An error that a step has thrown: waited for, tried again, or the end.
--
--   took  seconds until it did
function M.catch(import, ctx, err, took)
  if err.waits then
    return M.settle(import, ctx, { wait = err.waits, message = err.message,
      after = err.after, trouble = true })
  end
  local reason = outage.of(err, outage.ask(import, ctx))
  if not reason then
    outage.over(import, ctx)
    return try_again(import, ctx, err)
  end
  local outcome, given_up = outage.wait(import, ctx, reason, err, took)
  place.leave(import, ctx)
  return outcome and M.settle(import, ctx, outcome) or fail(import, ctx, given_up)
end

return M
