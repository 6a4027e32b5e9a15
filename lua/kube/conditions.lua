--- kube.conditions: status conditions: find one, set one. Pure.
--
-- Source: metav1.Condition of k8s.io/apimachinery; `lastUpdateTime` is what the
-- conditions of Harvester's controllers carry besides.

local json = require "host.json"
local text = require "base.text"

local M = {}

local MOST_MESSAGE = 1024 -- bytes

--- conditions.find(list, type) -> condition | nil
function M.find(list, type)
  for _, condition in ipairs(list or {}) do
    if condition.type == type then
      return condition
    end
  end
  return nil
end

--- conditions.is_true(list, type) -> boolean
function M.is_true(list, type)
  local condition = M.find(list, type)
  return condition ~= nil and condition.status == "True"
end

-- An absent text and an empty one are one.
local function same(a, b)
  for _, key in ipairs { "status", "reason", "message", "observedGeneration" } do
    if (a[key] or "") ~= (b[key] or "") then
      return false
    end
  end
  return true
end

--- conditions.set(list, condition, now, opts) -> list, changed
-- A new list in which `condition` stands in the place of the one of its type, or at
-- the end. lastTransitionTime moves only when its status does.
--
--   list              conditions before, may be nil
--   condition         {type, status = "True"|"False"|"Unknown", reason, message,
--                     observedGeneration}; the message is cut at 1 KiB, and the
--                     reason, which may be another's word, is one word
--   now               string, RFC 3339
--   opts.update_time  boolean  write lastUpdateTime too (default false)
function M.set(list, condition, now, opts)
  local before = M.find(list, condition.type)
  local new = {}
  for key, value in pairs(condition) do
    new[key] = value
  end
  new.message = new.message and text.cut(new.message, MOST_MESSAGE)
  if (new.reason or "") ~= "" then
    new.reason = text.word(new.reason)
  end
  if before and same(before, new) then
    return list, false
  end
  local stayed = before and before.status == condition.status
  new.lastTransitionTime = stayed and before.lastTransitionTime or now
  if opts and opts.update_time then
    new.lastUpdateTime = now
  end

  local result = json.array({})
  for _, other in ipairs(list or {}) do
    result[#result + 1] = other == before and new or other
  end
  if not before then
    result[#result + 1] = new
  end
  return result, true
end

return M
