--- support.mutant: an XML text with each of its parts dropped, doubled or replaced.

local HOSTILE = { "", "-1", "0", "1180591620717411303424", "NaN", "${x}", "../../x", "/x",
  "ovf:/disk/vmdisk1", "&#x202e;", (" "):rep(3000) }

local M = {}

-- {from, to} of each element, its text's {from, to} where it has no children.
local function spans(text)
  local found, open = {}, {}
  local at = 1
  while true do
    local from, to, close, empty = text:find("<(/?)[%w:]+[^<>]-(/?)>", at)
    if not from then
      return found
    end
    if close == "/" then
      local start = table.remove(open)
      start.to = to
      start.text = not start.parent and { start.inner, from - 1 } or nil
    else
      local span = { from = from, to = to, inner = to + 1 }
      if #open > 0 then
        open[#open].parent = true
      end
      if #open > 0 then -- the root stays
        found[#found + 1] = span
      end
      if empty ~= "/" then
        open[#open + 1] = span
      end
    end
    at = to + 1
  end
end

local function replaced(text, from, to, by)
  return text:sub(1, from - 1) .. by .. text:sub(to + 1)
end

local function of_elements(text, see)
  for _, span in ipairs(spans(text)) do
    local whole = text:sub(span.from, span.to)
    see(replaced(text, span.from, span.to, ""), "without " .. whole:match("[^%s>/]+"))
    see(replaced(text, span.from, span.to, whole .. whole), "twice " .. whole:match("[^%s>/]+"))
    for _, value in ipairs(span.text and HOSTILE or {}) do
      see(replaced(text, span.text[1], span.text[2], value), value .. " in " .. whole)
    end
  end
end

local function of_attributes(text, see)
  for from, name, to in text:gmatch('()([%w:]+)="[^"]*"()') do
    if not name:find("^xmlns") and not name:find("^xml:") then
      see(replaced(text, from, to - 1, ""), "without " .. name)
      for _, value in ipairs(HOSTILE) do
        see(replaced(text, from, to - 1, ('%s="%s"'):format(name, value)),
          ("%s=%q"):format(name, value))
      end
    end
  end
end

--- mutant.each(text, see)
-- Calls see(changed, what) for each element dropped, doubled, and with another text; and
-- for each attribute dropped, and with another value.
function M.each(text, see)
  text = text:gsub("<%?.-%?>", ""):gsub("<!%-%-.-%-%->", "")
  of_elements(text, see)
  of_attributes(text, see)
end

--- mutant.bytes(text, count, seed, see)
-- As often: a byte changed, a piece cut out, a piece doubled, at places of the seed's.
function M.bytes(text, count, seed, see)
  math.randomseed(seed)
  for i = 1, count do
    local at, size = math.random(#text), math.random(200)
    local piece = text:sub(at, at + size)
    local by = ({ string.char(math.random(0, 255)), "", piece .. piece })[math.random(3)]
    see(replaced(text, at, #by == 1 and at or at + size, by), "change " .. i)
  end
end

return M
