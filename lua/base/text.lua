--- base.text: text from elsewhere, made fit for an object. Pure.

local host = require "host.text"

local M = {}

--- text.cut(text, most) -> text
-- Of at most `most` bytes, as host.text.visible has it; what was cut ends in "...".
function M.cut(text, most)
  text = host.visible(text:sub(1, 4 * most))
  if #text <= most then
    return text
  end
  local at = most - 3
  while at > 0 and text:byte(at + 1) & 0xC0 == 0x80 do
    at = at - 1
  end
  return text:sub(1, at) .. "..."
end

return M
