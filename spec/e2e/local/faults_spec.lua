-- What goes wrong while a machine is on its way, one thing after the other: the import is
-- recovered or refused, and in both cases nothing half-made is left, here or there.

local file = require "host.file"
local lab = require "support.lab"
local outcome = require "support.outcome"
local process = require "host.process"
local program = require "support.program"

local MIB = 2 ^ 20
local LEASE = 6 -- seconds that a lease lives without renewal
local FOREVER = 0

local DISKS = {
  { controller = "pvscsi", pattern = "random", seed = 21, capacity = "12MiB" },
  { controller = "ahci", pattern = "text", seed = 22, capacity = "8MiB" },
}
local FIRST = "ParaVirtualSCSIController0:0" -- the keys of their URLs
local SECOND = "VirtualAHCIController0:0"

local function machine(name, more)
  local made = { name = name, disks = DISKS }
  for key, value in pairs(more or {}) do
    made[key] = value
  end
  return made
end

local SCENARIO = {
  settings = { leaseTimeout = LEASE },
  datacenters = { { path = "DC0", machines = {
    machine("vm"),
    machine("guest", { power = "on", tools = "running", shutdown = 0.3 }),
    machine("stubborn", { power = "on", tools = "running", shutdown = "never" }),
    machine("bare", { power = "on", tools = "notRunning" }),
  } } },
}

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

local function last_line(text)
  return text:match("([^\n]*)\n$") or ""
end

describe("import, when a fault happens:", function()
  local home, sim, sums, stream_size

  lazy_setup(function()
    home = lab.folder()
    sim = lab.simulator(home.path, { scenario = SCENARIO })
    sums = {}
    for i, disk in ipairs(DISKS) do
      sums[i] = lab.original(home.path, disk)
    end
    local path = home.path .. "/disk.vmdk"
    assert(process.run({ argv = { lab.vsim, "disk", "--disk",
      require("host.json").encode(DISKS[1]), "--format", "vmdk", "--output", path } }))
    stream_size = assert(file.stat(path)).size
  end)

  lazy_teardown(function()
    getmetatable(sim).__close(sim)
    getmetatable(home).__close(home)
  end)

  local out

  before_each(function()
    out = home.path .. "/out"
    assert(file.remove(out, { recursive = true, missing_ok = true }))
    sim:post("/reset")
    sim:post("/settings", { leaseTimeout = LEASE, leaseInit = 0.2, leaseOnLogout = "keep",
      deviceUrl = "host", manifest = "both" })
    sim:post("/machine", { machine = "guest", power = "on" })
    sim:post("/machine", { machine = "stubborn", power = "on" })
    sim:post("/machine", { machine = "bare", power = "on" })
  end)

  local function arguments(opts)
    opts = opts or {}
    return lab.import_args(sim, home.path, {
      imports = { { name = "vm", machine = opts.machine or "vm", spec = opts.spec } },
      args = opts.args,
    })
  end

  local function import(opts)
    return lab.run(arguments(opts))
  end

  local function status()
    return outcome.status(out)
  end

  local function condition(type)
    for _, c in ipairs(status().importConditions or {}) do
      if c.type == type then
        return c
      end
    end
    return {}
  end

  -- All is over at the source: no lease, no session, no credential where none belongs.
  local function check_source()
    local state = sim:get("/state")
    assert.equal(0, state.openLeases)
    assert.equal(0, state.sessions)
    assert.same({ 0, 0 }, { state.leaks.nfcCookies, state.leaks.nfcAuthorizations })
    return state
  end

  -- Whole, equal, and no file but those that belong there.
  local function check_whole(result, name)
    outcome.check(result, out, name or "vm", sums)
    return check_source()
  end

  -- Refused with one clear line; nothing is left of the first disk, whose fault it is,
  -- and of the second one all or nothing.
  local function check_refused(result)
    assert.equal(1, result.status, result.stderr)
    local line = last_line(result.stderr)
    has(line, "vm-import-controller import: import default/vm failed: ")
    assert.falsy(result.stderr:find("traceback", 1, true), result.stderr)
    assert.falsy(result.stderr:find("/nfc/", 1, true), result.stderr)
    for _, path in ipairs(lab.files(out)) do
      assert.falsy(path:find("%.part$") or path:find("disk%-0%.raw$"), path)
    end
    assert.equal("VMMigrationFailed", status().importStatus)
    check_source()
    return line
  end

  -- A running import whose first disk is on its way, slowly.
  local function start_slowly(opts)
    sim:post("/faults", { on = "nfc", ["do"] = "throttle", rate = 2 * MIB, file = FIRST,
      count = opts and opts.slow or 1 })
    local running = program.start(home.path, arguments(opts))
    lab.wait_for("a disk is on its way", function()
      assert(not running:done(), "the import has ended")
      for _, request in ipairs(sim:get("/state").nfc or {}) do
        if request.End == nil and request["end"] == "running" and request.sent > MIB then
          return true
        end
      end
    end)
    return running
  end

  local function requests(state, key)
    local n = 0
    for _, request in ipairs(state.nfc or {}) do
      n = n + (request.key:find(key, 1, true) and 1 or 0)
    end
    return n
  end

  describe("a body", function()
    local ONCE = { { "cut", "ends early" }, { "reset", "is reset" } }
    for _, case in ipairs(ONCE) do
      it("that " .. case[2] .. " once is fetched again", function()
        sim:post("/faults", { on = "nfc", ["do"] = case[1], bytes = 5 * MIB, file = FIRST,
          count = 1 })
        local state = check_whole(import())
        assert.equal(2, requests(state, FIRST))
        assert.equal(1, state.calls.ExportVm)
      end)
    end

    it("that always ends early is refused", function()
      sim:post("/faults", { on = "nfc", ["do"] = "cut", bytes = 5 * MIB, file = FIRST })
      local line = check_refused(import({ spec = { maxRetries = 1 } }))
      has(line, ("byte %d"):format(5 * MIB))
    end)

    it("that always ends early, at any structure, is refused", function()
      for _, at in ipairs { 0, 100, 512, 65536, stream_size - 5632, stream_size - 1024,
        stream_size - 512, stream_size - 1 } do
        sim:post("/reset")
        assert(file.remove(out, { recursive = true, missing_ok = true }))
        sim:post("/faults", { on = "nfc", ["do"] = "cut", bytes = at, file = FIRST })
        check_refused(import({ spec = { maxRetries = 0 } }))
      end
    end)

    -- From the end: end of stream, footer and its marker, directory and its marker,
    -- table of 2048 bytes and its marker; before those the last grain.
    local PLACES = {
      { "in the middle", function() return stream_size // 2 end, true },
      { "in the last grain", function() return stream_size - 5632 - 2000 end, true },
      { "in a grain's marker", function() return 65536 + 3 end, true },
      { "in the grain table", function() return stream_size - 2048 - 2560 + 21 end, true },
      { "in the grain directory", function() return stream_size - 2048 + 1 end, true },
      { "in the footer", function() return stream_size - 1024 + 13 end, true },
      { "in the end-of-stream marker", function() return stream_size - 512 + 12 end, true },
      { "where only the digest tells", function() return 512 + 10000 end, false },
    }
    for _, place in ipairs(PLACES) do
      it("that is damaged " .. place[1] .. " is refused, and fetched again", function()
        local at = place[2]()
        local fault = { on = "nfc", ["do"] = "corrupt", bytes = at, file = FIRST }
        sim:post("/faults", fault)
        local line = check_refused(import({ spec = { maxRetries = 0 } }))
        local have = table.concat(lab.files(out), " "):find("disk%-1%.raw")
        if place[3] then
          local byte = tonumber(line:match("byte (%d+)"))
          assert.truthy(byte and math.abs(byte - at) < 70000, line)
        else
          has(line, "the source says it sent")
        end

        sim:post("/reset")
        fault.count = 1
        sim:post("/faults", fault)
        local state = check_whole(import())
        assert.equal(2, requests(state, FIRST))
        assert.equal(have and 0 or 1, requests(state, SECOND))
      end)
    end

    it("that pauses for less than the idle limit comes whole", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", bytes = 5 * MIB, seconds = 2,
        file = FIRST })
      local state = check_whole(import({ args = { "--idle-timeout", "4" } }))
      assert.equal(1, requests(state, FIRST))
    end)

    it("that pauses for more is given up, and fetched again", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", bytes = 5 * MIB, seconds = 60,
        file = FIRST, count = 1 })
      local state = check_whole(import({ args = { "--idle-timeout", "1.5" } }))
      assert.equal(2, requests(state, FIRST))
    end)

    it("that always pauses for more is refused", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", bytes = 5 * MIB, seconds = 60,
        file = FIRST })
      local line = check_refused(import({ args = { "--idle-timeout", "0.5" },
        spec = { maxRetries = 0 } }))
      has(line, "nothing came for 0.5 s")
    end)

    it("that pauses for longer than the lease lives does not lose it", function()
      sim:post("/faults", { on = "nfc", ["do"] = "stall", bytes = 5 * MIB,
        seconds = LEASE + 2, file = FIRST })
      local state = check_whole(import())
      assert.equal(1, requests(state, FIRST))
      assert.equal(1, state.calls.ExportVm)
    end)

    it("refused with 503 once is asked for again, and always is refused", function()
      sim:post("/faults", { on = "nfc", ["do"] = "http", file = FIRST, count = 1 })
      check_whole(import())
      assert(file.remove(out, { recursive = true, missing_ok = true }))
      sim:post("/reset")
      sim:post("/faults", { on = "nfc", ["do"] = "http", file = FIRST })
      has(check_refused(import({ spec = { maxRetries = 0 } })), "HTTP status 503")
    end)
  end)

  describe("a session", function()
    it("dropped while a disk is on its way is opened anew", function()
      local running <close> = start_slowly()
      sim:post("/sessions/drop")
      check_whole(running:wait())
    end)

    it("dropped together with its lease is opened anew", function()
      sim:post("/settings", { leaseOnLogout = "end" })
      local running <close> = start_slowly()
      sim:post("/sessions/drop")
      local state = check_whole(running:wait())
      assert.equal(2, state.calls.ExportVm)
    end)

    it("that ends before any one call is opened anew", function()
      local calls = { "RetrievePropertiesEx", "ExportVm", "HttpNfcLeaseGetManifest",
        "HttpNfcLeaseComplete", "HasPrivilegeOnEntity" }
      for _, call in ipairs(calls) do
        assert(file.remove(out, { recursive = true, missing_ok = true }))
        sim:post("/reset")
        sim:post("/faults", { on = call, ["do"] = "expire", count = 1 })
        local result = import()
        assert.equal(0, result.status, call .. "\n" .. result.stderr)
        local state = check_whole(result)
        assert.truthy(state.calls[call], call .. " was never made")
      end
    end)
  end)

  describe("a lease", function()
    it("that expires while a disk is on its way is taken again", function()
      local running <close> = start_slowly()
      sim:post("/leases/expire")
      local state = check_whole(running:wait())
      assert.equal(2, state.calls.ExportVm)
    end)

    it("that fails once is taken again", function()
      sim:post("/faults", { on = "lease", ["do"] = "error", count = 1 })
      check_whole(import())
    end)

    it("that always fails is reported with the server's reason", function()
      sim:post("/faults", { on = "lease", ["do"] = "error", message = "The file is locked." })
      has(check_refused(import({ spec = { maxRetries = 1 } })), "The file is locked.")
    end)

    it("that takes its time is waited for", function()
      sim:post("/settings", { leaseInit = 3 })
      check_whole(import())
    end)

    it("whose URLs name no host is read from the API's", function()
      for _, kind in ipairs { "star", "star-port" } do
        sim:post("/settings", { deviceUrl = kind })
        assert(file.remove(out, { recursive = true, missing_ok = true }))
        check_whole(import())
      end
    end)

    it("without checksums, or with SHA-1 alone, is as good", function()
      for _, kind in ipairs { "none", "sha1" } do
        sim:post("/settings", { manifest = kind })
        assert(file.remove(out, { recursive = true, missing_ok = true }))
        check_whole(import())
      end
    end)

    it("is compared with SHA-1 where the server gives no more, though it was asked", function()
      sim:post("/settings", { manifest = "sha1" })
      sim:post("/faults", { on = "nfc", ["do"] = "corrupt", bytes = 512 + 10000,
        file = FIRST })
      has(check_refused(import({ spec = { maxRetries = 0 } })), "sha1 of what came")
    end)

    it("whose host shows another certificate than the lease said is not read", function()
      sim:post("/certificate", { server = "nfc", show = "other" })
      has(check_refused(import({ spec = { maxRetries = 0 } })),
        "the certificate is not the one of this host in vCenter")
    end)
  end)

  describe("an answer", function()
    local CALLS = { "vimServiceVersions.xml", "RetrieveServiceContent", "Login",
      "RetrievePropertiesEx", "ExportVm", "HttpNfcLeaseProgress", "HttpNfcLeaseGetManifest",
      "HttpNfcLeaseComplete", "HttpNfcLeaseSetManifestChecksumType", "Logout" }
    for _, how in ipairs { "http", "drop" } do
      it(("that fails once (%s) is asked for again"):format(how), function()
        for _, call in ipairs(CALLS) do
          assert(file.remove(out, { recursive = true, missing_ok = true }))
          sim:post("/reset")
          sim:post("/faults", { on = call, ["do"] = how, count = 1 })
          local result = import()
          assert.equal(0, result.status, call .. "\n" .. result.stderr)
          if call == "Logout" then -- said once, and nobody is there to say it again
            sim:post("/sessions/drop")
          end
          check_whole(result)
        end
      end)
    end

    it("that is garbled or half once, later than the log-in, is asked for again", function()
      local calls = { RetrievePropertiesEx = 3, ExportVm = 0, HttpNfcLeaseGetManifest = 0,
        HttpNfcLeaseComplete = 0, HttpNfcLeaseSetManifestChecksumType = 0 }
      for call, skip in pairs(calls) do
        for _, how in ipairs { "garbage", "truncate" } do
          assert(file.remove(out, { recursive = true, missing_ok = true }))
          sim:post("/reset")
          sim:post("/faults", { on = call, ["do"] = how, count = 1, skip = skip })
          local result = import()
          assert.equal(0, result.status, call .. "\n" .. result.stderr)
          check_whole(result)
          assert.same({}, sim:get("/state").faults or {}, call .. " was not made so often")
        end
      end
    end)

    it("of ExportVm that got lost leaves a lease, which is waited out and reported", function()
      sim:post("/faults", { on = "ExportVm", ["do"] = "lose", count = 1 })
      local result = import()
      check_whole(result)
      has(result.stderr, "the export of an interrupted run still holds the machine, until ")
    end)

    it("of PowerOffVM_Task that got lost is found out", function()
      sim:post("/faults", { on = "PowerOffVM_Task", ["do"] = "lose", count = 1 })
      check_whole(import({ machine = "bare", spec = { forcePowerOff = true } }), "bare")
    end)

    it("of ShutdownGuest that got lost cuts no power", function()
      sim:post("/faults", { on = "ShutdownGuest", ["do"] = "lose", count = 1 })
      local state = check_whole(import({ machine = "guest" }), "guest")
      assert.is_nil(state.calls.PowerOffVM_Task)
    end)

    it("that is no vSphere's is refused in one line", function()
      for _, how in ipairs { "garbage", "truncate" } do
        sim:post("/faults", { on = "RetrieveServiceContent", ["do"] = how })
        local result = import()
        assert.equal(1, result.status)
        has(result.stderr, "vm-import-controller import: VmwareSource default/vc: ")
        assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
        sim:post("/reset")
      end
    end)
  end)

  describe("a signal", function()
    for name, code in pairs { TERM = 143, INT = 130 } do
      it(("SIG%s ends it: lease aborted, session logged out, no half disk"):format(name),
        function()
          local running <close> = start_slowly()
          running:signal(name)
          local result = running:wait(20)
          assert.equal(code, result.status, result.stderr)
          assert.is_nil(result.signal)
          local state = check_source()
          assert.equal("aborted", state.leases[#state.leases].state)
          assert.same({ logout = 1 }, state.sessionsEnded)
          for _, path in ipairs(lab.files(out)) do
            assert.falsy(path:find("%.part$"), path)
          end
          assert.equal("sourceReady", status().importStatus)
          check_whole(import())
        end)
    end
  end)

  describe("a running machine", function()
    it("is shut down by its guest", function()
      local state = check_whole(import({ machine = "guest" }), "guest")
      assert.equal("True", condition("VMShutdownGuest").status)
      assert.is_nil(state.calls.PowerOffVM_Task)
    end)

    it("whose guest does not end is powered off hard, which status says", function()
      local result = import({ machine = "stubborn",
        spec = { gracefulShutdownTimeoutSeconds = 2 } })
      local state = check_whole(result, "stubborn")
      assert.equal(1, state.calls.ShutdownGuest)
      assert.equal(1, state.calls.PowerOffVM_Task)
      has(condition("VMPoweringOff").message, "did not shut down within 2 s")
    end)

    it("is powered off at once with forcePowerOff", function()
      local state = check_whole(import({ machine = "guest", spec = { forcePowerOff = true } }),
        "guest")
      assert.is_nil(state.calls.ShutdownGuest)
    end)

    it("that cannot be powered off is left alone, with the server's reason", function()
      sim:post("/faults", { on = "task", ["do"] = "fault", fault = "InvalidState",
        message = "The host is in maintenance mode.", count = FOREVER })
      has(check_refused(import({ machine = "bare",
        spec = { forcePowerOff = true, maxRetries = 0 } })), "The host is in maintenance mode.")
    end)
  end)
end)
