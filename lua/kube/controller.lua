--- kube.controller: one task per due key.
--
-- Coroutines are cheap: there is no pool of workers, and a key that runs for hours holds
-- up no other. A key never has two tasks; a cancelled one says its goodbyes first. What
-- makes a key due again does not matter, it never runs again and again without a pause.

local host_log = require "host.log"
local journal = require "kube.journal"
local log = require "base.log"
local queue = require "kube.queue"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.controller", __index = methods }

local M = {}

local RETRY_FIRST, RETRY_MOST = 1, 300 -- seconds
local SAY_AFTER = 4 -- times that a key had to be looked at again at once

-- After so many new tasks the earlier ones get their turn, and no new one begins while
-- the API server is behind: when thousands of keys are due at once (a start), memory must
-- not grow with their number.
local BURST, BREATH = 32, 0.05 -- tasks, seconds

local function never()
  return false
end

local function id_of(key)
  return ("%s/%s/%s"):format(key.kind, key.namespace or "", key.name)
end

-- The name of a key's task, as people write it: "VirtualMachineImport default/web-01".
local function name_of(key)
  return ("%s %s/%s"):format(key.kind, key.namespace or "", key.name)
end

-- Where lines about a key go.
local function log_of(key)
  return log.new(host_log, log.subject(key.kind, key.namespace, key.name))
end

-- Seconds until the next try; longer where the server has asked for it (err.after).
local function pause_after(self, id, err)
  local n = (self.failures[id] or 0) + 1
  self.failures[id] = n
  return math.max(math.min(RETRY_FIRST * 2 ^ (n - 1), RETRY_MOST), err.after or 0)
    * (1 + 0.1 * math.random())
end

-- Somebody else was quicker. Once that is no reason to wait.
local function pause_again(self, id, why)
  local n = (self.failures[id] or 0) + 1
  if n < 2 then
    self.failures[id] = n
    return 0
  elseif n >= SAY_AFTER then
    log_of(self.keys[id]):warn(("looked at again for the %dth time: %s"):format(n, why),
      { reason = "LookedAtAgain" })
  end
  return pause_after(self, id, {})
end

local function run_key(self, id)
  task.label(id)
  local ok, result = xpcall(self.reconcile, journal.explained, self.keys[id])
  if self.observer then
    self.observer:ended(self.keys[id], ok)
  end
  local now = time.monotonic()
  if ok and result and result.again then
    return now + math.max(pause_again(self, id, result.again), result.after)
  elseif ok then
    self.failures[id] = nil
    return result and now + result.after
  end
  log_of(self.keys[id]):warn("it could not be reconciled: " .. result.message,
    { reason = "NotReconciled", traceback = result.traceback })
  return now + pause_after(self, id, result)
end

-- The task of one key, and what follows when it has ended, however it did.
local function start(self, id)
  local work = task.spawn(name_of(self.keys[id]), run_key, self, id)
  self.tasks[id] = work
  task.spawn("follows " .. id, function()
    local ok, due = work:join()
    self.tasks[id] = nil
    if not ok then -- cancelled: look again, unless everything stops
      due = not self.stopping and time.monotonic() or nil
    end
    self.queue:done(id, due)
    if self.observer then
      self.observer:queued(self.queue:counts())
    end
    if not self.queue:knows(id) then
      self.keys[id], self.failures[id] = nil, nil
    end
    self.woken:notify()
  end)
end

--- controller:add(key, after)
-- Something about it has changed: due now, or `after` seconds from now.
--
--   key  {kind, namespace, name}
function methods:add(key, after)
  if self.stopping then
    return
  end
  local id = id_of(key)
  self.keys[id] = key
  self.queue:add(id, time.monotonic() + (after or 0))
  self.woken:notify()
end

--- controller:cancel(key)
-- Ends its task, if it has one; it is due again when the goodbyes are said.
function methods:cancel(key)
  local work = self.tasks[id_of(key)]
  if work then
    work:cancel(0)
  end
end

--- controller:run()                                                     [waits]
-- Hands out keys until its task is cancelled.
function methods:run()
  local started = 0
  while true do
    while self.crowded() do
      task.sleep(BREATH)
    end
    local id, due = self.queue:take(time.monotonic())
    if id then
      if self.observer then
        self.observer:started(time.monotonic() - due, self.queue:counts())
      end
      start(self, id)
      started = started + 1
      if started % BURST == 0 then
        task.sleep(BREATH)
      end
    else
      self.woken:wait(due and math.max(due - time.monotonic(), 0.001) or nil)
    end
  end
end

--- controller:stop()                                                    [waits]
-- Cancels every task and waits until all have said goodbye. It does not start again.
function methods:stop()
  self.stopping = true
  local under_way = {}
  for _, work in pairs(self.tasks) do
    under_way[#under_way + 1] = work
  end
  for _, work in ipairs(under_way) do
    work:cancel(0)
  end
  for _, work in ipairs(under_way) do
    work:join()
  end
end

--- controller:close()
-- Stops; who waits for the current task waits for all the goodbyes.
function methods:close()
  self.stopping = true
  task.goodbye("stops the controller", self.stop, self)
end

mt.__close = methods.close

--- controller:counts() -> waiting, running
function methods:counts()
  return self.queue:counts()
end

--- controller.new(opts) -> controller, to be closed
--
--   opts.reconcile  function (key) -> nil | {after = s}; with .again, why: with back-off
--                   from the second time on; throws: again with back-off
--   opts.observer   for metrics, optional: :started(late, waiting, running) with the
--                   seconds since the key was due, :ended(key, ok),
--                   :queued(waiting, running)
--   opts.crowded    function () -> boolean, optional: so much is under way that nothing
--                   new may begin
function M.new(opts)
  return setmetatable({
    reconcile = opts.reconcile,
    crowded = opts.crowded or never,
    observer = opts.observer,
    queue = queue.new(),
    keys = {},
    tasks = {},
    failures = {},
    woken = task.signal(),
  }, mt)
end

return M
