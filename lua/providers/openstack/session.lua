--- providers.openstack.session: calls to the services, in the name of one log-in.
--
-- The token is renewed before it ends, and when a service does not take it any more.

local answer = require "providers.openstack.answer"
local bounds = require "providers.bounds"
local errors = require "host.error"
local http = require "host.http"
local json = require "host.json"
local keystone = require "providers.openstack.keystone"
local shapes = require "providers.openstack.shapes"
local task = require "host.task"
local time = require "host.time"

local BACKOFF = { 0.5, 1, 2, 4, 8 } -- seconds between tries of what may be tried again
local EARLY = 300                   -- seconds before its end that a token is renewed
local LONGEST = 30                  -- seconds that a service may have us wait

local methods = {}
local mt = { __name = "openstack.session", __index = methods }

local M = {}

local function take(session, token)
  local urls, others = keystone.services(token.catalog, session.region,
    session.interface, { project = token.project.id, dead = session.dead,
      insecure = session.insecure })
  if not urls then
    return nil, others
  end
  session.token, session.urls, session.others = token, urls, others
  session.generation = session.generation + 1
  return true
end

-- Calls try() until it gives something, or gives an err after which another try is of no
-- use, as `again(err)` says. A service that names a time is asked no sooner.
local function patiently(session, again, try)
  local value, err
  for i = 0, #session.backoff do
    if i > 0 then
      task.sleep(math.max(session.backoff[i], math.min(err.after or 0, LONGEST)))
    end
    value, err = try()
    if value or not again(err) then
      break
    end
  end
  return value, err
end

-- Keystone was reached and does not take it now: too many log-ins, or an outage.
local function is_refused_for_now(err)
  return err.kind == "busy" and err.status ~= nil
end

local function log_in(session)
  local token, err = patiently(session, is_refused_for_now, function()
    return keystone.log_in(session.pool, session.url, session.credentials)
  end)
  if not token then
    return nil, err
  end
  return take(session, token)
end

--- session.open(opts) -> session | nil, err                             [waits]
--
--   opts.pool         host.http pool; the session closes it
--   opts.url          string  Keystone's, ".../v3"
--   opts.credentials  credentials.read's
--   opts.region       string  or nil: the only one
--   opts.insecure     boolean  http to other machines will do
--   opts.backoff      list of seconds, for tests
--   opts.fence        as providers/init.lua has it, or nil
--   err  of keystone.log_in and keystone.services
function M.open(opts)
  local session = setmetatable({
    pool = opts.pool,
    url = opts.url,
    credentials = opts.credentials,
    region = opts.region,
    insecure = opts.insecure or false,
    interface = opts.credentials.interface,
    backoff = opts.backoff or BACKOFF,
    fence = opts.fence,
    gate = task.semaphore(1),
    generation = 0, -- how often it has logged in
    dead = {},      -- URLs of the catalogue that did not answer, as a set
    closed = false,
  }, mt)
  local ok, err = log_in(session)
  if not ok then
    return nil, err
  end
  return session
end

-- Logs in again, unless another task already has since `generation`.
local function renew(session, generation)
  local permit <close> = assert(session.gate:acquire())
  assert(permit)
  if session.generation ~= generation then
    return true
  end
  return log_in(session)
end

--- session:give_up(service) -> boolean
-- The service's URL does not answer: whether the catalogue has another one, which is
-- used from here on.
function methods:give_up(service)
  if not self.others[service] then
    return false
  end
  self.dead[self.urls[service]] = true
  self.urls, self.others = keystone.services(self.token.catalog, self.region,
    self.interface, { project = self.token.project.id, dead = self.dead,
      insecure = self.insecure })
  return true
end

--- session:fresh_token() -> token id | nil, err                         [waits]
-- One that lives for a while yet.
function methods:fresh_token()
  local early = math.min(EARLY, self.token.life / 5)
  if time.boottime() > self.token.ends - early then
    local ok, err = renew(self, self.generation)
    if not ok and time.boottime() > self.token.ends then
      return nil, err
    end
  end
  return self.token.id
end

--- session:other_token(token) -> token id | nil, err                    [waits]
-- Of one that a service does not take: another one, which has perhaps been had already.
function methods:other_token(token)
  if self.token.id == token then
    local ok, err = renew(self, self.generation)
    if not ok then
      return nil, err
    end
  end
  return self.token.id
end

-- Until when it may be sent: true, a time of time.boottime(), or nil, err.
local function may_send(session, request)
  if request.method == "GET" or not session.fence then
    return true
  end
  return session.fence()
end

local function send(session, request)
  local token, err = session:fresh_token()
  local before
  if token then
    before, err = may_send(session, request)
  end
  if not before then
    return nil, err
  end
  local headers = { ["X-Auth-Token"] = token, Accept = "application/json" }
  if request.body then
    headers["Content-Type"] = "application/json"
  end
  if request.version then
    headers["OpenStack-API-Version"] = request.version
    -- Nova before microversion 2.27 knows only this name.
    headers["X-OpenStack-Nova-API-Version"] = request.version:match("^compute (.+)$")
  end
  local response, failure = session.pool:request {
    method = request.method, url = request.url, headers = headers,
    body = request.body and json.encode(request.body), timeout = request.timeout or 60,
    total_timeout = math.max(request.timeout or 0, bounds.SECONDS),
    max_body = request.bound.max_body,
    once = request.method == "POST", before = before ~= true and before or nil,
  }
  if not response and failure.kind == "cancelled" then -- the fence has ended meanwhile
    local _, ended = may_send(session, request)
    failure = ended or failure
  end
  return response, failure
end

-- Sends; a token that is not taken is renewed, once.
local function send_known(session, request)
  local generation = session.generation
  local response, err = send(session, request)
  if response and response.status == 401 then
    local ok, why = renew(session, generation)
    if not ok then
      return nil, why
    end
    response, err = send(session, request)
  end
  return response, err
end

local PASSING = { busy = true, connect = true, timeout = true, http = true }

--- session.passing(err) -> boolean
-- Whether the same call may well succeed a little later.
function M.passing(err)
  return PASSING[err.kind] and (err.kind ~= "http" or not err.status) or false
end

-- One try: document and headers, or an err.
local function try(session, request, what)
  local response, err = send_known(session, request)
  if not response then
    return nil, errors.wrap(err, what)
  elseif response.status >= 300 then
    return nil, answer.failure(response, what)
  end
  local document
  document, err = answer.document(response, what, request.shape, request.bound)
  return document, err or response
end

-- With which a service says that it has done nothing.
local NOTHING_DONE = { [413] = true, [429] = true, [503] = true }

--- session:call(service, method, path, opts) -> document, response | nil, err  [waits]
-- GET and DELETE are tried again while a failure may pass; a POST only when the service
-- said that it did nothing (413, 429, 503): whoever creates looks by name afterwards.
-- What was refused for its size or shape is not asked for again.
--
--   service       "compute" | "volume" | "image" | "network"
--   path          string  below the service's URL
--   opts.body     table   sent as JSON
--   opts.shape    of providers.openstack.shapes: what it must be like; without one the
--                 document is {}
--   opts.version  string  a microversion: "compute 2.47"
--   opts.once     boolean never try again
--   opts.bound    of providers.bounds: how large an answer may be  (default: ANSWER)
--   err  kind by the answer's status; err.status, err.code, err.after; format: an answer
--        of another shape
function methods:call(service, method, path, opts)
  opts = opts or {}
  local request = {
    method = method, body = opts.body, version = opts.version, timeout = opts.timeout,
    bound = opts.bound or bounds.ANSWER, shape = opts.shape,
  }
  request.url = self.urls[service] .. path
  local what = ("%s %s"):format(method, http.shown(request.url))
  return patiently(self, function(err)
    return not opts.once and M.passing(err) and not bounds.is_refused(err)
      and (method ~= "POST" or NOTHING_DONE[err.status])
  end, function()
    return try(self, request, what)
  end)
end

--- session.next_page(document, key) -> query | nil
-- Of the page after this one: Glance says `next`, the others `KEY_links`. Nothing but
-- its query is believed: behind a proxy the rest of it is often another's.
function M.next_page(document, key)
  local target = document.next
  for _, link in ipairs(document[key .. "_links"] or {}) do
    if link.rel == "next" then
      target = link.href
    end
  end
  return type(target) == "string" and target:match("%?(.+)$") or nil
end

--- session:in_clear() -> list of URLs
-- Of those it asks, the ones whose answers and tokens can be read on their way.
function methods:in_clear()
  local found = {}
  for _, url in pairs(self.urls) do
    found[#found + 1] = keystone.in_clear(url) and url or nil
  end
  found[#found + 1] = keystone.in_clear(self.url) and self.url or nil
  table.sort(found)
  return found
end

--- session:list(service, path, key) -> items | nil, err                 [waits]
-- All pages of a list; `key` names it in each document, and its items in shapes.
function methods:list(service, path, key)
  local items = json.array({})
  local bare = path:match("^[^?]*")
  local list = bounds.list(bare, items)
  while true do
    local document, err = self:call(service, "GET", path,
      { bound = bounds.PAGE, shape = shapes.page(key) })
    local ok
    if document then
      ok, err = list:add(document[key])
    end
    if not ok then
      return nil, err
    end
    for _, item in ipairs(document[key] or {}) do
      items[#items + 1] = item
    end
    local query = M.next_page(document, key)
    if not query then
      return items
    end
    path = bare .. "?" .. query
  end
end

--- session:close()
-- Forgets the token. It is not revoked: its downloads may be under way.
function methods:close()
  if not self.closed then
    self.closed = true
    self.pool:close()
  end
end

mt.__close = methods.close

return M
