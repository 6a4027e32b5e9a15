local errors = require "host.error"
local task = require "host.task"
local session_of = require "providers.vmware.session"
local vsphere = require "support.vsphere"

local INSTANCE = { _this = { type = "ServiceInstance", value = "ServiceInstance" } }

local function open(answers, versions)
  local fake = vsphere.new(answers)
  return fake, session_of.open {
    pool = fake.pool {}, url = "https://vc.example.com/sdk",
    versions = versions or { "7.0.3.0" },
    username = "administrator", password = "s3cret", backoff = { 0.001 },
  }
end

describe("session.reference", function()
  it("is none where there is none, or an empty one", function()
    assert.is_nil(session_of.reference(nil))
    assert.is_nil(session_of.reference({ text = "", attrs = { type = "Task" } }))
    assert.same({ type = "Task", value = "task-7" },
      session_of.reference({ text = "task-7", attrs = { type = "Task" } }))
  end)
end)

-- What every server has, as names of an element's beginning and end.
local SINGLETONS = { "propertyCollector", "propertyCollector", "rootFolder", "rootFolder",
  "searchIndex", "searchIndex", "sessionManager", "sessionManager", "viewManager",
  "viewManager" }

describe("session.open", function()
  it("takes the singletons from the server, not from habit", function()
    local session = vsphere.logged_in({
      RetrieveServiceContent = vsphere.data("service_content",
        { [">SessionManager<"] = ">ha-sessionmgr<" }),
    })
    assert.equal("ha-sessionmgr", session.content.sessionManager.value)
    assert.equal("VirtualCenter", session.content.api_type)
    assert.equal("6.5", session.content.api_version)
  end)

  it("says that the log-in was refused, and keeps the password to itself", function()
    local _, session, err = open {
      RetrieveServiceContent = vsphere.data("service_content"),
      Login = vsphere.data("login_refused"),
    }
    assert.is_nil(session)
    assert.equal("denied", err.kind)
    assert.equal("login", err.check)
    assert.is_true(err.final)
    assert.is_nil(err.message:find("s3cret", 1, true))
    assert.is_nil(err.message:find("administrator", 1, true))
  end)

  -- What a vSphere is asked with, and what is said when it refuses.
  for words, case in pairs({
    ["NAME@vsphere.local"] = { username = "administrator" },
    ["one of them begins or ends with a blank"] = { username = "administrator@vsphere.local",
      password = "s3cret " },
    ["them begins or ends with a blank"] = { username = "administrator@vsphere.local",
      password = "\ts3cret" },
    ["begins or ends with a blank"] = { username = " administrator@vsphere.local" },
    ["ends with a blank"] = { username = "administrator@vsphere.local\n" },
    [""] = { username = "administrator@vsphere.local" },
    ["correct them there"] = { username = "root", api_type = "HostAgent" },
  }) do
    it(("of %q it says %q when it is refused"):format(case.username, words), function()
      local fake = vsphere.new { Login = vsphere.data("login_refused"),
        RetrieveServiceContent = vsphere.data("service_content",
          { [">VirtualCenter<"] = ">" .. (case.api_type or "VirtualCenter") .. "<" }) }
      local _, err = session_of.open { pool = fake.pool {}, url = "https://vc/sdk",
        versions = { "6.7" }, username = case.username,
        password = case.password or "s3cret", backoff = { 0.001 } }
      assert.equal("login", err.check)
      assert.truthy(err.message:find(words, 1, true), err.message)
      assert.equal(words:find("NAME", 1, true), err.message:find("NAME", 1, true) and 1)
      assert.falsy(err.message:find("s3cret", 1, true))
    end)
  end

  for words, answer in pairs({
    ["it redirects to https://vc/ui/ (302)"] = { status = 302, body = "",
      headers = { location = "https://vc/ui/" } },
    ["it answers with a web page (\"VMware\") (200)"] = { status = 200,
      body = "<html><title>VMware</title></html>" },
    ["HTTP status 404"] = { status = 404, body = "" },
    ["HTTP status 405"] = { status = 405, body = "no POST here" },
    ["it answers with a web page (500)"] = { status = 500, body = "<html>broken</html>" },
  }) do
    it("names the field where there is no vSphere: " .. words, function()
      local fake, session, err = open { RetrieveServiceContent = answer }
      assert.is_nil(session)
      assert.equal("version", err.check)
      assert.truthy(err.message:find(words, 1, true), err.message)
      assert.truthy(err.message:find("spec.endpoint must be the URL of the vSphere API", 1,
        true), err.message)
      assert.is_nil(fake.count.Login)
    end)
  end

  for words, answer in pairs({
    ["RetrieveServiceContent: an empty answer"] = vsphere.reply("RetrieveServiceContent"),
    ["RetrieveServiceContent: It is too early."] = vsphere.fault("OddFault", "It is too early."),
    ["RetrieveServiceContent at https://vc.example.com/sdk: HTTP status 503"] = {
      status = 503, body = "" },
  }) do
    it("blames no field for what may pass, or is a vSphere's own answer: " .. words, function()
      local _, session, err = open { RetrieveServiceContent = answer }
      assert.is_nil(session)
      assert.equal("version", err.check)
      assert.equal(words, err.message:sub(1, #words))
      assert.falsy(err.message:find("spec.endpoint", 1, true), err.message)
    end)
  end

  it("makes do with a server that tells nothing of itself or the session", function()
    local fake, session, err = open { Login = vsphere.reply("Login"),
      RetrieveServiceContent = vsphere.reply("RetrieveServiceContent",
        "<returnval>" .. ('<%s type="T">x</%s>'):rep(5):format(table.unpack(SINGLETONS))
          .. "</returnval>") }
    assert(session, err)
    assert.is_nil(session.key)
    assert.is_nil(session.content.product)
    assert.equal("0", session.content.api_version)
    assert.equal(1, fake.count.Login)
  end)

  it("falls back to an older version when the newest is not understood", function()
    local content = vsphere.data("service_content")
    local fake, session = open({
      RetrieveServiceContent = {
        vsphere.fault("VersionMismatchFaultCode", "Unsupported version URI"), content,
      },
      Login = vsphere.data("login"),
    }, { "9.9", "6.7" })
    assert(session)
    assert.equal('"urn:vim25/6.7"', fake.calls[3].headers.SOAPAction)
  end)

  it("does not retry a server that is not there at once", function()
    local fake, session, err = open {
      RetrieveServiceContent = { status = 404, body = "" },
    }
    assert.is_nil(session)
    assert.equal("version", err.check)
    assert.equal(1, fake.count.RetrieveServiceContent)
  end)
end)

describe("session:call", function()
  local lost = vsphere.data("not_authenticated")

  it("drops the cookie, logs in again and repeats the call", function()
    local session, fake = vsphere.logged_in {
      ShutdownGuest = { lost, vsphere.reply("ShutdownGuest") },
    }
    assert(session:call("ShutdownGuest", INSTANCE))
    assert.equal(2, fake.count.Login)
    for _, call in ipairs(fake.calls) do
      if call.method == "Login" then
        assert.is_nil(call.headers.Cookie)
      end
    end
    assert.truthy(fake.calls[#fake.calls].headers.Cookie)
  end)

  it("repeats nothing after any other fault", function()
    local session, fake = vsphere.logged_in { ShutdownGuest = vsphere.fault("NoPermission") }
    local _, err = session:call("ShutdownGuest", INSTANCE)
    assert.equal("NoPermission", err.code)
    assert.equal(1, fake.count.ShutdownGuest)
    assert.equal(1, fake.count.Login)
  end)

  it("repeats it once only", function()
    local session, fake = vsphere.logged_in { ShutdownGuest = lost }
    local _, err = session:call("ShutdownGuest", INSTANCE)
    assert.equal("NotAuthenticated", err.code)
    assert.equal(2, fake.count.ShutdownGuest)
  end)

  it("logs in once for all calls that met the same end", function()
    local session, fake = vsphere.logged_in {
      CurrentTime = function(_, n)
        return n <= 3 and lost or vsphere.reply("CurrentTime")
      end,
    }
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = task.spawn(function()
        return session:call("CurrentTime", INSTANCE)
      end)
    end
    for _, t in ipairs(tasks) do
      local ok, reply = t:join()
      assert(ok and reply)
    end
    assert.equal(2, fake.count.Login)
  end)

  it("does not repeat what belonged to the session that ended", function()
    local session, fake = vsphere.logged_in { HttpNfcLeaseProgress = lost }
    local bound = { bound = session.generation }
    local _, err = session:call("HttpNfcLeaseProgress", INSTANCE, bound)
    assert.equal("gone", err.kind)
    assert.equal("SessionEnded", err.code)
    assert.equal(2, fake.count.Login)
    _, err = session:call("HttpNfcLeaseProgress", INSTANCE, bound)
    assert.equal("gone", err.kind)
    assert.equal(1, fake.count.HttpNfcLeaseProgress)
  end)

  it("says why it could not log in again", function()
    local session, fake = vsphere.logged_in { CurrentTime = lost }
    fake.answers.Login = vsphere.data("login_refused")
    local _, err = session:call("CurrentTime", INSTANCE)
    assert.equal("denied", err.kind)
    assert.equal("InvalidLogin", err.code)
  end)
end)

describe("session:close", function()
  it("logs out after the goodbyes of what was opened in it", function()
    local session, fake = vsphere.logged_in {
      HttpNfcLeaseAbort = vsphere.data("abort"),
    }
    task.spawn(function()
      session:goodbye(function()
        task.sleep(0.005)
        session:call("HttpNfcLeaseAbort", INSTANCE)
      end)
      session:close()
    end):join()
    local last = #fake.calls
    assert.equal("HttpNfcLeaseAbort", fake.calls[last - 1].method)
    assert.equal("Logout", fake.calls[last].method)
    assert.equal(1, fake.closed)
  end)

  it("logs out after all of them, whichever ends first", function()
    local session, fake = vsphere.logged_in { HttpNfcLeaseAbort = vsphere.data("abort") }
    local let_go = task.signal()
    local t = task.spawn(function()
      session:goodbye(function()
        let_go:wait(5)
        session:call("HttpNfcLeaseAbort", INSTANCE)
      end)
      session:goodbye(function() end)
      session:goodbye(function() end)
      session:close()
      task.sleep(0)
    end)
    task.sleep(0.002)
    assert.is_nil(fake.count.Logout)
    let_go:notify()
    t:join()
    assert.equal("HttpNfcLeaseAbort", fake.calls[#fake.calls - 1].method)
    assert.equal("Logout", fake.calls[#fake.calls].method)
  end)

  it("is a goodbye that a cancelled task leaves behind", function()
    local fake
    local open_now = task.signal()
    local t = task.spawn(function()
      local session <close>, f = vsphere.logged_in {}
      fake = f
      assert(session)
      open_now:notify()
      task.sleep(60)
    end)
    assert(open_now:wait(5))
    assert(t:cancel())
    assert.equal(1, fake.count.Logout)
  end)

  it("does not mind a server that cannot be reached any more", function()
    local session, fake = vsphere.logged_in { Logout = errors.new("connect", "refused") }
    task.spawn(function()
      session:close()
      session:close()
    end):join()
    assert.equal(1, fake.count.Logout)
    assert.equal(1, fake.closed)
  end)
end)
