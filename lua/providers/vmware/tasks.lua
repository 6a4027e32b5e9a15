--- providers.vmware.tasks: what vSphere does by itself, waited for.

local errors = require "host.error"
local faults = require "providers.vmware.faults"
local properties = require "providers.vmware.properties"
local task = require "host.task"
local time = require "host.time"
local xml = require "host.xml"

local M = {}

local function failed(info, ref)
  local fault = xml.child(info, "error")
  local name = xml.child_text(info, "name") or ref.value
  if not fault then
    return errors.new("http", name .. ": the task failed without a reason")
  end
  return faults.of_method(name, fault)
end

--- tasks.wait(session, ref, opts) -> info | nil, err                    [waits]
-- Until the task has ended well; `info` is its TaskInfo.
--
--   opts.poll          seconds  between two looks at it
--   opts.task_timeout  seconds  for the whole task
--   err  timeout       it has not ended in time
--        as faults.of_method: it has failed
function M.wait(session, ref, opts)
  local deadline = time.monotonic() + opts.task_timeout
  while true do
    local props, err = properties.one(session, ref, { "info" })
    if not props then
      return nil, err
    end
    local state = props.info and xml.child_text(props.info, "state")
    if state == "success" then
      return props.info
    elseif state == "error" then
      return nil, failed(props.info, ref)
    elseif time.monotonic() >= deadline then
      return nil, errors.new("timeout", ("task %s has not ended after %g s")
        :format(ref.value, opts.task_timeout))
    end
    task.sleep(opts.poll)
  end
end

return M
