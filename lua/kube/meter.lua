--- kube.meter: how often one object makes us ask, and that it has a bound.
--
-- Whatever is answered, no loop may ask as fast as it can: an object has so many requests
-- at once, which nothing sound needs, and then so many in a second.

local log = require "host.log"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.meter", __index = methods }

local M = {}

-- A machine of 64 disks is some 2,000 requests, most of them looks at its images.
local AT_ONCE, RATE = 3000, 20 -- requests, requests in a second
local MINUTE = 60

-- Minutes begin together; what asked nothing in the last two is forgotten.
local function turn(self, now)
  if now - self.since < MINUTE then
    return
  end
  local is_next = now - self.since < 2 * MINUTE
  self.before = is_next and self.objects or {}
  self.most_before = is_next and self.peak or 0
  self.objects, self.peak, self.since = {}, 0, now
end

local function entry_of(self, id, now)
  turn(self, now)
  local entry = self.objects[id]
  if not entry then
    local before = self.before[id]
    entry = { count = 0, level = before and before.level or 0,
      at = before and before.at or now, said = before and before.said }
    self.objects[id] = entry
  end
  return entry
end

--- meter:pass(id)                                                       [waits]
-- Before a request for this object: counts it, and waits if there are too many.
function methods:pass(id)
  if not id then
    return
  end
  local now = self.clock()
  local entry = entry_of(self, id, now)
  entry.level = math.max(entry.level - (now - entry.at) * self.rate, 0) + 1
  entry.at, entry.count = now, entry.count + 1
  self.peak = math.max(self.peak, entry.count)
  local over = entry.level - self.at_once
  if over <= 0 then
    return
  elseif not entry.said then
    entry.said = true
    log.warn(("%s: asks the API server too often, more than %d times at once; it is held "
      .. "to %g requests a second (report this)"):format(id, self.at_once, self.rate))
  end
  self.held = self.held + 1
  self.sleep(over / self.rate)
end

--- meter:most() -> int: requests within a minute, this or the last, of who asks most
function methods:most()
  turn(self, self.clock())
  return math.max(self.peak, self.most_before)
end

--- meter.new(opts) -> meter
--
--   meter.held    int  requests that had to wait
--   opts.clock, opts.sleep, opts.at_once, opts.rate  for specs
function M.new(opts)
  opts = opts or {}
  local clock = opts.clock or time.monotonic
  return setmetatable({
    clock = clock,
    sleep = opts.sleep or task.sleep,
    at_once = opts.at_once or AT_ONCE,
    rate = opts.rate or RATE,
    objects = {}, before = {},
    peak = 0, most_before = 0,
    since = clock(),
    held = 0,
  }, mt)
end

return M
