--- policy.power: whether the machine runs once it is here.

local finding = require "policy.finding"

local M = {}

--- power.decide(input) -> "Running" | "Stopped", findings
-- Running unless spec.targetPowerState says otherwise, as upstream has always done. With
-- AsSource as it was there before an import shut it down.
function M.decide(input)
  local wanted = input.spec.targetPowerState
  if wanted == "AsSource" then
    local on = input.machine.power_state ~= "off" or input.import.shut_down
    return on and "Running" or "Stopped"
  end
  if wanted or input.machine.power_state ~= "off" then
    return wanted or "Running"
  end
  return "Running", {
    finding.informs("StartsAfterImport", "machine",
      "the machine is off at the source and will be started here",
      "set spec.targetPowerState: AsSource or Stopped to leave it off"),
  }
end

--- power.check(value) -> value | nil, message
function M.check(value)
  if value == "Running" or value == "Stopped" then
    return value
  end
  return nil, "Running or Stopped is expected"
end

return M
