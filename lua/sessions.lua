--- sessions: open sources, shared and counted. Not reloadable.
--
-- A source is opened for the first borrower and logged out when nobody has borrowed it
-- for a while. What makes it another one is in its key: the object's uid and
-- generation, and the Secret's version.

local task = require "host.task"

local methods = {}
local mt = { __name = "sessions", __index = methods }

local M = {}

local IDLE = 60 -- seconds

local function close_when_idle(self, key, entry)
  task.sleep(self.idle)
  if entry.borrowers == 0 and self.entries[key] == entry then
    self.entries[key] = nil
    entry.source:close()
  end
end

local function give_back(self, key, entry)
  entry.borrowers = entry.borrowers - 1
  if entry.borrowers == 0 and self.entries[key] == entry then
    entry.timer = task.spawn(close_when_idle, self, key, entry)
  end
end

-- What a borrower holds: the source's methods and fields, and a close that gives back.
local function borrowed(self, key, entry)
  local given = false
  entry.borrowers = entry.borrowers + 1
  if entry.timer then
    entry.timer:cancel(0)
    entry.timer = nil
  end
  local function close()
    if not given then
      given = true
      give_back(self, key, entry)
    end
  end
  return setmetatable({ close = close }, {
    __name = "borrowed source",
    __close = close,
    __index = function(_, name)
      local value = entry.source[name]
      if type(value) ~= "function" then
        return value
      end
      return function(_, ...)
        return value(entry.source, ...)
      end
    end,
  })
end

local function open(self, object, secret)
  local name = object.metadata.namespace .. "/" .. object.metadata.name
  return self.providers.open(object.kind, object.spec or {}, secret, {
    name = name,
    strict_tls = self.strict_tls,
    fingerprint = object.status and object.status.certificateFingerprint,
    poll = self.poll,
  })
end

--- sessions:open(ref) -> source | nil, err                              [waits]
-- To be closed, which gives it back.
--
--   ref  {kind, namespace, name} of a source object
--   err  notfound: no such object; denied, tls, connect ...: as the provider says
function methods:open(ref)
  local object, err = self.store:get(ref.kind, ref.namespace, ref.name)
  if not object then
    return nil, err
  end
  local credentials = object.spec and object.spec.credentials
  local secret = {}
  if credentials and credentials.name then
    secret, err = self.secret(credentials, object.metadata.namespace)
    if not secret then
      return nil, err
    end
  end
  local key = ("%s/%s/%s"):format(object.metadata.uid, object.metadata.generation,
    secret.version or "")
  local permit <close> = assert(self.opening:acquire())
  assert(permit)
  local entry = self.entries[key]
  if not entry or entry.source.closed then
    local source
    source, err = open(self, object, secret.data or {})
    if not source then
      return nil, err
    end
    entry = { source = source, borrowers = 0 }
    self.entries[key] = entry
  end
  return borrowed(self, key, entry)
end

--- sessions:close()
-- Logs out of all; the goodbyes are waited for by whoever joins the task.
function methods:close()
  for key, entry in pairs(self.entries) do
    self.entries[key] = nil
    if entry.timer then
      entry.timer:cancel(0)
    end
    entry.source:close()
  end
end

mt.__close = methods.close

--- sessions.new(opts) -> sessions, to be closed
--
--   opts.store       kube.client or store.directory
--   opts.secret      function (credentials, namespace) -> {data, version} | nil, err
--   opts.providers   providers/init.lua of the current generation
--   opts.strict_tls  boolean
--   opts.idle        seconds until an unused source is logged out (default 60)
--   opts.poll        seconds between two looks at a task of the source
function M.new(opts)
  return setmetatable({
    store = opts.store,
    secret = opts.secret,
    providers = opts.providers,
    strict_tls = opts.strict_tls,
    idle = opts.idle or IDLE,
    poll = opts.poll,
    entries = {},
    opening = task.semaphore(1),
  }, mt)
end

return M
