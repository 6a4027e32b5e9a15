--- support.history: random histories of one machine that is imported, and what must be true
-- of every one of them: disks that are handed over are all of one moment at which the
-- machine was off, or the import says why there are none.
--
-- A subject is a source with one machine, and the import of it:
--
--   subject.operations  list of {name, f}: f() does it to the machine, true if it could
--   subject.begin()     an empty folder, a machine as at the beginning, off
--   subject.run(how)    imports; how: nil to its end, else a way to be interrupted:
--                       "INT", "KILL", "fault". -> {status, signal, stderr}
--   subject.moments()   list of {off = boolean, disks = function () -> {text, ...}}, the
--                       last one first: what the disks held; equal texts, equal contents
--   subject.handed()    list of texts: what the disks hold that were handed over
--   subject.reasons     list of {name, pattern}: what it may be refused with; any other word
--                       is a failure. nil: whatever it says
--   subject.random      set here: as math.random, of the one history

local assert = require "luassert"

local M = {}

local INTERRUPTIONS = { "INT", "KILL", "fault" }

--- history.generator(seed) -> function, as math.random
-- Of its own: a history is the same whatever else is played beside it.
function M.generator(seed)
  local state = seed * 6364136223846793005 + 1442695040888963407 | 1
  return function(least, most)
    state = state ~ state << 13
    state = state ~ state >> 7
    state = state ~ state << 17
    local part = (state >> 11) / 2 ^ 53
    if not least then
      return part
    elseif not most then
      least, most = 1, least
    end
    return least + math.floor(part * (most - least + 1))
  end
end

--- history.one_of(random, list) -> item
function M.one_of(random, list)
  return list[random(#list)]
end

-- Some changes of the machine, as text.
local function live(subject)
  local done = {}
  for _ = 1, subject.random(0, 3) do
    local operation = M.one_of(subject.random, subject.operations)
    if operation[2]() then
      done[#done + 1] = operation[1]
    end
  end
  return table.concat(done, " ")
end

local function same(a, b)
  return table.concat(a, " ") == table.concat(b, " ")
end

--- history.check(moments, handed) -> true | nil, text
-- The oracle: was the machine off at a moment when its disks held that?
function M.check(moments, handed)
  for _, moment in ipairs(moments) do
    if moment.off and same(moment.disks(), handed) then
      return true
    end
  end
  return nil, ("no moment at which the machine was off has [%s]"):format(
    table.concat(handed, " "))
end

-- The name of what it was refused with; throws where it is none of those.
local function reason_of(subject, why)
  for _, reason in ipairs(subject.reasons or { { "unnamed", "" } }) do
    if why:find(reason[2]) then
      return reason[1]
    end
  end
  error("refused with a reason that no history gives: " .. why, 0)
end

-- How a run that was not interrupted has ended: text; throws where it must not end so.
local function judge(subject, result)
  if result.status ~= 0 then
    local why = result.stderr:match("([^\n]+)%s*$")
    assert.truthy(why, "it failed without a word")
    return "refused", why, reason_of(subject, why)
  end
  local handed = subject.handed()
  assert(M.check(subject.moments(), handed))
  return "imported"
end

--- history.play(subject, seed) -> outcome, text, reason                 [waits]
-- One random history: interrupted runs with changes between them, then one to its end,
-- and sometimes again. `text` tells it.
--
--   outcome  "imported" or "refused"
--   reason   the name of what it was refused with, or nil
function M.play(subject, seed)
  subject.random = M.generator(seed)
  local told, outcome, reason = {}, nil, nil
  local function tell(text)
    told[#told + 1] = text ~= "" and text or nil
  end
  local ok, problem = xpcall(function()
    subject.begin()
    for _ = 1, subject.random(0, 2) do
      tell(live(subject))
      local how = M.one_of(subject.random, INTERRUPTIONS)
      tell("(" .. how .. ")")
      local result = subject.run(how)
      if result.status == 0 then -- it had ended before
        judge(subject, result)
      end
    end
    for _ = 1, subject.random(2) do
      tell(live(subject))
      local why
      outcome, why, reason = judge(subject, subject.run())
      told[#told + 1] = why and "(" .. why .. ")" or "(run)"
    end
  end, function(err)
    return tostring(type(err) == "table" and err.message or err)
  end)
  if not ok then
    error(("%s\nin the history: %s"):format(problem, table.concat(told, " ")), 0)
  end
  return outcome, table.concat(told, " "), reason
end

return M
