--- flows.import.steps.power_off: the source machine is off before its disks are read.
--
-- Already off: nothing. forcePowerOff: at once. Else the guest is asked, again and again
-- while the source cannot pass it on, and past the deadline the power is cut, which is
-- said wherever somebody may look. A run that was interrupted asks anew and waits anew:
-- nobody knows how long ago it was (flows.import.clock). What the account may not do is
-- no reason to cut anything.

local clock = require "flows.import.clock"
local conditions = require "kube.conditions"
local errors = require "host.error"
local moment = require "flows.import.moment"
local origin = require "base.origin"
local task = require "host.task"

local M = {}

local GRACEFUL = 60      -- seconds, upstream's default
local CUT_WITHIN = 30    -- seconds in which a power-off that is refused is asked again
local HARD_WITHIN = 120  -- seconds for one that was taken to show
local POLL = 2           -- seconds

-- Of errors: asking again cannot cure them, and cutting the power would be no better.
local HOPELESS = { denied = true, gone = true, tls = true, notfound = true }

-- The guest has nobody to hear it; preflight has said so.
local DEAF = { ToolsUnavailable = true, NotSupported = true }

local function give_up(err, what)
  local wrapped = errors.wrap(err, what)
  error(err.kind == "denied" and err.code ~= "NotAuthenticated" and errors.final(wrapped)
    or wrapped, 0)
end

local function is_hopeless(err)
  return HOPELESS[err.kind] or err.kind == "cancelled" and not err.code
    or err.reason == "NotLeader" or err.code == "RestrictedVersion"
end

local function refuse_suspended(machine)
  error(errors.final(errors.new("invalid", machine.name .. " is suspended: power it on "
    .. "and shut it down, or discard its state, then import it")))
end

-- Whether it is off now; nil, err while nobody can tell.
local function is_off(source, machine)
  local state, err = source:power_state(machine.id)
  if state == "suspended" then
    refuse_suspended(machine)
  elseif not state and is_hopeless(err) then
    give_up(err, "looking whether " .. machine.name .. " is off")
  end
  return state and state == "off", err
end

-- Looks, and asks until that was heard, until the machine is off: true. Past `seconds`,
-- or when asking is of no use: false, and what was in the way if it was never heard.
--
--   ask     function () -> true | false, err: to be asked again | nil, err: of no use
--   within  seconds from when it was heard, instead of what is left then; or nil
local function until_off(ctx, source, machine, seconds, ask, within)
  local deadline, heard, problem = clock.now(ctx) + seconds, false, nil
  while true do
    local off, err = is_off(source, machine)
    if off then
      return true
    elseif off == false and not heard then
      heard, problem = ask()
      if heard == nil then
        return false, problem
      end
      deadline = heard and within and clock.now(ctx) + within or deadline
    elseif off == nil and clock.now(ctx) >= deadline then
      give_up(err, "looking whether " .. machine.name .. " is off")
    end
    if clock.now(ctx) >= deadline then
      return false, problem
    end
    task.sleep(ctx.options.poll or POLL)
  end
end

-- Said before: whatever comes next, this is known.
local function say_cut(import, ctx, why)
  local machine = import.status.machine
  local text = ("the power of %s is cut: %s"):format(machine.name, why)
  ctx.writer:working("PowerCut", text, nil, { event = "Warning" })
  ctx.writer:condition("VMPoweringOff", "True", "PowerCut", text)
end

local function cut_power(import, ctx, source, why)
  local machine = import.status.machine
  say_cut(import, ctx, why)
  local what = "powering off " .. machine.name
  local off, problem = until_off(ctx, source, machine, CUT_WITHIN, function()
    local ok, err = source:power_off(machine.id)
    if not ok and is_hopeless(err) then
      give_up(err, what)
    end
    return ok or false, err
  end, HARD_WITHIN)
  if not off then
    error(problem and errors.wrap(problem, what)
      or errors.new("timeout", ("%s is still on %d s after it was powered off")
      :format(machine.name, HARD_WITHIN)))
  end
end

-- Asks the guest once, as until_off() wants it.
local function ask_guest(import, ctx, source)
  local machine = import.status.machine
  local ok, err = source:shutdown_guest(machine.id)
  if ok then
    ctx.writer:condition("VMShutdownGuest", "True", "GuestAsked",
      "the guest was asked to shut down")
    return true
  elseif is_hopeless(err) then
    give_up(err, "shutting down the guest of " .. machine.name)
  end
  ctx.writer:condition("VMShutdownGuest", "False", "NotAsked",
    "the guest cannot be asked now: " .. err.message, { level = "warn" })
  if DEAF[err.code] and not machine.guest.tools_running then
    return nil, err
  end
  return false, err
end

local function shut_down(import, ctx, source)
  local machine = import.status.machine
  local seconds = import.spec.gracefulShutdownTimeoutSeconds or 0
  seconds = seconds > 0 and seconds or GRACEFUL
  ctx.writer:working("ShuttingDown",
    ("waiting up to %d s for the guest of %s to shut down"):format(seconds, machine.name))
  local off, problem = until_off(ctx, source, machine, seconds, function()
    return ask_guest(import, ctx, source)
  end)
  if off then
    return
  elseif problem and not problem.code then -- nothing was heard of it: nothing is cut
    give_up(problem, "shutting down the guest of " .. machine.name)
  end
  cut_power(import, ctx, source, problem
    and ("the guest cannot be asked to shut down (%s)"):format(problem.message)
    or ("the guest did not shut down within %d s"):format(seconds))
end

-- It was off before and is on again: disks that were fetched, or are images already, are
-- of an older state.
local function begin_anew(import, ctx)
  moment.discard(import, ctx)
  local off = conditions.find(import.status.importConditions, "VMPoweredOff")
  if off and off.status == "True" then
    local name = import.status.machine.name
    ctx.writer:condition("VMShutdownGuest", "False", "PoweredOn", name .. " is on again")
    ctx.writer:condition("VMPoweredOff", "False", "PoweredOn", name .. " is on again")
  end
end

--- power_off.stays_off(import) -> text | nil
-- Of an import that has failed: what it leaves off at the source, and what to do.
function M.stays_off(import)
  local list = import.status and import.status.importConditions
  if not conditions.is_true(list, "VMPoweredOff")
    or not (conditions.is_true(list, "VMShutdownGuest")
      or conditions.is_true(list, "VMPoweringOff")) then
    return nil
  end
  local machine = import.status.machine or {}
  return ("%s (%s) was shut down for the import and stays off: start it at its source if "
    .. "it is to go on there"):format(machine.name, machine.id)
end

--- power_off.run(import, ctx)                                           [waits]
-- Returns when the source says that it is off.
function M.run(import, ctx)
  local source <close> = assert(ctx.open_source(origin.of(import)))
  local machine = import.status.machine
  local state = assert(source:power_state(machine.id))
  if state == "suspended" then
    refuse_suspended(machine)
  elseif state ~= "off" then
    begin_anew(import, ctx)
    if import.spec.forcePowerOff then
      cut_power(import, ctx, source, "forcePowerOff is set")
    else
      shut_down(import, ctx, source)
    end
  end
  ctx.writer:condition("VMPoweredOff", "True", "PoweredOff", machine.name .. " is off")
  return nil
end

return M
