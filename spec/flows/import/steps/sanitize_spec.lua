local sanitize = require "flows.import.steps.sanitize"
local steps = require "support.steps"

describe("flows.import.steps.sanitize", function()
  it("has the name that the machine will have written with what comes next", function()
    local w = steps.world()
    local state = sanitize.run(w.import, w.ctx)
    assert.equal("virtualMachineImportValid", state)
    w.ctx.record({ importStatus = state })
    assert.equal(state, w:status().importStatus)
    assert.equal("web-01", w:status().importedVirtualMachineName)
  end)
end)
