--- flows.import.images: a VirtualMachineImage per disk; waits; submits failed ones again.

local M = {}

--- images.run(import, ctx) -> outcome                                   [waits]
-- A target without images (a directory) has nothing to submit.
function M.run(import, ctx)
  if not ctx.target.can.images then
    return nil
  end
  return ctx.target:submit_images(import, ctx)
end

return M
