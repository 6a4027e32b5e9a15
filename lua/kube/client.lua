--- kube.client: one API server: get, list, create, patch, delete, watch.
--
-- POST creates; a JSON merge patch changes. Every mutating call asks the fence first.
-- What surely did not happen (429, no connection), and what may happen twice without
-- harm, is tried again with back-off until a deadline; the rest the caller decides.

local errors = require "host.error"
local http = require "host.http"
local json = require "host.json"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.client", __index = methods }

local M = {}

local DEADLINE = 60      -- seconds for one call with all its tries
local EACH = 30          -- seconds for one try
local PAGE = 500         -- objects of a list at once
local LONGEST_PAUSE = 10 -- seconds between two tries

local KINDS = {
  [400] = "invalid", [401] = "denied", [403] = "denied", [404] = "notfound",
  [405] = "unsupported", [409] = "conflict", [410] = "gone", [415] = "unsupported",
  [422] = "invalid", [429] = "busy", [500] = "http", [503] = "busy", [504] = "timeout",
}

local function escape(text)
  return (text:gsub("[^%w%-%._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function query_of(values)
  local parts = {}
  for key, value in pairs(values) do
    parts[#parts + 1] = key .. "=" .. escape(tostring(value))
  end
  table.sort(parts)
  return #parts > 0 and "?" .. table.concat(parts, "&") or ""
end

local function path_of(self, kind, namespace, name, more)
  local k = assert(self.kinds[kind], "unknown kind " .. tostring(kind))
  local path = k.group == "" and "/api/" .. k.version
    or ("/apis/%s/%s"):format(k.group, k.version)
  if namespace then
    path = path .. "/namespaces/" .. escape(namespace)
  end
  path = path .. "/" .. k.plural
  if name then
    path = path .. "/" .. escape(name)
  end
  return path .. (more or "")
end

-- The err of an answer that is no success. Its body is a Status, or plain text.
local function failure(what, answer)
  local status = json.decode(answer.body)
  if type(status) ~= "table" or status.kind ~= "Status" then
    status = { message = answer.body:sub(1, 300):gsub("%s+$", "") }
  end
  local retry = tonumber(answer.headers["retry-after"])
    or type(status.details) == "table" and status.details.retryAfterSeconds
  return errors.new(KINDS[answer.status] or "http",
    ("%s: %s"):format(what, status.message or ("HTTP " .. answer.status)), {
      status = answer.status,
      reason = status.reason,
      after = retry or nil,
    })
end

local function send(self, method, path, opts, again)
  local headers = { Accept = "application/json" }
  for name, value in pairs(self.config.headers(again)) do
    headers[name] = value
  end
  if opts.body then
    headers["Content-Type"] = opts.content_type or "application/json"
  end
  return self.pool:request({
    method = method,
    url = self.config.url .. path,
    headers = headers,
    body = opts.body,
    timeout = self.each,
    total_timeout = self.each,
    max_body = opts.max_body,
  })
end

-- One try: the decoded answer, or nil, err. A 401 reads the credentials again, once.
local function try(self, method, path, opts)
  local started = time.monotonic()
  local answer, err = send(self, method, path, opts)
  if answer and answer.status == 401 then
    answer, err = send(self, method, path, opts, true)
  end
  if self.on_request then
    self.on_request(method, answer and answer.status or 0, time.monotonic() - started)
  end
  if not answer then
    return nil, err
  elseif answer.status >= 300 then
    return nil, failure(method .. " " .. path:gsub("%?.*", ""), answer)
  end
  if answer.body == "" then
    return {}
  end
  return json.decode(answer.body)
end

-- May this be sent again? Yes where the server has said that it did nothing, and for
-- calls that can happen twice.
local function may_repeat(method, err)
  if err.kind == "busy" or err.kind == "dns" then
    return true
  end
  local unclear = err.kind == "connect" or err.kind == "timeout"
    or err.kind == "http" and (err.status or 500) >= 500
  return unclear and method ~= "POST"
end

--- client:request(method, path, opts) -> table | nil, err               [waits]
-- For what the calls below do not cover.
--
--   path               string  below the server's URL, with its query
--   opts.body          string
--   opts.content_type  string  (default application/json)
--   err                conflict, notfound, denied, gone, busy, invalid, timeout ...; with
--                      err.status, err.reason (of the server's Status), err.after
function methods:request(method, path, opts)
  opts = opts or {}
  if method ~= "GET" and self.fence then
    local ok, err = self.fence()
    if not ok then
      return nil, err
    end
  end
  local deadline, pause = time.monotonic() + self.deadline, 0.2
  while true do
    local result, err = try(self, method, path, opts)
    if result or not may_repeat(method, err) then
      return result, err
    end
    local wait = (err.after or pause) * (1 + 0.2 * math.random())
    if time.monotonic() + wait > deadline then
      return nil, err
    end
    task.sleep(wait)
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
end

-- Items of a list of a built-in kind do not say what they are.
local function typed(self, kind, object)
  object.kind = object.kind or kind
  object.apiVersion = object.apiVersion or self.kinds[kind].api_version
  return object
end

--- client:get(kind, namespace, name) -> object | nil, err               [waits]
--
--   namespace  string, or nil for a cluster-scoped kind
function methods:get(kind, namespace, name)
  return self:request("GET", path_of(self, kind, namespace, name))
end

--- client:list(kind, namespace, opts) -> objects, version | nil, err    [waits]
-- In pages.
--
--   namespace            string, or nil: of all namespaces
--   opts.label_selector, opts.field_selector  strings
--   opts.each            function (object): called with each instead of collecting them
--   version              string  the resourceVersion a watch may start from
function methods:list(kind, namespace, opts)
  opts = opts or {}
  local objects, token = {}, nil
  repeat
    local page, err = self:request("GET", path_of(self, kind, namespace) .. query_of({
      limit = PAGE,
      continue = token,
      labelSelector = opts.label_selector,
      fieldSelector = opts.field_selector,
    }), { max_body = 64 * 1024 * 1024 })
    if not page then
      return nil, err
    end
    for _, object in ipairs(page.items or {}) do
      typed(self, kind, object)
      if opts.each then
        opts.each(object)
      else
        objects[#objects + 1] = object
      end
    end
    token = page.metadata.continue
    objects.version = page.metadata.resourceVersion
  until not token or token == ""
  local version = objects.version
  objects.version = nil
  return objects, version
end

--- client:create(kind, object) -> object | nil, err                     [waits]
--
--   err  conflict with reason AlreadyExists
function methods:create(kind, object)
  return self:request("POST", path_of(self, kind, object.metadata.namespace), {
    body = json.encode(object),
  })
end

--- client:patch(kind, namespace, name, patch, opts) -> object | nil, err   [waits]
-- A JSON merge patch.
--
--   patch        table    with metadata.resourceVersion: only on that version
--   opts.status  boolean  of the status subresource (default false)
--   err          conflict with reason Conflict: the version is another by now
function methods:patch(kind, namespace, name, patch, opts)
  local more = opts and opts.status and "/status" or nil
  return self:request("PATCH", path_of(self, kind, namespace, name, more), {
    body = json.encode(patch),
    content_type = "application/merge-patch+json",
  })
end

--- client:delete(kind, namespace, name, opts) -> true | nil, err        [waits]
-- True also when finalizers still hold it.
--
--   opts.uid          string  this very object, or none (conflict)
--   opts.propagation  string  Background (default), Foreground, Orphan
function methods:delete(kind, namespace, name, opts)
  opts = opts or {}
  local answer, err = self:request("DELETE", path_of(self, kind, namespace, name), {
    body = json.encode({
      apiVersion = "v1",
      kind = "DeleteOptions",
      preconditions = opts.uid and { uid = opts.uid } or nil,
      propagationPolicy = opts.propagation or "Background",
    }),
  })
  return answer and true, err
end

--- client:watch(kind, opts) -> stream | nil, err                        [waits]
-- A stream of host.http, to be closed: a line of JSON per event.
--
--   opts.namespace, opts.name          one namespace, one object (default all)
--   opts.label_selector                only these
--   opts.version                       resourceVersion to go on from
--   opts.seconds                       after which the server ends it
function methods:watch(kind, opts)
  local path = path_of(self, kind, opts.namespace) .. query_of({
    watch = 1,
    allowWatchBookmarks = true,
    resourceVersion = opts.version,
    timeoutSeconds = opts.seconds,
    fieldSelector = opts.name and "metadata.name=" .. opts.name or nil,
    labelSelector = opts.label_selector,
  })
  local function open(again)
    return self.pool:lines({
      url = self.config.url .. path,
      headers = self.config.headers(again),
      timeout = opts.seconds + 30,
      max_line = 16 * 1024 * 1024,
    })
  end
  local stream, err = open()
  if not stream and err.status == 401 then
    stream, err = open(true)
  end
  if not stream and err.answer then
    return nil, failure("WATCH " .. kind, err.answer)
  end
  return stream, err
end

function methods:close()
  self.pool:close()
end

mt.__close = methods.close

--- client.new(opts) -> client, to be closed | nil, err
--
--   opts.config      kube.config
--   opts.kinds       table: kind -> {group, version, plural, api_version}
--   opts.fence       function () -> true | nil, err: may we still change anything?
--   opts.on_request  function (method, status, seconds), for metrics
--   opts.deadline    seconds for one call with all its tries (default 60)
function M.new(opts)
  local pool, err = http.pool({ tls = opts.config.tls, max_connections = 16 })
  if not pool then
    return nil, err
  end
  return setmetatable({
    config = opts.config,
    kinds = opts.kinds,
    fence = opts.fence,
    on_request = opts.on_request,
    deadline = opts.deadline or DEADLINE,
    each = math.min(opts.deadline or EACH, EACH),
    pool = pool,
  }, mt)
end

return M
