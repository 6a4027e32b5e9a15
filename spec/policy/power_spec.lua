local plan = require "policy.plan"
local sample = require "support.sample"

local function planned(source, wanted)
  local p = assert(plan.build(sample.input({ power_state = source },
    { targetPowerState = wanted })))
  return p.power_state, p.virtual_machine.spec.runStrategy, p.findings
end

describe("policy.power", function()
  it("starts the machine unless told otherwise", function()
    for _, wanted in ipairs({ "", "Running" }) do
      local state, strategy = planned("on", wanted)
      assert.equal("Running", state)
      assert.equal("RerunOnFailure", strategy)
    end
  end)

  it("leaves it stopped when that is wanted", function()
    local state, strategy = planned("on", "Stopped")
    assert.equal("Stopped", state)
    assert.equal("Halted", strategy)
  end)

  it("is as it was at the source, before an import shut it down, when that is wanted", function()
    assert.equal("Running", (planned("on", "AsSource")))
    assert.equal("Stopped", (planned("off", "AsSource")))
    local input = sample.input({ power_state = "off" }, { targetPowerState = "AsSource" })
    input.import.shut_down = true
    local p = assert(plan.build(input))
    assert.equal("Running", p.power_state)
    assert.is_nil(sample.find(p.findings, "StartsAfterImport"))
  end)

  it("says so when it starts a machine that is off at the source", function()
    local _, _, findings = planned("off", "")
    assert.is_not_nil(sample.find(findings, "StartsAfterImport"))
    for _, case in ipairs({ { "on", "" }, { "off", "Running" }, { "off", "Stopped" } }) do
      _, _, findings = planned(case[1], case[2])
      assert.is_nil(sample.find(findings, "StartsAfterImport"))
    end
  end)

  it("blocks on another word, and plans as if there was none", function()
    for _, wanted in ipairs({ "On", "running", "Halted", "Paused" }) do
      local state, _, findings = planned("on", wanted)
      assert.equal("Running", state)
      assert.equal("Blocks", sample.find(findings, "TargetPowerStateInvalid").severity)
    end
  end)
end)
