--- kube.queue: which keys are due, and which run. Pure: the time is passed in.
--
-- A binary heap by due time. A key stands in it once at most; one that runs is not
-- handed out again before it is done, but may be added meanwhile. Whatever makes it due,
-- a key runs so many times at once and then so many times in a minute.

local methods = {}
local mt = { __name = "kube.queue", __index = methods }

local M = {}

local AT_ONCE, EVERY = 60, 5 -- runs, seconds between two further ones
local SWEEP = 1000           -- runs between two looks at which are remembered in vain

-- Notes that it runs now; from when on it may again.
local function paced(self, key, now)
  local runs = self.runs[key] or { level = 0, at = now }
  runs.level = math.max(runs.level - (now - runs.at) / EVERY, 0) + 1
  runs.at = now
  runs.free_at = now + math.max(runs.level + 1 - AT_ONCE, 0) * EVERY
  self.runs[key] = runs
  self.count = self.count + 1
  if self.count % SWEEP == 0 then
    for other, entry in pairs(self.runs) do
      if entry.at + entry.level * EVERY < now then
        self.runs[other] = nil
      end
    end
  end
end

local function swap(heap, at, i, j)
  heap[i], heap[j] = heap[j], heap[i]
  at[heap[i].key], at[heap[j].key] = i, j
end

local function up(heap, at, i)
  while i > 1 and heap[i].time < heap[i // 2].time do
    swap(heap, at, i, i // 2)
    i = i // 2
  end
end

local function down(heap, at, i)
  while true do
    local least = i
    for child = 2 * i, 2 * i + 1 do
      if heap[child] and heap[child].time < heap[least].time then
        least = child
      end
    end
    if least == i then
      return
    end
    swap(heap, at, i, least)
    i = least
  end
end

local function take_out(self, i)
  local heap, at = self.heap, self.at
  local entry = heap[i]
  swap(heap, at, i, #heap)
  heap[#heap] = nil
  at[entry.key] = nil
  if heap[i] then
    up(heap, at, i)
    down(heap, at, i)
  end
  return entry
end

--- queue:add(key, time)
-- Makes `key` due at `time`; one that is due earlier stays so. One that runs is due
-- again when it is done.
function methods:add(key, time)
  local later = self.running[key]
  if later then
    self.running[key] = math.min(later, time)
    return
  end
  time = math.max(time, self.runs[key] and self.runs[key].free_at or time)
  local i = self.at[key]
  if not i then
    i = #self.heap + 1
    self.heap[i] = { key = key, time = time }
    self.at[key] = i
  elseif time < self.heap[i].time then
    self.heap[i].time = time
  end
  up(self.heap, self.at, i)
end

--- queue:take(now) -> key, time | nil, time
-- The key longest due, which runs from now on, and since when; or nil and when the next
-- one is due.
function methods:take(now)
  local first = self.heap[1]
  if not first or first.time > now then
    return nil, first and first.time
  end
  take_out(self, 1)
  self.running[first.key] = math.huge
  paced(self, first.key, now)
  return first.key, first.time
end

--- queue:done(key, time)
-- It has run. Due again at `time` (nil: not by itself), or when it was added meanwhile.
function methods:done(key, time)
  local added = self.running[key]
  self.running[key] = nil
  local due = math.min(added or math.huge, time or math.huge)
  if due < math.huge then
    self:add(key, due)
  end
end

--- queue:knows(key) -> boolean
-- It is due some time, or runs.
function methods:knows(key)
  return self.at[key] ~= nil or self.running[key] ~= nil
end

--- queue:is_running(key) -> boolean
function methods:is_running(key)
  return self.running[key] ~= nil
end

--- queue:counts() -> due or waiting, running
function methods:counts()
  local running = 0
  for _ in pairs(self.running) do
    running = running + 1
  end
  return #self.heap, running
end

--- queue.new() -> queue
function M.new()
  return setmetatable({ heap = {}, at = {}, running = {}, runs = {}, count = 0 }, mt)
end

return M
