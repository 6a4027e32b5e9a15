--- kube.events: Events on an object, each thing said once.
--
-- They are for people and nothing depends on them: one that cannot be written is left
-- out, and without the right to write them all are, for a while.
-- Source: events.k8s.io/v1: eventTime with six decimals, note of at most 1024 bytes.

local digest = require "host.digest"
local log = require "host.log"
local task = require "host.task"
local text = require "base.text"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.events", __index = methods }

local M = {}

local AGAIN = 600     -- seconds until the same thing is said again
local FORBIDDEN = 600 -- seconds until the right to is tried again
local MOST = 1000     -- remembered; more and all are forgotten
local WAITING = 200   -- to be sent; more are left out
local NOTE = 1024     -- bytes

local function is_new(self, id)
  local now = time.monotonic()
  if self.said[id] and now - self.said[id] < AGAIN then
    return false
  elseif not self.said[id] then
    if self.count >= MOST then
      self.said, self.count = {}, 0
    end
    self.count = self.count + 1
  end
  self.said[id] = now
  return true
end

local function event_of(self, object, type, reason, note)
  local meta, word = object.metadata, text.word(reason)
  return {
    apiVersion = "events.k8s.io/v1",
    kind = "Event",
    metadata = {
      namespace = meta.namespace or "default",
      name = meta.name:sub(1, 200):gsub("[^%w]+$", "") .. "." .. digest.random(8),
    },
    eventTime = time.rfc3339_micro(time.now()),
    reportingController = self.controller,
    reportingInstance = self.instance:sub(1, 128),
    action = word,
    reason = word,
    type = type,
    note = text.cut(note, NOTE),
    regarding = {
      apiVersion = object.apiVersion,
      kind = object.kind,
      namespace = meta.namespace,
      name = meta.name,
      uid = meta.uid,
      resourceVersion = meta.resourceVersion,
    },
  }
end

-- In a namespace that is being deleted nothing may be created either.
local function is_forbidden(err)
  return err.status == 403 and not err.message:find("being terminated", 1, true)
end

local function send(self, event)
  local made, err = self.client:create("Event", event)
  if made then
    self.degraded = false
  elseif is_forbidden(err) then
    self.silent_until = time.monotonic() + FORBIDDEN
    self.waiting = {}
    if not self.degraded then
      self.degraded = true
      log.warn("Events are left out: " .. err.message)
    end
  else
    log.debug("an Event was not written", { why = err.message,
      reason = event.reason, object = event.regarding.name })
  end
end

-- One after the other, so that they come in order and never in a crowd.
local function send_all(self)
  while #self.waiting > 0 do
    send(self, table.remove(self.waiting, 1))
  end
end

--- events:emit(object, type, reason, note, cause?)
-- Does not wait. The same again within 10 min is left out.
--
--   object  table   what it is about
--   type    string  "Normal" | "Warning"
--   reason  string  UpperCamel
--   note    string  for people; cut at 1024 bytes
--   cause   string  of another cause the same is said again
function methods:emit(object, type, reason, note, cause)
  local meta = object.metadata
  local id = table.concat({ object.kind, meta.namespace or "", meta.name, meta.uid or "",
    type, reason, note, cause or "" }, "\0")
  if time.monotonic() < self.silent_until or #self.waiting >= WAITING
    or not is_new(self, id) then
    return
  end
  table.insert(self.waiting, event_of(self, object, type, reason, note))
  if not self.sender or self.sender:done() then
    self.sender = task.spawn("sends Events", send_all, self)
  end
end

--- events.new(opts) -> events
--
--   opts.client      kube.client
--   opts.controller  string  who reports: "migration.harvesterhci.io/..."
--   opts.instance    string  this replica
function M.new(opts)
  return setmetatable({
    client = opts.client,
    controller = opts.controller,
    instance = opts.instance,
    said = {},
    count = 0,
    waiting = {},
    degraded = false,
    silent_until = 0,
  }, mt)
end

return M
