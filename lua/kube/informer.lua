--- kube.informer: a live table of the objects of one kind, by list and watch.
--
-- A watch ends in many ways and most of them say nothing: whatever happens, it goes on
-- from the last version it has seen, and lists anew when the server has forgotten that.
-- Of an object only what `project` makes of it is kept.

local errors = require "host.error"
local json = require "host.json"
local log = require "host.log"
local object_id = require "base.object_id"
local task = require "host.task"
local time = require "host.time"
local values = require "base.values"

local methods = {}
local mt = { __name = "kube.informer", __index = methods }

local M = {}

local WATCH_FOR = 290 -- seconds that a watch lasts
local STEADY = 5      -- seconds of watching after which all is well

-- Seconds before the next try: {first, most}, doubled each time.
local SHORT = { 0.2, 10 }  -- after a watch that did not last
local AWAY = { 0.2, 10 }   -- the server does not answer, or has an error
local MISSING = { 1, 30 }  -- it answers that there is no such kind, or no right to it

local function key_of(self, text)
  local namespace, name = object_id.split(text)
  return {
    kind = self.kind,
    namespace = namespace ~= "" and namespace or nil,
    name = name,
  }
end

-- A mistake in `changed` must not end the watching.
local function tell(self, id, value, before)
  local ok, problem = pcall(self.changed, key_of(self, id), value, before)
  if not ok then
    log.error(("watching %s: %s: %s"):format(self.kind, id, errors.of(problem).message))
  end
end

local function remove(self, id)
  local before = self.objects[id]
  if before then
    self.objects[id] = nil
    tell(self, id, nil, before)
  end
end

local function put(self, id, object)
  local ok, value = pcall(self.project, object)
  if not ok then
    log.error(("watching %s: %s: %s"):format(self.kind, id, errors.of(value).message))
    return
  end
  value.uid = object.metadata.uid
  local before = self.objects[id]
  if before and before.uid ~= value.uid then -- the old one's end was not seen
    remove(self, id)
    before = nil
  end
  if not before or not values.same(before, value) then
    self.objects[id] = value
    tell(self, id, value, before)
  end
end

local function note_synced(self)
  if not self.is_synced then
    self.is_synced = true
    self.synced:notify()
  end
end

-- Everything that is there; who is not any more is reported as gone.
local function list(self)
  local present = {}
  local items, version = self.client:list(self.kind, self.namespace, {
    label_selector = self.label_selector,
    page = self.page,
    each = function(object)
      local id = object_id.of(object.metadata.namespace, object.metadata.name)
      present[id] = true
      put(self, id, object)
    end,
  })
  if not items then
    return nil, version
  end
  for id in self:each() do
    if not present[id] then
      remove(self, id)
    end
  end
  self.version = version
  note_synced(self)
  return true
end

-- The one object that was asked for; its kind is not listed: we may have no right to it.
-- The watch is open already, so nothing can happen unseen in between; what it then says
-- of the time before is soon made up for.
local function look(self)
  local id = object_id.of(self.namespace, self.name)
  local object, err = self.client:get(self.kind, self.namespace, self.name)
  if object then
    put(self, id, object)
  elseif err.kind == "notfound" then
    remove(self, id)
  else
    return nil, err
  end
  note_synced(self)
  return true
end

-- Takes one line of a watch. False: the server has forgotten our version, or what it
-- says makes no sense; list again.
local function take(self, line)
  local event = json.decode(line, { big = true })
  local object = type(event) == "table" and event.object
  if type(object) ~= "table" or event.type == "ERROR" or not object.metadata then
    log.debug("a watch ended with an error", {
      kind = self.kind,
      why = type(object) == "table" and object.message or "not an event",
    })
    return false
  end
  self.version = object.metadata.resourceVersion
  if event.type ~= "BOOKMARK" then
    local id = object_id.of(object.metadata.namespace, object.metadata.name)
    if event.type == "DELETED" then
      remove(self, id)
    else
      put(self, id, object)
    end
  end
  return true
end

-- All events of an open watch: how many, and why it ended if that was no good end.
local function take_all(self, stream)
  local events = 0
  while true do
    local line, err = stream:next()
    if not line then
      return events, err
    elseif not take(self, line) then
      self.version = nil
      return events
    end
    events = events + 1
  end
end

-- Nothing was said about our version: the server was away, busy, or does not let us.
local function keeps_version(err)
  return not err.status or err.kind == "busy" or err.kind == "denied"
end

local function note_end(self, started, events, err)
  local lasted = time.monotonic() - started
  if lasted >= STEADY then
    self.pauses[SHORT] = nil
  end
  -- Before it ends a watch in good order says at least where it stands. One that does
  -- not may wait for a version that this server has yet to reach (a restored backup).
  if events == 0 and not err and lasted >= self.watch_for * 0.9 then
    self.version = nil
  end
  log.debug("a watch has ended", { kind = self.kind, seconds = lasted, events = events,
    why = err and err.message, again = self.version and "watch" or "list" })
end

-- Until it ends. True, or nil, err: it could not even begin.
local function watch(self)
  local opened, refusal = self.client:watch(self.kind, {
    namespace = self.namespace,
    name = self.name,
    label_selector = self.label_selector,
    version = self.version,
    seconds = self.watch_for,
    idle = self.idle,
  })
  if not opened then
    if not keeps_version(refusal) then
      self.version = nil
    end
    return nil, refusal
  end
  local stream <close> = opened
  local started = time.monotonic()
  if not self.version then
    local ok, err = look(self)
    if not ok then
      return nil, err
    end
  end
  local events, err = take_all(self, stream)
  note_end(self, started, events, err)
  return true
end

local function wait_before_again(self, why, after)
  local seconds = self.pauses[why] or why[1]
  self.pauses[why] = math.min(seconds * 2, why[2])
  task.sleep(math.max(seconds * self.pace, after or 0) * (1 + 0.2 * math.random()))
end

local function report(self, err)
  if self.failed_with ~= err.message and err.kind ~= "gone" then
    self.failed_with = err.message
    log.warn(("watching %s: %s"):format(self.kind, err.message))
  end
end

local function list_and_watch(self)
  if not self.version and not self.name then
    local ok, err = list(self)
    if not ok then
      return nil, err
    end
  end
  return watch(self)
end

--- informer:run()                                                       [waits]
-- Lists and watches until its task is cancelled. Nothing else ends it.
function methods:run()
  while true do
    local ran, ok, err = pcall(list_and_watch, self)
    if not ran then
      ok, err = nil, errors.of(ok)
      self.version = nil
    end
    if ok then
      self.failed_with = nil
      self.pauses[AWAY], self.pauses[MISSING] = nil, nil
      wait_before_again(self, SHORT)
    else
      report(self, err)
      local missing = err.kind == "notfound" or err.kind == "denied"
      wait_before_again(self, missing and MISSING or AWAY, err.after)
    end
  end
end

--- informer:wait_synced(timeout) -> true | nil, err                     [waits]
-- Until everything was listed once.
function methods:wait_synced(timeout)
  if self.is_synced then
    return true
  end
  local ok, err = self.synced:wait(timeout)
  if not ok then
    return nil, errors.wrap(err, self.failed_with or "listing " .. self.kind)
  end
  return true
end

--- informer:get(namespace, name) -> what project made of it | nil
function methods:get(namespace, name)
  return self.objects[object_id.of(namespace, name)]
end

--- informer:each() -> iterator of (id, value)
-- Of what is there now; the loop may wait: who has gone meanwhile is left out.
function methods:each()
  local ids, i = {}, 0
  for id in pairs(self.objects) do
    ids[#ids + 1] = id
  end
  return function()
    local value
    repeat
      i = i + 1
      value = ids[i] and self.objects[ids[i]]
    until value or not ids[i]
    return ids[i], value
  end
end

--- informer.new(opts) -> informer
--
--   opts.client     kube.client
--   opts.kind       string
--   opts.namespace, opts.name  only these (default all); with a name, nothing is listed
--   opts.label_selector        only these (default all)
--   opts.project    function (object) -> a new flat table: what is kept of it; its uid is
--                   kept besides, as uid
--   opts.changed    function (key, value, before): what is kept has changed; value nil:
--                   it is gone; key {kind, namespace, name}; must not wait. In the end it
--                   was told what is; of an object by name perhaps an older state again
--   opts.watch_for  seconds that one watch lasts (default 290)
--   opts.idle       seconds of silence that mean a dead connection (default: kube.client)
--   opts.page       objects listed at once (default: kube.client)
--   opts.pace       number, for specs: makes the pauses between two tries shorter
function M.new(opts)
  return setmetatable({
    client = opts.client,
    kind = opts.kind,
    namespace = opts.namespace,
    name = opts.name,
    label_selector = opts.label_selector,
    project = opts.project,
    changed = opts.changed,
    watch_for = opts.watch_for or WATCH_FOR,
    idle = opts.idle,
    page = opts.page,
    objects = {},
    pace = opts.pace or 1,
    pauses = {},
    synced = task.signal(),
  }, mt)
end

return M
