--- kube.informer: a live table of the objects of one kind, by list and watch.
--
-- A watch ends in many ways and most of them say nothing: whatever happens, it goes on
-- from the last version it has seen, and lists anew when the server has forgotten that.

local errors = require "host.error"
local json = require "host.json"
local log = require "host.log"
local task = require "host.task"

local methods = {}
local mt = { __name = "kube.informer", __index = methods }

local M = {}

local WATCH_FOR = 290            -- seconds that a watch lasts
local PAUSE_FIRST, PAUSE_MOST = 0.2, 30
local PAUSE_MISSING = 30         -- seconds, where the kind or the right to it is missing

local function id_of(object)
  return (object.metadata.namespace or "") .. "/" .. object.metadata.name
end

local function key_of(self, object)
  return {
    kind = self.kind,
    namespace = object.metadata.namespace,
    name = object.metadata.name,
  }
end

local function same(a, b)
  for key, value in pairs(a) do
    if b[key] ~= value then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

local function put(self, object)
  local id = id_of(object)
  local before, value = self.objects[id], self.project(object)
  if not before or not same(before, value) then
    self.objects[id] = value
    self.changed(key_of(self, object), value, before)
  end
end

local function remove(self, object)
  local id = id_of(object)
  local before = self.objects[id]
  if before then
    self.objects[id] = nil
    self.changed(key_of(self, object), nil, before)
  end
end

-- Everything that is there; who is not any more is reported as gone.
local function list(self)
  local present = {}
  local items, version = self.client:list(self.kind, self.namespace, {
    field_selector = self.name and "metadata.name=" .. self.name or nil,
    label_selector = self.label_selector,
    each = function(object)
      present[id_of(object)] = true
      put(self, object)
    end,
  })
  if not items then
    return nil, version
  end
  for id in pairs(self.objects) do
    if not present[id] then
      local namespace, name = id:match("^(.-)/(.*)$")
      remove(self, { metadata = { namespace = namespace ~= "" and namespace or nil,
        name = name } })
    end
  end
  self.version = version
  if not self.is_synced then
    self.is_synced = true
    self.synced:notify()
  end
  return true
end

-- One event. False: the server has forgotten our version, list again.
local function take(self, event)
  local object = event.object
  if event.type == "ERROR" then
    log.debug("a watch ended with an error", {
      kind = self.kind,
      message = object.message,
    })
    return false
  end
  self.version = object.metadata.resourceVersion
  if event.type == "DELETED" then
    remove(self, object)
  elseif event.type ~= "BOOKMARK" then
    put(self, object)
  end
  return true
end

-- Until it ends. True: go on from self.version; false: list again; nil, err: neither.
local function watch(self)
  local opened, err = self.client:watch(self.kind, {
    namespace = self.namespace,
    name = self.name,
    label_selector = self.label_selector,
    version = self.version,
    seconds = self.watch_for,
  })
  if not opened then
    return err.kind == "gone" and false or nil, err
  end
  local stream <close> = opened
  while true do
    local line
    line, err = stream:next()
    if not line then
      if err and err.kind ~= "connect" and err.kind ~= "timeout" then
        return nil, err
      end
      return true, err
    end
    local event = json.decode(line)
    if type(event) ~= "table" or type(event.object) ~= "table"
      or not take(self, event) then
      return false
    end
    self.pause = PAUSE_FIRST
  end
end

local function wait_before_again(self, err)
  local seconds = self.pause
  if err and (err.kind == "notfound" or err.kind == "denied") then
    seconds = PAUSE_MISSING
  elseif err and err.after then
    seconds = err.after
  end
  self.pause = math.min(self.pause * 2, PAUSE_MOST)
  task.sleep(seconds * (1 + 0.2 * math.random()))
end

local function report(self, err)
  if err and self.failed_with ~= err.message then
    self.failed_with = err.message
    log.warn("watching " .. self.kind .. ": " .. err.message)
  end
end

--- informer:run()                                                       [waits]
-- Lists and watches until its task is cancelled.
function methods:run()
  while true do
    local go_on, err = true, nil
    if not self.version then
      go_on, err = list(self)
    end
    if go_on then
      self.failed_with = nil
      go_on, err = watch(self)
    end
    if go_on == false then
      self.version = nil
    elseif go_on == nil then
      report(self, err)
      self.version = nil
    end
    if not go_on or err then
      wait_before_again(self, err)
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
  return ok, err and errors.wrap(err, "listing " .. self.kind)
end

--- informer:get(namespace, name) -> what project made of it | nil
function methods:get(namespace, name)
  return self.objects[(namespace or "") .. "/" .. name]
end

--- informer:each() -> iterator of (id, value)
function methods:each()
  return pairs(self.objects)
end

--- informer.new(opts) -> informer
--
--   opts.client     kube.client
--   opts.kind       string
--   opts.namespace, opts.name  only these (default all)
--   opts.label_selector        only these (default all)
--   opts.project    function (object) -> a flat table: what is kept of it
--   opts.changed    function (key, value, before): what is kept has changed; value nil:
--                   it is gone; key {kind, namespace, name}; must not wait
--   opts.watch_for  seconds that one watch lasts (default 290)
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
    objects = {},
    pause = PAUSE_FIRST,
    synced = task.signal(),
  }, mt)
end

return M
