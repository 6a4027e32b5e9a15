--- support.vsphere: stands in for host.http in front of a vSphere, from recorded answers.
--
-- fake.answers[METHOD] is a list of answers, taken in turn, the last one again and again;
-- or a function(body) -> answer. An answer is the text of a body, a table {status, body,
-- headers}, or an err.

local task = require "host.task"
local xml = require "host.xml"

local M = {}

--- vsphere.data(name, changes) -> text
-- A recorded answer of spec/data/vsphere; each key of `changes` (plain text) replaced.
function M.data(name, changes)
  local file = assert(io.open(("spec/data/vsphere/%s.xml"):format(name)))
  local text = file:read("a")
  file:close()
  for from, to in pairs(changes or {}) do
    local at, last = text:find(from, 1, true)
    assert(at, from .. " is not in " .. name)
    text = text:sub(1, at - 1) .. to .. text:sub(last + 1)
  end
  return text
end

local function envelope(inner)
  return '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"'
    .. ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>'
    .. inner .. "</e:Body></e:Envelope>"
end

--- vsphere.fault(type, message, inner) -> answer
function M.fault(type, message, inner)
  return envelope(('<e:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s'
    .. '</faultstring><detail><%sFault xmlns="urn:vim25" xsi:type="%s">%s</%sFault>'
    .. "</detail></e:Fault>"):format(message or "", type, type, inner or "", type))
end

--- vsphere.reply(method, inner) -> answer
function M.reply(method, inner)
  return envelope(('<%sResponse xmlns="urn:vim25">%s</%sResponse>'):format(method,
    inner or "", method))
end

-- One property: text, {type, value} for a reference, {raw = xml}.
local function property(name, value)
  local text = value
  if type(value) == "table" then
    text = value.raw
  end
  if not text then
    return ('<propSet><name>%s</name><val type="%s">%s</val></propSet>'):format(name,
      value.type, value.value)
  end
  return ("<propSet><name>%s</name><val>%s</val></propSet>"):format(name, text)
end

--- vsphere.objects(list) -> answer
-- Of RetrievePropertiesEx: list of {type, value, props = {path -> value}}.
function M.objects(list)
  local out = {}
  for _, object in ipairs(list) do
    out[#out + 1] = ('<objects><obj type="%s">%s</obj>'):format(object.type, object.value)
    for name, value in pairs(object.props) do
      out[#out + 1] = property(name, value)
    end
    out[#out + 1] = "</objects>"
  end
  return M.reply("RetrievePropertiesEx",
    "<returnval>" .. table.concat(out) .. "</returnval>")
end

--- vsphere.props(...) -> {path -> val node}
-- The properties in recorded answers of RetrievePropertiesEx.
function M.props(...)
  local props = {}
  for _, text in ipairs { ... } do
    local body = xml.child(assert(xml.parse(text, {})), "Body")
    for _, object in ipairs(xml.children(xml.child(body[1], "returnval"), "objects")) do
      for _, set in ipairs(xml.children(object, "propSet")) do
        props[xml.child_text(set, "name")] = xml.child(set, "val")
      end
    end
  end
  return props
end

local function answered(answer)
  if type(answer) == "table" and answer.kind then
    return nil, answer
  end
  if type(answer) == "string" then
    answer = { body = answer }
  end
  local fault = answer.body:find("Fault>", 1, true)
  return {
    status = answer.status or (fault and 500 or 200),
    headers = answer.headers or {},
    body = answer.body,
    certificate = answer.certificate,
  }
end

--- vsphere.new(answers) -> fake
--
--   fake.pool(opts)  as host.http's; fake.pools lists the opts
--   fake.calls       list of {method, body, headers}, in order
--   fake.count       {method -> number of calls}
function M.new(answers)
  local fake = { answers = answers or {}, calls = {}, count = {}, pools = {}, closed = 0 }

  local function request(_, opts)
    local method = opts.body and opts.body:match("<soapenv:Body><([%w_]+)") or "versions"
    local n = (fake.count[method] or 0) + 1
    fake.count[method] = n
    fake.calls[#fake.calls + 1] = {
      method = method, body = opts.body, headers = opts.headers, url = opts.url,
    }
    task.sleep(0) -- as any exchange, it lets others run
    local answer = fake.answers[method]
    if type(answer) == "function" then
      answer = answer(opts.body, n)
    elseif type(answer) == "table" and answer[1] then
      answer = answer[math.min(n, #answer)]
    end
    return answered(answer or M.fault("MethodNotFound", method .. " is not expected"))
  end

  function fake.pool(opts)
    fake.pools[#fake.pools + 1] = opts
    return {
      request = request,
      close = function()
        fake.closed = fake.closed + 1
      end,
    }
  end

  return fake
end

local VERSIONS = '<namespaces version="1.0"><namespace><name>urn:vim25</name>'
  .. "<version>7.0.3.0</version><priorVersions><version>6.7</version></priorVersions>"
  .. "</namespace></namespaces>"

--- vsphere.logged_in(answers) -> session, fake
-- A session over a fake server, already logged in.
function M.logged_in(answers)
  local session = require "providers.vmware.session"
  local fake = M.new(answers)
  for method, answer in pairs {
    RetrieveServiceContent = M.data("service_content"),
    Login = { body = M.data("login"), headers = {
      ["set-cookie"] = 'vmware_soap_session="fb119da5"; Path=/; HttpOnly; Secure',
    } },
    Logout = M.data("logout"),
  } do
    fake.answers[method] = fake.answers[method] or answer
  end
  local opened = assert(session.open {
    pool = fake.pool {}, url = "https://vc.example.com/sdk", versions = { "7.0.3.0" },
    username = "administrator", password = "s3cret", backoff = { 0.001, 0.001 },
  })
  return opened, fake
end

M.VERSIONS = VERSIONS

return M
