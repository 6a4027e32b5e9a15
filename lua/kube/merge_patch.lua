--- kube.merge_patch: applies a JSON merge patch. Pure.
--
-- Source: RFC 7396. A list is replaced whole; json.null deletes.

local json = require "host.json"
local values = require "base.values"

local M = {}

local function is_map(value)
  return type(value) == "table" and not json.is_array(value)
end

--- merge_patch.apply(target, patch) -> merged
-- Neither argument is changed; parts that the patch leaves alone are shared.
--
--   target  any    what there is
--   patch   table  as the body of a PATCH request
function M.apply(target, patch)
  if not is_map(patch) then
    return patch
  end
  local merged = {}
  if is_map(target) then
    for key, value in pairs(target) do
      merged[key] = value
    end
  end
  for key, value in pairs(patch) do
    if value == json.null then
      merged[key] = nil
    else
      merged[key] = M.apply(merged[key], value)
    end
  end
  return merged
end

--- merge_patch.changes(target, patch) -> boolean
-- Would applying it make a difference?
function M.changes(target, patch)
  if not is_map(patch) then
    return not values.same(target, patch)
  elseif not is_map(target) then
    return true
  end
  for key, value in pairs(patch) do
    if value == json.null then
      if target[key] ~= nil then
        return true
      end
    elseif M.changes(target[key], value) then
      return true
    end
  end
  return false
end

--- merge_patch.replacing(target, value) -> patch
-- The patch that makes `value` of `target`: whatever is only in `target` is deleted. A
-- value put into a patch as it is would be joined with what was there.
function M.replacing(target, value)
  if not is_map(target) or not is_map(value) then
    return value
  end
  local patch = {}
  for key in pairs(target) do
    patch[key] = json.null
  end
  for key, item in pairs(value) do
    patch[key] = M.replacing(target[key], item)
  end
  return patch
end

return M
