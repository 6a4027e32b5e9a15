-- From `kubectl apply` to a running machine: real OpenStack, a real API server, the
-- stand-in for Harvester.

local json = require "host.json"
local lab = require "support.lab"
local openstack = require "support.openstack"
local site_of = require "support.site"

-- Upstream's second example; endpoint and credentials are the lab's.
local README = [[
apiVersion: migration.harvesterhci.io/v1beta1
kind: OpenstackSource
metadata:
  name: devstack
  namespace: default
spec:
  endpoint: "%s"
  region: "RegionOne"
  credentials:
    name: devstack-credentials
    namespace: default
---
apiVersion: v1
kind: Secret
metadata:
  name: devstack-credentials
  namespace: default
stringData:
  "username": "%s"
  "password": "%s"
  "project_name": "admin"
  "domain_name": "default"
  "ca_cert": %s
---
apiVersion: migration.harvesterhci.io/v1beta1
kind: VirtualMachineImport
metadata:
  name: openstack-demo
  namespace: default
spec:
  virtualMachineName: "openstack-demo"
  networkMapping:
  - sourceNetwork: "shared"
    destinationNetwork: "default/vlan1"
  - sourceNetwork: "public"
    destinationNetwork: "default/vlan2"
  sourceCluster:
    name: devstack
    namespace: default
    kind: OpenstackSource
    apiVersion: migration.harvesterhci.io/v1beta1
]]

describe("an import from OpenStack into a cluster", function()
  local cloud, site, running, before

  lazy_setup(function()
    cloud = openstack.cloud()
    cloud:reset()
    before = cloud:inventory()
    site = site_of.open()
    running = site:controller()
  end)

  lazy_teardown(function()
    running:stop()
    site:close()
  end)

  local function import_of(name, machine, spec)
    local whole = { virtualMachineName = machine, sourceCluster = {
      apiVersion = "migration.harvesterhci.io/v1beta1", kind = "OpenstackSource",
      name = "devstack", namespace = "default" } }
    for key, value in pairs(spec or {}) do
      whole[key] = value
    end
    site:apply(json.encode({ apiVersion = "migration.harvesterhci.io/v1beta1",
      kind = "VirtualMachineImport", metadata = { name = name, namespace = "default" },
      spec = whole }))
  end

  it("ends upstream's example in a running machine, with every byte", function()
    cloud:start("openstack-demo")
    site:apply(README:format(cloud.auth_url, cloud.username, cloud.password,
      json.encode(cloud.ca)))
    local import = site:wait_import("default", "openstack-demo", "virtualMachineRunning",
      400)
    local sums = {}
    for i, entry in ipairs(import.status.diskImportStatus) do
      sums[i] = site.harvester:pulls("default", entry.VirtualMachineImage)
    end
    local wanted = cloud.disks["openstack-demo"]
    assert.same({ { wanted[1] }, { wanted[2] } }, sums)
    assert.equal("clusterReady", site:status("OpenstackSource", "default",
      "devstack").status)
    assert.same(before, cloud:inventory())
    assert.same(json.array({}), import.metadata.finalizers or json.array({}))
    assert.same({}, lab.files(running.scratch))
    local state = site.harvester:state()
    assert.same({}, state.rejections)
    assert.same({}, state.remarks)
  end)

  it("says why a source is not ready, and that it is as soon as its Secret is right",
    function()
      site:secret("default", "wrong-credentials", cloud:secret { password = "wrong" })
      site:apply(json.encode({
        apiVersion = "migration.harvesterhci.io/v1beta1", kind = "OpenstackSource",
        metadata = { name = "wrong", namespace = "default" },
        spec = cloud:source { credentials = { name = "wrong-credentials",
          namespace = "default" } },
      }))
      local stalled = lab.wait_for("the source says why", function()
        local condition = site:condition("OpenstackSource", "default", "wrong", "Stalled")
        return condition.status == "True" and condition
      end, 60)
      assert.equal("LoginRefused", stalled.reason)
      assert.truthy(stalled.message:find("password", 1, true))
      site:secret("default", "wrong-credentials", cloud:secret())
      lab.wait_for("the source is ready", function()
        return site:status("OpenstackSource", "default", "wrong").status == "clusterReady"
      end, 90)
    end)

  it("removes what an import has made when that is deleted in the middle", function()
    cloud:reset()
    -- Long enough to look at what is recorded by then.
    cloud:fault { match = "POST /volume/.*/action", hold = 8 }
    import_of("gone", "lone")
    lab.wait_for("a volume is recorded", function()
      local status = site:status("VirtualMachineImport", "default", "gone")
      for _, entry in ipairs(status.recorded or {}) do
        if entry.kind == "image" then
          return true
        end
      end
    end, 200)
    assert.not_same(before, cloud:inventory())
    site:delete("VirtualMachineImport", "default", "gone")
    site:wait_gone("VirtualMachineImport", "default", "gone", 200)
    assert.same(before, cloud:inventory())
  end)

  it("says that no image can be made of a volume, and leaves nothing", function()
    cloud:reset()
    cloud:fault { match = "POST /volume/.*/action", status = 400, times = 0,
      body = '{"badRequest": {"code": 400, "message": "Invalid image metadata."}}' }
    import_of("bad", "lone", { maxRetries = 0 })
    lab.wait_for("it has failed", function()
      return site:status("VirtualMachineImport", "default", "bad").importStatus
        == "VMMigrationFailed"
    end, 300)
    local stalled = site:condition("VirtualMachineImport", "default", "bad", "Stalled")
    assert.truthy(stalled.message:find("Invalid image metadata", 1, true))
    lab.wait_for("nothing is left", function()
      return #cloud:inventory() == #before
    end, 120)
    cloud:reset()
  end)
end)
