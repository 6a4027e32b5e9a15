--- policy.power: whether the machine runs once it is here.

local finding = require "policy.finding"
local spec = require "policy.spec"

local M = {}

--- power.decide(input) -> "Running" | "Stopped", findings
-- Running unless spec.targetPowerState says otherwise, as upstream has always done.
function M.decide(input)
  local wanted = input.spec.targetPowerState
  if wanted or input.machine.power_state ~= "off" then
    return wanted or "Running"
  end
  return "Running", {
    finding.informs("StartsAfterImport", "machine",
      "the machine is off at the source and will be started here",
      "set spec.targetPowerState: Stopped to leave it off"),
  }
end

--- power.check(value) -> value | nil, message
function M.check(value)
  if spec.is_one_of(value, spec.POWER_STATES) then
    return value
  end
  return nil, "Running or Stopped is expected"
end

return M
