-- What is an outage, and how it is waited for, by a clock of the spec's own.

local cluster = require "support.cluster"
local conditions = require "kube.conditions"
local errors = require "host.error"
local fake_source = require("support.source").new
local flow = require "flows.import"
local json = require "host.json"
local outage = require "flows.import.outage"
local requests = require "kube.requests"
local time = require "host.time"

local KEY = { namespace = "default", name = "web" }
local DAY = 24 * 3600

describe("outage.of", function()
  local GONE = errors.new("connect", "refused")
  local DENIED = errors.new("denied", "wrong password")

  -- The outage that the err is, or false, for each answer of the log-in that follows it.
  local function verdicts(make)
    local all = {}
    for i, answer in ipairs { true, GONE, DENIED } do
      all[i] = outage.of(make(), function()
        return answer == true, answer ~= true and answer or nil
      end) or false
    end
    return all
  end

  local function err(kind, fields)
    return function()
      return errors.new(kind, "m", fields)
    end
  end

  local AWAY, ASKED, NO = { outage.SOURCE, outage.SOURCE, outage.SOURCE },
    { false, outage.SOURCE, false }, { false, false, false }

  it("knows each kind of err of a source", function()
    for i, row in ipairs {
      -- nobody answers, or says that it cannot now
      { err("connect"), AWAY }, { err("dns"), AWAY },
      { err("connect", { code = "HostNotConnected" }), AWAY },
      { err("http", { status = 502 }), AWAY }, { err("http", { status = 503 }), AWAY },
      { err("http", { status = 504 }), AWAY }, { err("busy", { status = 429 }), AWAY },
      -- it may have been the source, or this one thing alone
      { err("timeout"), ASKED }, { err("tls"), ASKED }, { err("http"), ASKED },
      { err("gone"), ASKED },
      { err("http", { status = 503, disk = "2000" }), ASKED },
      { err("connect", { disk = "2000" }), ASKED }, { err("timeout", { disk = "2000" }), ASKED },
      { err("format", { disk = "2000" }), ASKED }, { err("gone", { disk = "2000" }), ASKED },
      -- it has answered
      { err("denied", { status = 401 }), NO }, { err("notfound", { status = 404 }), NO },
      { err("http", { status = 500 }), NO }, { err("busy"), NO },
      { err("busy", { status = 500 }), NO },
      { err("invalid"), NO }, { err("format"), NO }, { err("unsupported"), NO },
      { err("conflict"), NO }, { err("nospace"), NO }, { err("io"), NO },
      { err("internal"), NO }, { err("cancelled"), NO }, { err("exit"), NO },
      { err("connect", { final = true }), NO },
    } do
      assert.same(row[2], verdicts(row[1]), "row " .. i)
    end
  end)

  it("knows each answer of an API server, whatever the source says", function()
    local function answer(status, message)
      return function()
        return requests.failure("POST /x", { status = status, headers = {},
          body = json.encode({ kind = "Status", message = message }) })
      end
    end
    local function lost(kind)
      return err(kind, { api = true })
    end
    local H = { outage.HARVESTER, outage.HARVESTER, outage.HARVESTER }
    local A = { outage.ACCESS, outage.ACCESS, outage.ACCESS }
    local cannot = 'virtualmachineimages.harvesterhci.io is forbidden: User '
      .. '"system:serviceaccount:harvester-system:vm-import-controller" cannot create resource'
    for i, row in ipairs {
      { answer(500, 'Internal error occurred: failed calling webhook "v.harvesterhci.io": '
        .. 'failed to call webhook: Post "https://x": connect: connection refused'), H },
      { answer(500, "etcdserver: request timed out"), H },
      { answer(500, "etcdserver: leader changed"), H },
      { answer(503, "the server is currently unable to handle the request"), H },
      { answer(429, "too many requests"), H }, { answer(502, "bad gateway"), H },
      { answer(504, "Timeout: request did not complete"), H },
      { lost("connect"), H }, { lost("dns"), H }, { lost("timeout"), H },
      { err("busy", { api = true, status = 404, webhook = "v", behind = true }), H },
      { lost("tls"), NO }, { answer(500, "Internal error occurred: a nil map"), NO },
      { answer(500, 'admission webhook "v" denied the request: failed calling webhook'), NO },
      { answer(403, cannot), A }, { answer(401, "Unauthorized"), A },
      { answer(403, cannot .. ' ...: RBAC: clusterrole.rbac.authorization.k8s.io "x" not '
        .. "found"), A },
      { answer(403, 'admission webhook "v" denied the request: x is forbidden: User "y" '
        .. "cannot do this"), NO },
      { answer(403, 'pods "x" is forbidden: violates PodSecurity "restricted"'), NO },
      { answer(403, "forbidden"), NO }, { answer(404, "not found"), NO },
      { answer(409, "exists"), NO }, { answer(422, "invalid"), NO },
      { answer(400, "etcdserver: request is too large"), NO },
    } do
      assert.same(row[2], verdicts(row[1]), "row " .. i)
    end
  end)
end)

describe("outage.seconds", function()
  it("reads hours, minutes and seconds, and nothing else", function()
    for text, seconds in pairs { ["24h"] = DAY, ["90m"] = 5400, ["1h30m"] = 5400,
      ["5s"] = 5, ["0s"] = 0 } do
      assert.equal(seconds, outage.seconds(text), text)
    end
    for _, text in ipairs { "", "h", "5", "-5m", "1.5h", "5 m", "1d" } do
      assert.is_nil(outage.seconds(text), text)
    end
  end)
end)

describe("an import during an outage", function()
  local w

  local function import_of()
    return assert(w.store:get("VirtualMachineImport", "default", "web"))
  end

  local function said()
    return conditions.find(import_of().status.conditions, "Reconciling")
  end

  local function fake_disks()
    local disks = { whole = {}, fetched = {} }
    function disks:path(_, disk) return "/scratch/" .. disk.name end
    function disks:state(_, disk) return self.whole[disk.id] end
    function disks.writer_of() return nil end
    function disks:remove(_, disk) self.whole[disk.id] = nil end
    function disks:put(_, disk)
      self.fetched[#self.fetched + 1] = disk.id
      local transfer = setmetatable({}, { __close = function() end })
      function transfer.progress() return { position = 0, received = 0, rate = 0 } end
      function transfer.wait()
        local problem = disks.break_off and disks.break_off(disk)
        if problem then
          return nil, problem
        end
        disks.whole[disk.id] = "whole"
        return { capacity = disk.capacity_bytes, received = 1, digests = {} }
      end
      return transfer
    end
    return disks
  end

  local function world(spec)
    w = { clock = 1.8e9, store = cluster.new(), source = fake_source({}), opened = 0 }
    w.target = { can = { images = false, run = false }, disks = fake_disks() }
    function w.target.check() return {} end
    function w.target.image_url() return nil end
    function w.target.put_machine()
      if w.refusal then
        error(w.refusal)
      end
    end
    w.env = {
      store = w.store, target = w.target,
      open_source = function()
        w.opened = w.opened + 1
        if w.away then
          return nil, w.away
        end
        return w.source
      end,
      hook = function(_, _, builtin) return builtin end,
      now = function() return w.clock end,
      options = { poll = 0.001, parallel_disks = 1 },
      is_final = function() return false end,
    }
    w.store:create("VmwareSource", { metadata = { name = "vc", namespace = "default" },
      spec = {} })
    w.store:patch("VmwareSource", "default", "vc", { status = { status = "clusterReady" } },
      { status = true })
    spec.virtualMachineName = "web 01"
    spec.sourceCluster = { kind = "VmwareSource", name = "vc", namespace = "default" }
    w.store:create("VirtualMachineImport", { metadata = { name = "web",
      namespace = "default", uid = "1a2b3c4d-0000" }, spec = spec })
  end

  -- Steps, each when it is due, until `seconds` have passed or it has ended.
  local function live(seconds)
    local until_then = w.clock + seconds
    repeat
      local result = flow.reconcile(KEY, w.env)
      if not result then
        return nil
      end
      w.clock = w.clock + math.max(result.after, 0)
    until w.clock >= until_then
    return true
  end

  -- The second disk breaks off and from then on the source is gone.
  local function lose_source(kind)
    w.target.disks.break_off = function(disk)
      if disk.id == "2001" then
        w.away = errors.new("connect", "VmwareSource default/vc: POST https://vc/sdk: "
          .. "cannot connect: Connection refused")
        return errors.new(kind or "connect", "the connection broke")
      end
    end
  end

  local function come_back()
    w.away, w.target.disks.break_off = nil, nil
  end

  it("counts nothing, keeps what it has, and goes on when a vCenter is back", function()
    world({ maxRetries = 0 })
    lose_source()
    live(7 * 60)
    local status = import_of().status
    assert.equal("sourceReady", status.importStatus)
    assert.is_nil(status.attempt)
    assert.equal("SourceUnreachable", said().reason)
    assert.truthy(said().message:find("Connection refused", 1, true))
    assert.equal(outage.SOURCE, status.outage.reason)
    assert.equal(1.8e9, time.parse(status.outage.since))
    assert.is_true(time.parse(status.nextAttemptTime) > 1.8e9 + 7 * 60 - 1)
    come_back()
    live(600)
    assert.equal("Written", conditions.find(import_of().status.conditions, "Ready").reason)
    assert.is_nil(import_of().status.outage)
    local count = 0
    for _, id in ipairs(w.target.disks.fetched) do
      count = count + (id == "2000" and 1 or 0)
    end
    assert.equal(1, count)
  end)

  it("asks less and less often", function()
    world({})
    lose_source()
    live(DAY / 2)
    assert.is_true(w.opened < 12 * 12 + 12, w.opened .. " log-ins")
  end)

  it("ends after a day, or what giveUpAfter says, and tells since when", function()
    for give_up, seconds in pairs { ["24h"] = DAY, ["10m"] = 600 } do
      world({ giveUpAfter = give_up ~= "24h" and give_up or nil })
      lose_source()
      assert.is_true(live(seconds - 10))
      assert.equal("sourceReady", import_of().status.importStatus)
      live(11)
      assert.equal("VMMigrationFailed", import_of().status.importStatus)
      local stalled = conditions.find(import_of().status.conditions, "Stalled")
      assert.equal("SourceUnreachable", stalled.reason)
      assert.truthy(stalled.message:find("since 2027-01-15T08:00:00Z", 1, true),
        stalled.message)
    end
  end)

  it("is not ended by a clock that jumps, ahead or back", function()
    world({ giveUpAfter = "1h" })
    lose_source()
    live(600)
    w.clock = w.clock + 10 * 3600
    live(600)
    w.clock = w.clock - 20 * 3600
    live(600)
    assert.equal("sourceReady", import_of().status.importStatus)
    local waited = import_of().status.outage.waitedSeconds
    assert.is_true(waited > 1200 and waited < 2700, waited .. " s")
    live(3600)
    assert.equal("VMMigrationFailed", import_of().status.importStatus)
  end)

  it("begins to wait anew when the source was there in between", function()
    world({ giveUpAfter = "10m" })
    for _ = 1, 4 do
      lose_source()
      live(400)
      w.away = nil -- it breaks off again, with an export open
    end
    assert.equal("sourceReady", import_of().status.importStatus)
  end)

  it("counts a disk that breaks off while the source answers", function()
    for _, kind in ipairs { "connect", "timeout", "http", "format" } do
      world({ maxRetries = 1 })
      w.target.disks.break_off = function()
        return errors.new(kind, "broken")
      end
      assert.is_nil(live(DAY))
      assert.equal("VMMigrationFailed", import_of().status.importStatus)
      assert.is_true(w.clock - 1.8e9 < 60)
    end
  end)

  it("waits for Harvester's webhook and for the API server alike", function()
    for _, message in ipairs { 'Internal error occurred: failed calling webhook "x"',
      "etcdserver: request timed out" } do
      world({ maxRetries = 0 })
      w.refusal = requests.failure("POST /x", { status = 500, headers = {},
        body = json.encode({ kind = "Status", message = message }) })
      live(3600)
      assert.equal("disksExported", import_of().status.importStatus)
      assert.equal("HarvesterUnreachable", said().reason)
      w.refusal = nil
      live(600)
      assert.equal("Written", conditions.find(import_of().status.conditions, "Ready").reason)
      assert.equal(2, #w.target.disks.fetched)
    end
  end)

  it("waits for rights that the controller lacks, or lacks yet", function()
    world({ maxRetries = 0 })
    w.refusal = requests.failure("POST /x", { status = 403, headers = {},
      body = json.encode({ kind = "Status", message = 'virtualmachineimages is forbidden: '
        .. 'User "vic" cannot create resource: RBAC: clusterrole "vic" not found' }) })
    live(600)
    assert.equal("AccessDenied", said().reason)
    w.refusal = nil
    live(40)
    assert.equal("Written", conditions.find(import_of().status.conditions, "Ready").reason)
  end)

  it("waits for a source that is gone before it was planned", function()
    world({ maxRetries = 0, giveUpAfter = "1h" })
    w.away = errors.new("dns", "Could not resolve host: vc")
    live(1800)
    assert.equal("", import_of().status.importStatus or "")
    assert.equal("SourceUnreachable", said().reason)
    w.away = nil
    live(600)
    assert.equal("Written", conditions.find(import_of().status.conditions, "Ready").reason)
  end)
end)

describe("outage.wait", function()
  it("is an Event at the first try of an outage, and at no other", function()
    local import = { spec = {}, status = {} }
    local ctx = { options = {}, now = function()
      return 1.8e9
    end }
    local function wait(reason)
      local outcome = assert(outage.wait(import, ctx, reason, errors.new("connect", "away"), 0))
      import.status.outage = outcome.fields.outage
      return outcome
    end
    assert.equal("Warning", wait("SourceUnreachable").event)
    assert.is_nil(wait("SourceUnreachable").event)
    assert.equal("Warning", wait("HarvesterUnreachable").event)
  end)
end)
