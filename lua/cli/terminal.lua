--- cli.terminal: lines for whoever sits in front of a terminal: wrapped to its width and
-- coloured; or, into a file or a pipe, each on one line and plain.

local env = require "host.env"
local findings = require "flows.import.findings"
local host_text = require "host.text"

local M = {}

local LEAST = 20 -- columns: in less nothing is wrapped
local COLOURS = { Blocks = "\27[1;31m", Warns = "\27[33m", Informs = "\27[36m" }
local PLAIN = "\27[0m"

--- terminal.width(text) -> columns it takes, a character each
function M.width(text)
  return utf8.len(text) or #text
end

--- terminal.wrap(text, columns, prefix) -> text
-- Broken at spaces; what is longer than a line stays whole. No line ends in a newline.
--
--   columns  integer or nil: one line
--   prefix   before each line but the first, also counted (default "")
function M.wrap(text, columns, prefix)
  if not columns or columns < LEAST then
    return text
  end
  local lines, line = {}, nil
  for word in text:gmatch("%S+") do
    if line and M.width(line) + 1 + M.width(word) <= columns then
      line = line .. " " .. word
    else
      lines[#lines + 1] = line
      line = (line and prefix or "") .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- terminal.finding(finding, style, lead) -> text
-- As findings.line, without a newline at its end; it may hold colours, and is fit for
-- env.stdout as it is.
--
--   style  of terminal.style
--   lead   before each line, such as "# " (default "")
function M.finding(finding, style, lead)
  lead = lead or ""
  local text = lead .. host_text.visible(findings.line(finding))
  text = M.wrap(text, style.columns and style.columns - 1, lead .. "  ")
  local word = finding.severity
  local colour = style.colour and COLOURS[word]
  if colour and text:sub(1, #lead + #word) == lead .. word then
    text = lead .. colour .. word .. PLAIN .. text:sub(#lead + #word + 1)
  end
  return text
end

--- terminal.style(fd) -> {columns, colour}
-- Of 1 or 2. columns: nil unless a terminal is there; colour: whether it is wanted.
--
-- Source: no-color.org; TERM=dumb, as Emacs and CI set it.
function M.style(fd)
  if not env.is_terminal(fd) then
    return { colour = false }
  end
  local refused = (env.get("NO_COLOR") or "") ~= ""
  return { columns = env.columns(), colour = not refused and not M.is_dumb() }
end

--- terminal.is_dumb() -> boolean: it understands no escape sequence
function M.is_dumb()
  local kind = env.get("TERM")
  return kind == nil or kind == "" or kind == "dumb"
end

return M
