--- providers.vmware.soap: one vim25 method call: envelope, exchange, reply or fault.
--
-- Holds the session's cookie but knows no log-in: session.lua decides what a
-- NotAuthenticated means. A call is repeated here only when repeating is harmless.

local address = require "providers.address"
local bounds = require "providers.bounds"
local errors = require "host.error"
local faults = require "providers.vmware.faults"
local task = require "host.task"
local xml = require "host.xml"

local ENVELOPE = '<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope'
  .. ' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
  .. ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
  .. ' xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>%s</soapenv:Body>'
  .. "</soapenv:Envelope>\n"

-- Methods that may be sent again when it is not known whether they arrived.
-- ContinueRetrievePropertiesEx is not one: its token is good for one answer. A log-in
-- whose answer got lost leaves a session behind that nobody uses and that idles out.
local REPEATABLE = {
  CreateContainerView = true,
  CurrentTime = true,
  DestroyView = true,
  FindAllByUuid = true,
  FindByInventoryPath = true,
  FindByUuid = true,
  HasPrivilegeOnEntity = true,
  HttpNfcLeaseGetManifest = true,
  HttpNfcLeaseSetManifestChecksumType = true,
  Login = true,
  QueryEvents = true,
  RetrievePropertiesEx = true,
  RetrieveServiceContent = true,
  SearchDatastore_Task = true,
}
-- Methods that change something at vSphere: only the replica that leads sends them.
local MUTATES = {
  ExportVm = true,
  HttpNfcLeaseAbort = true,
  HttpNfcLeaseComplete = true,
  HttpNfcLeaseProgress = true,
  PowerOffVM_Task = true,
  ShutdownGuest = true,
}
-- Methods whose answers hold many objects, or large ones.
local LARGE = {
  ContinueRetrievePropertiesEx = true,
  FindAllByUuid = true,
  QueryEvents = true,
  RetrievePropertiesEx = true,
}
local BACKOFF = { 1, 2, 4 } -- seconds before each repetition
local PASSING = { [429] = true, [502] = true, [503] = true, [504] = true }

local methods = {}
local mt = { __name = "vmware.soap", __index = methods }

local M = {}

local encode

-- The elements of a list of {name, value} pairs.
local function encode_all(out, pairs_list)
  for _, pair in ipairs(pairs_list) do
    encode(out, pair[1], pair[2])
  end
end

local function escape(out, text)
  local escaped, err = xml.escape(text)
  if not escaped then
    out.err = out.err or err
  end
  return escaped or ""
end

-- One element; `value` is a string, number, boolean, reference or list of pairs.
function encode(out, name, value)
  local attributes = ""
  if type(value) ~= "table" then
    out[#out + 1] = ("<%s>%s</%s>"):format(name, escape(out, tostring(value)), name)
    return
  end
  if value.xsi then
    attributes = (' xsi:type="%s"'):format(value.xsi)
  end
  if value.value then
    out[#out + 1] = ('<%s type="%s">%s</%s>'):format(
      name, escape(out, value.type), escape(out, value.value), name)
    return
  end
  out[#out + 1] = "<" .. name .. attributes .. ">"
  encode_all(out, value)
  out[#out + 1] = "</" .. name .. ">"
end

--- soap.envelope(method, args) -> text | nil, err
--
--   method  string  "HttpNfcLeaseProgress"
--   args    table   _this = {type, value}, then {name, value} pairs in the order of the
--                   API reference. A value is a string, an integer, a boolean, a
--                   reference {type, value}, or again a list of pairs, whose field `xsi`
--                   names a derived type
--   err     invalid  a text has a character that XML cannot carry; it is not shown
function M.envelope(method, args)
  local out = { ('<%s xmlns="urn:vim25">'):format(method) }
  encode(out, "_this", args._this)
  encode_all(out, args)
  out[#out + 1] = ("</%s>"):format(method)
  if out.err then
    return nil, errors.new("invalid", method .. ": an argument holds a control character")
  end
  return ENVELOPE:format(table.concat(out))
end

--- soap.new(opts) -> soap
--
--   opts.pool     host.http pool, of this source alone
--   opts.url      string   https://vc.example.com/sdk
--   opts.version  string   the API version to speak
--   opts.backoff  seconds  list: before each repetition  (default 1, 2, 4)
--   opts.fence    function () -> true or a time of time.boottime() | nil, err: may
--                          anything be changed, until when? (default: always)
function M.new(opts)
  return setmetatable({
    pool = opts.pool,
    url = opts.url,
    version = opts.version,
    backoff = opts.backoff or BACKOFF,
    fence = opts.fence,
    cookie = nil,
  }, mt)
end

-- Keeps the session cookie as the server wrote it, quotes and all.
local function keep_cookie(soap, response)
  local line = response.headers["set-cookie"]
  local value = line and (line:match('vmware_soap_session=("[^"]*")')
    or line:match("vmware_soap_session=([^;,%s]+)"))
  if value then
    soap.cookie = "vmware_soap_session=" .. value
  end
end

local function bound_of(method)
  return LARGE[method] and bounds.PAGE or bounds.ANSWER
end

-- The element in the answer's Body, or nil, err for anything but a reply.
local function read(soap, method, response)
  local what = method .. " at " .. soap.url
  if response.status ~= 200 and response.status ~= 500 then
    return nil, errors.new("http", ("%s: %s"):format(what, address.answered(response)),
      { status = response.status })
  end
  local document, err = xml.parse(response.body, {
    what = what, max_memory = bound_of(method).max_memory,
  })
  local body = document and xml.child(document, "Body")
  local reply = body and body[1]
  if not reply then
    return nil, errors.new(response.status == 500 and "http" or "format",
      ("%s: %s, and that is no SOAP%s"):format(what, address.answered(response),
        err and " (" .. err.message .. ")" or ""), { status = response.status })
  end
  if reply.name == "Fault" then
    return nil, faults.of_reply(method, reply)
  end
  return reply
end

-- Until when the call may be sent: true, a time of time.boottime(), or nil, err.
local function may_send(soap, method)
  if not MUTATES[method] or not soap.fence then
    return true
  end
  return soap.fence()
end

-- One exchange, as it comes.
local function exchange(soap, method, text, opts)
  local before, refused = may_send(soap, method)
  if not before then
    return nil, errors.wrap(refused, method)
  end
  local headers = {
    ["Content-Type"] = 'text/xml; charset="utf-8"',
    ["SOAPAction"] = ('"urn:vim25/%s"'):format(soap.version),
    ["Cookie"] = soap.cookie,
  }
  local response, err = soap.pool:request {
    method = "POST", url = soap.url, headers = headers, body = text,
    timeout = opts.timeout or 60, total_timeout = opts.total_timeout or bounds.SECONDS,
    max_body = bound_of(method).max_body,
    once = not REPEATABLE[method],
    before = before ~= true and before or nil,
  }
  if not response then
    if err.kind == "cancelled" then -- the fence has ended meanwhile
      local _, ended = may_send(soap, method)
      err = ended or err
    end
    return nil, errors.wrap(err, method)
  end
  keep_cookie(soap, response)
  local reply, why = read(soap, method, response)
  if reply then
    why = faults.inside(method, reply)
  end
  if why then
    return nil, why
  end
  return reply
end

--- soap.passing(err) -> boolean
-- Whether `err` is of the transport and likely to pass by itself.
function M.passing(err)
  if err.code or err.final then
    return false
  end
  if err.kind == "http" then
    return err.status == nil or PASSING[err.status] or false
  end
  return err.kind == "connect" or err.kind == "timeout" or err.kind == "dns"
end

--- soap:call(method, args, opts) -> reply | nil, err                    [waits]
-- Calls `method`; one that may be repeated is, 3 times, when the transport fails; not
-- what was refused for its size or shape.
--
--   args   table  as soap.envelope's
--   opts   table  timeout  seconds  of silence                  (default 60)
--                 total_timeout  seconds                        (default 180)
--                 once     boolean  do not repeat it            (default false)
--   reply  node   the <METHODResponse> element; see xml.child(reply, "returnval")
--   err    as faults.lua has it: kind, code = the fault's type; or of the transport
--
-- Source: vSphere Web Services API over SOAP 1.1.
function methods:call(method, args, opts)
  opts = opts or {}
  local text, invalid = M.envelope(method, args)
  if not text then
    return nil, invalid
  end
  local reply, err = exchange(self, method, text, opts)
  if REPEATABLE[method] and not opts.once then
    for _, pause in ipairs(self.backoff) do
      if reply or not M.passing(err) or bounds.is_refused(err) then
        break
      end
      task.sleep(pause)
      reply, err = exchange(self, method, text, opts)
    end
  end
  return reply, err
end

--- soap:forget()
-- Drops the cookie: the next call is one of a new session.
function methods:forget()
  self.cookie = nil
end

return M
