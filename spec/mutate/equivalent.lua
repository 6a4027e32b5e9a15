--- mutate.equivalent: mutants that nobody can tell from the original, each with the reason.
--
-- An entry has some of these, all of which must fit, and a reason:
--
--   code   string   the line in the source, without the space around it
--   was    string   the token
--   now    string   what it becomes
--   rest   pattern  what follows the token in its line

local M = {}

local EVERYWHERE = {
  { was = "1", now = "0", rest = "^, true%)", reason = "a search at 0 begins at 1" },
}

-- By file below lua/.
local IN = {
}

local function fits(entry, mutant)
  return (not entry.code or entry.code == mutant.code)
    and (not entry.was or entry.was == mutant.was)
    and (not entry.now or entry.now == mutant.now)
    and (not entry.rest or mutant.rest:find(entry.rest) ~= nil)
end

--- equivalent.reason(path, mutant) -> text | nil
function M.reason(path, mutant)
  for _, entries in ipairs({ EVERYWHERE, IN[path] or {} }) do
    for _, entry in ipairs(entries) do
      if fits(entry, mutant) then
        return entry.reason
      end
    end
  end
end

return M
