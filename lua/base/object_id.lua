--- base.object_id: "namespace/name", what tells the objects of one kind apart. Pure.

local M = {}

--- object_id.of(namespace, name) -> "namespace/name"
--
--   namespace  string; nil or "" for a kind that has none
function M.of(namespace, name)
  return (namespace or "") .. "/" .. name
end

--- object_id.split(id) -> namespace, name | nil
-- Nil where there is not one slash and a name behind it. The namespace may be "".
function M.split(id)
  return id:match("^([^/]*)/([^/]+)$")
end

return M
