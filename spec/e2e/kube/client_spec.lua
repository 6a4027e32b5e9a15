-- kube.client against a real API server: what it sends, what it is told, what it makes of
-- servers that are away, busy or hang.

local file = require "host.file"
local json = require "host.json"
local kube = require "support.kube"
local task = require "host.task"
local time = require "host.time"

describe("kube.client, asking a real API server,", function()
  local cluster, api, namespace
  local asked = {} -- "METHOD status" -> times

  local function note(method, _, status)
    local what = method .. " " .. status
    asked[what] = (asked[what] or 0) + 1
  end

  setup(function()
    cluster = kube.start()
    cluster:install()
    api = cluster:client({ on_request = note, strict = true })
  end)

  teardown(function()
    cluster:close()
  end)

  before_each(function()
    namespace = cluster:namespace()
    asked = {}
  end)

  local function config_map(name, data)
    return {
      apiVersion = "v1", kind = "ConfigMap",
      metadata = { namespace = namespace, name = name }, data = data,
    }
  end

  local function import(spec)
    return {
      apiVersion = "migration.harvesterhci.io/v1beta1", kind = "VirtualMachineImport",
      metadata = { namespace = namespace, name = "web" }, spec = spec,
    }
  end

  -- As it is stored, by another client: with null and [] in their places.
  local function stored(kind, name)
    return cluster:kubectl("-n", namespace, "get", kind, name, "-o", "json")
  end

  local function refused(kind, reason, got, err)
    assert.is_nil(got)
    assert.equal(kind, err.kind, err.message)
    assert.equal(reason, err.reason)
    assert.truthy(err.audit_id)
    return err
  end

  -- Runs n times f(i), all at once.
  local function at_once(n, f)
    local tasks = {}
    for i = 1, n do
      tasks[i] = task.spawn(f, i)
    end
    for _, t in ipairs(tasks) do
      local ok, err = t:join()
      assert(ok, err)
    end
  end

  describe("lists", function()
    it("more objects than a page has, each once and with its kind", function()
      at_once(1003, function(i)
        assert(api:create("ConfigMap", config_map(("c-%04d"):format(i))))
      end)
      asked = {}
      local objects, version = assert(api:list("ConfigMap", namespace))
      assert.same({ ["GET 200"] = 3 }, asked)
      assert.equal(1003, #objects)
      local seen = {}
      for _, object in ipairs(objects) do
        assert.equal("ConfigMap", object.kind)
        assert.equal("v1", object.apiVersion)
        seen[object.metadata.name] = true
      end
      for i = 1, 1003 do
        assert.is_true(seen[("c-%04d"):format(i)])
      end
      assert.truthy(tonumber(version))
    end)

    it("what a selector names", function()
      for i, colour in ipairs({ "red", "blue", "red" }) do
        local object = config_map("c" .. i)
        object.metadata.labels = { colour = colour }
        assert(api:create("ConfigMap", object))
      end
      local names = {}
      assert(api:list("ConfigMap", namespace, {
        label_selector = "colour in (red)",
        each = function(object)
          names[#names + 1] = object.metadata.name
        end,
      }))
      assert.same({ "c1", "c3" }, names)
      local one = assert(api:list("ConfigMap", namespace, {
        field_selector = "metadata.name=c2",
      }))
      assert.equal(1, #one)
    end)

    it("nothing as an empty list", function()
      local objects = assert(api:list("VirtualMachineImport", namespace))
      assert.same({}, objects)
      assert.equal("[]", json.encode(objects))
    end)
  end)

  describe("creates", function()
    it("an object, and one of the same name no more", function()
      local made = assert(api:create("ConfigMap", config_map("a", { x = "1" })))
      assert.truthy(made.metadata.uid)
      refused("conflict", "AlreadyExists", api:create("ConfigMap", config_map("a")))
    end)

    it("nothing that has a field the server does not know", function()
      local object = import({ virtualMachineName = "web", folderr = "Prod" })
      local err = refused("invalid", "BadRequest",
        api:create("VirtualMachineImport", object))
      assert.truthy(err.message:find('unknown field "spec.folderr"', 1, true), err.message)
    end)

    it("nothing in a namespace that is not there or being deleted", function()
      local object = config_map("a")
      object.metadata.namespace = "nowhere"
      refused("notfound", "NotFound", api:create("ConfigMap", object))
      cluster:kubectl("delete", "namespace", namespace, "--wait=false")
      local err = refused("denied", "Forbidden", api:create("ConfigMap", config_map("a")))
      assert.truthy(err.message:find("being terminated", 1, true), err.message)
    end)
  end)

  describe("patches", function()
    it("on a version only while that is the newest", function()
      local made = assert(api:create("ConfigMap", config_map("a", { x = "1" })))
      local function patch(version, x)
        return api:patch("ConfigMap", namespace, "a", {
          metadata = { resourceVersion = version }, data = { x = x },
        })
      end
      local second = assert(patch(made.metadata.resourceVersion, "2"))
      refused("conflict", "Conflict", patch(made.metadata.resourceVersion, "3"))
      assert.equal("2", assert(api:get("ConfigMap", namespace, "a")).data.x)
      assert.equal("4", assert(patch(nil, "4")).data.x)
      refused("conflict", "Conflict", patch(second.metadata.resourceVersion, "5"))
    end)

    it("away what is null, and lists whole", function()
      assert(api:create("VirtualMachineImport", import({
        virtualMachineName = "web", folder = "Prod",
        networkMapping = { { sourceNetwork = "a" }, { sourceNetwork = "b" } },
      })))
      local patched = assert(api:patch("VirtualMachineImport", namespace, "web", {
        spec = { folder = json.null, networkMapping = json.array({}) },
      }))
      assert.is_nil(patched.spec.folder)
      assert.same({}, patched.spec.networkMapping)
      assert.truthy(stored("virtualmachineimport", "web"):find('"networkMapping": []', 1, true))
    end)

    it("and reads a field that is null as one that is not there", function()
      cluster:apply(('{"apiVersion":"migration.harvesterhci.io/v1beta1",'
        .. '"kind":"VirtualMachineImport","metadata":{"name":"web","namespace":"%s"},'
        .. '"spec":{"virtualMachineName":"web","networkMapping":null,"folder":null}}')
        :format(namespace))
      local read = assert(api:get("VirtualMachineImport", namespace, "web"))
      assert.is_nil(read.spec.networkMapping)
      assert.equal("web", read.spec.virtualMachineName)
    end)

    it("status apart from the rest", function()
      local made = assert(api:create("VirtualMachineImport",
        import({ virtualMachineName = "web" })))
      local patch = {
        metadata = { annotations = { a = "b" } },
        spec = { folder = "Prod" },
        status = { importStatus = "virtualMachineImportValid" },
      }
      local after = assert(api:patch("VirtualMachineImport", namespace, "web", patch,
        { status = true }))
      assert.equal("virtualMachineImportValid", after.status.importStatus)
      assert.is_nil(after.spec.folder)
      assert.equal(made.metadata.generation, after.metadata.generation)
      patch.status.importStatus = "else"
      after = assert(api:patch("VirtualMachineImport", namespace, "web", patch))
      assert.equal("virtualMachineImportValid", after.status.importStatus)
      assert.equal("Prod", after.spec.folder)
      assert.equal(made.metadata.generation + 1, after.metadata.generation)
    end)

    it("integers as they are", function()
      assert(api:create("VirtualMachineImport", import({ virtualMachineName = "web" })))
      local size = (1 << 53) + 1
      local after = assert(api:patch("VirtualMachineImport", namespace, "web", {
        status = { diskImportStatus = json.array({
          { diskName = "d", diskSize = size, busType = "scsi" },
        }) },
      }, { status = true }))
      assert.equal(size, after.status.diskImportStatus[1].diskSize)
      assert.truthy(stored("virtualmachineimport", "web"):find("9007199254740993", 1, true))
    end)
  end)

  describe("deletes", function()
    it("the very object that was meant", function()
      local made = assert(api:create("ConfigMap", config_map("a")))
      refused("conflict", "Conflict", api:delete("ConfigMap", namespace, "a",
        { uid = "9d2f3e9c-0000-4000-8000-000000000000" }))
      assert.is_true(api:delete("ConfigMap", namespace, "a", { uid = made.metadata.uid }))
      refused("notfound", "NotFound", api:get("ConfigMap", namespace, "a"))
      refused("notfound", "NotFound", api:delete("ConfigMap", namespace, "a"))
    end)

    it("what finalizers hold once they are off", function()
      local object = config_map("a")
      object.metadata.finalizers = { "example.com/held" }
      assert(api:create("ConfigMap", object))
      assert.is_true(api:delete("ConfigMap", namespace, "a"))
      local held = assert(api:get("ConfigMap", namespace, "a"))
      assert.truthy(held.metadata.deletionTimestamp)
      assert.is_true(api:delete("ConfigMap", namespace, "a"))
      assert(api:patch("ConfigMap", namespace, "a", {
        metadata = { finalizers = json.array({}),
          resourceVersion = held.metadata.resourceVersion },
      }))
      refused("notfound", "NotFound", api:get("ConfigMap", namespace, "a"))
    end)

    it("nothing when the name is empty or a path", function()
      assert(api:create("ConfigMap", config_map("a")))
      asked = {}
      for _, name in ipairs({ "", ".", ".." }) do
        local got, err = api:delete("ConfigMap", namespace, name)
        assert.is_nil(got)
        assert.equal("invalid", err.kind)
        got, err = api:get("Secret", name, "a")
        assert.is_nil(got)
        assert.equal("invalid", err.kind)
      end
      assert.same({}, asked)
      local got, err = api:get("ConfigMap", namespace, "../a?b#c")
      assert.is_nil(got)
      assert.equal("notfound", err.kind, err.message)
      assert(api:get("ConfigMap", namespace, "a"))
    end)
  end)

  it("says what the server does not serve", function()
    local other = cluster:client({ kinds = {
      Thing = { group = "things.example.com", version = "v1", plural = "things",
        kind = "Thing", api_version = "things.example.com/v1" },
    } })
    local got, err = other:list("Thing")
    assert.is_nil(got)
    assert.equal("notfound", err.kind)
    assert.truthy(err.message:find("404 page not found", 1, true), err.message)
  end)

  describe("as somebody", function()
    it("who is not known is denied", function()
      local path = cluster.folder .. "/stranger.kubeconfig"
      local text = assert(file.read(cluster.env.KUBE_LIMITED))
      assert(file.write(path, (text:gsub("token: %x+", "token: abc"))))
      local stranger = cluster:client({ config = cluster:config(path), on_request = note })
      local err = refused("denied", "Unauthorized",
        stranger:get("ConfigMap", namespace, "a"))
      assert.equal(401, err.status)
      assert.same({ ["GET 401"] = 1 }, asked)
    end)

    it("who may not is denied in the server's words", function()
      local limited = cluster:client({ config = cluster:config(cluster.env.KUBE_LIMITED) })
      local err = refused("denied", "Forbidden", limited:list("Secret", namespace))
      assert.equal(403, err.status)
      assert.truthy(err.message:find('secrets is forbidden: User "limited" cannot list '
        .. 'resource "secrets" in API group "" in the namespace "' .. namespace .. '"',
        1, true), err.message)
    end)

    it("whose token was rotated reads it again", function()
      local path = cluster:service_account(namespace, "someone", { token_file = true })
      local token = ("%s/%s-someone.token"):format(cluster.folder, namespace)
      cluster:kubectl("-n", namespace, "create", "rolebinding", "view",
        "--clusterrole=cluster-admin", "--serviceaccount=" .. namespace .. ":someone")
      local good = assert(file.read(token))
      local config = cluster:config(path)
      assert(file.write(token, "no token of this server\n"))
      local someone = cluster:client({ config = config, on_request = note })
      assert(someone:list("ConfigMap", namespace)) -- with the one it had read before
      config = cluster:config(path)
      someone = cluster:client({ config = config, on_request = note })
      refused("denied", "Unauthorized", someone:list("ConfigMap", namespace))
      assert(file.write(token, good .. "\n"))
      assert(someone:list("ConfigMap", namespace))
      assert(file.remove(token))
      assert(someone:list("ConfigMap", namespace))
      cluster:service_account(namespace, "someone", { token_file = true })
      assert(someone:list("ConfigMap", namespace))
    end)
  end)

  describe("when the server", function()
    it("refuses some for now, gets all done", function()
      cluster:apply([[
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: narrow}
spec: {type: Limited, limited: {nominalConcurrencyShares: 0, lendablePercent: 0,
  borrowingLimitPercent: 0, limitResponse: {type: Reject}}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: narrow}
spec:
  priorityLevelConfiguration: {name: narrow}
  matchingPrecedence: 2
  rules:
  - subjects: [{kind: User, user: {name: limited}}]
    resourceRules: [{verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"]}]
]])
      cluster:kubectl("create", "clusterrolebinding", namespace,
        "--clusterrole=cluster-admin", "--user=limited")
      local limited = cluster:client({ on_request = note,
        config = cluster:config(cluster.env.KUBE_LIMITED) })
      kube.eventually("a refusal", function()
        at_once(40, function()
          assert(limited:list("ConfigMap", namespace))
        end)
        return asked["GET 429"]
      end)
      at_once(40, function(i)
        assert(limited:create("ConfigMap", config_map("c" .. i)))
      end)
      assert.equal(40, #assert(api:list("ConfigMap", namespace)))
      cluster:kubectl("delete", "flowschema,prioritylevelconfiguration", "narrow")
    end)

    for _, how in ipairs({ "keep", "kill" }) do
      it("ends and comes back (" .. how .. "), creates and changes each thing once", function()
        local made, restarted = 0, false
        local writer = task.spawn(function()
          while not restarted or made % 10 ~= 0 do
            made = made + 1
            local name = "c" .. made
            local ok, err = api:create("ConfigMap", config_map(name, { n = "0" }))
            assert(ok or err.reason == "AlreadyExists", err)
            local object = assert(api:get("ConfigMap", namespace, name))
            ok, err = api:patch("ConfigMap", namespace, name, {
              metadata = { resourceVersion = object.metadata.resourceVersion },
              data = { n = "1" },
            })
            assert(ok or err.reason == "Conflict" and err.unclear, err)
          end
        end)
        kube.eventually("some are made", function()
          return made > 20
        end)
        cluster:down(how, "kube-apiserver")
        task.sleep(0.05)
        cluster:up()
        restarted = true
        local ok, err = writer:join(60)
        assert(ok, err)
        local objects = assert(api:list("ConfigMap", namespace))
        assert.equal(made, #objects)
        for _, object in ipairs(objects) do
          assert.equal("1", object.data.n)
        end
      end)
    end

    it("hangs, gives up in time and goes on when it is back", function()
      local hasty = cluster:client({ deadline = 1, on_request = note })
      assert(hasty:create("ConfigMap", config_map("a", { n = "0" })))
      cluster:signal("kube-apiserver", "STOP")
      local started = time.monotonic()
      local got, err = hasty:get("ConfigMap", namespace, "a")
      local took = time.monotonic() - started
      local change = task.spawn(api.patch, api, "ConfigMap", namespace, "a",
        { data = { n = "1" } })
      task.sleep(0.05)
      cluster:signal("kube-apiserver", "CONT")
      assert.is_nil(got)
      assert.equal("timeout", err.kind, err.message)
      assert(took < 2.5, took)
      local ok, changed = change:join(30)
      assert.is_true(ok)
      assert.equal("1", changed.data.n)
    end)

    it("has no storage for half a minute, waits for it", function()
      assert(api:create("ConfigMap", config_map("a", { n = "0" })))
      cluster:signal("etcd", "STOP")
      local stopped = time.monotonic()
      local tasks = {
        task.spawn(api.patch, api, "ConfigMap", namespace, "a", { data = { n = "1" } }),
        task.spawn(api.create, api, "ConfigMap", config_map("b")),
        task.spawn(api.list, api, "ConfigMap", namespace),
      }
      kube.eventually("30 s", function()
        return time.monotonic() - stopped > 30
      end, 60)
      cluster:signal("etcd", "CONT")
      for i, t in ipairs(tasks) do
        local ok, result, err = t:join(60)
        assert.is_true(ok)
        -- An answer lost on the way: the second try finds it done.
        assert(result or i == 2 and err.reason == "AlreadyExists", err)
      end
      assert.equal("1", assert(api:get("ConfigMap", namespace, "a")).data.n)
      assert(api:get("ConfigMap", namespace, "b"))
    end)
  end)
end)
