--- providers.vmware.session: one log-in to a vSphere API, renewed when it is dropped.
--
-- A dropped session takes its leases and views along: calls about those are made with
-- `bound`, which never logs in again but says that they are gone.

local errors = require "host.error"
local soap = require "providers.vmware.soap"
local task = require "host.task"
local xml = require "host.xml"

local INSTANCE = { type = "ServiceInstance", value = "ServiceInstance" }
local NEEDED = { "propertyCollector", "rootFolder", "searchIndex", "sessionManager",
  "viewManager" }
local FAREWELL = 10 -- seconds that a log-out may take

local methods = {}
local mt = { __name = "vmware.session", __index = methods }

local M = {}

--- session.reference(node) -> {type, value} | nil
-- A managed object reference as the API writes it; one without a type is none.
function M.reference(node)
  if not node or node.text == "" or not node.attrs.type then
    return nil
  end
  return { type = node.attrs.type, value = node.text }
end

--- session.returned(reply, method) -> {type, value} | nil, err
-- The one reference that a method returns.
--
--   err  format  it returns none, or two
function M.returned(reply, method)
  local all = xml.children(reply, "returnval")
  local ref = M.reference(all[1])
  if not ref or #all > 1 then
    return nil, errors.new("format", ("%s: not the answer of a vSphere API: returnval is "
      .. "%s"):format(method, #all > 1 and "there twice" or "no reference"))
  end
  return ref
end

-- What is often wrong with a name or a password that looks right.
local function hint(session)
  local name = session.username
  if name:find("^%s") or name:find("%s$") or session.password:find("^%s")
    or session.password:find("%s$") then
    return " (one of them begins or ends with a blank)"
  elseif session.content.api_type == "VirtualCenter" and not name:find("[@\\]") then
    return " (the user name has no domain: a vCenter wants one, as in NAME@vsphere.local)"
  end
  return ""
end

local function log_in(session)
  session.soap:forget()
  local reply, err = session.soap:call("Login", {
    _this = session.content.sessionManager,
    { "userName", session.username },
    { "password", session.password },
  })
  if reply then
    local user = xml.child(reply, "returnval")
    session.key = user and xml.child_text(user, "key")
    session.generation = session.generation + 1
    return true
  end
  if err.code == "InvalidLogin" then
    err = errors.final(errors.new("denied", "logging in: the server refuses the user "
      .. "name or the password of the Secret; correct them there" .. hint(session),
      { code = err.code }))
  end
  err.check = "login"
  return nil, err
end

-- Something answers that is no vSphere API, and no fault of one.
local function no_content(err)
  if (err.kind == "http" or err.kind == "format") and err.status and not err.code
    and not soap.passing(err) then
    err = errors.new(err.kind, ("%s; spec.endpoint must be the URL of the vSphere API, "
      .. "https://HOST/sdk"):format(err.message), { status = err.status })
  end
  err.check = "version"
  return err
end

-- The singletons and the product, from the first version that is understood.
local function service_content(session, versions)
  local reply, err
  for _, version in ipairs(versions) do
    session.soap.version = version
    reply, err = session.soap:call("RetrieveServiceContent", { _this = INSTANCE })
    if reply or not (err.code and (err.code .. err.message):find("[Vv]ersion")) then
      break
    end
  end
  local content = reply and xml.child(reply, "returnval")
  if not content then
    err = err or errors.new("format", "RetrieveServiceContent: an empty answer")
    return nil, no_content(err)
  end
  local found = {}
  for _, node in ipairs(content) do
    found[node.name] = M.reference(node)
  end
  for _, name in ipairs(NEEDED) do
    if not found[name] then
      return nil, no_content(errors.new("format", "RetrieveServiceContent: not the "
        .. "answer of a vSphere API: " .. name .. " is no reference"))
    end
  end
  local about = xml.child(content, "about")
  found.api_type = about and xml.child_text(about, "apiType")
  found.api_version = about and xml.child_text(about, "apiVersion") or "0"
  found.product = about and xml.child_text(about, "fullName")
  return found
end

--- session.open(opts) -> session | nil, err                             [waits]
-- Reads what the server is and logs in.
--
--   opts.pool      host.http pool; the session closes it
--   opts.url       string
--   opts.versions  list    API versions, newest first
--   opts.username, opts.password  string
--   opts.backoff   seconds list, for tests
--   opts.fence     as soap.new's
--   err  denied  refused; err.check = "login", final
--        any of soap:call; err.check = "version" or "login"
function M.open(opts)
  local session = setmetatable({
    soap = soap.new { pool = opts.pool, url = opts.url, backoff = opts.backoff,
      fence = opts.fence },
    pool = opts.pool,
    username = opts.username,
    password = opts.password,
    generation = 0,         -- how often it has logged in
    gate = task.semaphore(1),
    goodbyes = {},          -- tasks that a log-out must wait for
    closed = false,
  }, mt)
  local content, err = service_content(session, opts.versions)
  if not content then
    return nil, err
  end
  session.content = content
  local ok, why = log_in(session)
  if not ok then
    return nil, why
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

--- session:call(method, args, opts) -> reply | nil, err                 [waits]
-- soap:call within the session: one that has been dropped is renewed, once.
--
--   opts.bound  integer  session.generation that `args` belongs to; when the session is
--                        another by now, or ends here, err is of kind gone
function methods:call(method, args, opts)
  local generation, bound = self.generation, opts and opts.bound
  if bound and bound ~= generation then
    return nil, errors.new("gone", method .. ": the session it belongs to has ended",
      { code = "SessionEnded" })
  end
  local reply, err = self.soap:call(method, args, opts)
  if reply or err.code ~= "NotAuthenticated" then
    return reply, err
  end
  local ok, why = renew(self, generation)
  if bound then
    return nil, errors.new("gone", method .. ": the server has ended the session",
      { code = "SessionEnded" })
  end
  if not ok then
    return nil, why
  end
  return self.soap:call(method, args, opts)
end

--- session:goodbye(fn, ...) -> task
-- Runs fn(...) as a goodbye; the log-out waits for it.
function methods:goodbye(fn, ...)
  local t = task.goodbye("goodbye to vSphere", fn, ...)
  local pending = { t }
  for _, other in ipairs(self.goodbyes) do
    if not other:done() then
      pending[#pending + 1] = other
    end
  end
  self.goodbyes = pending
  return t
end

local function farewell(session)
  for _, t in ipairs(session.goodbyes) do
    t:join()
  end
  session.soap:call("Logout", { _this = session.content.sessionManager },
    { total_timeout = FAREWELL })
  session.pool:close()
end

--- session:close()
-- Logs out, as a goodbye, after the goodbyes of what was opened in the session.
function methods:close()
  if not self.closed then
    self.closed = true
    task.goodbye("logs out", farewell, self)
  end
end

mt.__close = methods.close

return M
