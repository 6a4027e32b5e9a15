-- The VMware provider against a vSphere that pages, forgets sessions and goes wrong.

local disk_image = require "host.disk"
local file = require "host.file"
local lab = require "support.lab"
local machine_of = require "providers.machine"
local task = require "host.task"
local vmware = require "providers.vmware"

describe("providers.vmware", function()
  local folder, sim

  lazy_setup(function()
    folder = lab.folder()
    sim = lab.simulator(folder.path, { scenario = "wide", settings = {
      pageSize = 2, unknown = "fault", leaseInit = 0.05, taskTime = 0.05,
    } })
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(folder).__close(folder)
  end)

  before_each(function()
    sim:post("/leases/expire")
    sim:post("/sessions/drop")
    sim:post("/reset")
    sim:post("/settings", { leaseTimeout = 300, leaseOnLogout = "keep",
      deviceUrl = "host" })
  end)

  -- Whatever a spec did, nothing is left on the server.
  after_each(function()
    local state = sim:get("/state")
    assert.equal(0, state.openLeases)
    assert.equal(0, state.sessions)
    assert.same({ nfcCookies = 0, nfcAuthorizations = 0, unquotedCookies = 0,
      unknownTokens = 0 }, state.leaks)
  end)

  local function open(spec, secret, opts)
    local all = { poll = 0.02, backoff = { 0.01, 0.01, 0.01 }, strict_tls = true }
    for key, value in pairs(opts or {}) do
      all[key] = value
    end
    return vmware.open({ endpoint = spec.endpoint or sim.url,
      dc = spec.dc or "DC-Nested", thumbprint = spec.thumbprint },
      secret or { username = "user", password = "pass", caCert = sim.ca_pem }, all)
  end

  -- Runs fn(source) as a task; it, and what it said goodbye to, have ended afterwards.
  local function with_source(fn, opts)
    local ok, err = task.spawn(function()
      local source <close> = assert(open({}, nil, opts))
      fn(source)
    end):join()
    if not ok then
      error(err, 0)
    end
  end

  local function fault(rule)
    sim:post("/faults", rule)
  end

  local function inspect(source, name, where)
    local id = assert(source:find({ name = name, folder = where }))
    return assert(source:inspect(id))
  end

  describe("open", function()
    it("pins an unknown certificate, then takes no other", function()
      local fingerprint
      local secret = { username = "user", password = "pass" }
      assert(task.spawn(function()
        local source <close> = assert(open({}, secret, { strict_tls = false }))
        assert.is_false(source.certificate.trusted)
        fingerprint = source.certificate.fingerprint
      end):join())
      sim:post("/certificate", { server = "sdk", show = "other" })
      local source, err = open({}, secret, { strict_tls = false,
        fingerprint = fingerprint })
      assert.is_nil(source)
      assert.equal("CertificateChanged", err.code)
      sim:post("/certificate", { server = "sdk", show = "right" })
    end)

    it("speaks to a server that lists no versions", function()
      sim:post("/settings", { versionMissing = true, anyVersion = true })
      with_source(function(source)
        assert.equal("/Region EU/DC-Nested", source.dc.path)
      end)
      sim:post("/settings", { versionMissing = false, anyVersion = false })
    end)

    it("leaves no session behind when the datacenter is unknown", function()
      local source, err
      task.spawn(function()
        source, err = open({ dc = "DC9" })
      end):join()
      assert.is_nil(source)
      assert.equal("dc", err.check)
      assert.same({ "/DC1", "/Region EU/DC-Nested" }, err.candidates)
    end)

    it("outlives a server that is busy at first", function()
      fault { on = "RetrieveServiceContent", ["do"] = "http", code = 503, count = 2 }
      with_source(function(source)
        assert.truthy(source.product)
      end)
    end)
  end)

  describe("inspect", function()
    it("sees a machine whole, though answers come in pages of two", function()
      with_source(function(source)
        local m = assert(machine_of.check(inspect(source, "four-kinds")))
        assert.same({ sockets = 2, cores = 4 }, m.cpu)
        assert.same({ uefi = true, secure_boot = true, tpm = true }, m.firmware)
        local places = {}
        for i, disk in ipairs(m.disks) do
          places[i] = disk.controller
        end
        assert.same({ "ParaVirtualSCSIController0:0", "VirtualLsiLogicController1:0",
          "VirtualAHCIController0:0", "VirtualNVMEController0:0" }, places)
        assert.equal("DSwitch", m.nics[1].network.switch)
        assert.equal("dvSwitch 1", m.nics[1].network.name)
        assert.equal("VM Network", m.nics[2].network.name)
        assert.equal("nsx-segment", m.nics[3].network.name)
      end)
    end)

    it("lists every network of the datacenter", function()
      with_source(function(source)
        local seen = {}
        for _, network in ipairs(assert(source:networks())) do
          seen[network.name] = network.path
        end
        for _, name in ipairs { "VM Network", "dvSwitch 1", "nsx-segment",
          "VLAN 20 (büro)" } do
          assert.equal("/Region EU/DC-Nested/network/" .. name, seen[name])
        end
      end)
    end)

    it("goes on after the session was dropped, wherever that is", function()
      with_source(function(source)
        for _, method in ipairs { "CreateContainerView", "RetrievePropertiesEx",
          "ContinueRetrievePropertiesEx", "FindByInventoryPath", "DestroyView" } do
          fault { on = method, ["do"] = "expire", count = 1 }
          assert.equal("/Region EU/DC-Nested/vm/Test/running",
            inspect(source, "running").path, method)
          sim:post("/reset")
        end
      end)
    end)

    it("goes on after lost, late and broken answers", function()
      with_source(function(source)
        for _, rule in ipairs { { ["do"] = "drop" }, { ["do"] = "http", code = 502 },
          { ["do"] = "lose" } } do
          rule.on, rule.count = "RetrievePropertiesEx", 2
          fault(rule)
          inspect(source, "twin", "Prod")
          sim:post("/reset")
        end
      end)
    end)

    it("says what is wrong with half an answer", function()
      with_source(function(source)
        fault { on = "FindByInventoryPath", ["do"] = "truncate", count = 1 }
        local id, err = source:find({ name = "twin" })
        assert.is_nil(id)
        assert.truthy(err.message:find("FindByInventoryPath", 1, true))
      end)
    end)
  end)

  describe("power", function()
    local function power_of(name)
      for _, m in ipairs(sim:get("/state").machines) do
        if m.name == name then
          return m.power
        end
      end
    end

    it("is cut, and a second time is success too", function()
      with_source(function(source)
        local id = assert(source:find({ name = "deaf" }))
        assert.equal("on", source:power_state(id))
        assert(source:shutdown_guest(id))
        assert(source:power_off(id))
        assert.equal("poweredOff", power_of("deaf"))
        assert(source:power_off(id))
        assert(source:shutdown_guest(id))
        assert.equal("off", source:power_state(id))
        sim:post("/machine", { machine = "deaf", power = "on", tools = "running" })
      end)
    end)

    it("is cut once, though the answer got lost", function()
      with_source(function(source)
        local id = assert(source:find({ name = "deaf" }))
        fault { on = "PowerOffVM_Task", ["do"] = "lose", count = 1 }
        assert(source:power_off(id))
        assert.equal(1, sim:get("/state").calls.PowerOffVM_Task)
        sim:post("/machine", { machine = "deaf", power = "on", tools = "running" })
      end)
    end)

    it("needs tools for a shutdown, and preflight says so before", function()
      with_source(function(source)
        local m = inspect(source, "running-without-tools")
        local findings = assert(source:preflight(m, {}))
        assert.equal("ToolsNotRunning", findings[1].code)
        local ok, err = source:shutdown_guest(m.id)
        assert.is_nil(ok)
        assert.equal("ToolsUnavailable", err.code)
        assert.equal("poweredOn", power_of("running-without-tools"))
      end)
    end)
  end)

  describe("export", function()
    -- Reads one disk of an export and compares what came with what was to come.
    local function fetch(export, disk)
      local stream = assert(export:stream(disk.id))
      local output = folder.path .. "/disk.raw"
      local transfer <close> = assert(disk_image.transfer {
        source = { url = stream.url, headers = stream.headers, tls = stream.tls },
        format = stream.format, output = output, capacity = stream.capacity,
        digests = stream.algorithms,
      })
      local result = assert(transfer:wait())
      assert(file.remove(output))
      return result.digests[stream.algorithms[1]]
    end

    it("pairs disks with what is sent, whose checksums agree", function()
      for _, url in ipairs { "host", "star", "star-port" } do
        sim:post("/settings", { deviceUrl = url })
        with_source(function(source)
          local m = inspect(source, "four-kinds")
          local export <close> = assert(source:export(m))
          local came = {}
          for _, disk in ipairs(m.disks) do
            came[disk.id] = fetch(export, disk)
          end
          local sent = assert(export:complete())
          for id, digest in pairs(came) do
            assert.equal("sha256", sent[id].algorithm)
            assert.equal(digest, sent[id].value)
          end
        end)
      end
    end)

    it("keeps its lease far beyond the timeout while nothing is read", function()
      sim:post("/settings", { leaseTimeout = 1 })
      with_source(function(source)
        local m = inspect(source, "twin", "Prod")
        local export <close> = assert(source:export(m))
        export:progress(0.5)
        lab.wait_for("the lease has been renewed for 2 s", function()
          local lease = sim:get("/state").leases[1]
          return lease.progressCalls > 20 and lease.percent == 50
        end)
        assert.is_nil(export:lost())
        fetch(export, m.disks[1])
        assert(export:complete())
      end)
    end)

    it("is aborted when the task is cancelled, whatever it is doing", function()
      for _, method in ipairs { "ExportVm", "RetrievePropertiesEx",
        "HttpNfcLeaseSetManifestChecksumType", "HttpNfcLeaseGetManifest" } do
        local reached = false
        local t = task.spawn(function()
          local source <close> = assert(open({}))
          local m = inspect(source, "twin", "Prod")
          fault { on = method, ["do"] = "stall", seconds = 0.3, count = 1 }
          reached = true
          local export <close> = assert(source:export(m))
          export:complete()
          task.sleep(60)
        end)
        lab.wait_for(method .. " is under way", function()
          return reached and (sim:get("/state").calls[method] or 0) > 0
        end)
        assert(t:cancel())
        assert.equal(0, sim:get("/state").openLeases, method)
        assert.equal(0, sim:get("/state").sessions, method)
        sim:post("/reset")
      end
    end)

    it("is lost with its lease or session, and can be opened again", function()
      sim:post("/settings", { leaseTimeout = 1 })
      for _, lose in ipairs { "/leases/expire", "/sessions/drop" } do
        with_source(function(source)
          local m = inspect(source, "twin", "Prod")
          do
            local export <close> = assert(source:export(m))
            sim:post(lose)
            local err = lab.wait_for("the loss is noticed", function()
              return export:lost()
            end)
            assert.equal("gone", err.kind)
            assert.equal("gone", select(2, export:stream(m.disks[1].id)).kind)
            assert.equal("gone", select(2, export:complete()).kind)
          end
          lab.wait_for("the machine is free", function()
            return sim:get("/state").openLeases == 0
          end)
          local again <close> = assert(source:export(m))
          assert(again:complete())
        end)
      end
    end)

    it("waits for the lease of an earlier run, and says until when", function()
      sim:post("/settings", { leaseTimeout = 1 })
      local recorded = {}
      local heard
      local function record(entry)
        recorded[1] = not entry.gone and entry or nil
      end
      -- A run that is killed: its export is never closed, its session never used again.
      local killed = assert(open({}))
      local m = inspect(killed, "twin", "Prod")
      local orphan = assert(killed:export(m, { record = record }))
      orphan.lease.keeper:cancel()
      assert.equal(1, recorded[1].timeoutSeconds)
      fault { on = "HttpNfcLeaseAbort", ["do"] = "fault", fault = "ManagedObjectNotFound",
        count = 1 }
      with_source(function(source)
        local export <close> = assert(source:export(m, { recorded = recorded,
          record = record,
          waiting = function(message)
            heard = message
          end }))
        assert.truthy(heard:find("interrupted run", 1, true))
        assert.truthy(heard:find(os.date("!%Y-"), 1, true))
        assert(export:complete())
        assert.same({}, recorded)
      end)
      task.spawn(killed.close, killed):join()
    end)

    it("gives the reason when vSphere cannot prepare it", function()
      fault { on = "lease", ["do"] = "error", fault = "FileLocked",
        message = "The file is locked by another host" }
      with_source(function(source)
        local export, err = source:export(inspect(source, "twin", "Prod"))
        assert.is_nil(export)
        assert.equal("busy", err.kind)
        assert.truthy(err.message:find("locked by another host", 1, true))
      end)
    end)

    it("refuses a machine that runs", function()
      with_source(function(source)
        local export, err = source:export(inspect(source, "running"))
        assert.is_nil(export)
        assert.equal("InvalidPowerState", err.code)
      end)
    end)

    it("is completed once, though the answer got lost", function()
      with_source(function(source)
        local export <close> = assert(source:export(inspect(source, "twin", "Prod")))
        fault { on = "HttpNfcLeaseComplete", ["do"] = "lose", count = 1 }
        assert(export:complete())
        assert.equal(1, sim:get("/state").calls.HttpNfcLeaseComplete)
      end)
    end)
  end)

  describe("cleanup", function()
    it("leaves to its own end what it may not abort, unless nobody answers", function()
      local entry
      local killed = assert(open({}))
      local m = inspect(killed, "twin", "Prod")
      local orphan = assert(killed:export(m, { record = function(e)
        entry = e
      end }))
      orphan.lease.keeper:cancel()
      with_source(function(source)
        assert.same({}, assert(source:cleanup({ entry })))
        sim:post("/leases/expire")
        assert.same({}, assert(source:cleanup({ entry })))
        fault { on = "HttpNfcLeaseAbort", ["do"] = "http", code = 503 }
        assert.same({ entry }, assert(source:cleanup({ entry })))
      end)
      task.spawn(killed.close, killed):join()
    end)
  end)
end)
