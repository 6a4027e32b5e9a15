--- base.text: text from elsewhere, made fit for an object. Pure.

local M = {}

local REPLACEMENT = "\u{FFFD}"

-- With every byte that is not part of a UTF-8 character replaced.
local function valid(text)
  local parts, from = {}, 1
  while true do
    local ok, bad = utf8.len(text, from)
    if ok then
      parts[#parts + 1] = text:sub(from)
      return table.concat(parts)
    end
    parts[#parts + 1] = text:sub(from, bad - 1)
    parts[#parts + 1] = REPLACEMENT
    from = bad + 1
  end
end

--- text.cut(text, most) -> text
-- Valid UTF-8 of at most `most` bytes; what was cut ends in "...".
function M.cut(text, most)
  if utf8.len(text) then
    if #text <= most then
      return text
    end
  else
    text = valid(text:sub(1, 4 * most))
    if #text <= most then
      return text
    end
  end
  local at = most - 3
  while at > 0 and text:byte(at + 1) & 0xC0 == 0x80 do
    at = at - 1
  end
  return text:sub(1, at) .. "..."
end

return M
