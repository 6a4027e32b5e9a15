-- kube.events on a real API server, as kubectl shows them.

local events = require "kube.events"
local json = require "host.json"
local kube = require "support.kube"

describe("kube.events, on a real API server,", function()
  local cluster, api, namespace, object

  setup(function()
    cluster = kube.start()
    api = cluster:client({ strict = true })
  end)

  teardown(function()
    cluster:close()
  end)

  before_each(function()
    namespace = cluster:namespace()
    object = assert(api:create("ConfigMap", { apiVersion = "v1", kind = "ConfigMap",
      metadata = { namespace = namespace, name = ("x"):rep(199) .. "-" .. ("y"):rep(40) } }))
  end)

  local function reporter(client)
    return events.new({ client = client or api, instance = "replica-" .. ("x"):rep(200),
      controller = "migration.harvesterhci.io/vm-import-controller" })
  end

  local function until_written(r, n)
    kube.eventually("all are written", function()
      return r.sender:done()
    end)
    local list = assert(json.decode(cluster:kubectl("-n", namespace, "get",
      "events.events.k8s.io", "-o", "json"))).items
    assert.equal(n, #list)
    return list
  end

  it("are what kubectl describe says of the object", function()
    local r = reporter()
    r:emit(object, "Normal", "SourceReady", "the source is ready")
    r:emit(object, "Warning", "ExportFailed", "disk 2000: the connection broke")
    until_written(r, 2)
    local text = cluster:kubectl("-n", namespace, "describe", "configmap", object.metadata.name)
    assert.matches("Normal%s+SourceReady%s+%S+.*%s+the source is ready\n", text)
    assert.matches("Warning%s+ExportFailed%s+%S+.*disk 2000: the connection broke\n", text)
    assert.is_nil(text:find("<unknown>", 1, true))
    text = cluster:kubectl("-n", namespace, "get", "events")
    assert.is_nil(text:find("<unknown>", 1, true), text)
  end)

  it("are written once however often the same is said, and as long as they may be", function()
    local r = reporter()
    for _ = 1, 10 do
      r:emit(object, "Normal", "Long", ("ä"):rep(3000))
      r:emit(object, "Normal", "Short", "x")
    end
    for _, event in ipairs(until_written(r, 2)) do
      assert.is_true(#event.note <= 1024)
    end
  end)

  it("of objects without a namespace are in default", function()
    local r = reporter()
    r:emit(assert(api:request("GET", "/api/v1/namespaces/" .. namespace)), "Normal", "Seen",
      namespace)
    until_written(r, 0)
    assert.truthy(cluster:kubectl("-n", "default", "get", "events"):find(namespace, 1, true))
  end)

  it("are left out without the right to write them, and so it stays", function()
    local account = cluster:service_account(namespace, "mute")
    local r = reporter(cluster:client({ config = cluster:config(account) }))
    r:emit(object, "Normal", "One", "x")
    until_written(r, 0)
    assert.is_true(r.degraded)
    r:emit(object, "Normal", "Two", "x")
    until_written(r, 0)
  end)

  it("of a namespace that goes away are left out alone", function()
    local r = reporter()
    cluster:kubectl("delete", "namespace", namespace, "--wait=false")
    r:emit(object, "Normal", "One", "x")
    until_written(r, 0)
    assert.is_false(r.degraded)
  end)
end)
