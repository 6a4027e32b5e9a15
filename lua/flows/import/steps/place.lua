--- flows.import.steps.place: an import that reads its source has a place under the
-- limits, leaves it to others while it waits for that source, and says when it moves so
-- little that its place need not count.

local time = require "host.time"
local waits = require "flows.waits"

local WINDOW = 60 -- seconds
local LEAST = 64 * 1024 -- bytes a second: a disk of 1 GiB takes four hours and a half

local M = {}

local pace = {}
local pace_mt = { __name = "pace", __index = pace }

local function tell(self, slow)
  if slow ~= self.slow then
    self.slow = slow
    if self.ctx.slow_place then
      self.ctx.slow_place(self.import, slow)
    end
  end
end

-- Bytes that have come since the last look; what is less than before was begun anew.
local function add(self, running)
  for id, reads in pairs(running) do
    local received, before = reads:progress().received, self.before[id] or 0
    self.came = self.came + (received >= before and received - before or received)
    self.before[id] = received
  end
end

--- pace:look(running)
-- Now and then, while disks are read.
--
--   running  {[disk id] = something with progress() as host.disk's transfers have it}, of
--            those that are being read
function pace:look(running)
  local now = time.monotonic()
  add(self, running)
  if not next(running) then -- it does not wait for a disk
    self.since, self.came = now, 0
    return tell(self, false)
  elseif self.came >= LEAST * WINDOW then
    tell(self, false)
  elseif now - self.since >= WINDOW then
    tell(self, true)
  else
    return
  end
  self.since, self.came = now, 0
end

--- pace:close()
-- Its place counts again.
function pace:close()
  tell(self, false)
end

pace_mt.__close = pace.close

--- place.pace(import, ctx) -> pace, to be closed
-- Whoever sends a byte now and then keeps nobody else from a place.
function M.pace(import, ctx)
  return setmetatable({ import = import, ctx = ctx, since = time.monotonic(), came = 0,
    before = {}, slow = false }, pace_mt)
end

--- place.run(import, ctx) -> outcome | nil
function M.run(import, ctx)
  if not ctx.take_place then
    return nil
  end
  local ok, message = ctx.take_place(import)
  if ok then
    return nil
  end
  return { wait = "WaitingForPlace", message = message, after = waits.PLACE,
    outage = import.status and import.status.outage and true or nil }
end

--- place.leave(import, ctx)
-- After a failure: the import tries again later, or waits until its source is back.
function M.leave(import, ctx)
  if ctx.leave_place and import.status.importStatus == "sourceReady" then
    ctx.leave_place(import)
  end
end

return M
