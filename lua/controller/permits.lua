--- controller.permits: how many imports may do at once what costs most.
--
-- `places`: how many move disks, in all and per source. A place is taken when an import
-- is admitted and freed when it has ended; what status says counts, so that a restart
-- finds the places taken that are taken. Who got none waits in line, and is told when it
-- is worth while to ask again: of those whose sources hold the fewest, who came first.
-- Who waits for its source leaves its place to others, and asks anew when it goes on. Who
-- is slow keeps its place, which does not count in all, as long as there are not more of
-- them than places: no source holds up the others by being slow.
--
-- `planning`: how many of one source are planned. When hundreds are new, the requests of
-- those that move disks must not stand in line behind all of theirs; and who waits for
-- one source holds up no other.

local task = require "host.task"

local methods = {}
local mt = { __name = "places", __index = methods }

local planning = {}
local planning_mt = { __name = "planning", __index = planning }

local M = {}

local MOVING = {
  sourceReady = true, disksExported = true, diskImageSubmitted = true,
  diskImageFailed = true, diskImagesReady = true,
}

local function leave_line(self, uid)
  for i, waiting in ipairs(self.line) do
    if waiting.uid == uid then
      table.remove(self.line, i)
      return true
    end
  end
  return false
end

-- Permits that are in use: in all, and of each source.
local function in_use(self)
  local all, slow, of_source = 0, 0, {}
  for uid, source in pairs(self.taken) do
    all = all + 1
    slow = slow + (self.slow[uid] and 1 or 0)
    of_source[source] = (of_source[source] or 0) + 1
  end
  return all - math.min(slow, self.most), of_source
end

--- places:see(uid, source, state) -> freed
-- What status says of an import; state nil: it is gone. It may be late: what was given a
-- moment ago is not taken back because of what was so before.
--
--   freed  boolean  a place has become free by it, or who was in line for one has gone
function methods:see(uid, source, state)
  if MOVING[state] and self.left[uid] then
    return false
  elseif MOVING[state] then
    self.taken[uid], self.unseen[uid] = source, nil
    leave_line(self, uid)
    return false
  elseif state == "virtualMachineImportValid" or state == "" and self.unseen[uid] then
    return false
  end
  local freed = self.taken[uid] ~= nil
  self.taken[uid], self.unseen[uid], self.left[uid] = nil, nil, nil
  self.slow[uid] = nil
  return leave_line(self, uid) or freed
end

--- places:leave(uid) -> freed
-- It moves nothing for a while, though its status says that it is under way.
function methods:leave(uid)
  local freed = self.taken[uid] ~= nil
  self.taken[uid], self.unseen[uid], self.left[uid] = nil, nil, true
  self.slow[uid] = nil
  return freed
end

--- places:pace(uid, slow) -> freed
-- It moves next to nothing, or does no more.
function methods:pace(uid, slow)
  self.slow[uid] = slow and self.taken[uid] ~= nil or nil
  return slow
end

--- places:take(uid, source, key) -> true | false, why
-- Without one the import waits in line, once.
--
--   source  string  which source it is
--   key     any     what places:next() calls it
function methods:take(uid, source, key)
  if self.taken[uid] then
    return true
  end
  local all, of_source = in_use(self)
  local same = of_source[source] or 0
  if all < self.most and same < self.most_per_source then
    self.taken[uid], self.unseen[uid], self.left[uid] = source, true, nil
    leave_line(self, uid)
    return true
  end
  leave_line(self, uid)
  table.insert(self.line, { uid = uid, source = source, key = key })
  if all >= self.most then
    return false, ("%d imports are under way, as many as may be at once"):format(all)
  end
  return false, ("%d imports from %s are under way, as many as may be at once"):format(
    same, source)
end

-- Of those in line who is not `chosen` yet: the first one of a source that holds fewest.
local function choose(self, of_source, chosen)
  local best, fewest = nil, self.most_per_source
  for _, waiting in ipairs(self.line) do
    local same = of_source[waiting.source] or 0
    if same < fewest and not chosen[waiting] then
      best, fewest = waiting, same
    end
  end
  return best
end

--- places:next() -> keys
-- Of those in line, who would get a place now.
function methods:next()
  local all, of_source = in_use(self)
  local keys, chosen = {}, {}
  while all < self.most do
    local waiting = choose(self, of_source, chosen)
    if not waiting then
      break
    end
    chosen[waiting], keys[#keys + 1] = true, waiting.key
    all, of_source[waiting.source] = all + 1, (of_source[waiting.source] or 0) + 1
  end
  return keys
end

--- permits.places(most, most_per_source) -> places
function M.places(most, most_per_source)
  return setmetatable({
    most = most,
    most_per_source = most_per_source,
    taken = {},  -- uid -> source
    unseen = {}, -- uid -> true: given, and status does not show it yet
    left = {},   -- uid -> true: it waits for its source, whatever status shows
    slow = {},   -- uid -> true: it has a place, and moves next to nothing
    line = {},
  }, mt)
end

--- planning:permit(source, timeout) -> permit, to be closed | nil, err  [waits]
--
--   source   string   which source it is
--   timeout  seconds  how long to wait (default: for ever)
--   err      timeout
function planning:permit(source, timeout)
  self.lines[source] = self.lines[source] or task.semaphore(self.most)
  return self.lines[source]:acquire(timeout)
end

--- permits.planning(most) -> planning
function M.planning(most)
  return setmetatable({ most = most, lines = {} }, planning_mt)
end

return M
