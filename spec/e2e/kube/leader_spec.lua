-- kube.leader: processes that want to lead, on a real API server; killed, stopped and woken.
-- What counts is the order in which the server has their writes.

local informer = require "kube.informer"
local kube = require "support.kube"
local lab = require "support.lab"
local program = require "support.program"
local task = require "host.task"
local time = require "host.time"

local TAKEN_OVER_WITHIN = 15 -- seconds after a death

describe("kube.leader, among processes on a real API server,", function()
  local cluster, api, namespace, journal, watching
  local running

  setup(function()
    cluster = kube.start()
    api = cluster:client()
  end)

  teardown(function()
    cluster:close()
  end)

  before_each(function()
    namespace = cluster:namespace()
    assert(api:create("ConfigMap", { apiVersion = "v1", kind = "ConfigMap",
      metadata = { namespace = namespace, name = "journal" }, data = { last = "" } }))
    running, journal = {}, {}
    watching = informer.new({
      client = api, kind = "ConfigMap", namespace = namespace, name = "journal",
      project = function(object)
        return { last = object.data.last, version = object.metadata.resourceVersion }
      end,
      changed = function(_, value)
        journal[#journal + 1] = value.last
      end,
    })
    watching.task = task.spawn(watching.run, watching)
  end)

  after_each(function()
    for _, one in pairs(running) do
      one.program:signal("KILL")
      one.program:wait(10)
    end
    watching.task:cancel()
  end)

  local function start(name, goodbye)
    local folder <close> = lab.folder()
    running[name] = { name = name, program = program.start(folder.path,
      { "script", "spec/support/replica.lua", namespace, name, goodbye },
      { env = { KUBECONFIG = cluster.env.KUBECONFIG } }) }
    return running[name]
  end

  local function finish(one)
    local result = one.program:wait(30)
    running[one.name] = nil
    return result
  end

  local function last()
    return journal[#journal]
  end

  local function until_writes(one, seconds)
    local began = time.monotonic()
    kube.eventually(one.name .. " writes", function()
      return last() == one.name
    end, seconds or 30)
    return time.monotonic() - began
  end

  local function pause(seconds)
    local ends = time.monotonic() + seconds
    kube.eventually("time passes", function()
      return time.monotonic() >= ends
    end, seconds + 10)
  end

  -- Whose turns they were, in order: "a b a".
  local function turns()
    local list = {}
    for _, entry in ipairs(journal) do
      local name = entry:match("^%S+")
      if name and list[#list] ~= name then
        list[#list + 1] = name
      end
    end
    return table.concat(list, " ")
  end

  local function lease(path)
    return cluster:kubectl("-n", namespace, "get", "lease", "journal", "-o",
      "jsonpath={." .. path .. "}")
  end

  it("leads alone, by a lease whose times the server takes", function()
    local a = start("a")
    until_writes(a)
    start("b")
    pause(5)
    assert.equal("a", turns())
    assert.equal("a", lease("spec.holderIdentity"))
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d%d%d%d%d%dZ$", lease("spec.renewTime"))
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d%d%d%d%d%dZ$", lease("spec.acquireTime"))
    assert.equal("0", lease("spec.leaseTransitions"))
  end)

  it("takes over from one that was killed", function()
    local a = start("a")
    until_writes(a)
    local b = start("b")
    pause(3)
    a.program:signal("KILL")
    local took = until_writes(b)
    assert(took <= TAKEN_OVER_WITHIN, took .. " s")
    finish(a)
    assert.equal("a b", turns())
    assert.equal("1", lease("spec.leaseTransitions"))
  end)

  it("takes over at once from one that was ended, after the last word of its goodbye", function()
    local a = start("a", "3")
    until_writes(a)
    local b = start("b")
    pause(2)
    a.program:signal("TERM")
    kube.eventually("a says goodbye", function()
      return last() == "a says goodbye"
    end)
    local result = finish(a)
    assert.is_nil(result.stderr:find("a task failed", 1, true), result.stderr)
    local took = until_writes(b)
    assert(took < 2, took .. " s")
    assert.equal("a b", turns())
  end)

  -- The one that was stopped does not know it until it is woken; it may be in the middle of
  -- a request, a pause, or a renewal.
  for moment = 1, 3 do
    it(("keeps one that slept from writing, wherever it was (%d)"):format(moment), function()
      local a = start("a")
      until_writes(a)
      local b = start("b")
      pause(1 + math.random() * 2)
      a.program:signal("STOP")
      local took = until_writes(b)
      assert(took <= TAKEN_OVER_WITHIN, took .. " s")
      a.program:signal("CONT")
      pause(4)
      assert.equal("a b", turns())
      b.program:signal("TERM")
      finish(b)
      until_writes(a, 5)
      assert.equal("a b a", turns())
      a.program:signal("TERM")
      local said = finish(a).stderr
      assert.truthy(said:find("not leading any more: the lease is held by b", 1, true), said)
    end)
  end

  it("goes on after a short sleep as if nothing had been", function()
    local a = start("a")
    until_writes(a)
    start("b")
    pause(1)
    a.program:signal("STOP")
    pause(5)
    a.program:signal("CONT")
    local before = #journal
    kube.eventually("a goes on", function()
      return #journal > before + 20
    end)
    assert.equal("a", turns())
    assert.equal("0", lease("spec.leaseTransitions"))
  end)

  it("is one at a time, too, when all were stopped and the server was not", function()
    local a = start("a")
    until_writes(a)
    local b = start("b")
    pause(2)
    a.program:signal("STOP")
    b.program:signal("STOP")
    pause(16)
    b.program:signal("CONT")
    a.program:signal("CONT")
    local before = #journal
    kube.eventually("one goes on", function()
      return #journal > before + 20
    end)
    pause(3)
    -- Whoever was first: a, whose lease nobody had touched, or b. Never both in turns.
    assert.truthy(({ ["a"] = true, ["a b"] = true })[turns()], turns())
  end)

  for _, how in ipairs({ "keep", "kill" }) do
    it("has one leader again after the server's restart (" .. how .. ")", function()
      until_writes(start("a"))
      start("b")
      pause(2)
      cluster:down(how, "kube-apiserver")
      cluster:up()
      local before = #journal
      kube.eventually("one writes", function()
        return #journal > before + 20
      end)
      pause(2)
      assert.truthy(({ ["a"] = true, ["a b"] = true })[turns()], turns())
    end)
  end

  it("says that it may not, and leads when it may", function()
    local account = cluster:service_account(namespace, "replica")
    local env = cluster.env.KUBECONFIG
    cluster.env.KUBECONFIG = account
    local a = start("a")
    cluster.env.KUBECONFIG = env
    pause(1)
    cluster:kubectl("-n", namespace, "create", "role", "lead", "--verb=get,create,patch",
      "--resource=leases.coordination.k8s.io,configmaps")
    cluster:kubectl("-n", namespace, "create", "rolebinding", "lead", "--role=lead",
      "--serviceaccount=" .. namespace .. ":replica")
    until_writes(a, 10)
    a.program:signal("TERM")
    local said = finish(a).stderr
    assert.truthy(said:find("acquiring the lease: GET ", 1, true), said)
    assert.truthy(said:find('cannot get resource \\"leases\\"', 1, true), said)
    assert.equal("", lease("spec.holderIdentity"))
  end)
end)
