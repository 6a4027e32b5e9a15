--- flows.import.power_off: the source machine is off before its disks are read.
--
-- Already off: nothing. forcePowerOff: at once. Else the guest is asked, and past the
-- deadline the power is cut, which status says. Deadlines count from what status
-- recorded, so a restart does not begin them anew.

local conditions = require "kube.conditions"
local errors = require "host.error"
local images = require "flows.import.images"
local origin = require "flows.import.origin"
local task = require "host.task"
local time = require "host.time"

local M = {}

local GRACEFUL = 60      -- seconds, upstream's default
local HARD_WITHIN = 120  -- seconds for a power-off task to show
local POLL = 2           -- seconds

local function wait_until_off(source, id, deadline, ctx)
  while true do
    local state = assert(source:power_state(id))
    if state == "off" then
      return true
    elseif ctx.now() >= deadline then
      return false
    end
    task.sleep(ctx.options.poll or POLL)
  end
end

local function cut_power(import, ctx, source, why)
  local id, name = import.status.machine.id, import.status.machine.name
  ctx.writer:condition("VMPoweringOff", "True", "PoweringOff", why)
  local ok, err = source:power_off(id)
  if not ok then
    error(errors.wrap(err, "powering off " .. name))
  end
  if not wait_until_off(source, id, ctx.now() + HARD_WITHIN, ctx) then
    error(errors.new("timeout", ("%s is still on %d s after it was powered off")
      :format(name, HARD_WITHIN)))
  end
end

-- Since when the guest has been asked to shut down, asking now if it was not.
local function ask_guest(import, ctx, source)
  local asked = conditions.find(import.status.importConditions, "VMShutdownGuest")
  if asked and asked.status == "True" then
    return time.parse(asked.lastTransitionTime) or ctx.now()
  end
  local ok, err = source:shutdown_guest(import.status.machine.id)
  if not ok then
    return nil, err
  end
  ctx.writer:condition("VMShutdownGuest", "True", "GuestAsked",
    "the guest was asked to shut down")
  return ctx.now()
end

local function shut_down(import, ctx, source)
  local machine = import.status.machine
  local seconds = import.spec.gracefulShutdownTimeoutSeconds or 0
  seconds = seconds > 0 and seconds or GRACEFUL
  local since, err = ask_guest(import, ctx, source)
  if not since then
    if not err.code then -- it may have been asked: only the answer got lost
      error(errors.wrap(err, "shutting down the guest of " .. machine.name))
    end
    if source:power_state(machine.id) == "off" then
      return
    end
    cut_power(import, ctx, source, "the guest cannot be asked to shut down ("
      .. err.message .. "): powered off hard")
    return
  end
  ctx.writer:working("ShuttingDown",
    ("waiting up to %d s for the guest of %s to shut down"):format(seconds, machine.name))
  if not wait_until_off(source, machine.id, since + seconds, ctx) then
    cut_power(import, ctx, source, ("the guest did not shut down within %d s: "
      .. "powered off hard"):format(seconds))
  end
end

-- It was off before and is on again: what was asked then counts no more, and disks that
-- were fetched, or are images already, are of an older state.
local function begin_anew(import, ctx)
  for _, disk in ipairs(import.status.plan.disks) do
    ctx.target.disks:remove(import.status.plan, disk)
  end
  images.discard(import, ctx)
  local off = conditions.find(import.status.importConditions, "VMPoweredOff")
  if off and off.status == "True" then
    local name = import.status.machine.name
    ctx.writer:condition("VMShutdownGuest", "False", "PoweredOn", name .. " is on again")
    ctx.writer:condition("VMPoweredOff", "False", "PoweredOn", name .. " is on again")
  end
end

--- power_off.run(import, ctx)                                           [waits]
-- Returns when the source says that it is off.
function M.run(import, ctx)
  local source <close> = assert(ctx.open_source(origin.of(import)))
  local machine = import.status.machine
  local state = assert(source:power_state(machine.id))
  if state == "suspended" then
    error(errors.final(errors.new("invalid", machine.name .. " is suspended: power it on "
      .. "and shut it down, or discard its state, then import it")))
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
