-- kube.informer against a real API server: whatever ends a watch, the table is right again
-- soon, and what could be kept is not listed anew.

local file = require "host.file"
local http = require "host.http"
local informer = require "kube.informer"
local json = require "host.json"
local kinds = require "base.kinds"
local kube = require "support.kube"
local process = require "host.process"
local task = require "host.task"
local time = require "host.time"

local WIDGET = {
  group = "spec.example.com", version = "v1", kind = "Widget", plural = "widgets",
  api_version = "spec.example.com/v1",
}

local CRD = {
  apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition",
  metadata = { name = "widgets.spec.example.com" },
  spec = {
    group = "spec.example.com", scope = "Namespaced",
    names = { kind = "Widget", plural = "widgets", singular = "widget" },
    versions = { { name = "v1", served = true, storage = true,
      schema = { openAPIV3Schema = { type = "object",
        ["x-kubernetes-preserve-unknown-fields"] = true } } } },
  },
}

describe("kube.informer, on a real API server,", function()
  local cluster, api, namespace
  local asked  -- "GET" and "WATCH" -> times that were answered with 200
  local opened -- informers, ended after each test

  setup(function()
    cluster = kube.start()
  end)

  teardown(function()
    cluster:close()
  end)

  before_each(function()
    opened, asked = {}, { GET = 0, WATCH = 0 }
    api = cluster:client({
      kinds = setmetatable({ Widget = WIDGET }, { __index = kinds }),
      on_request = function(method, kind, status)
        if kind == "ConfigMap" and asked[method] and status == 200 then
          asked[method] = asked[method] + 1
        end
      end,
    })
    namespace = cluster:namespace()
  end)

  after_each(function()
    for _, i in ipairs(opened) do
      i.task:cancel()
    end
    api:close()
  end)

  local function config_map(name, value)
    return {
      apiVersion = "v1", kind = "ConfigMap",
      metadata = { namespace = namespace, name = name }, data = { value = value },
    }
  end

  local function create(name, value)
    return assert(api:create("ConfigMap", config_map(name, value)))
  end

  local function change(name, value)
    return assert(api:patch("ConfigMap", namespace, name, { data = { value = value } }))
  end

  local function resume(i)
    i.task = task.spawn(i.run, i)
  end

  -- An informer that is running; .told lists what it said.
  local function follow(opts)
    local told = {}
    local all = {
      client = api, kind = "ConfigMap", namespace = namespace, watch_for = 8, idle = 20,
      project = function(object)
        return { value = object.data and object.data.value or object.value }
      end,
      changed = function(key, value, before)
        told[#told + 1] = ("%s %s->%s"):format(key.name, before and before.value or "",
          value and value.value or "")
      end,
    }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    local i = informer.new(all)
    i.told = told
    resume(i)
    opened[#opened + 1] = i
    return i
  end

  -- Waits until the informer's table is this one: name -> value.
  local function becomes(i, wanted, seconds)
    local text
    local ok = pcall(kube.eventually, "", function()
      local all = {}
      for id, value in i:each() do
        all[id:match("/(.*)$")] = value.value
      end
      text = json.encode(all)
      return text == json.encode(wanted)
    end, seconds or 30)
    assert(ok, ("is still %s, not %s"):format(text, json.encode(wanted)))
  end

  -- An informer that watches, with "a" and the others there.
  local function start_and_see(opts, ...)
    local there = {}
    for _, name in ipairs({ "a", ... }) do
      create(name, "1")
      there[name] = "1"
    end
    local i = follow(opts)
    becomes(i, there)
    kube.eventually("a watch", function()
      return asked.WATCH > 0
    end)
    return i
  end

  it("tells what is there and what changes", function()
    create("a", "1")
    create("b", "1")
    local i = follow()
    assert(i:wait_synced(10))
    becomes(i, { a = "1", b = "1" })
    create("c", "1")
    change("a", "2")
    assert(api:delete("ConfigMap", namespace, "b"))
    becomes(i, { a = "2", c = "1" })
    table.sort(i.told)
    assert.same({ "a ->1", "a 1->2", "b ->1", "b 1->", "c ->1" }, i.told)
    assert.same({ GET = 1, WATCH = 1 }, asked)
  end)

  it("tells of one object, and needs no right to list for it", function()
    local account = cluster:service_account(namespace, "reader")
    cluster:kubectl("-n", namespace, "create", "role", "read", "--verb=get,watch",
      "--resource=secrets", "--resource-name=mine")
    cluster:kubectl("-n", namespace, "create", "rolebinding", "read", "--role=read",
      "--serviceaccount=" .. namespace .. ":reader")
    local i = follow({
      client = cluster:client({ config = cluster:config(account) }),
      kind = "Secret", name = "mine",
      project = function(object)
        return { value = object.metadata.resourceVersion }
      end,
    })
    assert(i:wait_synced(10))
    for _, name in ipairs({ "other", "mine" }) do
      assert(api:create("Secret", { apiVersion = "v1", kind = "Secret",
        metadata = { namespace = namespace, name = name } }))
    end
    kube.eventually("it is told", function()
      return i.told[1]
    end)
    assert.equal("mine ->" .. i:get(namespace, "mine").value, i.told[1])
    assert(api:delete("Secret", namespace, "other"))
    assert(api:delete("Secret", namespace, "mine"))
    becomes(i, {})
    assert.equal(2, #i.told)
  end)

  it("goes on where it was when the server ends a watch in good order", function()
    local i = start_and_see({ watch_for = 4 }) -- a bookmark comes 2 s before the end
    for n = 2, 4 do
      local before = asked.WATCH
      kube.eventually("another watch", function()
        return asked.WATCH > before
      end)
      change("a", tostring(n))
      becomes(i, { a = tostring(n) })
    end
    -- None came if the server has seen nothing of this kind change before.
    assert.is_true(asked.GET <= 2)
    assert.equal(4, #i.told)
  end)

  for _, how in ipairs({ "keep", "kill" }) do
    it(("sees all that happened around the server's restart (%s)"):format(how), function()
      local i = start_and_see({}, "gone")
      cluster:down(how, "kube-apiserver")
      cluster:up()
      change("a", "2")
      create("b", "1")
      assert(api:delete("ConfigMap", namespace, "gone"))
      becomes(i, { a = "2", b = "1" })
    end)
  end

  it("leaves a server that takes no more requests but keeps its watches open", function()
    cluster:down("keep", "kube-apiserver")
    cluster:up("--shutdown-watch-termination-grace-period=0s")
    local i = start_and_see({ idle = 2 })
    cluster:signal("kube-apiserver", "TERM")
    task.sleep(0.05)
    kube.eventually("the watch is given up", function()
      return i.failed_with
    end)
    cluster:down("kill", "kube-apiserver")
    cluster:up()
    change("a", "2")
    becomes(i, { a = "2" })
  end)

  it("leaves a watch that hangs, and goes on from where it was", function()
    local i = start_and_see({ idle = 2 })
    -- A bookmark, so that there is a recent version to go on from.
    kube.eventually("another watch", function()
      return asked.WATCH > 1
    end)
    local lists = asked.GET
    cluster:signal("kube-apiserver", "STOP")
    local stopped = time.monotonic()
    kube.eventually("the watch is given up", function()
      return time.monotonic() - stopped > 4
    end)
    cluster:signal("kube-apiserver", "CONT")
    change("a", "2")
    becomes(i, { a = "2" })
    assert.equal(lists, asked.GET)
  end)

  it("waits out half a minute without storage", function()
    local i = start_and_see({ idle = 5 })
    cluster:signal("etcd", "STOP")
    local stopped = time.monotonic()
    kube.eventually("30 s", function()
      return time.monotonic() - stopped > 30
    end, 40)
    becomes(i, { a = "1" })
    cluster:signal("etcd", "CONT")
    change("a", "2")
    becomes(i, { a = "2" })
    assert.same({ "a ->1", "a 1->2" }, i.told)
  end)

  it("reports what it missed while it did not watch", function()
    local i = start_and_see({}, "b", "c")
    i.task:cancel()
    change("a", "2")
    assert(api:delete("ConfigMap", namespace, "b"))
    assert(api:delete("ConfigMap", namespace, "c"))
    create("c", "1") -- another one
    resume(i)
    becomes(i, { a = "2", c = "1" })
    assert.equal(1, asked.GET)
  end)

  it("tells a recreated object from the old one when it has to list", function()
    local i = start_and_see()
    local uid = i:get(namespace, "a").uid
    i.task:cancel()
    assert(api:delete("ConfigMap", namespace, "a"))
    create("a", "1")
    i.version = nil
    resume(i)
    kube.eventually("the new one", function()
      local now = i:get(namespace, "a")
      return now and now.uid ~= uid
    end)
    assert.same({ "a ->1", "a 1->", "a ->1" }, i.told)
  end)

  it("comes to itself with a version from a future that never was", function()
    local i = start_and_see({ watch_for = 2 })
    i.task:cancel()
    i.version = "987654321987"
    change("a", "2")
    resume(i)
    becomes(i, { a = "2" })
    change("a", "3")
    becomes(i, { a = "3" })
  end)

  it("comes to itself with a version that is none", function()
    local i = start_and_see()
    i.task:cancel()
    i.version = "x"
    change("a", "2")
    resume(i)
    becomes(i, { a = "2" })
  end)

  it("keeps up with thousands of changes", function()
    local i = start_and_see()
    local writers = {}
    for w = 1, 8 do
      writers[w] = task.spawn(function()
        create("w" .. w, "0")
        for n = 1, 150 do
          change("w" .. w, tostring(n))
        end
      end)
    end
    local wanted = { a = "1" }
    for w, writer in ipairs(writers) do
      assert(writer:join())
      wanted["w" .. w] = "150"
    end
    becomes(i, wanted)
  end)

  it("waits for a kind that is not there yet, or not any more", function()
    local function widget(name, value)
      assert(api:create("Widget", { apiVersion = WIDGET.api_version, kind = "Widget",
        metadata = { namespace = namespace, name = name }, value = value }))
    end
    local i = follow({ kind = "Widget" })
    assert.is_nil((i:wait_synced(0.05)))
    for round = 1, 2 do
      -- No wait for Established: the first answers may be 404, or 429.
      cluster:apply(CRD)
      assert(i:wait_synced(60))
      kube.eventually("the kind is served", function()
        return (api:list("Widget"))
      end)
      widget("w", tostring(round))
      becomes(i, { w = tostring(round) }, 60)
      cluster:kubectl("delete", "crd", "widgets.spec.example.com")
      becomes(i, {}, 60)
    end
  end)

  it("waits for the right to look", function()
    local path = cluster:service_account(namespace, "watcher")
    local watcher = cluster:client({ config = cluster:config(path) })
    create("a", "1")
    local i = follow({ client = watcher })
    kube.eventually("it says why", function()
      return i.failed_with
    end)
    local ok, err = i:wait_synced(0.01)
    assert.is_nil(ok)
    assert.truthy(err.message:find('cannot list resource "configmaps"', 1, true), err.message)
    cluster:kubectl("-n", namespace, "create", "role", "watch", "--verb=list,watch",
      "--resource=configmaps")
    cluster:kubectl("-n", namespace, "create", "rolebinding", "watch", "--role=watch",
      "--serviceaccount=" .. namespace .. ":watcher")
    becomes(i, { a = "1" })
  end)

  it("waits for a token that the server knows", function()
    local account = cluster:service_account(namespace, "watcher", { token_file = true })
    local token = ("%s/%s-watcher.token"):format(cluster.folder, namespace)
    local good = assert(file.read(token))
    assert(file.write(token, "not yet"))
    cluster:kubectl("-n", namespace, "create", "role", "watch", "--verb=list,watch",
      "--resource=configmaps")
    cluster:kubectl("-n", namespace, "create", "rolebinding", "watch", "--role=watch",
      "--serviceaccount=" .. namespace .. ":watcher")
    create("a", "1")
    local i = follow({ client = cluster:client({ config = cluster:config(account) }) })
    kube.eventually("it says why", function()
      return i.failed_with
    end)
    assert.truthy(i.failed_with:find("Unauthorized", 1, true), i.failed_with)
    assert(file.write(token, good))
    becomes(i, { a = "1" })
  end)

  it("has one connection for each watch", function()
    local port = cluster.env.KUBE_SERVER:match(":(%d+)$")
    local function connections()
      local result = assert(process.run({ argv = { "ss", "-Htn", "state", "established",
        "dport = :" .. port } }))
      return select(2, result.stdout:gsub("\n", ""))
    end
    create("a", "1")
    for _ = 1, 6 do
      becomes(follow(), { a = "1" })
    end
    kube.eventually("six watches", function()
      return asked.WATCH == 6
    end)
    local with = connections()
    for _, i in ipairs(opened) do
      i.task:cancel()
    end
    kube.eventually("six connections less", function()
      return connections() == with - 6
    end)
  end)

  it("keeps little of each object, whatever its size", function()
    local filler = ("x"):rep(8000)
    local makers = {}
    for m = 1, 16 do
      makers[m] = task.spawn(function()
        for n = m, 2000, 16 do
          local object = config_map(("object-%05d"):format(n), tostring(n))
          object.data.filler = filler
          assert(api:create("ConfigMap", object))
        end
      end)
    end
    for _, maker in ipairs(makers) do
      local ok, err = maker:join()
      assert(ok, err)
    end
    local function heap()
      collectgarbage()
      collectgarbage()
      return collectgarbage("count") * 1024
    end
    local before = heap()
    local i = follow({ changed = function() end })
    assert(i:wait_synced(60))
    local each = (heap() - before) / 2000
    assert(each < 1024, each .. " bytes each")
    assert.equal("1999", i:get(namespace, "object-01999").value)
    assert.equal(4, asked.GET)
  end)

  describe("without the server's watch cache", function()
    setup(function()
      cluster:down("keep", "kube-apiserver")
      cluster:up("--watch-cache=false")
    end)

    local function etcd(call, body)
      local answer = assert(http.request({
        url = cluster.env.KUBE_ETCD .. "/v3/kv/" .. call, method = "POST",
        body = json.encode(body),
      }))
      assert.equal(200, answer.status, answer.body)
      return assert(json.decode(answer.body))
    end

    local function compact(revision)
      etcd("compaction", { revision = revision, physical = true })
    end

    it("lists again when its version was compacted away", function()
      local i = start_and_see({}, "b")
      i.task:cancel()
      change("a", "2")
      assert(api:delete("ConfigMap", namespace, "b"))
      create("c", "1")
      compact(etcd("range", { key = "AA==" }).header.revision)
      resume(i)
      becomes(i, { a = "2", c = "1" })
      assert.equal(2, asked.GET)
    end)

    it("lists again when history begins in the middle of a change", function()
      local i = start_and_see()
      i.task:cancel()
      local after = change("a", "2")
      compact(after.metadata.resourceVersion)
      resume(i)
      becomes(i, { a = "2" })
      change("a", "3")
      becomes(i, { a = "3" })
    end)

    it("begins a list anew when its continuation is compacted away", function()
      for n = 1, 5 do
        create("c" .. n, tostring(n))
      end
      local pages = 0
      local counting = setmetatable({}, { __index = api })
      function counting.list(_, kind, where, opts)
        local each = opts.each
        opts.page = 2
        function opts.each(object)
          pages = pages + 1
          if pages == 2 then -- the end of the first page
            change("c5", "changed")
            compact(etcd("range", { key = "AA==" }).header.revision)
          end
          each(object)
        end
        return api:list(kind, where, opts)
      end
      local i = follow({ client = counting })
      becomes(i, { c1 = "1", c2 = "2", c3 = "3", c4 = "4", c5 = "changed" })
      assert.is_true(pages > 5)
    end)
  end)
end)
