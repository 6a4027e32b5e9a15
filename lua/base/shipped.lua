--- base.shipped: files that come with the program, beside the folder of its modules.

local M = {}

--- shipped.path(name) -> string
-- Of crds/ or deploy/policy.yaml: beside lua/, in the source tree and when installed.
function M.path(name)
  local own = assert(package.searchpath("base.shipped", package.path))
  return own:gsub("base/shipped%.lua$", ""):gsub("%f[%w]lua/$", "") .. name
end

return M
