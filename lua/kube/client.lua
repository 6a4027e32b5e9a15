--- kube.client: one API server: get, list, create, patch, delete, watch.
--
-- POST creates; a JSON merge patch changes; an object that was read is never sent back.
-- How a request is sent, repeated and fenced: kube.requests.

local errors = require "host.error"
local json = require "host.json"
local requests = require "kube.requests"

local methods = {}
local mt = { __name = "kube.client", __index = methods }

local M = {}

local PAGE = 500                  -- objects of a list at once
local MAX_PAGE = 64 * 1024 * 1024 -- bytes
local MAX_EVENT = 16 * 1024 * 1024
local RESTARTS = 3                -- of a list whose continuation the server forgot
local IDLE = 100                  -- seconds; bookmarks come every 60

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

-- Names come from objects that others write. A DELETE without one would be of all there
-- are, and dots make another path.
local function check_name(what, text)
  if type(text) ~= "string" then
    error(what .. ": a string is expected", 4)
  elseif text == "" or text == "." or text == ".." then
    return nil, errors.new("invalid", ("%q is not the name of a %s"):format(text, what))
  end
  return true
end

-- Of all objects of the kind, in the namespace if there is one.
local function path_of_all(self, kind, namespace)
  local k = assert(self.kinds[kind], "unknown kind " .. tostring(kind))
  local path = k.group == "" and "/api/" .. k.version
    or ("/apis/%s/%s"):format(k.group, k.version)
  if namespace then
    local ok, err = check_name("namespace", namespace)
    if not ok then
      return nil, err
    end
    path = path .. "/namespaces/" .. escape(namespace)
  end
  return path .. "/" .. k.plural
end

-- Of one object.
local function path_of(self, kind, namespace, name)
  local path, err = path_of_all(self, kind, namespace)
  if path then
    local ok
    ok, err = check_name(kind, name)
    path = ok and path .. "/" .. escape(name)
  end
  return path or nil, err
end

--- client:request(method, path, opts) -> table | nil, err               [waits]
-- For what the calls below do not cover. As requests:send; a POST that may have happened
-- is not repeated unless opts.repeatable says that it may be.
function methods:request(method, path, opts)
  return self.requests:send(method, path, opts or {})
end

-- Items of a list of a built-in kind do not say what they are.
local function typed(self, kind, object)
  local k = self.kinds[kind]
  object.kind = object.kind or k.kind
  object.apiVersion = object.apiVersion or k.api_version
  return object
end

--- client:get(kind, namespace, name) -> object | nil, err               [waits]
--
--   namespace  string, or nil for a cluster-scoped kind
function methods:get(kind, namespace, name)
  local path, err = path_of(self, kind, namespace, name)
  if not path then
    return nil, err
  end
  return self.requests:send("GET", path, { kind = kind })
end

-- The next page, of `limit` objects or, where so many take too much memory, of fewer; and
-- how many that were.
local function next_page(self, kind, path, opts, token, limit)
  while true do
    local page, err = self.requests:send("GET", path .. query_of({
      limit = limit,
      continue = token,
      labelSelector = opts.label_selector,
      fieldSelector = opts.field_selector,
    }), { max_body = MAX_PAGE, kind = kind })
    if page or err.kind ~= "format" or limit == 1 then
      return page, page and limit or err
    end
    limit = math.max(limit // 4, 1)
  end
end

-- All pages, from the first: the version. nil, err: also gone, when it took too long.
local function list_once(self, kind, path, opts, take)
  local token, version
  local limit = opts.page or PAGE
  repeat
    local page, said = next_page(self, kind, path, opts, token, limit)
    if not page then
      return nil, said
    end
    limit = said
    for _, object in ipairs(page.items or {}) do
      take(typed(self, kind, object))
    end
    token = page.metadata and page.metadata.continue
    version = page.metadata and page.metadata.resourceVersion
  until not token or token == ""
  if not version then
    return nil, errors.new("format", "GET " .. path .. ": the answer is no list")
  end
  return version
end

--- client:list(kind, namespace, opts) -> objects, version | nil, err    [waits]
-- In pages.
--
--   namespace            string, or nil: of all namespaces
--   opts.label_selector, opts.field_selector  strings
--   opts.page            int     objects of one page (default 500)
--   opts.each            function (object): called with each instead of collecting them;
--                        with some again if the server forgets where we were
--   version              string  the resourceVersion a watch may start from
function methods:list(kind, namespace, opts)
  opts = opts or {}
  local path, problem = path_of_all(self, kind, namespace)
  if not path then
    return nil, problem
  end
  for try = 1, RESTARTS do
    local objects = json.array({})
    local version, err = list_once(self, kind, path, opts, opts.each or function(object)
      objects[#objects + 1] = object
    end)
    if version then
      return objects, version
    elseif err.kind ~= "gone" or try == RESTARTS then
      return nil, err
    end
  end
end

--- client:create(kind, object, opts) -> object | nil, err               [waits]
-- Sent again when it may or may not have happened: the name keeps it from being made
-- twice. Whoever gets AlreadyExists must look (get) whether that is its own.
--
--   opts.dry_run  boolean  only ask what the server and its webhooks would say
--   err           conflict with reason AlreadyExists
function methods:create(kind, object, opts)
  local meta = object.metadata
  local path, err = path_of_all(self, kind, meta.namespace)
  if not path then
    return nil, err
  end
  local query = query_of({
    fieldValidation = self.validation,
    dryRun = opts and opts.dry_run and "All" or nil,
  })
  return self.requests:send("POST", path .. query, {
    body = json.encode(object),
    repeatable = meta.name ~= nil,
    kind = kind,
  })
end

--- client:patch(kind, namespace, name, patch, opts) -> object | nil, err   [waits]
-- A JSON merge patch.
--
--   patch        table    with metadata.resourceVersion: only on that version
--   opts.status  boolean  of the status subresource (default false)
--   err          conflict with reason Conflict: the version is another by now; with
--                err.unclear perhaps because this very patch has happened
function methods:patch(kind, namespace, name, patch, opts)
  local path, err = path_of(self, kind, namespace, name)
  if not path then
    return nil, err
  end
  if opts and opts.status then
    path = path .. "/status"
  end
  path = path .. query_of({ fieldValidation = self.validation })
  return self.requests:send("PATCH", path, {
    body = json.encode(patch),
    content_type = "application/merge-patch+json",
    kind = kind,
  })
end

--- client:delete(kind, namespace, name, opts) -> true | nil, err        [waits]
-- True also when finalizers still hold it.
--
--   opts.uid          string  this very object, or none (conflict)
--   opts.propagation  string  Background (default), Foreground, Orphan
function methods:delete(kind, namespace, name, opts)
  opts = opts or {}
  local path, answer, err
  path, err = path_of(self, kind, namespace, name)
  if not path then
    return nil, err
  end
  answer, err = self.requests:send("DELETE", path, {
    body = json.encode({
      apiVersion = "v1",
      kind = "DeleteOptions",
      preconditions = opts.uid and { uid = opts.uid } or nil,
      propagationPolicy = opts.propagation or "Background",
    }),
    kind = kind,
  })
  -- Gone by an earlier try whose answer was lost.
  if answer or err.kind == "notfound" and err.unclear then
    return true
  end
  return nil, err
end

--- client:watch(kind, opts) -> stream | nil, err                        [waits]
-- A stream of host.http, to be closed: a line of JSON per event.
--
--   opts.namespace, opts.name  one namespace, one object (default all)
--   opts.label_selector        only these
--   opts.version               resourceVersion to go on from
--   opts.seconds               after which the server ends it
--   opts.idle                  seconds of silence that mean a dead connection
function methods:watch(kind, opts)
  local path, err = path_of_all(self, kind, opts.namespace)
  if not path then
    return nil, err
  end
  return self.requests:lines(path .. query_of({
    watch = 1,
    allowWatchBookmarks = true,
    resourceVersion = opts.version,
    timeoutSeconds = opts.seconds,
    fieldSelector = opts.name and "metadata.name=" .. opts.name or nil,
    labelSelector = opts.label_selector,
  }), { idle = opts.idle or IDLE, max_line = MAX_EVENT, kind = kind })
end

--- client:in_line() -> int: requests that wait until others have ended
function methods:in_line()
  return self.requests:in_line()
end

--- client:close()
-- Requests under way go on; nothing new may begin. Not before the goodbyes of the tasks
-- that use it: a client for the whole of a program is left open.
function methods:close()
  self.requests:close()
end

mt.__close = methods.close

--- client.new(opts) -> client, to be closed | nil, err
--
--   opts.config      kube.config
--   opts.kinds       table: kind -> {group, version, kind, plural, api_version}
--   opts.fence       function () -> true or a time of time.boottime() | nil, err: may we
--                    change anything, and until when
--   opts.on_request  function (method, kind, status, seconds), for metrics; kind nil: of
--                    client:request; status 0: no answer
--   opts.meter       as kube.requests
--   opts.deadline    seconds for one call with all its tries (default 60)
--   opts.strict      boolean  fields that the server does not know are errors; without,
--                    it drops them and warns, which is logged (default false)
function M.new(opts)
  local engine, err = requests.new(opts)
  if not engine then
    return nil, err
  end
  return setmetatable({
    requests = engine,
    kinds = opts.kinds,
    validation = opts.strict and "Strict" or nil,
  }, mt)
end

return M
