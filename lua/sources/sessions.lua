--- sources.sessions: open sources, shared and counted. Not reloadable.
--
-- A source is opened for the first borrower and logged out when nobody has borrowed it
-- for a while. What makes it another one is in its key: the object's uid and
-- generation, and the Secret's version. Opening one source holds up no other.

local errors = require "host.error"
local task = require "host.task"
local time = require "host.time"

local methods = {}
local mt = { __name = "sessions", __index = methods }

local M = {}

local IDLE = 60 -- seconds
local REMEMBERED = 2 -- seconds: steps of an import look at its source one after another

-- Calls that change something at the source: refused to a replica that does not lead.
local MUTATES = { power_off = true, shutdown_guest = true, export = true, cleanup = true }

local function end_session(entry)
  if entry.source then
    entry.source:close()
  end
  if entry.held then
    entry.held:close()
  end
end

-- Seconds until an unused one is logged out: at once when its code is not in force.
local function left_of(self, entry, now)
  if entry.users > 0 or not entry.idle_since then
    return nil
  end
  local wanted = not entry.code or entry.code.current
  return entry.idle_since + (wanted and self.idle or 0) - now
end

-- Logs out of what nobody wants any more; returns the seconds until the next is due.
local function reap(self)
  local now, next_in = time.monotonic(), nil
  for key, entry in pairs(self.entries) do
    local left = left_of(self, entry, now)
    if left and left <= 0 then
      self.entries[key] = nil
      end_session(entry)
    elseif left then
      next_in = math.min(next_in or left, left)
    end
  end
  return next_in
end

-- One task for all: it is not started by who gives back, which may be a closing value
-- of a cancelled task; whoever waits for that one's end would wait for this too.
local function watch(self)
  while true do
    self.given_back:wait(reap(self))
  end
end

-- One user less of the entry, who had a source or only waited for it.
local function leave(self, key, entry)
  entry.users = entry.users - 1
  if entry.users > 0 or self.entries[key] ~= entry then
    return
  end
  if entry.source then
    entry.idle_since = time.monotonic()
    self.given_back:notify()
  else
    self.entries[key] = nil
    end_session(entry)
  end
end

-- A borrowed source: its methods and fields, and a close that gives it back.
local function borrowed(self, key, entry)
  local given = false
  local source = entry.source
  local function close()
    if not given then
      given = true
      leave(self, key, entry)
    end
  end
  return setmetatable({ close = close }, {
    __name = "borrowed source",
    __close = close,
    __index = function(_, name)
      local value = source[name]
      if type(value) ~= "function" then
        return value
      end
      return function(_, ...)
        if MUTATES[name] and self.fence then
          local ok, err = self.fence()
          if not ok then
            return nil, err
          end
        end
        return value(source, ...)
      end
    end,
  })
end

local function name_of(object)
  return ("%s %s/%s"):format(object.kind, object.metadata.namespace, object.metadata.name)
end

-- Opens the entry's source unless somebody else has meanwhile.
local function fill(self, entry, object, secret, fresh)
  local permit <close> = assert(entry.gate:acquire())
  assert(permit)
  local there = entry.source and not entry.source.closed
  if there and not fresh then
    return true
  end
  local source, err = entry.providers.open(object.kind, object.spec or {}, secret, {
    name = object.metadata.namespace .. "/" .. object.metadata.name,
    strict_tls = self.strict_tls,
    files = self.files,
    fingerprint = object.status and object.status.certificateFingerprint,
    poll = self.poll,
    fence = self.fence,
  })
  if not source then
    return nil, errors.wrap(err, name_of(object))
  elseif there then
    source:close() -- it was only to see that this works still
    return true
  elseif self.closed then
    source:close()
    return nil, errors.new("cancelled", name_of(object) .. ": all sessions are closed")
  end
  entry.source = source
  return true
end

-- An entry holds the code that its source is of, as long as it is there.
local function entry_of(self, key, code)
  local entry = self.entries[key]
  if not entry then
    entry = {
      users = 0,
      gate = task.semaphore(1),
      code = code,
      held = code and code:hold(),
      providers = code and code:require("providers") or self.providers,
    }
    self.entries[key] = entry
  end
  return entry
end

local function borrow(self, entry, key, object, secret, fresh)
  entry.users = entry.users + 1
  local source
  local guard <close> = setmetatable({}, { __close = function()
    if not source then
      leave(self, key, entry)
    end
  end })
  assert(guard)
  local ok, err = fill(self, entry, object, secret, fresh)
  if not ok then
    return nil, err
  end
  source = borrowed(self, key, entry)
  return source
end

-- A source's Secret, or an import's source, in another namespace is followed only where
-- the administrator's word says so.
local function may_follow(self, from, namespace, kind, name)
  if not self.follow or not from then
    return true
  end
  return self.follow(from, namespace, ("%s %s/%s"):format(kind, namespace, name))
end

local function secret_of(self, object)
  local credentials = object.spec and object.spec.credentials
  if not credentials or (credentials.name or "") == "" then
    return {}
  end
  local own, secret = object.metadata.namespace, nil
  local from = credentials.namespace
  local ok, err = may_follow(self, own, from ~= "" and from or own, "Secret",
    credentials.name)
  if ok then
    secret, err = self.secret(credentials, own)
  end
  if not secret then
    return nil, errors.wrap(err, name_of(object))
  end
  return secret
end

-- Who names a source that is not there hears its name, not a path of an API.
local function find(self, ref)
  local object, err = self.store:get(ref.kind, ref.namespace, ref.name)
  if not object and err.kind == "notfound" then
    err = errors.new("notfound", ("%s %s/%s does not exist"):format(ref.kind,
      ref.namespace, ref.name), { reason = "SourceNotFound" })
  end
  return object, err
end

-- The object and its Secret, as they are, or as they were a moment ago.
local function look(self, ref, fresh)
  local ok, refused = may_follow(self, ref.from, ref.namespace, ref.kind, ref.name)
  if not ok then
    return nil, refused
  end
  local id, now = ("%s %s/%s"):format(ref.kind, ref.namespace, ref.name), time.monotonic()
  for key, seen in pairs(self.seen) do
    self.seen[key] = now < seen.ends_at and seen or nil
  end
  local seen = not fresh and self.seen[id]
  if seen then
    return seen.object, seen.secret
  end
  local object, err = find(self, ref)
  local secret
  if object then
    secret, err = secret_of(self, object)
  end
  if not secret then
    return nil, err
  end
  self.seen[id] = { object = object, secret = secret, ends_at = now + self.remembered }
  return object, secret
end

--- sessions:open(ref, how) -> source | nil, err                         [waits]
-- To be closed, which gives it back.
--
--   ref        {kind, namespace, name} of a source object; from: the namespace of the
--              import that names it
--   how.fresh  boolean  log in anew, to see that this works (default false)
--   how.code   generation of site.code whose providers open it (default opts.providers);
--              sources of one generation are not shared with another's
--   err  notfound: no such object (err.reason SourceNotFound); denied, tls,
--        connect ...: as the provider says. Its message begins with the object's kind
--        and name; or as opts.follow says
function methods:open(ref, how)
  local object, secret = look(self, ref, how and how.fresh)
  if not object then
    return nil, secret
  end
  if not self.watcher then
    self.watcher = task.spawn("looks after open sources", watch, self)
  end
  local code = how and how.code
  local key = ("%s/%s/%s/%s"):format(object.metadata.uid, object.metadata.generation,
    secret.version or "", code and code.hash or "")
  local source, err = borrow(self, entry_of(self, key, code), key, object,
    secret.data or {}, how and how.fresh)
  if not source then
    self.seen = {} -- it may be what was looked up that is wrong
  end
  return source, err
end

--- sessions:refresh()
-- Other code is in force: what is open by code that is not, and unused, is logged out.
function methods:refresh()
  self.given_back:notify()
end

--- sessions:close()
-- Logs out of all; the goodbyes are waited for by whoever joins the task.
function methods:close()
  self.closed = true
  if self.watcher then
    self.watcher:cancel(0)
  end
  for key, entry in pairs(self.entries) do
    self.entries[key] = nil
    end_session(entry)
  end
end

mt.__close = methods.close

--- sessions.new(opts) -> sessions, to be closed
--
--   opts.store       kube.client or store.directory
--   opts.secret      function (credentials, namespace) -> {data, version} | nil, err
--   opts.follow      function (from, namespace, what) -> true | nil, err: may an object
--                    of the one namespace lead into the other (default: it may)
--   opts.providers   providers/init.lua, where open() is not told whose code to use
--   opts.strict_tls  boolean
--   opts.files       boolean  sources may be files of this machine (default false)
--   opts.fence       as the providers' (providers/init.lua)
--   opts.remembered  seconds in which a source and its Secret are not asked for again,
--                    except by who wants to log in anew (default 2)
--   opts.idle        seconds until an unused source is logged out (default 60)
--   opts.poll        seconds between two looks at a task of the source
function M.new(opts)
  return setmetatable({
    store = opts.store,
    secret = opts.secret,
    follow = opts.follow,
    providers = opts.providers,
    strict_tls = opts.strict_tls,
    files = opts.files,
    fence = opts.fence,
    idle = opts.idle or IDLE,
    remembered = opts.remembered or REMEMBERED,
    poll = opts.poll,
    entries = {},
    seen = {},
    given_back = task.signal(),
    closed = false,
  }, mt)
end

return M
