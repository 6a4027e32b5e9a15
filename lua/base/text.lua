--- base.text: text from elsewhere, made fit for an object. Pure.

local host = require "host.text"

local M = {}

local MOST_WORD = 128 -- bytes, as an Event's reason

-- The first bytes of a text, at most so many, in whole characters.
local function beginning(text, most)
  local at = math.min(most, #text)
  while at > 0 and (text:byte(at + 1) or 0) & 0xC0 == 0x80 do
    at = at - 1
  end
  return text:sub(1, at)
end

--- text.cut(text, most) -> text
-- Of at most `most` bytes, as host.text.visible has it; what was cut ends in "...".
function M.cut(text, most)
  text = host.visible(text:sub(1, 4 * most))
  return #text <= most and text or beginning(text, most - 3) .. "..."
end

--- text.lines(text, most) -> text
-- The same of a text of several lines, whose ends and tabs stay.
function M.lines(text, most)
  text = text:sub(1, 4 * most):gsub("\r\n", "\n"):gsub("[^\n\t]+", host.visible)
  return beginning(text, most)
end

--- text.word(text) -> one word of ASCII, as reasons are, of at most 128 bytes
-- What is no letter, digit or underline is left out; of nothing else it is "Failed".
function M.word(text)
  local word = text:gsub("[^%w_]", ""):gsub("^[^%a]+", ""):sub(1, MOST_WORD)
  return word ~= "" and word or "Failed"
end

return M
