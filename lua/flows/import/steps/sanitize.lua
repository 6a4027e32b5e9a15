--- flows.import.steps.sanitize: the name the machine will have here, in status.

local M = {}

--- sanitize.run(import, ctx) -> state
-- The plan's name (policy/name.lua) becomes status.importedVirtualMachineName, written
-- together with the state.
function M.run(import, ctx)
  ctx.writer:report({ importedVirtualMachineName = import.status.plan.name })
  return "virtualMachineImportValid"
end

return M
