--- base.origin: which source an import names. Pure.

local M = {}

--- origin.of(import) -> {kind, namespace, name, from}
-- A field that is not set is nil, but for the namespace: that of the import, which is
-- also `from`, where the reference stands.
function M.of(import)
  local ref = import.spec and import.spec.sourceCluster or {}
  local function set(value)
    return value ~= "" and value or nil
  end
  return {
    kind = set(ref.kind),
    name = set(ref.name),
    namespace = set(ref.namespace) or import.metadata.namespace,
    from = import.metadata.namespace,
  }
end

--- origin.text(ref) -> "KIND NAMESPACE/NAME"
function M.text(ref)
  return ("%s %s/%s"):format(ref.kind, ref.namespace, ref.name)
end

return M
