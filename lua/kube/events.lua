--- kube.events: Events on an object, each thing said once.
--
-- Source: events.k8s.io/v1: eventTime with six decimals, note of at most 1024 bytes.

local digest = require "host.digest"
local log = require "host.log"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.events", __index = methods }

local M = {}

local AGAIN = 600     -- seconds until the same thing is said again
local MOST = 1000     -- remembered; more and all are forgotten
local NOTE = 1024     -- bytes

local function cut(text)
  if #text <= NOTE then
    return text
  end
  local at = NOTE - 3
  while at > 0 and (text:byte(at + 1) or 0) & 0xC0 == 0x80 do
    at = at - 1
  end
  return text:sub(1, at) .. "..."
end

local function is_new(self, id)
  local now = time.monotonic()
  if self.said[id] and now - self.said[id] < AGAIN then
    return false
  end
  if self.count >= MOST then
    self.said, self.count = {}, 0
  end
  self.said[id], self.count = now, self.count + 1
  return true
end

local function send(self, object, type, reason, note)
  local meta = object.metadata
  local made, err = self.client:create("Event", {
    apiVersion = "events.k8s.io/v1",
    kind = "Event",
    metadata = {
      namespace = meta.namespace or "default",
      name = ("%s.%s"):format(meta.name:sub(1, 200), digest.random(8)),
    },
    eventTime = time.rfc3339_micro(time.now()),
    reportingController = self.controller,
    reportingInstance = self.instance,
    action = reason,
    reason = reason,
    type = type,
    note = cut(note),
    regarding = {
      apiVersion = object.apiVersion,
      kind = object.kind,
      namespace = meta.namespace,
      name = meta.name,
      uid = meta.uid,
      resourceVersion = meta.resourceVersion,
    },
  })
  if not made and not self.failed then
    self.failed = true
    log.warn("writing an Event: " .. err.message .. "; Events are left out from now on")
  end
end

--- events:emit(object, type, reason, note)
-- Does not wait. The same again within 10 min is left out.
--
--   object  table   what it is about
--   type    string  "Normal" | "Warning"
--   reason  string  UpperCamel
--   note    string  for people; cut at 1024 bytes
function methods:emit(object, type, reason, note)
  local id = object.metadata.uid .. reason .. note
  if not self.failed and is_new(self, id) then
    task.spawn(send, self, object, type, reason, note)
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
  }, mt)
end

return M
