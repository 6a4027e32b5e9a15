--- support.lines: a log that is kept, for specs of what is written into it.

local journal = require "kube.journal"

local M = {}

--- lines.journal() -> kube.journal, lines
--
--   lines  list of {level, message, and the fields by name}
function M.journal()
  local lines, sink = {}, {}
  for _, level in ipairs { "debug", "info", "warn", "error" } do
    sink[level] = function(message, fields)
      local line = { level = level, message = message }
      for name, value in pairs(fields or {}) do
        line[name] = value
      end
      lines[#lines + 1] = line
    end
  end
  return journal.new(sink), lines
end

--- lines.of(lines, fields) -> those in which these fields have these values
function M.of(lines, fields)
  local found = {}
  for _, line in ipairs(lines) do
    local fits = true
    for name, value in pairs(fields) do
      fits = fits and line[name] == value
    end
    found[#found + 1] = fits and line or nil
  end
  return found
end

return M
