--- flows.import: the life of a VirtualMachineImport.
--
-- importStatus is the checkpoint: each value names the steps that come next. A step
-- does idempotent things and says how it went on; only this file writes importStatus.
--
-- A step is `run(import, ctx)` and returns
--
--   nil                                   done: the next step of the same row
--   "state"                               the next importStatus
--   {wait = reason, message, after = s}   look again in so many seconds
--   {done = reason, message, state}       the good end; importStatus: state, or it stays
--   {invalid = reason, message}           virtualMachineImportInvalid, tried again later
--   {leave = true, after = s or nil}      the status says all already
--
-- or throws: tried again with back-off, or failed for good.

local admit = require "flows.import.admit"
local cleanup = require "flows.import.cleanup"
local create = require "flows.import.create"
local errors = require "host.error"
local export = require "flows.import.export"
local images = require "flows.import.images"
local json = require "host.json"
local log = require "host.log"
local power_off = require "flows.import.power_off"
local preflight = require "flows.import.preflight"
local sanitize = require "flows.import.sanitize"
local status = require "flows.import.status"
local time = require "host.time"

local M = { kind = "VirtualMachineImport" }

local STEPS = {
  [""] = { preflight, sanitize },
  virtualMachineImportInvalid = { preflight, sanitize },
  virtualMachineImportValid = { admit },
  sourceReady = { power_off, export },
  disksExported = { export.refill, images, create },
  diskImageSubmitted = { export.refill, images },
  diskImageFailed = { images },
  diskImagesReady = { create },
  virtualMachineCreated = { create },
}

-- A failed image counts across these, until all are ready.
local KEEPS_ATTEMPT = { diskImageSubmitted = true, diskImageFailed = true }

local MAX_RETRIES = 5
local RETRY_FIRST, RETRY_MOST = 5, 300 -- seconds
local INVALID_AGAIN = 300              -- seconds
local CLEAN_AGAIN = 10                 -- seconds

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

local function reason_of(err)
  local reason = (err.reason or err.code or err.kind):gsub("^%l", string.upper)
  return (reason:gsub("[^%w_]", ""))
end

-- The end of an import that did not succeed. What it made goes, now or later.
local function fail(import, ctx, err)
  local clean = cleanup.run(import, ctx)
  ctx.writer:stalled(reason_of(err), err.message, {
    importStatus = "VMMigrationFailed",
    observedGeneration = import.metadata.generation,
  })
  ctx.writer:release()
  return not clean and { after = CLEAN_AGAIN } or nil
end

-- An attempt has failed: again, or for good.
local function retry(import, ctx, err)
  local attempt = (import.status and import.status.attempt or 0) + 1
  local most = import.spec.maxRetries or ctx.options.max_retries or MAX_RETRIES
  if err.final or ctx.is_final(err) or attempt > most then
    return fail(import, ctx, err)
  end
  local first = ctx.options.retry_first or RETRY_FIRST
  local after = err.after or math.min(first * 2 ^ (attempt - 1), RETRY_MOST)
  local at = time.rfc3339(ctx.now() + after)
  ctx.writer:working(reason_of(err),
    ("%s; attempt %d of %d at %s"):format(err.message, attempt + 1, most + 1, at),
    { attempt = attempt, nextAttemptTime = at })
  return { after = after }
end

-- What a step returned, written down.
local function settle(import, ctx, outcome)
  if type(outcome) == "string" then
    local before = import.status.importStatus
    ctx.writer:working(outcome, "", {
      importStatus = outcome,
      attempt = KEEPS_ATTEMPT[outcome] and KEEPS_ATTEMPT[before] and import.status.attempt
        or json.null,
      nextAttemptTime = json.null,
    })
    ctx.writer:release()
    return { after = 0 }
  elseif outcome.leave then
    return outcome.after and { after = outcome.after }
  elseif outcome.done then
    ctx.writer:finished(outcome.done, outcome.message or "", {
      importStatus = outcome.state or import.status.importStatus,
      observedGeneration = import.metadata.generation,
    })
    ctx.writer:release()
    return nil
  elseif outcome.invalid then
    ctx.writer:stalled(outcome.invalid, outcome.message, {
      importStatus = "virtualMachineImportInvalid",
      observedGeneration = import.metadata.generation,
    })
    return { after = INVALID_AGAIN }
  end
  ctx.writer:working(outcome.wait, outcome.message, {
    nextAttemptTime = time.rfc3339(ctx.now() + outcome.after),
  })
  return { after = outcome.after }
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

local function cancelled()
  error(errors.new("cancelled", "cancelled by spec.cancelled",
    { reason = "Cancelled", final = true }))
end

-- What needs the source; later states are finished without it.
local NEEDS_SOURCE = { [""] = true, virtualMachineImportInvalid = true,
  virtualMachineImportValid = true, sourceReady = true }

local function unsupported(import, ctx)
  local kind = import.spec.sourceCluster.kind
  ctx.writer:stalled("NotSupported", ("a %s cannot be imported from yet; the import is "
    .. "left as it was found"):format(kind), {})
  return { leave = true }
end

-- The steps due now, or nil: this state is an end.
local function due(import, ctx)
  local state = import.status and import.status.importStatus or ""
  if state == "VMMigrationFailed" or state == "virtualMachineRunning" then
    local seen = import.status.observedGeneration
    if #(import.status.recorded or {}) > 0 then
      return { cleanup.again }
    elseif state == "VMMigrationFailed" and seen and seen ~= import.metadata.generation
      and not import.spec.cancelled then
      ctx.writer:record({ importStatus = "", attempt = json.null })
      return STEPS[""]
    end
    return nil
  end
  if import.spec.cancelled then
    return { { run = cancelled } }
  end
  local ref = import.spec.sourceCluster
  if NEEDS_SOURCE[state] and ref and ref.kind and ctx.supports
    and not ctx.supports(ref.kind) then
    return { { run = unsupported } }
  end
  return assert(STEPS[state], "unknown importStatus " .. state)
end

-- A programming mistake becomes an err too; where it was stands in the log.
local function explain(problem)
  local err = errors.of(problem)
  if type(problem) ~= "table" then
    log.error(err.message, { traceback = debug.traceback() })
  end
  return err
end

-- One step, and what it said or threw written down.
local function take(import, ctx, steps)
  local ok, outcome = xpcall(walk, explain, import, ctx, steps)
  if ok then
    return settle(import, ctx, outcome)
  elseif outcome.kind == "conflict" then
    error(outcome)
  end
  return retry(import, ctx, outcome)
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
  if import.metadata.deletionTimestamp then
    return cleanup.deleted(import, ctx)
  end
  local steps = due(import, ctx)
  if not steps then
    return nil
  end
  local ok, result = xpcall(take, explain, import, ctx, steps)
  if ok then
    return result
  elseif result.kind == "conflict" then
    -- Somebody else wrote: look again and decide again. Or leads: leave it to them.
    return { after = result.reason == "NotLeader" and 5 or 0 }
  end
  error(result, 0)
end

return M
