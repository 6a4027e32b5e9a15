local errors = require "host.error"
local lease_of = require "providers.vmware.lease"
local task = require "host.task"
local pace = require "support.pace"
local vsphere = require "support.vsphere"

local ALL = { lease_wait = 5, poll = 0.001 }

-- What a look at the lease sees: its state, and the XML of its info and its error.
local function state(name, info, err)
  local props = { state = name }
  if info then
    props.info = { raw = info }
  end
  if err then
    props.error = { raw = err }
  end
  return vsphere.objects { { type = "HttpNfcLease", value = "lease-1", props = props } }
end

local function url(key, disk, thumbprint)
  return ("<deviceUrl><key>%s</key><url>https://h/%s</url>%s<disk>%s</disk></deviceUrl>")
    :format(key, key, thumbprint or "", disk)
end

-- A session, what its server was asked, and the lease that it gave. Each request's own
-- options are in fake.requests, by method.
local function given(answers)
  local all = { ExportVm = vsphere.data("export"), RetrievePropertiesEx = state("ready", ""),
    HttpNfcLeaseProgress = vsphere.data("progress"),
    HttpNfcLeaseComplete = vsphere.data("complete"),
    HttpNfcLeaseAbort = vsphere.data("abort") }
  for method, answer in pairs(answers or {}) do
    all[method] = answer
  end
  local session, fake = vsphere.logged_in(all)
  local request = session.soap.pool.request
  fake.requests = {}
  session.soap.pool.request = function(pool, opts)
    fake.requests[opts.body:match("<soapenv:Body><([%w_]+)")] = opts
    return request(pool, opts)
  end
  return session, fake, assert(lease_of.request(session, "vm-79"))
end

-- Runs fn as a task of its own; it and its goodbyes have ended when this returns.
local function ended(fn)
  local ok, err = task.spawn(fn):join()
  if not ok then
    error(err, 0)
  end
end

-- How often a method was called.
local function times(fake, method)
  return fake.count[method] or 0
end

describe("lease.request", function()
  it("is none without one in the answer", function()
    local session = vsphere.logged_in { ExportVm = vsphere.reply("ExportVm") }
    local lease, err = lease_of.request(session, "vm-79")
    assert.is_nil(lease)
    assert.equal("format", err.kind)
    assert.equal("ExportVm: not the answer of a vSphere API: "
      .. "returnval is no reference", err.message)
  end)

  it("begins unlost, with nothing read, and lives as long as vSphere's do", function()
    ended(function()
      local _, _, lease <close> = given()
      assert.is_nil(lease:lost())
      assert.same({}, lease.urls)
      assert.equal(0, lease.percent)
      assert.equal(300, lease.timeout)
    end)
  end)
end)

describe("lease.request, when who asked is cancelled", function()
  it("leaves nothing to abort where none is given", function()
    local asked, let_go = task.signal(), task.signal()
    local session, fake = vsphere.logged_in { HttpNfcLeaseAbort = vsphere.data("abort"),
      ExportVm = function()
        asked:notify()
        let_go:wait(5)
        return vsphere.data("export_refused")
      end }
    local t = task.spawn(lease_of.request, session, "vm-79")
    assert(asked:wait(5))
    local canceller = task.spawn(t.cancel, t)
    task.sleep(0)
    let_go:notify()
    assert(canceller:join())
    assert.equal(0, times(fake, "HttpNfcLeaseAbort"))
  end)
end)

describe("lease:wait", function()
  it("reads each URL as it was given", function()
    ended(function()
      local _, _, lease <close> = given { RetrievePropertiesEx = state("ready",
        url("a", "true", "<sslThumbprint>AA</sslThumbprint>")
        .. url("b", "false", "<sslThumbprint></sslThumbprint>")
        .. "<deviceUrl></deviceUrl><leaseTimeout>120</leaseTimeout>") }
      assert(lease:wait(ALL))
      assert.same({ { key = "a", url = "https://h/a", thumbprint = "AA", disk = true },
        { key = "b", url = "https://h/b", disk = false },
        { key = "", url = "", disk = false } }, lease.urls)
      assert.equal(120, lease.timeout)
    end)
  end)

  it("takes vSphere's habit where it does not say how long the lease lives", function()
    ended(function()
      local _, _, lease <close> = given()
      lease.timeout = 1
      assert(lease:wait(ALL))
      assert.equal(300, lease.timeout)
    end)
  end)

  it("waits for what to read, not for the word alone", function()
    ended(function()
      local _, fake, lease <close> = given { RetrievePropertiesEx = {
        vsphere.objects { { type = "HttpNfcLease", value = "lease-1", props = {} } },
        state("initializing"), state("ready"), state("ready", url("a", "true")) } }
      assert(lease:wait(ALL))
      assert.equal(4, fake.count.RetrievePropertiesEx)
      assert.equal(1, #lease.urls)
    end)
  end)

  for words, answer in pairs {
    ["the lease is closed"] = state("done"),
    ["the lease failed without a reason"] = state("error"),
    ["exporting: The file is locked."] = state("error", nil,
      '<fault xsi:type="FileLocked"/><localizedMessage>The file is locked.'
      .. "</localizedMessage>"),
  } do
    it("ends at once when " .. words, function()
      ended(function()
        local _, fake, lease <close> = given { RetrievePropertiesEx = answer }
        local ok, err = lease:wait(ALL)
        assert.is_nil(ok)
        assert.equal(words, err.message)
        assert.equal(words:find("locked", 1, true) and "busy" or "gone", err.kind)
        assert.equal(1, fake.count.RetrievePropertiesEx)
      end)
    end)
  end

  it("says in what state the lease still is when it has waited enough", function()
    for name, answer in pairs { initializing = state("initializing"),
      unknown = vsphere.objects { { type = "HttpNfcLease", value = "l", props = {} } } } do
      ended(function()
        local _, _, lease <close> = given { RetrievePropertiesEx = answer }
        local _, err = lease:wait { lease_wait = 0, poll = 0.001 }
        assert.equal("timeout", err.kind)
        assert.equal(("the lease is still %s after 0 s"):format(name), err.message)
      end)
    end
  end)
end)

describe("lease:keep", function()
  -- A lease that is being renewed; its server answers a renewal so.
  local function kept(answer, timeout)
    local session, fake, lease = given { HttpNfcLeaseProgress = answer }
    lease.timeout = timeout
    lease:keep()
    return session, fake, lease
  end

  local function renewed(fake, least)
    assert(pace.eventually(function()
      return times(fake, "HttpNfcLeaseProgress") >= least
    end))
  end

  it("asks once each time, for no longer than three renewals take, a second at least",
    function()
      for timeout, most in pairs { [0.05] = 1, [5] = 1.5 } do
        ended(function()
          local _, fake, lease <close> = kept(vsphere.data("progress"), timeout)
          renewed(fake, 1)
          assert.is_true(fake.requests.HttpNfcLeaseProgress.once)
          assert.equal(most, fake.requests.HttpNfcLeaseProgress.total_timeout)
          assert.is_nil(lease:lost())
        end)
      end
    end)

  for _, code in ipairs { "InvalidState", "ManagedObjectNotFound", "Timedout" } do
    it("is over at once, and asks no more, when the server says " .. code, function()
      ended(function()
        local _, fake, lease <close> = kept(vsphere.fault(code), 0.05)
        assert(pace.eventually(function()
          return lease:lost()
        end))
        assert.equal("gone", lease:lost().kind)
        assert.equal("LeaseLost", lease:lost().code)
        assert.is_true(lease.keeper:done())
        assert.equal(1, fake.count.HttpNfcLeaseProgress)
      end)
    end)
  end

  it("goes on through a fault that says nothing about it, while it lives", function()
    ended(function()
      local _, fake, lease <close> = kept({ vsphere.fault("SystemError", "Try again."),
        vsphere.data("progress") }, 0.5)
      renewed(fake, 3)
      assert.is_nil(lease:lost())
    end)
  end)

  it("has ended without a word of loss when it was completed", function()
    ended(function()
      local _, _, lease <close> = kept(function()
        task.sleep(0.005)
        return vsphere.fault("ManagedObjectNotFound")
      end, 0.01)
      assert(lease:complete())
      assert(pace.eventually(function()
        return lease.keeper:done()
      end))
      assert.is_nil(lease:lost())
    end)
  end)
end)

describe("lease:prefer", function()
  it("names the disks, and no other file", function()
    ended(function()
      local _, fake, lease <close> = given {
        HttpNfcLeaseSetManifestChecksumType =
          vsphere.reply("HttpNfcLeaseSetManifestChecksumType") }
      lease.urls = { { key = "a", disk = true }, { key = "nvram", disk = false } }
      assert.is_true(lease:prefer("sha256"))
      local body = fake.calls[#fake.calls].body
      assert.truthy(body:find("<key>a</key><value>sha256</value>", 1, true), body)
      assert.falsy(body:find("nvram", 1, true), body)
    end)
  end)

  it("is false where the server does not know it", function()
    ended(function()
      local _, _, lease <close> = given()
      assert.is_false(lease:prefer("sha256"))
    end)
  end)
end)

describe("lease:manifest", function()
  local function manifest(answer)
    local _, _, lease <close> = given { HttpNfcLeaseGetManifest = answer }
    return lease:manifest()
  end

  it("has each checksum by its name, and the size where there is one", function()
    ended(function()
      assert.same({ a = { sha1 = "11", sha256 = "22", size = 5 }, b = { sha1 = "33" },
        [""] = {} }, manifest(vsphere.reply("HttpNfcLeaseGetManifest",
        "<returnval><key>a</key><sha1>11</sha1><checksum>22</checksum><checksumType>sha256"
        .. "</checksumType><size>5</size></returnval><returnval><key>b</key><sha1>33</sha1>"
        .. "</returnval><returnval></returnval>")))
    end)
  end)

  it("is empty where the server makes none, and fails where the lease or the line is lost",
    function()
      ended(function()
        assert.same({}, manifest(vsphere.fault("NotSupported")))
        for kind, answer in pairs { gone = vsphere.fault("ManagedObjectNotFound"),
          http = { status = 500, body = "a page" } } do
          local found, err = manifest(answer)
          assert.is_nil(found)
          assert.equal(kind, err.kind)
        end
      end)
    end)

  it("fails where the session is another one by now", function()
    ended(function()
      local session, _, lease <close> = given()
      session.generation = session.generation + 1
      local found, err = lease:manifest()
      assert.is_nil(found)
      assert.equal("gone", err.kind)
    end)
  end)
end)

describe("lease:complete", function()
  -- Completes a lease with this answer, and this one of a look at the lease then: ok, err,
  -- and the server.
  local function complete(answer, seen)
    local _, fake, lease <close> = given { HttpNfcLeaseComplete = answer }
    fake.answers.RetrievePropertiesEx = seen
    local ok, err = lease:complete()
    return ok, err, fake
  end

  local LOST_ANSWER = errors.new("connect", "reset by peer")

  it("believes that it is done where the answer got lost and the lease is gone", function()
    for _, seen in ipairs { state("done"), vsphere.fault("ManagedObjectNotFound") } do
      local fake
      ended(function()
        local ok, err
        ok, err, fake = complete(LOST_ANSWER, seen)
        assert.is_true(ok)
        assert.is_nil(err)
      end)
      assert.equal(0, times(fake, "HttpNfcLeaseAbort"))
    end
  end)

  it("has failed where the lease is still there, or nobody can say", function()
    for _, seen in ipairs { state("ready", ""), state("error", nil,
      '<fault xsi:type="FileLocked"/>'), { status = 503, body = "" } } do
      local fake
      ended(function()
        local ok, err
        ok, err, fake = complete(LOST_ANSWER, seen)
        assert.is_nil(ok)
        assert.equal("connect", err.kind)
      end)
      assert.equal(1, times(fake, "HttpNfcLeaseAbort"))
    end
  end)

  it("has failed with the server's fault, and looks no more", function()
    ended(function()
      local ok, err, fake = complete(vsphere.fault("InvalidState", "It is not ready."),
        state("done"))
      assert.is_nil(ok)
      assert.equal("InvalidState", err.code)
      assert.is_nil(fake.count.RetrievePropertiesEx)
    end)
  end)

  it("is not asked for in a session that came after the lease's", function()
    ended(function()
      local session, fake, lease <close> = given()
      session.generation = session.generation + 1
      local ok, err = lease:complete()
      assert.is_nil(ok)
      assert.equal("SessionEnded", err.code)
      assert.equal(0, times(fake, "HttpNfcLeaseComplete"))
    end)
  end)
end)

describe("lease:close", function()
  it("aborts it once, with a reason and no long wait", function()
    local fake
    ended(function()
      local _, f, lease <close> = given()
      fake = f
      lease:close()
    end)
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
    local body = fake.calls[#fake.calls].body
    assert.truthy(body:find("import ended", 1, true), body)
    assert.truthy((fake.requests.HttpNfcLeaseAbort.total_timeout or 60) <= 15)
  end)
end)
