--- policy.finding: what an import has to say before it begins.
--
-- A finding is {code, severity, subject, message, action, detail}, all strings:
--
--   code      UpperCamel, stable: scripts and people search for it
--   severity  Blocks (the import does not start), Warns, Informs
--   subject   "disk 2000", "nic 4000", "spec.targetName", "machine"
--   message   what, and why it matters; as it is true of others of the kind, too: they
--             are shown as one (flows.import.findings), "Hard disk 1 to 9: message"
--   action    what to do about it; "" when there is nothing to do
--   detail    what differs from one to the next, as the name of a network; optional

local json = require "host.json"

local SEVERITIES = { "Blocks", "Warns", "Informs" } -- worst first
local FIELDS = { "code", "severity", "subject", "message", "action" }

local M = {}

local function make(severity)
  return function(code, subject, message, action, detail)
    return {
      code = code,
      severity = severity,
      subject = subject,
      message = message,
      action = action or "",
      detail = detail,
    }
  end
end

--- finding.blocks|warns|informs(code, subject, message, action, detail) -> finding
M.blocks = make("Blocks")
M.warns = make("Warns")
M.informs = make("Informs")

--- finding.add(list, more)
-- Appends every finding of `more` (a list or nil) to `list`.
function M.add(list, more)
  for _, item in ipairs(more or {}) do
    list[#list + 1] = item
  end
end

--- finding.check(value) -> true | nil, message
-- Whether `value` is a finding, with every field a string.
function M.check(value)
  if type(value) ~= "table" then
    return nil, "a finding is a table"
  end
  for _, field in ipairs(FIELDS) do
    if type(value[field]) ~= "string" then
      return nil, field .. " must be a string"
    end
  end
  if value.detail ~= nil and type(value.detail) ~= "string" then
    return nil, "detail must be a string"
  end
  for _, severity in ipairs(SEVERITIES) do
    if value.severity == severity then
      return true
    end
  end
  return nil, "severity must be one of " .. table.concat(SEVERITIES, ", ")
end

--- finding.sorted(list) -> list
-- A new list, worst first, otherwise in the order found; the same code is said of the
-- same subject once, by the worst of them.
function M.sorted(list)
  local sorted, seen = json.array({}), {}
  for _, severity in ipairs(SEVERITIES) do
    for _, item in ipairs(list) do
      local key = item.code .. "\0" .. item.subject
      if item.severity == severity and not seen[key] then
        seen[key] = true
        sorted[#sorted + 1] = item
      end
    end
  end
  return sorted
end

--- finding.blocking(list) -> boolean
-- Whether one of them keeps the import from starting.
function M.blocking(list)
  for _, item in ipairs(list) do
    if item.severity == "Blocks" then
      return true
    end
  end
  return false
end

return M
