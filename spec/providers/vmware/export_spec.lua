local errors = require "host.error"
local export_of = require "providers.vmware.export"
local task = require "host.task"
local time = require "host.time"
local vsphere = require "support.vsphere"

local ENDPOINT = { authority = "vc.example.com:8443", host = "vc.example.com" }
local LEASE = "session[68541c56-74e0-47e0-96e3-d8915c9f03ff]"
  .. "8f2149f6-e94e-40d1-8575-b6e6d3b22bc2"
local KEY_OF = { "ParaVirtualSCSIController0:0", "ParaVirtualSCSIController0:1",
  "VirtualLsiLogicController1:0", "VirtualAHCIController0:0", "VirtualNVMEController0:0",
  "VirtualIDEController0:0" }

local function machine(n)
  local disks = {}
  for i = 1, n or #KEY_OF do
    disks[i] = { id = tostring(201 + i), name = "Hard disk " .. i,
      controller = KEY_OF[i], capacity_bytes = i * 1048576 }
  end
  return { id = "vm-79", name = "multi", disks = disks }
end

-- A server that grants and keeps a lease of `timeout` seconds.
local function server(answers, timeout)
  local all = {
    ExportVm = vsphere.data("export"),
    RetrievePropertiesEx = { vsphere.data("lease_initializing"),
      vsphere.data("lease_ready", {
        ["<leaseTimeout>300"] = "<leaseTimeout>" .. (timeout or 300) }) },
    HttpNfcLeaseProgress = vsphere.data("progress"),
    HttpNfcLeaseGetManifest = vsphere.data("manifest"),
    HttpNfcLeaseComplete = vsphere.data("complete"),
    HttpNfcLeaseAbort = vsphere.data("abort"),
  }
  for method, answer in pairs(answers or {}) do
    all[method] = answer
  end
  return vsphere.logged_in(all)
end

local function open(session, opts, m)
  local all = {
    endpoint = ENDPOINT, tls = { ca = "their CA" }, api_version = "6.5", poll = 0.001,
    lease_wait = 5, now = time.now, record = function() end,
  }
  for key, value in pairs(opts or {}) do
    all[key] = value
  end
  return export_of.open(session, m or machine(), all)
end

-- Runs fn as a task of its own; it and its goodbyes have ended when this returns.
local function ended(fn, ...)
  local ok, result = task.spawn(fn, ...):join()
  if not ok then
    error(result, 0)
  end
  return result
end

local function wait_for(holds)
  local deadline = time.monotonic() + 5
  while not holds() do
    assert(time.monotonic() < deadline, "it did not happen within 5 s")
    task.sleep(0.001)
  end
end

describe("export.address", function()
  it("fills in the endpoint's host, and its port where the URL has none", function()
    assert.equal("https://vc.example.com:8443/nfc/1/disk-0.vmdk",
      export_of.address("https://*/nfc/1/disk-0.vmdk", ENDPOINT))
    assert.equal("https://vc.example.com:902/nfc/1/disk-0.vmdk",
      export_of.address("https://*:902/nfc/1/disk-0.vmdk", ENDPOINT))
    assert.equal("https://esx1.example.com/nfc/1/disk-0.vmdk",
      export_of.address("https://esx1.example.com/nfc/1/disk-0.vmdk", ENDPOINT))
  end)
end)

describe("export.pair", function()
  local function url(place, name)
    return { key = "/vm-79/" .. place, url = name or place, disk = true }
  end

  it("goes by class, bus and unit, not by order", function()
    local found = assert(export_of.pair(machine(2).disks, {
      { key = "/vm-79/nvram", url = "nvram", disk = false },
      url(KEY_OF[2], "second"), url(KEY_OF[1], "first"),
    }))
    assert.equal("first", found["202"].url)
    assert.equal("second", found["203"].url)
  end)

  it("names every disk that has no URL, and what there is", function()
    local found, err = export_of.pair(machine(3).disks, { url(KEY_OF[2]) })
    assert.is_nil(found)
    assert.equal("DiskNotExported", err.code)
    assert.is_true(err.final)
    assert.truthy(err.message:find("Hard disk 1 (ParaVirtualSCSIController0:0)", 1, true))
    assert.truthy(err.message:find("Hard disk 3 (VirtualLsiLogicController1:0)", 1, true))
    assert.truthy(err.message:find("offers: ParaVirtualSCSIController0:1", 1, true))
  end)

  it("names the one disk that has no URL where none is offered", function()
    local found, err = export_of.pair(machine(1).disks, {})
    assert.is_nil(found)
    assert.truthy(err.message:find("no data of Hard disk 1 (ParaVirtualSCSIController0:0); "
      .. "it offers: none", 1, true), err.message)
  end)

  it("refuses a disk that was not there when the machine was inspected", function()
    local found, err = export_of.pair(machine(1).disks,
      { url(KEY_OF[1]), url(KEY_OF[5]) })
    assert.is_nil(found)
    assert.equal("MachineChanged", err.code)
    assert.truthy(err.message:find(KEY_OF[5], 1, true))
  end)
end)

describe("a file that is gone", function()
  local INNER = "<file>[ds1] iso/tools.iso</file>"

  -- Where vSphere finds it out, and how it says so.
  for how, answers in pairs {
    ["by the lease"] = { RetrievePropertiesEx = vsphere.data("lease_error",
      { ['FileLocked">'] = 'FileNotFound">', ["<file/>"] = INNER,
        ["Unable to access a file since it is locked"] =
          "File [ds1] iso/tools.iso was not found" }) },
    ["by the lease, without words"] = { RetrievePropertiesEx = vsphere.data("lease_error",
      { ['FileLocked">'] = 'CannotAccessFile">', ["<file/>"] = INNER,
        ["Unable to access a file since it is locked"] = "" }) },
    ["by ExportVm"] = { ExportVm = vsphere.fault("FileNotFound", "", INNER) },
    ["by ExportVm, as a path"] = { ExportVm = vsphere.fault("InvalidDatastorePath", "",
      "<datastorePath>[ds1] iso/tools.iso</datastorePath>") },
    ["as a connected ISO"] = { ExportVm = vsphere.fault("ConnectedIso", "",
      "<filename>[ds1] iso/tools.iso</filename>") },
  } do
    it("ends the export at once, is named, once, with what to do: " .. how, function()
      ended(function()
        local export, err = open((server(answers)))
        assert.is_nil(export)
        assert.truthy(err.final)
        assert.equal("notfound", err.kind)
        local said, times = err.message:gsub("%[ds1%] iso/tools.iso", "")
        assert.equal(1, times, err.message)
        assert.equal(1, select(2, said:gsub("exporting: ", "")), err.message)
        assert.truthy(said:find("detach it from the machine", 1, true))
      end)
    end)
  end
end)

describe("export:stream", function()
  it("gives each disk its own URL, size and thumbprint, and no cookie", function()
    ended(function()
      local export <close> = assert(open(server()))
      local stream = assert(export:stream("206"))
      assert.equal("https://vc.example.com:18995/nfc/"
        .. "8f2149f6-e94e-40d1-8575-b6e6d3b22bc2/disk-4.vmdk", stream.url)
      assert.equal("2C:11:ED:D7:13:87:7D:B5:74:18:B8:1C:42:C2:56:1F:0D:B9:5B:B9",
        stream.tls.thumbprint)
      assert.is_nil(stream.tls.ca)
      assert.equal(5 * 1048576, stream.capacity)
      assert.equal("vmdk", stream.format)
      assert.same({}, stream.headers)
      assert.is_false(stream.resumable)
      assert.has_error(function()
        export:stream("999")
      end)
    end)
  end)

  -- Device URL and thumbprint as vSphere gives them, and what is wrong.
  for _, case in ipairs {
    { "http://*/nfc/x", "", "no https" }, { "HTTP://esx/nfc/x", "", "no https" },
    { "http://127.0.0.1/nfc/x", ("AB:"):rep(19) .. "AB", "no https" },
    { "ftp://esx/x", "", "no https" }, { "file:///etc/passwd", "", "no https" },
    { "esx/nfc/x", "", "no https" }, { "https://u:pw@esx/x", "", "no https" },
    { "https://esx/x", "AB:CD", "no fingerprint" }, { "https://esx/x", "sha1", "no fingerprint" },
    { "https://esx/x", ("G"):rep(40), "no fingerprint" },
  } do
    it(("reads nothing from %s with thumbprint %q"):format(case[1], case[2]), function()
      ended(function()
        local export <close> = assert(open(server()))
        export.urls["206"] = { url = case[1], thumbprint = case[2] ~= "" and case[2] or nil }
        local stream, err = export:stream("206")
        assert.is_nil(stream)
        assert.equal("LeaseUrlRefused", err.code)
        assert.is_true(err.final)
        assert.truthy(err.message:find(case[3], 1, true), err.message)
        assert.is_nil(err.message:find("pw", 1, true))
      end)
    end)
  end

  it("reads by http where the API itself is http on this machine", function()
    ended(function()
      local export <close> = assert(open(server()))
      export.endpoint = { authority = "127.0.0.1:1", host = "127.0.0.1", secure = false }
      export.urls["206"] = { url = "http://*/nfc/x" }
      assert.equal("http://127.0.0.1:1/nfc/x", assert(export:stream("206")).url)
    end)
  end)

  it("trusts as the source does where there is no thumbprint", function()
    ended(function()
      local session = server()
      session.soap.pool.request = (function(request)
        return function(pool, opts)
          local answer, err = request(pool, opts)
          if answer then
            answer.body = answer.body:gsub("<sslThumbprint>.-</sslThumbprint>", "")
          end
          return answer, err
        end
      end)(session.soap.pool.request)
      local export <close> = assert(open(session))
      assert.same({ ca = "their CA" }, assert(export:stream("202")).tls)
    end)
  end)
end)

describe("export:complete", function()
  it("gives the checksum of each disk, before it ends the lease", function()
    ended(function()
      local session, fake = server()
      local export <close> = assert(open(session))
      local digests = assert(export:complete())
      assert.same({ algorithm = "sha1", size = 138240,
        value = "f5a7d90760dd82116779b269ecdc23a1259c75f0" }, digests["202"])
      assert.equal(884736, digests["204"].size)
      assert.is_nil(digests["nvram"])
      local order = {}
      for _, call in ipairs(fake.calls) do
        order[#order + 1] = call.method
      end
      assert.equal("HttpNfcLeaseGetManifest", order[#order - 1])
      assert.equal("HttpNfcLeaseComplete", order[#order])
    end)
  end)

  it("asks for SHA-256 where the release can choose, and content with SHA-1", function()
    for answer, expected in pairs {
      [vsphere.reply("HttpNfcLeaseSetManifestChecksumType")] = "sha256",
      [vsphere.fault("NotSupported")] = "sha1",
    } do
      ended(function()
        local session, fake = server { HttpNfcLeaseSetManifestChecksumType = answer }
        local export <close> = assert(open(session, { api_version = "7.0.3" }))
        assert.equal(expected, assert(export:stream("202")).algorithms[1])
        assert.equal(expected, assert(export:complete())["202"].algorithm)
        assert.equal(1, fake.count.HttpNfcLeaseSetManifestChecksumType)
      end)
    end
  end)

  for version, chooses in pairs { ["5.8"] = false, ["6.5"] = false, ["6"] = false,
    ["6.6"] = false, [""] = false,
    ["6.7"] = true, ["6.7.1"] = true, ["7"] = true, ["8.0.1.0"] = true } do
    it(("takes the version %q for one that can%s choose"):format(version,
      chooses and "" or "not"), function()
      ended(function()
        local session, fake = server()
        local export <close> = assert(open(session, { api_version = version }))
        assert(export)
        assert.equal(chooses and 1 or nil, fake.count.HttpNfcLeaseSetManifestChecksumType)
      end)
    end)
  end

  it("says why it could not end the export, and that the lease is lost where it is",
    function()
      for method, code in pairs { HttpNfcLeaseGetManifest = "InvalidState",
        HttpNfcLeaseComplete = "NoPermission" } do
        ended(function()
          local export <close> = assert(open(server { [method] = vsphere.fault(code) }))
          local digests, err = export:complete()
          assert.is_nil(digests)
          assert.equal(code, err.code)
          export.lease.why_lost = errors.new("gone", "it is lost", { code = "LeaseLost" })
          digests, err = export:complete()
          assert.is_nil(digests)
          assert.equal("LeaseLost", err.code)
        end)
      end
    end)

  it("does without a manifest", function()
    ended(function()
      local export <close> = assert(open(server {
        HttpNfcLeaseGetManifest = vsphere.fault("NotSupported") }))
      assert.same({}, assert(export:complete()))
    end)
  end)

  it("does not abort what is completed", function()
    local session, fake = server()
    ended(function()
      local export <close> = assert(open(session))
      assert(export:complete())
    end)
    assert.is_nil(fake.count.HttpNfcLeaseAbort)
  end)

  it("believes a lease that is gone when the answer got lost", function()
    local session, fake = server {
      HttpNfcLeaseComplete = errors.new("connect", "reset by peer") }
    ended(function()
      local export <close> = assert(open(session))
      fake.answers.RetrievePropertiesEx = vsphere.data("missing_object")
      assert(export:complete())
    end)
    assert.equal(1, fake.count.HttpNfcLeaseComplete)
  end)
end)

describe("export:close", function()
  it("aborts the lease and stops renewing it", function()
    local session, fake = server(nil, 0.05)
    ended(function()
      local export <close> = assert(open(session))
      wait_for(function()
        return (fake.count.HttpNfcLeaseProgress or 0) >= 2
      end)
      assert(export)
    end)
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
    assert.truthy(fake.calls[#fake.calls].body:find(LEASE, 1, true))
    local n = fake.count.HttpNfcLeaseProgress
    task.sleep(0.02)
    assert.equal(n, fake.count.HttpNfcLeaseProgress)
  end)

  it("aborts when the task is cancelled while the lease is being prepared", function()
    local session, fake = server {
      RetrievePropertiesEx = vsphere.data("lease_initializing") }
    local t = task.spawn(open, session)
    wait_for(function()
      return fake.count.RetrievePropertiesEx
    end)
    assert(t:cancel())
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
  end)

  it("aborts when the task is cancelled with the lease ready, but not all asked", function()
    local asked = task.signal()
    local session, fake = server { HttpNfcLeaseSetManifestChecksumType = function()
      asked:notify()
      task.sleep(60)
    end }
    local t = task.spawn(open, session, { api_version = "7.0" })
    assert(asked:wait(5))
    assert(t:cancel())
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
  end)

  it("aborts a lease whose ExportVm was under way when the task was cancelled", function()
    local asked, let_go = false, task.signal()
    local session, fake = server {
      ExportVm = function()
        asked = true
        assert(let_go:wait(5))
        return vsphere.data("export")
      end,
    }
    local t = task.spawn(open, session)
    wait_for(function()
      return asked
    end)
    local canceller = task.spawn(t.cancel, t)
    task.sleep(0)
    let_go:notify()
    assert(canceller:join())
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
  end)

  it("aborts when disks and URLs do not match", function()
    local session, fake = server()
    local export, err
    ended(function()
      export, err = open(session, {}, machine(2))
    end)
    assert.is_nil(export)
    assert.equal("MachineChanged", err.code)
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
  end)
end)

describe("the lease", function()
  it("is renewed by a task of its own, with the progress that was told", function()
    ended(function()
      local session, fake = server(nil, 0.05)
      local export <close> = assert(open(session))
      export:progress(0.437)
      wait_for(function()
        return fake.calls[#fake.calls].method == "HttpNfcLeaseProgress"
      end)
      assert.truthy(fake.calls[#fake.calls].body:find("<percent>43</percent>", 1, true))
    end)
  end)

  it("is told no more than all, and no less than nothing", function()
    ended(function()
      local export <close> = assert(open(server()))
      for told, percent in pairs { [-1] = 0, [0] = 0, [0.999] = 99, [1] = 100, [2] = 100 } do
        export:progress(told)
        assert.equal(percent, export.lease.percent)
      end
    end)
  end)

  it("is lost when the server says so, and says why", function()
    ended(function()
      local session = server({ HttpNfcLeaseProgress = {
        vsphere.data("progress"), vsphere.data("progress_late") } }, 0.05)
      local export <close> = assert(open(session))
      assert.is_nil(export:lost())
      wait_for(function()
        return export:lost()
      end)
      assert.equal("gone", export:lost().kind)
      assert.truthy(export:lost().message:find("timed out", 1, true))
      local stream, err = export:stream("202")
      assert.is_nil(stream)
      assert.equal("gone", err.kind)
    end)
  end)

  it("is lost with its session, even after a new log-in", function()
    ended(function()
      local session, fake = server({
        HttpNfcLeaseProgress = vsphere.data("not_authenticated") }, 0.05)
      local export <close> = assert(open(session))
      wait_for(function()
        return export:lost()
      end)
      assert.equal("gone", export:lost().kind)
      assert.equal(2, fake.count.Login)
    end)
  end)

  it("survives a transport that fails for less than its lifetime", function()
    ended(function()
      local session, fake = server({ HttpNfcLeaseProgress = {
        errors.new("connect", "refused"), { status = 503, body = "" },
        vsphere.data("progress") } }, 0.5)
      local export <close> = assert(open(session))
      wait_for(function()
        return (fake.count.HttpNfcLeaseProgress or 0) >= 3
      end)
      assert.is_nil(export:lost())
    end)
  end)

  it("is lost when the transport fails for longer", function()
    ended(function()
      local session = server({
        HttpNfcLeaseProgress = errors.new("connect", "refused") }, 0.03)
      local export <close> = assert(open(session))
      wait_for(function()
        return export:lost()
      end)
      assert.truthy(export:lost().message:find("refused", 1, true))
    end)
  end)

  it("that fails while it is prepared gives the server's reason", function()
    local session = server { RetrievePropertiesEx = vsphere.data("lease_error") }
    local export, err
    ended(function()
      export, err = open(session)
    end)
    assert.is_nil(export)
    assert.equal("FileLocked", err.code)
    assert.equal("busy", err.kind)
    assert.truthy(err.message:find("locked", 1, true))
  end)

  it("that never gets ready is given up", function()
    local session, fake = server {
      RetrievePropertiesEx = vsphere.data("lease_initializing") }
    local export, err
    ended(function()
      export, err = open(session, { lease_wait = 0.01 })
    end)
    assert.is_nil(export)
    assert.equal("timeout", err.kind)
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
  end)
end)

describe("what is recorded", function()
  -- A store of entries by kind and name, as the flow keeps them.
  local function store(list)
    local kept = list or {}
    return kept, function(entry)
      for i = #kept, 1, -1 do
        if kept[i].kind == entry.kind and kept[i].name == entry.name then
          table.remove(kept, i)
        end
      end
      if not entry.gone then
        kept[#kept + 1] = entry
      end
    end
  end

  it("is the intent before the call, then the lease, then nothing", function()
    local kept, record = store()
    local intent
    local session = server { ExportVm = function()
      intent = kept[1]
      return vsphere.data("export")
    end }
    ended(function()
      local export <close> = assert(open(session, { record = record }))
      assert.same({ kind = "HttpNfcLease", name = "vm-79", since = intent.since },
        intent)
      assert.equal(LEASE, kept[1].id)
      assert.equal(300, kept[1].timeoutSeconds)
      assert(export:complete())
      assert.same({}, kept)
    end)
  end)

  it("is nothing when vSphere refuses", function()
    local kept, record = store()
    local session = server { ExportVm = vsphere.data("export_refused") }
    local export, err
    ended(function()
      export, err = open(session, { record = record })
    end)
    assert.is_nil(export)
    assert.equal("InvalidPowerState", err.code)
    assert.same({}, kept)
  end)

  it("stays when it is not known whether the call arrived", function()
    local kept, record = store()
    local session = server { ExportVm = errors.new("connect", "reset by peer") }
    ended(open, session, { record = record })
    assert.equal(1, #kept)
  end)

  it("ends the export when it cannot be stored", function()
    local session, fake = server()
    local t = task.spawn(open, session, { record = function(entry)
      if entry.id then
        error(errors.new("io", "disk full"))
      end
    end })
    local ok, err = t:join()
    assert.is_false(ok)
    assert.equal("io", err.kind)
    assert.equal(1, fake.count.HttpNfcLeaseAbort)
  end)
end)

describe("a machine that somebody holds", function()
  local HELD = vsphere.fault("TaskInProgress", "Another task is already in progress.")
  local ORPHAN = { kind = "HttpNfcLease", name = "vm-79", id = "session[1]2",
    timeoutSeconds = 300, since = "2026-01-01T00:00:00Z" }

  it("is busy, with no word of ours when we never had a lease", function()
    local export, err
    ended(function()
      export, err = open(server { ExportVm = HELD })
    end)
    assert.is_nil(export)
    assert.equal("busy", err.kind)
    assert.is_number(err.after)
    assert.truthy(err.message:find("another task", 1, true))
  end)

  it("is nobody's of ours by what is recorded of another machine, or of another kind",
    function()
      for _, entry in ipairs { { kind = "HttpNfcLease", name = "vm-80", id = "session[1]2" },
        { kind = "VirtualMachine", name = "vm-79", id = "session[1]2" } } do
        local session, fake = server { ExportVm = HELD }
        local export, err
        ended(function()
          export, err = open(session, { recorded = { entry } })
        end)
        assert.is_nil(export)
        assert.truthy(err.message:find("another task", 1, true), err.message)
        assert.is_nil(fake.count.HttpNfcLeaseAbort)
      end
    end)

  it("is freed at once where the orphaned lease can be aborted", function()
    local session, fake = server { ExportVm = { HELD, vsphere.data("export") } }
    ended(function()
      local export <close> = assert(open(session, { recorded = { ORPHAN } }))
      assert(export)
      assert.equal(2, fake.count.ExportVm)
      assert.truthy(fake.calls[#fake.calls - 3].body:find("session[1]2", 1, true))
    end)
  end)

  it("ends one timeout after it was met, vSphere's own where none is recorded", function()
    for timeout, ends in pairs { [60] = "01:01:00", [300] = "01:05:00" } do
      local err
      ended(function()
        local _
        _, err = open(server { ExportVm = HELD }, { now = function()
          return time.parse("2026-01-01T01:00:00Z")
        end, recorded = { { kind = "HttpNfcLease", name = "vm-79",
          timeoutSeconds = timeout ~= 300 and timeout or nil } } })
      end)
      assert.truthy(err.message:find("until 2026-01-01T" .. ends .. "Z", 1, true), err.message)
    end
  end)

  it("says until when, once, and keeps to it", function()
    local recorded
    local session = server { ExportVm = HELD,
      HttpNfcLeaseAbort = vsphere.data("missing_object") }
    local function try(now)
      local _, err
      ended(function()
        _, err = open(session, { recorded = { recorded or ORPHAN },
          now = function()
            return now
          end,
          record = function(entry)
            recorded = entry
          end })
      end)
      return err
    end
    local start = time.parse("2026-01-01T01:00:00Z")
    local err = try(start)
    assert.equal("busy", err.kind)
    assert.truthy(err.message:find("2026-01-01T01:05:00Z", 1, true))
    assert.is_true(err.after >= 300 and err.after < 302)
    assert.equal("2026-01-01T01:05:00Z", recorded["until"])
    err = try(start + 100)
    assert.truthy(err.message:find("2026-01-01T01:05:00Z", 1, true))
    assert.is_true(err.after >= 200 and err.after < 202)
    assert.equal("session[1]2", recorded.id)
    for _, jump in ipairs { 3600, -3600 } do -- of the wall clock, which says nothing
      err = try(start + jump)
      assert.is_true(err.after >= 299 and err.after < 301.5, tostring(err.after))
    end
  end)

  it("is waited for when somebody listens", function()
    local heard = {}
    local session, fake = server { ExportVm = { HELD, HELD, vsphere.data("export") },
      HttpNfcLeaseAbort = vsphere.data("missing_object") }
    ended(function()
      local export <close> = assert(open(session, {
        recorded = { { kind = "HttpNfcLease", name = "vm-79", timeoutSeconds = 0 } },
        now = function()
          return 1767225600.999
        end,
        boottime = function()
          return 7
        end,
        waiting = function(message, until_time)
          heard[#heard + 1] = { message, until_time }
        end,
      }))
      assert(export)
    end)
    assert.equal(3, fake.count.ExportVm)
    assert.equal(2, #heard)
    assert.is_number(time.parse(heard[1][2]))
    assert.truthy(heard[1][1]:find(heard[1][2], 1, true))
  end)
end)
