--- providers.bounds: how much a source may say: in one answer, in one page of a list, in
-- all of a list's pages.
--
-- Of all lists that are in memory one at a time may be large: who reads the next one
-- waits until nobody has the one before it any more.

local errors = require "host.error"
local task = require "host.task"
local time = require "host.time"
local values = require "base.values"

local MIB = 1 << 20
local MOST_PAGES = 1000
local MOST_KEPT, SMALL = 32 * MIB, 2 * MIB -- bytes, as values.weight counts them
local LONGEST = 300                        -- seconds that reading a large one may take
local LOOK = 1                             -- seconds

local methods = {}
local mt = { __name = "providers.bounds.list", __index = methods }

local M = {}

local turn = task.semaphore(1) -- of large lists
local list_of = setmetatable({}, { __mode = "k" }) -- items -> list, with its permit

--- bounds.ANSWER, bounds.PAGE: of one answer, and of one that holds many objects
--
--   max_body    bytes  as it comes
--   max_memory  bytes  parsed
M.ANSWER = { max_body = MIB, max_memory = 8 * MIB }
M.PAGE = { max_body = 4 * MIB, max_memory = 16 * MIB }

--- bounds.SECONDS: in which an answer must be here whole, its turn in the pool included.
M.SECONDS = 180

--- bounds.is_refused(err) -> boolean
-- Whether an answer was refused as it came, for its size or shape: whoever asks again at
-- once is told the same again.
function M.is_refused(err)
  return err.kind == "http" and err.status == nil
end

-- Collects what others may have forgotten, and takes the turn when it is free.
local function take_turn(list)
  local deadline = time.monotonic() + LONGEST
  repeat
    collectgarbage()
    list.permit = turn:acquire(LOOK)
  until list.permit or time.monotonic() >= deadline
  list.ends = time.monotonic() + LONGEST
  return list.permit
end

local function too_much(list)
  if list.pages > MOST_PAGES then
    return "a list without end"
  elseif list.kept > MOST_KEPT then
    return ("a list that takes more than %d MiB of memory"):format(MOST_KEPT // MIB)
  elseif list.ends and time.monotonic() > list.ends then
    return ("a large list that took more than %d s"):format(LONGEST)
  end
end

--- list:add(items) -> true | nil, err                                   [waits]
-- One more page, of which `items` are kept.
--
--   err  format  the list has too many pages, or too much in them
--        busy    the large lists of others take too long
function methods:add(items)
  self.pages = self.pages + 1
  self.kept = self.kept + values.weight(items)
  local problem = too_much(self)
  if problem then
    return nil, errors.new("format", ("%s: %s"):format(self.what, problem))
  elseif self.kept > SMALL and not self.permit and not take_turn(self) then
    return nil, errors.new("busy", ("%s: the large lists of others have not been read in "
      .. "%d s"):format(self.what, LONGEST))
  end
  return true
end

--- bounds.list(what, all) -> list, of no page yet
--
--   what  string  for messages
--   all   table   in which its items are kept: what it takes is taken while that lives
function M.list(what, all)
  local list = setmetatable({ what = what, pages = 0, kept = 0 }, mt)
  list_of[all] = list
  return list
end

return M
