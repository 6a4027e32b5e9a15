local errors = require "host.error"
local soap = require "providers.vmware.soap"
local vsphere = require "support.vsphere"
local xml = require "host.xml"

local INSTANCE = { type = "ServiceInstance", value = "ServiceInstance" }

local function client(answers)
  local fake = vsphere.new(answers)
  return soap.new {
    pool = fake.pool {}, url = "https://vc.example.com/sdk", version = "7.0.3.0",
    backoff = { 0.001, 0.001, 0.001 },
  }, fake
end

-- The element that was sent, parsed back.
local function sent(text)
  return xml.child(assert(xml.parse(text, {})), "Body")[1]
end

describe("soap.envelope", function()
  it("carries every character of a name or password", function()
    local password = [[p&ss<w>"ö%s '\]]
    local login = sent(assert(soap.envelope("Login", {
      _this = { type = "SessionManager", value = "SessionManager" },
      { "userName", [[VSPHERE.LOCAL\administrator]] },
      { "password", password },
    })))
    assert.equal("Login", login.name)
    assert.equal("urn:vim25", login.ns)
    assert.equal("SessionManager", login[1].attrs.type)
    assert.equal([[VSPHERE.LOCAL\administrator]], login[2].text)
    assert.equal(password, login[3].text)
  end)

  it("keeps the order of arguments, and types values", function()
    local call = sent(assert(soap.envelope("Method", {
      _this = INSTANCE,
      { "percent", 10 },
      { "recursive", true },
      { "obj", { type = "VirtualMachine", value = "session[a]&b" } },
      { "selectSet", { xsi = "TraversalSpec", { "path", "view" } } },
    })))
    assert.equal("10", call[2].text)
    assert.equal("true", call[3].text)
    assert.equal("session[a]&b", call[4].text)
    assert.equal("VirtualMachine", call[4].attrs.type)
    assert.equal("TraversalSpec", xml.type(call[5]))
    assert.equal("view", xml.child_text(call[5], "path"))
  end)

  it("refuses what XML cannot carry, without showing it", function()
    local text, err = soap.envelope("Login",
      { _this = INSTANCE, { "password", "s3\1ret" } })
    assert.is_nil(text)
    assert.equal("invalid", err.kind)
    assert.is_nil(err.message:find("ret", 1, true))
  end)
end)

describe("soap:call", function()
  it("asks in the version it was given and returns the reply", function()
    local s, fake = client { RetrieveServiceContent = vsphere.data("service_content") }
    local reply = assert(s:call("RetrieveServiceContent", { _this = INSTANCE }))
    assert.equal("RetrieveServiceContentResponse", reply.name)
    assert.equal('"urn:vim25/7.0.3.0"', fake.calls[1].headers.SOAPAction)
    assert.truthy(fake.calls[1].headers["Content-Type"]:find("text/xml", 1, true))
  end)

  it("sends the session's cookie back as it came, quotes and all", function()
    local cookie = 'vmware_soap_session="0c1f-77"'
    local s, fake = client {
      Login = { body = vsphere.data("login"),
        headers = { ["set-cookie"] = cookie .. "; Path=/; HttpOnly; Secure" } },
      CurrentTime = vsphere.reply("CurrentTime"),
    }
    assert(s:call("Login", { _this = INSTANCE }))
    assert(s:call("CurrentTime", { _this = INSTANCE }))
    assert.is_nil(fake.calls[1].headers.Cookie)
    assert.equal(cookie, fake.calls[2].headers.Cookie)
    s:forget()
    assert(s:call("CurrentTime", { _this = INSTANCE }))
    assert.is_nil(fake.calls[3].headers.Cookie)
  end)

  it("knows a fault by its xsi:type, whatever its element is called", function()
    local s = client { ExportVm = vsphere.data("export_refused", {
      ["<InvalidPowerStateFault"] = "<InvalidStateFault",
      ["</InvalidPowerStateFault"] = "</InvalidStateFault",
    }) }
    local reply, err = s:call("ExportVm", { _this = INSTANCE })
    assert.is_nil(reply)
    assert.equal("InvalidPowerState", err.code)
    assert.equal("busy", err.kind)
    assert.equal("poweredOn", err.existing)
    assert.truthy(err.message:find("Powered on", 1, true))
  end)

  it("has words for a fault without any", function()
    local s = client { CurrentTime = vsphere.data("not_authenticated") }
    local _, err = s:call("CurrentTime", { _this = INSTANCE })
    assert.equal("NotAuthenticated", err.code)
    assert.equal("denied", err.kind)
    assert.equal("System.View", err.privilege)
    assert.truthy(err.message:find("not logged in", 1, true))
  end)

  it("sees a NotAuthenticated that hides in a reply", function()
    local s = client { RetrievePropertiesEx = vsphere.data("unknown_property", {
      ['"InvalidProperty"'] = '"NotAuthenticated"',
    }) }
    local reply, err = s:call("RetrievePropertiesEx", { _this = INSTANCE })
    assert.is_nil(reply)
    assert.equal("NotAuthenticated", err.code)
  end)

  it("repeats a read until the transport has recovered", function()
    local s, fake = client { CurrentTime = {
      { status = 503, body = "<html>" }, errors.new("connect", "reset"),
      { status = 502, body = "" }, vsphere.reply("CurrentTime"),
    } }
    assert(s:call("CurrentTime", { _this = INSTANCE }))
    assert.equal(4, fake.count.CurrentTime)
  end)

  it("gives up after three repetitions, with what came last", function()
    local s, fake = client { CurrentTime = { status = 503, body = "x" } }
    local _, err = s:call("CurrentTime", { _this = INSTANCE })
    assert.equal("http", err.kind)
    assert.equal(503, err.status)
    assert.equal(4, fake.count.CurrentTime)
  end)

  it("never repeats what would happen twice", function()
    local s, fake = client { PowerOffVM_Task = { status = 503, body = "x" },
      ContinueRetrievePropertiesEx = errors.new("connect", "reset") }
    assert.is_nil((s:call("PowerOffVM_Task", { _this = INSTANCE })))
    assert.is_nil((s:call("ContinueRetrievePropertiesEx", { _this = INSTANCE })))
    assert.equal(1, fake.count.PowerOffVM_Task)
    assert.equal(1, fake.count.ContinueRetrievePropertiesEx)
  end)

  it("never repeats a fault, nor a page that is no answer", function()
    local s, fake = client { CurrentTime = vsphere.data("not_authenticated"),
      FindByUuid = { status = 200, body = "<html><body>proxy error<br></body>" } }
    s:call("CurrentTime", { _this = INSTANCE })
    local _, err = s:call("FindByUuid", { _this = INSTANCE })
    assert.equal("format", err.kind)
    assert.equal(1, fake.count.CurrentTime)
    assert.equal(1, fake.count.FindByUuid)
  end)

  it("says what came where it is no SOAP, and why that cannot be read", function()
    for body, words in pairs { ["<a/>"] = "and that is no SOAP$",
      ["oops <"] = "no SOAP %(.+%)$" } do
      for status, kind in pairs { [200] = "format", [500] = "http" } do
        local s = client { CurrentTime = { status = status, body = body } }
        local _, err = s:call("CurrentTime", { _this = INSTANCE }, { once = true })
        assert.equal(kind, err.kind)
        assert.equal(status, err.status)
        assert.matches(words, err.message)
      end
    end
  end)

  it("asks the fence before what changes something, and before nothing else", function()
    local asked = 0
    local fake = vsphere.new({ PowerOffVM_Task = vsphere.data("power_off"),
      Logout = vsphere.data("logout") })
    local soap_client = soap.new {
      pool = fake.pool {}, url = "https://vc.example.com/sdk", version = "7.0.3.0",
      fence = function()
        asked = asked + 1
        return nil, errors.new("conflict", "leads no more", { reason = "NotLeader" })
      end,
    }
    assert(soap_client:call("Logout", { _this = INSTANCE }))
    assert.equal(0, asked)
    local reply, err = soap_client:call("PowerOffVM_Task", { _this = INSTANCE })
    assert.is_nil(reply)
    assert.equal("NotLeader", err.reason)
    assert.equal(1, asked)
    assert.is_nil(fake.count.PowerOffVM_Task)
  end)
end)

describe("soap:call, by method", function()
  for _, method in ipairs { "CreateContainerView", "CurrentTime", "DestroyView",
    "FindAllByUuid", "FindByInventoryPath", "FindByUuid", "HasPrivilegeOnEntity",
    "HttpNfcLeaseGetManifest", "HttpNfcLeaseSetManifestChecksumType", "Login", "QueryEvents",
    "RetrievePropertiesEx", "RetrieveServiceContent", "SearchDatastore_Task" } do
    it("sends again what does no harm twice: " .. method, function()
      local s, fake = client { [method] = { { status = 503, body = "" },
        vsphere.reply(method) } }
      assert(s:call(method, { _this = INSTANCE }))
      assert.equal(2, fake.count[method])
    end)
  end

  -- A client whose pool sees requests, and one fence.
  local function fenced(fence, answer)
    local seen = {}
    local pool = { request = function(_, request)
      seen[#seen + 1] = request
      return answer()
    end }
    return soap.new { pool = pool, url = "https://vc/sdk", version = "7.0.3.0",
      backoff = {}, fence = fence }, seen
  end

  for _, method in ipairs { "ExportVm", "HttpNfcLeaseAbort", "HttpNfcLeaseComplete",
    "HttpNfcLeaseProgress", "PowerOffVM_Task", "ShutdownGuest" } do
    it("lets the transport repeat nothing that changes something: " .. method, function()
      local s, seen = fenced(nil, function()
        return { status = 200, headers = {}, body = vsphere.reply(method) }
      end)
      assert(s:call(method, { _this = INSTANCE }))
      assert.is_true(seen[1].once)
      assert(s:call("CurrentTime", { _this = INSTANCE }, { timeout = 7, total_timeout = 9 }))
      assert.is_false(seen[2].once)
      assert.same({ 60, 7, 9 }, { seen[1].timeout, seen[2].timeout, seen[2].total_timeout })
    end)

    it("sends only while it leads what changes something: " .. method, function()
      local s, seen = fenced(function() return 42 end, function()
        return { status = 200, headers = {}, body = vsphere.reply(method) }
      end)
      assert(s:call(method, { _this = INSTANCE }))
      assert.equal(42, seen[1].before)
      assert(s:call("CurrentTime", { _this = INSTANCE }))
      assert.is_nil(seen[2].before)
      s = fenced(function() return nil, errors.new("conflict", "no", { reason = "NotLeader" }) end)
      local _, err = s:call(method, { _this = INSTANCE })
      assert.equal("NotLeader", err.reason)
    end)
  end

  it("says why, where it has ceased to lead on the way", function()
    local leads = true
    local s = fenced(function()
      return leads and 42 or nil, errors.new("conflict", "leads no more", { reason = "NotLeader" })
    end, function()
      leads = false
      return nil, errors.new("cancelled", "too late")
    end)
    local _, err = s:call("ExportVm", { _this = INSTANCE })
    assert.equal("NotLeader", err.reason)
    s = fenced(function() return true end, function()
      return nil, errors.new("cancelled", "ended")
    end)
    _, err = s:call("ExportVm", { _this = INSTANCE })
    assert.equal("cancelled", err.kind)
  end)

  it("takes a cookie without quotes, too", function()
    local s, fake = client { Login = { body = vsphere.data("login"),
      headers = { ["set-cookie"] = "vmware_soap_session=0c1f; Path=/" } },
      CurrentTime = vsphere.reply("CurrentTime") }
    assert(s:call("Login", { _this = INSTANCE }))
    assert(s:call("CurrentTime", { _this = INSTANCE }))
    assert.equal("vmware_soap_session=0c1f", fake.calls[2].headers.Cookie)
  end)
end)

describe("soap.passing", function()
  it("is what the transport may get over", function()
    for _, kind in ipairs { "connect", "timeout", "dns", "http" } do
      assert.is_true(soap.passing(errors.new(kind, "x")))
      assert.is_false(soap.passing(errors.new(kind, "x", { code = "Fault" })))
      assert.is_false(soap.passing(errors.final(errors.new(kind, "x"))))
    end
    for status, passes in pairs { [429] = true, [502] = true, [503] = true, [504] = true,
      [500] = false, [404] = false } do
      assert.equal(passes, soap.passing(errors.new("http", "x", { status = status })))
    end
    assert.is_false(soap.passing(errors.new("tls", "x")))
  end)
end)
