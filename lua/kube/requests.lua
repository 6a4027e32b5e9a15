--- kube.requests: one request to an API server, until it is clear what came of it.
--
-- The fence is asked before each try, and the try is not sent past the fence's end,
-- however long the process was asleep in between. What surely did not happen (429, no
-- connection) is tried again, and so is what may happen twice without harm, with
-- back-off until a deadline; the rest the caller decides. A webhook that is down is no
-- matter of a moment: the caller gets it soon, and says what is waited for.

local errors = require "host.error"
local http = require "host.http"
local json = require "host.json"
local log = require "host.log"
local shape = require "base.shape"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "kube.requests", __index = methods }

local M = {}

local DEADLINE = 60        -- seconds for one call with all its tries
local EACH = 30            -- seconds for one try
local WEBHOOK = 10         -- seconds for all tries, while a webhook is down
local AT_ONCE = 16         -- requests; watches are not counted
local PAUSE_FIRST, PAUSE_MOST = 0.2, 10 -- seconds between two tries
local MOST_WARNINGS = 100  -- different ones that are logged

-- A Status, as far as it is read: webhooks write it too.
local STATUS = { message = "string", reason = "string",
  details = { retryAfterSeconds = "integer" } }

local KINDS = {
  [400] = "invalid", [401] = "denied", [403] = "denied", [404] = "notfound",
  [405] = "unsupported", [409] = "conflict", [410] = "gone", [415] = "unsupported",
  [422] = "invalid", [429] = "busy", [503] = "busy", [504] = "timeout",
}

-- What a webhook refuses it will refuse again, whatever status it chose to say so with
-- (409 of one is no version that has changed, 404 nothing that is gone), unless it says
-- itself that it is a matter of time or of rights.
local ITS_OWN_WORD = { [403] = true, [429] = true }

-- An API server that answers for somebody who does not: a webhook, its own etcd.
local BEHIND = {
  ["failed calling webhook"] = "webhook", ["failed to call webhook"] = "webhook",
  ["no endpoints available for service"] = "webhook",
  ["etcdserver: "] = "etcd", ["etcdclient: "] = "etcd",
}

local function webhook_of(message)
  return message:match('^admission webhook "(.-)" denied the request')
end

local function behind(message)
  for words, who in pairs(BEHIND) do
    if message:find(words, 1, true) then
      return who
    end
  end
end

--- requests.failure(what, answer) -> err
-- Of an answer that is no success. Its body is a Status, or plain text.
--
--   what    string  "GET /api/v1/...": begins the message
--   answer  table   of host.http
--   err     .status, .reason (of the Status), .after (Retry-After), .audit_id, .webhook:
--           the name of the one that denied it; .api: it is of a call to an API server,
--           as all errs of a request; .behind: "webhook" or "etcd", who does not answer
--           the server
function M.failure(what, answer)
  local status = json.decode(answer.body, { big = true })
  if type(status) ~= "table" or status.kind ~= "Status"
    or shape.problem(status, STATUS, "status") then
    status = { message = answer.body:sub(1, 300):gsub("%s+$", "") }
  end
  local message = status.message
  if not message or message == "" then
    message = "HTTP status " .. answer.status
  end
  local details = status.details or {}
  local kind = KINDS[answer.status] or "http"
  local webhook = webhook_of(message)
  if webhook and not ITS_OWN_WORD[answer.status] then
    kind = "invalid"
  end
  return errors.new(kind, ("%s: %s"):format(what, message), {
    api = true,
    status = answer.status,
    reason = status.reason,
    after = tonumber(answer.headers["retry-after"]) or details.retryAfterSeconds,
    audit_id = answer.headers["audit-id"],
    webhook = webhook,
    behind = kind == "http" and behind(message) or nil,
  })
end

-- One pool for one way to verify the server; what is under way on an older one goes on.
local function pool_of(self)
  local tls = self.config.tls
  if self.tls ~= tls then
    local pool, err = http.pool({ tls = tls, max_connections = AT_ONCE,
      anywhere = true })
    if not pool then
      return nil, err
    end
    if self.pool then
      self.pool:close()
    end
    self.pool, self.tls = pool, tls
  end
  return self.pool
end

local function headers_of(self, opts, again)
  local given, err = self.config.headers(again)
  if not given then
    return nil, err
  end
  local headers = { Accept = "application/json" }
  for name, value in pairs(given) do
    headers[name] = value
  end
  if opts.body then
    headers["Content-Type"] = opts.content_type or "application/json"
  end
  return headers
end

-- A request that may change something is sent before the fence ends, or not at all.
local function may_send(self, method)
  if method == "GET" or not self.fence then
    return true
  end
  return self.fence()
end

-- call: {method, path, opts, repeatable, deadline}
local function send(self, call, each, again)
  local headers, err = headers_of(self, call.opts, again)
  if not headers then
    return nil, err
  end
  local pool, before, answer
  pool, err = pool_of(self)
  if not pool then
    return nil, err
  end
  before, err = may_send(self, call.method)
  if not before then
    return nil, err
  end
  answer, err = pool:request({
    method = call.method,
    url = self.config.url .. call.path,
    headers = headers,
    body = call.opts.body,
    timeout = each,
    total_timeout = each,
    before = before ~= true and before or nil,
    once = not call.repeatable,
    max_body = call.opts.max_body,
  })
  if not answer and err.kind == "cancelled" then -- the fence has ended meanwhile
    local _, ended = may_send(self, call.method)
    err = ended or err
  end
  return answer, err
end

local function refused(answer, err)
  return answer and answer.status == 401 or err and err.kind == "tls"
end

-- An older CRD has dropped a field of ours, or a field is deprecated: said once.
local function note_warning(self, answer)
  local text = answer.headers.warning
  if text and not self.warned[text] and self.warnings < MOST_WARNINGS then
    self.warned[text], self.warnings = true, self.warnings + 1
    log.warn("the API server warns: " .. text)
  end
end

-- Stands in line for one of the requests that may be under way: permit | nil, err.
local function stand_in_line(self, call)
  local place <close> = setmetatable({}, { __close = function()
    self.line = self.line - 1
  end })
  assert(place)
  self.line = self.line + 1
  return self.slots:acquire(math.max(call.deadline - time.monotonic(), 0))
end

-- One try: the decoded answer, or nil, err. Refused credentials are read again, once.
local function try(self, call)
  if self.meter then
    self.meter:pass(task.label())
  end
  local free, busy = stand_in_line(self, call)
  local permit <close> = free
  if not permit then
    busy.api = true
    return nil, busy
  end
  local started = time.monotonic()
  local each = math.min(EACH, math.max(call.deadline - started, 1))
  local answer, err = send(self, call, each)
  if refused(answer, err) then
    answer, err = send(self, call, each, true)
  end
  if self.on_request then
    self.on_request(call.method, call.opts.kind, answer and answer.status or 0,
      time.monotonic() - started)
  end
  if not answer then
    err.api = true
    return nil, err
  elseif answer.status >= 300 then
    return nil, M.failure(call.method .. " " .. call.path:gsub("%?.*", ""), answer)
  end
  note_warning(self, answer)
  if answer.body == "" then
    return {}
  end
  return json.decode(answer.body, { big = true })
end

-- An answer that was refused as it came, for its size or shape, has no status, and would
-- be sent again.
local function is_unclear(err)
  return err.kind == "connect" or err.kind == "timeout"
    or err.kind == "http" and (err.status or 0) >= 500
end

local function pause_before(self, err, pause)
  if err.after then
    return math.max(err.after, self.pause)
  end
  return pause
end

--- requests:send(method, path, opts) -> table | nil, err                [waits]
--
--   path               string   below the server's URL, with its query
--   opts.body          string
--   opts.content_type  string   (default application/json)
--   opts.repeatable    boolean  may be sent again though it may have happened (default:
--                               all but POST)
--   opts.deadline      seconds  with all tries (default: what `new` was given)
--   opts.max_body      bytes    of the answer
--   opts.kind          string   for on_request
--   err                conflict, notfound, denied, gone, busy, invalid, timeout ...; as
--                      `failure` says; err.unclear: an earlier try may have happened
function methods:send(method, path, opts)
  local call = {
    method = method,
    path = path,
    opts = opts,
    deadline = time.monotonic() + (opts.deadline or self.deadline),
    repeatable = opts.repeatable or opts.repeatable == nil and method ~= "POST",
  }
  local pause, unclear, soon = self.pause, nil, time.monotonic() + self.webhook
  while true do
    local result, err = try(self, call)
    if result then
      return result
    end
    err.unclear = unclear or nil
    local surely_not = err.kind == "busy" or err.kind == "dns"
    if not surely_not and not (call.repeatable and is_unclear(err)) then
      return nil, err
    end
    unclear = unclear or not surely_not
    local wait = pause_before(self, err, pause) * (1 + 0.2 * math.random())
    local last = err.behind == "webhook" and math.min(soon, call.deadline)
      or call.deadline
    if time.monotonic() + wait >= last then
      return nil, err
    end
    task.sleep(wait)
    pause = math.min(pause * 2, PAUSE_MOST)
  end
end

--- requests:lines(path, opts) -> stream | nil, err                      [waits]
-- A GET that goes on; a stream of host.http, to be closed, on a connection of its own.
--
--   opts.idle      seconds  without a byte, after which it is taken to be dead
--   opts.max_line  bytes
--   opts.kind      string   for on_request, whose method is WATCH
function methods:lines(path, opts)
  local started = time.monotonic()
  local function open(again)
    local headers, err = headers_of(self, opts, again)
    local pool
    if headers then
      pool, err = pool_of(self)
    end
    if not pool then
      return nil, err
    end
    return pool:lines({
      url = self.config.url .. path,
      headers = headers,
      timeout = opts.idle,
      max_line = opts.max_line,
    })
  end
  local stream, err = open()
  if refused(not stream and err.answer, err) then
    stream, err = open(true)
  end
  local answer = not stream and err.answer
  if self.on_request then
    self.on_request("WATCH", opts.kind, stream and 200 or answer and answer.status or 0,
      time.monotonic() - started)
  end
  if answer then
    err = M.failure("WATCH " .. path:gsub("%?.*", ""), answer)
  end
  return stream, err
end

--- requests:close()
-- Requests that are under way go on.
function methods:close()
  if self.pool then
    self.pool:close()
  end
end

--- requests:in_line() -> int: requests that wait until others have ended
function methods:in_line()
  return self.line
end

--- requests.new(opts) -> requests, to be closed | nil, err
--
--   opts.config, opts.fence, opts.on_request, opts.deadline  as kube.client's
--   opts.meter  kube.meter, optional: of what the running task works for (task.label)
--   opts.pause  seconds before the second try (default 0.2)
--   opts.webhook  seconds for all tries while a webhook is down (default 10)
function M.new(opts)
  local self = setmetatable({
    config = opts.config,
    fence = opts.fence,
    on_request = opts.on_request,
    meter = opts.meter,
    deadline = opts.deadline or DEADLINE,
    pause = opts.pause or PAUSE_FIRST,
    webhook = opts.webhook or WEBHOOK,
    slots = task.semaphore(AT_ONCE),
    line = 0, -- tasks that wait for one
    warned = {},
    warnings = 0,
  }, mt)
  local pool, err = pool_of(self)
  return pool and self, err
end

return M
