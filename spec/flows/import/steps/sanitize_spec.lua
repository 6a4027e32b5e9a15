local sanitize = require "flows.import.steps.sanitize"
local steps = require "support.steps"

describe("flows.import.steps.sanitize", function()
  it("writes down the name that the machine will have", function()
    local w = steps.world()
    assert.equal("virtualMachineImportValid", sanitize.run(w.import, w.ctx))
    assert.equal("web-01", w:status().importedVirtualMachineName)
  end)
end)
