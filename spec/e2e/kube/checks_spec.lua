-- What a plan needs of a cluster, looked up on a real API server: with all rights, and with
-- those of earlier roles, which list networks but do not get one.

local checks = require "targets.checks"
local kube = require "support.kube"

local NONE = "is-default-class: \"false\""
local DEFAULT = "is-default-class: \"true\""

local CLASS = [[
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: longhorn
  annotations:
    storageclass.kubernetes.io/%s
provisioner: driver.longhorn.io
]]

local NETWORK = [[
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: { name: vlan1, namespace: %s }
spec: { config: '{"cniVersion":"0.3.1","type":"bridge"}' }
]]

local QUOTA = [[
apiVersion: v1
kind: ResourceQuota
metadata: { name: team, namespace: %s }
spec: { hard: { requests.storage: 4Gi } }
]]

local ROLE = [[
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: earlier }
rules:
  - { apiGroups: [k8s.cni.cncf.io], resources: ["*"], verbs: [list] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: earlier }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: earlier }
subjects:
  - { kind: ServiceAccount, name: earlier, namespace: %s }
]]

describe("targets.checks, on a real API server,", function()
  local cluster, namespace, api, earlier

  setup(function()
    cluster = kube.start()
    cluster:install()
    namespace = cluster:namespace()
    cluster:apply(NETWORK:format(namespace))
    api = cluster:client()
    local path = cluster:service_account(namespace, "earlier")
    cluster:apply(ROLE:format(namespace))
    earlier = cluster:client({ config = cluster:config(path) })
  end)

  teardown(function()
    earlier:close()
    api:close()
    cluster:close()
  end)

  -- Severity, code and message of what stands in the way of this network and class.
  local function found(client, network, class)
    local list = {}
    for _, finding in ipairs(checks.new(client):run({
      namespace = namespace, nics = { { network = network } },
      disks = { { id = "2000", storage_class = class, capacity_bytes = 3 << 30 } },
    })) do
      list[#list + 1] = ("%s %s: %s"):format(finding.severity, finding.code,
        finding.message)
    end
    return table.concat(list, "\n")
  end

  it("asks for a default class where there is none, and takes it as soon as there is", function()
    local wanted = "Blocks StorageClassNotFound: the cluster has no default StorageClass: "
      .. "set spec.storageClass"
    assert.equal(wanted, found(api))
    cluster:apply(CLASS:format(NONE))
    assert.equal(wanted, found(api))
    cluster:apply(CLASS:format(DEFAULT))
    assert.equal("", found(api))
    assert.equal("backingimage", (checks.new(api):backend()))
  end)

  it("says which class or network is not there", function()
    assert.equal("", found(api, namespace .. "/vlan1", "longhorn"))
    assert.equal(("Blocks NetworkNotFound: the network %s/vlan2 does not exist here\n"
      .. "Blocks StorageClassNotFound: StorageClass fast does not exist"):format(namespace),
      found(api, namespace .. "/vlan2", "fast"))
  end)

  it("says which quota the claims would exceed, as the server then does", function()
    cluster:apply(QUOTA:format(namespace))
    -- Without a controller nobody counts, and admission waits for somebody to.
    assert(api:patch("ResourceQuota", namespace, "team", { status = {
      hard = { ["requests.storage"] = "4Gi" }, used = { ["requests.storage"] = "2Gi" },
    } }, { status = true }))
    assert.equal(("Blocks QuotaExceeded: ResourceQuota %s/team allows 4096 MiB of "
      .. "requests.storage, of which 2048 MiB are used; the claims of this machine need "
      .. "3072 MiB"):format(namespace), found(api, namespace .. "/vlan1", "longhorn"))
    local made, err = api:create("PersistentVolumeClaim", { metadata = { name = "c",
      namespace = namespace }, spec = { accessModes = { "ReadWriteMany" },
      resources = { requests = { storage = "3Gi" } }, storageClassName = "longhorn" } })
    assert.is_nil(made)
    assert.truthy(err.message:find("exceeded quota: team", 1, true), err.message)
    assert(api:delete("ResourceQuota", namespace, "team"))
    assert.equal("", found(api, namespace .. "/vlan1", "longhorn"))
  end)

  it("does with the rights of earlier roles what these allow", function()
    assert.truthy(found(earlier, namespace .. "/vlan1"):find("^Informs StorageClassNotChecked"))
    assert.truthy(found(earlier, namespace .. "/vlan2"):find("^Blocks NetworkNotFound"))
  end)
end)
