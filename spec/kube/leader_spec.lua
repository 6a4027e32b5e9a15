local cluster = require "support.cluster"
local errors = require "host.error"
local leader = require "kube.leader"
local pace = require "support.pace"
local task = require "host.task"

local SHORT = pace.seconds(0.01)
local TIMING = { duration = 26 * SHORT, deadline = 20 * SHORT, renew = 4 * SHORT,
  look = SHORT }
local NEVER = 600 -- seconds: a lease of this duration does not end within a spec
local eventually = pace.eventually

describe("kube.leader", function()
  local store, now, clock

  -- The clock stands still while this process does: a machine that stops it for a moment
  -- costs nobody the lease.
  before_each(function()
    store = cluster.new()
    now = 1000
    clock = task.spawn(function()
      while true do
        task.sleep(SHORT / 2)
        now = now + SHORT / 2
      end
    end)
  end)

  after_each(function()
    clock:cancel()
  end)

  local function lease()
    return store:get("Lease", "n", "l")
  end

  -- To a server that never answers.
  local function dead_client()
    local function call()
      task.sleep(4 * SHORT)
      return nil, errors.new("timeout", "no answer")
    end
    return { get = call, patch = call, create = call }
  end

  -- A replica: .leads says whether its lead() runs, .terms how often it has begun; .slept
  -- moves its clock.
  local function replica(name, opts)
    opts = opts or {}
    local self = { name = name, leads = false, terms = 0, slept = 0,
      goodbye = opts.goodbye }
    self.leader = leader.new({
      client = opts.client or store, namespace = "n", name = "l", identity = name,
      annotations = opts.annotations, on_other = opts.on_other, timing = opts.timing or TIMING,
      boottime = function()
        return now + self.slept
      end,
    })
    self.task = task.spawn(self.leader.run, self.leader, function()
      local guard <close> = setmetatable({}, { __close = function()
        if self.goodbye then
          task.goodbye(self.goodbye, self)
        end
        self.leads = false
      end })
      assert(guard)
      self.leads, self.terms = true, self.terms + 1
      task.sleep(60)
    end)
    return setmetatable(self, { __close = function()
      self.task:cancel(0)
    end })
  end

  local function until_leads(r)
    assert.is_true(eventually(function()
      return r.leads
    end), r.name .. " does not lead")
  end

  it("leads when nobody does, and one alone", function()
    local a <close> = replica("a", { annotations = { ["x.io/url"] = "http://a" } })
    until_leads(a)
    local b <close> = replica("b")
    for _ = 1, 20 do
      task.sleep(SHORT)
      assert.is_true(a.leads)
      assert.is_false(b.leads)
    end
    assert.equal("a", lease().spec.holderIdentity)
    assert.equal("http://a", lease().metadata.annotations["x.io/url"])
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d%d%d%d%d%dZ$", lease().spec.renewTime)
    assert.is_truthy(a.leader:may_write() > now)
    local ok, err = b.leader:may_write()
    assert.is_nil(ok)
    assert.equal("NotLeader", err.reason)
  end)

  it("is told what another that leads says of itself", function()
    local first <close> = replica("a", { annotations = { where = "there" } })
    eventually(function() return first.leads end)
    local said
    local second <close> = replica("b", { on_other = function(annotations)
      said = annotations
    end })
    eventually(function() return said end)
    assert.equal("there", said.where)
    assert.is_false(second.leads)
    first.task:cancel()
    said = nil
    eventually(function() return second.leads end)
    assert.is_nil(said)
  end)

  it("takes over from one that has died, not before the lease has ended", function()
    local a <close> = replica("a")
    until_leads(a)
    local b <close> = replica("b")
    a.leader.client = dead_client()
    local dead = now
    until_leads(b)
    assert.is_true(now - dead > TIMING.deadline)
    assert.equal(1, lease().spec.leaseTransitions)
    assert.is_true(eventually(function()
      return not a.leads
    end))
  end)

  it("takes over at once from one that was ended, after its goodbyes", function()
    local said = false
    local timing = { duration = NEVER, deadline = TIMING.deadline, renew = TIMING.renew,
      look = TIMING.look }
    local a <close> = replica("a", { timing = timing, goodbye = function(self)
      for _ = 1, 40 do -- longer than the deadline: the lease is renewed meanwhile
        task.sleep(SHORT)
        assert(self.leader:may_write())
        assert.equal("a", lease().spec.holderIdentity)
      end
      said = true
    end })
    until_leads(a)
    local b <close> = replica("b", { timing = timing })
    a.task:cancel()
    assert.is_true(said)
    assert.is_true(lease().spec.leaseDurationSeconds > 0) -- an API server takes no other
    until_leads(b)
    assert.equal("b", lease().spec.holderIdentity)
    assert.is_nil((a.leader:may_write()))
  end)

  it("may not write after it slept past the deadline, and stops if another leads", function()
    local a <close> = replica("a")
    until_leads(a)
    a.slept = 100
    assert.is_nil((a.leader:may_write()))
    local there = lease()
    assert(store:patch("Lease", "n", "l", {
      metadata = { resourceVersion = there.metadata.resourceVersion },
      spec = { holderIdentity = "b" },
    }))
    assert.is_true(eventually(function()
      return not a.leads
    end))
    assert.is_nil((a.leader:may_write()))
  end)

  it("goes on leading after a sleep when nobody has taken over", function()
    local a <close> = replica("a")
    until_leads(a)
    a.slept = 100
    assert.is_true(eventually(function()
      return a.leader:may_write()
    end))
    assert.is_true(a.leads)
    assert.equal(0, lease().spec.leaseTransitions)
  end)

  it("keeps a lease that somebody puts a label on", function()
    local a <close> = replica("a")
    until_leads(a)
    for i = 1, 10 do
      assert(store:patch("Lease", "n", "l", { metadata = { labels = { x = "l" .. i } } }))
      task.sleep(2 * SHORT)
      assert.is_true(a.leads)
      assert(a.leader:may_write())
    end
  end)

  it("keeps a lease whose renewal has happened though its answer got lost", function()
    local lossy = setmetatable({}, { __index = store })
    function lossy.patch(_, ...)
      assert(store:patch(...))
      return nil, errors.new("timeout", "lost")
    end
    local a <close> = replica("a")
    until_leads(a)
    a.leader.client = lossy
    task.sleep(10 * SHORT)
    a.leader.client = store
    task.sleep(20 * SHORT)
    assert.is_true(a.leads)
    assert(a.leader:may_write())
    assert.equal(1, a.terms)
  end)

  it("goes on through renewals that fail, while the last one that did not still counts",
    function()
      local a <close> = replica("a", { timing = { duration = NEVER, deadline = NEVER / 2,
        renew = SHORT, look = SHORT } })
      until_leads(a)
      local tried = 0
      a.leader.client = setmetatable({ patch = function()
        tried = tried + 1
        return nil, errors.new("http", "it is overloaded", { status = 503 })
      end }, { __index = store })
      assert.is_true(eventually(function()
        return tried >= 5
      end))
      assert.equal(1, a.terms)
      assert.is_true(a.leads)
      assert.equal(0, lease().spec.leaseTransitions)
    end)

  it("gives a renewal the time there is, not the last moment alone", function()
    local a <close> = replica("a", { timing = { duration = NEVER, deadline = NEVER / 2,
      renew = SHORT, look = SHORT } })
    until_leads(a)
    local before, renewed = lease().spec.renewTime, false
    a.leader.client = setmetatable({ patch = function(_, ...)
      task.sleep(0.6)
      renewed = true
      return store:patch(...)
    end }, { __index = store })
    assert.is_true(eventually(function()
      return lease().spec.renewTime ~= before
    end))
    assert.is_true(renewed)
    assert.equal(1, a.terms)
  end)

  it("stops in time though the renewal that it waits for never ends", function()
    local a <close> = replica("a")
    until_leads(a)
    a.leader.client = setmetatable({ patch = function()
      task.sleep(NEVER)
    end }, { __index = store })
    assert.is_true(eventually(function()
      return not a.leads
    end))
  end)

  it("looks again when another's lease ends, where that is before the next look", function()
    assert(store:create("Lease", { kind = "Lease", metadata = { namespace = "n", name = "l" },
      spec = { holderIdentity = "x", leaseDurationSeconds = 5 * SHORT } }))
    local a <close> = replica("a", { timing = { duration = NEVER, deadline = NEVER / 2,
      renew = SHORT, look = NEVER } })
    until_leads(a)
  end)

  it("stops at once when the lease is deleted or another's", function()
    for _, change in ipairs({
      function()
        assert(store:delete("Lease", "n", "l"))
      end,
      function()
        assert(store:patch("Lease", "n", "l", { spec = { holderIdentity = "b" } }))
      end,
    }) do
      store = cluster.new()
      local a <close> = replica("a", { timing = { duration = NEVER, deadline = NEVER / 2,
        renew = TIMING.renew, look = TIMING.look } })
      until_leads(a)
      change()
      assert.is_true(eventually(function()
        return not a.leads
      end))
      a.task:cancel()
    end
  end)

  it("stops when it cannot renew for too long, and leads again when it can", function()
    local a <close> = replica("a")
    until_leads(a)
    a.leader.client = dead_client()
    assert.is_true(eventually(function()
      return not a.leads
    end))
    assert.is_nil((a.leader:may_write()))
    a.leader.client = store
    until_leads(a)
    assert.equal("a", lease().spec.holderIdentity)
  end)

  it("gives the lease back when what it led has ended, and leads again", function()
    local terms = 0
    local l = leader.new({ client = store, namespace = "n", name = "l", identity = "a",
      timing = TIMING, boottime = function() return now end })
    local running = task.spawn(l.run, l, function()
      terms = terms + 1
      if terms == 1 then
        error(errors.new("internal", "no"))
      end
      task.sleep(60)
    end)
    assert.is_true(eventually(function()
      return terms == 2 and l:may_write()
    end))
    assert.equal(1, lease().spec.leaseTransitions)
    running:cancel()
  end)

  it("takes a lease that was given back, or never held", function()
    assert(store:create("Lease", { kind = "Lease", metadata = { namespace = "n", name = "l" } }))
    local a <close> = replica("a", { timing = { duration = NEVER, deadline = NEVER / 2,
      renew = TIMING.renew, look = TIMING.look } })
    until_leads(a)
    assert.equal(1, lease().spec.leaseTransitions)
  end)

  it("is never two, whoever dies, sleeps or is ended", function()
    local replicas = {}
    local function count()
      local leading = 0
      for _, r in pairs(replicas) do
        if r.leader:may_write() then
          leading = leading + 1
        end
      end
      assert(leading <= 1, "two lead")
    end
    for i = 1, 3 do
      replicas[i] = replica("r" .. i)
    end
    for round = 1, 10 do
      local leading
      assert.is_true(eventually(function()
        count()
        for _, r in ipairs(replicas) do
          leading = r.leads and r.leader:may_write() and r or leading
        end
        return leading
      end))
      if round % 3 == 0 then
        leading.task:cancel()
      elseif round % 3 == 1 then
        leading.leader.client = dead_client()
      else
        leading.slept = leading.slept + 100
      end
      for _ = 1, 10 do
        task.sleep(SHORT / 2)
        count()
      end
      for i, r in ipairs(replicas) do
        if r == leading then
          r.task:cancel()
          replicas[i] = replica(("r%d-%d"):format(i, round))
        end
      end
    end
    for _, r in ipairs(replicas) do
      r.task:cancel()
    end
  end)
end)

describe("kube.leader by itself", function()
  it("may act for 10 s after a renewal, which comes every 2 s; others wait for 13 s", function()
    assert.same({ duration = 13, deadline = 10, renew = 2, look = 1 },
      leader.new({ client = {}, namespace = "n", name = "l", identity = "i" }).timing)
  end)
end)
