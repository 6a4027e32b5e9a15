--- policy.cloud_init: what the guest is told at its first start here.
--
-- The built-in policy tells it nothing: an imported guest is set up already.

-- KubeVirt's bound for data in the object itself. Larger needs a Secret.
local MAX = 2048

local M = {}

--- cloud_init.decide() -> nil
function M.decide()
  return nil
end

local function check_text(value, field)
  local text = value[field]
  if text == nil or text == "" then
    return nil
  end
  if type(text) ~= "string" or not utf8.len(text) then
    return nil, field .. ": a text in UTF-8 is expected"
  end
  if #text > MAX then
    return nil, ("%s has %d bytes; KubeVirt takes %d"):format(field, #text, MAX)
  end
  return text
end

--- cloud_init.check(value) -> {user_data, network_data} | nil, message
-- nil without a message when neither is there.
function M.check(value)
  if value == nil or value == "" then
    return nil
  end
  if type(value) ~= "table" then
    return nil, "a table {user_data, network_data} is expected"
  end
  local checked = {}
  local err
  for _, field in ipairs({ "user_data", "network_data" }) do
    checked[field], err = check_text(value, field)
    if err then
      return nil, err
    end
  end
  return next(checked) and checked or nil
end

return M
