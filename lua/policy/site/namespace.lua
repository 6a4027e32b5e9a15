--- policy.site.namespace: where the machine is made. Pure.
--
-- The import's namespace, whose rights were asked for when it was written; or another one
-- that a site's script says and the administrator has listed.

local name = require "policy.name"

local M = {}

--- namespace.is_open(namespace, import, site) -> boolean
--
--   import  {namespace} of the VirtualMachineImport
--   site    policy.plan's input.site, or nil
function M.is_open(namespace, import, site)
  if namespace == import.namespace or site and site.code then
    return true
  end
  for _, listed in ipairs(site and site.namespaces or {}) do
    if listed == namespace then
      return true
    end
  end
  return false
end

--- namespace.check(value, input) -> value | nil, message
function M.check(value, input)
  if not name.is_label(value) then
    return nil, "at most 63 characters, a to z, 0 to 9 and inner dashes are expected"
  elseif not M.is_open(value, input.import, input.site) then
    return nil, ("%s is neither the import's namespace (%s) nor listed in "
      .. "--allowed-namespaces (chart: allowedNamespaces)"):format(value,
      input.import.namespace)
  end
  return value
end

return M
