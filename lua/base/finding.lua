--- base.finding: what an import has to say before it begins. Pure.
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
--
-- Message and action are read as one line, "subject: message (action)": both begin small,
-- unless with a name, and end without a full stop.

local SEVERITIES = { Blocks = true, Warns = true, Informs = true }
local FIELDS = { "code", "severity", "subject", "message", "action" }

local M = {}

--- finding.new(severity, code, subject, message, action?, detail?) -> finding
function M.new(severity, code, subject, message, action, detail)
  return { code = code, severity = severity, subject = subject, message = message,
    action = action or "", detail = detail }
end

local function of(severity)
  return function(...)
    return M.new(severity, ...)
  end
end

--- finding.blocks|warns|informs(code, subject, message, action?, detail?) -> finding
M.blocks, M.warns, M.informs = of("Blocks"), of("Warns"), of("Informs")

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
  elseif not SEVERITIES[value.severity] then
    return nil, "severity must be one of Blocks, Warns, Informs"
  end
  return true
end

return M
