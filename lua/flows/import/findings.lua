--- flows.import.findings: what preflight found, put in order and in bounds. Pure.

local json = require "host.json"
local text = require "kube.text"

local M = {}

local RANK = { Blocks = 1, Warns = 2, Informs = 3 }
local MOST_BYTES = 16 * 1024
local MOST_MESSAGE = 1024

-- Checks that spec.skipPreflightChecks turns into warnings: the import can go on
-- without them, if not as well. All others would fail later, or lose something.
local SKIPPABLE = {
  ToolsNotRunning = true,
  SnapshotsPresent = true,
  ConsolidationNeeded = true,
}

local function shortened(finding)
  local result = {}
  for key, value in pairs(finding) do
    result[key] = type(value) == "string" and text.cut(value, MOST_MESSAGE) or value
  end
  return result
end

--- findings.arrange(list, opts) -> list
-- Worst first, in the order found; within 16 KiB: then the last one counts the rest.
--
--   opts.skip  boolean  spec.skipPreflightChecks
function M.arrange(list, opts)
  local sorted = {}
  for rank, severity in ipairs { "Blocks", "Warns", "Informs" } do
    for _, finding in ipairs(list) do
      local own = finding.severity
      if opts.skip and own == "Blocks" and SKIPPABLE[finding.code] then
        own = "Warns"
      end
      if RANK[own] == rank then
        local copy = shortened(finding)
        copy.severity = severity
        sorted[#sorted + 1] = copy
      end
    end
  end

  local result, bytes = json.array({}), 0
  for i, finding in ipairs(sorted) do
    bytes = bytes + #json.encode(finding)
    if bytes > MOST_BYTES - 512 then
      result[#result + 1] = {
        code = "MoreFindings",
        severity = finding.severity,
        subject = "import",
        message = ("%d more findings do not fit into the status"):format(#sorted - i + 1),
        action = "cure these first",
      }
      break
    end
    result[#result + 1] = finding
  end
  return result
end

local function with_action(finding)
  local action = finding.action or ""
  return action ~= "" and ("%s (%s)"):format(finding.message, action) or finding.message
end

--- findings.line(finding) -> text
-- One line, for a terminal: no control character of a message gets there.
function M.line(finding)
  return (("%s: %s: %s"):format(finding.severity, finding.subject, with_action(finding))
    :gsub("%c", " "))
end

--- findings.blocking(list) -> text | nil
-- All findings that block, as one message, or nil.
function M.blocking(list)
  local parts = {}
  for _, finding in ipairs(list) do
    if finding.severity == "Blocks" then
      parts[#parts + 1] = with_action(finding)
    end
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

return M
