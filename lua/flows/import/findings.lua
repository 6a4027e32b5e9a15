--- flows.import.findings: what preflight found, put in order and in bounds. Pure.
--
-- Whoever finds says it of one disk, NIC or field at a time; here it becomes one finding
-- for each kind, with all of which it is true.

local json = require "host.json"
local make = require("base.finding").new
local subjects = require "flows.import.subjects"
local text = require "base.text"

local M = {}

local SEVERITIES = { "Blocks", "Warns", "Informs" } -- worst first
local MOST_BYTES = 64 * 1024
local MOST_TEXT = 4096

-- Checks that spec.skipPreflightChecks turns into warnings: the import can go on
-- without them, if not as well. All others would fail later, or lose something.
local SKIPPABLE = {
  ToolsNotRunning = true,
  SnapshotsPresent = true,
  ConsolidationNeeded = true,
  NoRoomOnClass = true, -- a pool may grow
  MediaMissing = true,  -- a datastore's browser may not see what its host does
}

local function severity_of(finding, skip)
  local own = finding.severity
  return skip and own == "Blocks" and SKIPPABLE[finding.code] and "Warns" or own
end

-- The findings of each kind, the worst kind first, in the order found.
local function grouped(list, skip)
  local groups = {}
  for _, severity in ipairs(SEVERITIES) do
    local of_code = {}
    for _, finding in ipairs(list) do
      if severity_of(finding, skip) == severity then
        local group = of_code[finding.code]
        if not group then
          group = { code = finding.code, severity = severity }
          of_code[finding.code] = group
          groups[#groups + 1] = group
        end
        group[#group + 1] = finding
      end
    end
  end
  return groups
end

-- The values of f(finding), each once.
local function each_once(group, f)
  local values, seen = {}, {}
  for _, finding in ipairs(group) do
    local value = f(finding)
    if value and value ~= "" and not seen[value] then
      seen[value] = true
      values[#values + 1] = value
    end
  end
  return values
end

-- A message, and after it the details of all who have that message.
local function messages(group)
  return each_once(group, function(finding)
    local details = each_once(group, function(other)
      return other.message == finding.message and other.detail or nil
    end)
    return #details > 0 and ("%s: %s"):format(finding.message, subjects.text(details))
      or finding.message
  end)
end

local function action_of(finding)
  local action = finding.action or ""
  return action:lower():find("^nothing%.?$") and "" or action
end

local function merged(group, labels)
  return {
    code = group.code,
    severity = group.severity,
    subject = text.cut(subjects.text(each_once(group, function(finding)
      return labels[finding.subject] or finding.subject
    end)), MOST_TEXT),
    message = text.cut(subjects.joined(messages(group), "; "), MOST_TEXT),
    action = text.cut(subjects.joined(each_once(group, action_of), "; "), MOST_TEXT),
  }
end

--- findings.arrange(list, opts) -> list
-- One of each kind, worst first, in the order found; subjects as the source calls them.
-- Within 64 KiB: then the last one counts the rest.
--
--   opts.skip     boolean  spec.skipPreflightChecks
--   opts.machine  Machine or nil
function M.arrange(list, opts)
  local labels = subjects.labels(opts.machine)
  local result, bytes = json.array({}), 0
  local groups = grouped(list, opts.skip)
  for i, group in ipairs(groups) do
    local finding = merged(group, labels)
    bytes = bytes + #json.encode(finding)
    if bytes > MOST_BYTES then
      finding = make(finding.severity, "MoreFindings", "import",
        ("%d more kinds of findings do not fit into the status"):format(#groups - i + 1),
        "cure these first")
    end
    result[#result + 1] = finding
    if finding.code == "MoreFindings" then
      break
    end
  end
  return result
end

local function with_action(finding, message)
  local action = action_of(finding)
  return action ~= "" and ("%s (%s)"):format(message, action) or message
end

--- findings.line(finding) -> text
-- One line, for a terminal: no control character of a message gets there.
function M.line(finding)
  return (("%s: %s: %s"):format(finding.severity, finding.subject,
    with_action(finding, finding.message)):gsub("%c", " "))
end

-- A message that names its subject itself does not need it twice.
local function sentence(finding)
  local message, subject = finding.message, finding.subject
  if subject ~= "machine" and not message:find(subject, 1, true) then
    message = ("%s: %s"):format(subject, message)
  end
  return with_action(finding, message)
end

--- findings.blocking(list) -> text | nil
-- All findings that block, as one message, or nil.
function M.blocking(list)
  local parts = {}
  for _, finding in ipairs(list) do
    if finding.severity == "Blocks" then
      parts[#parts + 1] = sentence(finding)
    end
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

return M
