--- providers.vmware.power: the power of a virtual machine, and the tasks that change it.

local errors = require "host.error"
local properties = require "providers.vmware.properties"
local session_of = require "providers.vmware.session"
local soap = require "providers.vmware.soap"
local task = require "host.task"
local tasks = require "providers.vmware.tasks"
local time = require "host.time"

local STATES = { poweredOn = "on", poweredOff = "off", suspended = "suspended" }

local M = {}

local function machine(id)
  return { type = "VirtualMachine", value = id }
end

--- power.state(session, id) -> "on" | "off" | "suspended" | nil, err    [waits]
--
--   err  gone  the machine does not exist any more
function M.state(session, id)
  local props, err = properties.one(session, machine(id), { "runtime.powerState" })
  if not props then
    return nil, err
  end
  local node = props["runtime.powerState"]
  local state = STATES[node and node.text or ""]
  if not state then
    return nil, errors.new("denied", "the account may not see the machine's power state")
  end
  return state
end

-- An err that means: it was off already.
local function already_off(err)
  return err.code == "InvalidPowerState" and err.existing == "poweredOff"
end

-- Whether it is off in spite of `err`. Where only the answer got lost, vSphere may be
-- about to do it.
local function gets_off(session, id, err, opts)
  local deadline = time.monotonic() + (soap.passing(err) and opts.lost_answer or 0)
  while M.state(session, id) ~= "off" do
    if time.monotonic() >= deadline then
      return false
    end
    task.sleep(opts.poll)
  end
  return true
end

--- power.shutdown_guest(session, id) -> true | nil, err                 [waits]
-- Asks the guest to shut down; does not wait until it has. True too when it is off.
--
--   err  busy  the tools are not running, or the machine is suspended
function M.shutdown_guest(session, id)
  local reply, err = session:call("ShutdownGuest", { _this = machine(id) })
  if reply or already_off(err) then
    return true
  end
  if err.code == "InvalidPowerState" or soap.passing(err) then
    -- Not known whether it arrived, or in which state it found the machine.
    if M.state(session, id) == "off" then
      return true
    end
  end
  return nil, err
end

--- power.off(session, id, opts) -> true | nil, err                      [waits]
-- Cuts the power and waits until it is cut. A machine that is off already is success.
--
--   opts.poll          seconds  between looks at the task
--   opts.task_timeout  seconds  for the whole task
--   opts.lost_answer   seconds  to watch the machine when the answer got lost
--   err  timeout  the task has not ended in time
function M.off(session, id, opts)
  local reply, err = session:call("PowerOffVM_Task", { _this = machine(id) })
  local ok = false
  if reply then
    local ref
    ref, err = session_of.returned(reply, "PowerOffVM_Task")
    if ref then
      ok, err = tasks.wait(session, ref, opts)
    end
  end
  if ok or already_off(err) or gets_off(session, id, err, opts) then
    return true
  end
  return nil, err
end

return M
