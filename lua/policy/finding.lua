--- policy.finding: findings (base.finding), and what is done with lists of them.

local finding = require "base.finding"
local json = require "host.json"

local SEVERITIES = { "Blocks", "Warns", "Informs" } -- worst first

local M = {}

--- finding.blocks|warns|informs, finding.new, finding.check: as base.finding
M.blocks, M.warns, M.informs = finding.blocks, finding.warns, finding.informs
M.new, M.check = finding.new, finding.check

--- finding.add(list, more)
-- Appends every finding of `more` (a list or nil) to `list`.
function M.add(list, more)
  for _, item in ipairs(more or {}) do
    list[#list + 1] = item
  end
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
