--- flows.import.steps.sanitize: the name the machine will have here, in status.

local M = {}

--- sanitize.run(import, ctx) -> state                                   [waits]
-- The plan's name (policy/name.lua) becomes status.importedVirtualMachineName.
function M.run(import, ctx)
  ctx.record({ importedVirtualMachineName = import.status.plan.name })
  return "virtualMachineImportValid"
end

return M
