--- base.kinds: every Kubernetes kind we touch: group, version, plural.

local OURS = "migration.harvesterhci.io"

local M = {}

--- kinds.group: the API group of our own kinds.
M.group = OURS

-- `name` is ours where another group has a kind of the same one.
local function kind(group, version, name, plural, its_own)
  M[name] = {
    api_version = group == "" and version or group .. "/" .. version,
    group = group,
    version = version,
    kind = its_own or name,
    plural = plural,
  }
end

kind(OURS, "v1beta1", "VirtualMachineImport", "virtualmachineimports")
kind(OURS, "v1beta1", "VmwareSource", "vmwaresources")
kind(OURS, "v1beta1", "OpenstackSource", "openstacksources")
kind(OURS, "v1beta1", "OvaSource", "ovasources")

kind("", "v1", "Secret", "secrets")
kind("", "v1", "ConfigMap", "configmaps")
kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
kind("coordination.k8s.io", "v1", "Lease", "leases")
kind("events.k8s.io", "v1", "Event", "events")
kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition",
  "customresourcedefinitions")
kind("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy",
  "validatingadmissionpolicies")
kind("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding",
  "validatingadmissionpolicybindings")
kind("storage.k8s.io", "v1", "StorageClass", "storageclasses")
kind("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes")
kind("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition",
  "network-attachment-definitions")
kind("kubevirt.io", "v1", "VirtualMachine", "virtualmachines")
kind("kubevirt.io", "v1", "VirtualMachineInstance", "virtualmachineinstances")
kind("harvesterhci.io", "v1beta1", "VirtualMachineImage", "virtualmachineimages")
kind("harvesterhci.io", "v1beta1", "Setting", "settings")
kind("longhorn.io", "v1beta2", "BackingImage", "backingimages")
kind("longhorn.io", "v1beta2", "LonghornNode", "nodes", "Node")
kind("longhorn.io", "v1beta2", "LonghornSetting", "settings", "Setting")
kind("", "v1", "ResourceQuota", "resourcequotas")
kind("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities")

-- Kinds are found in any case, as upstream takes spec.sourceCluster.kind.
setmetatable(M, { __index = function(_, name)
  for known, found in pairs(M) do
    if type(name) == "string" and known:lower() == name:lower() and known:find("^%u") then
      return found
    end
  end
end })

--- kinds.built_in: the kinds of source that there are without scripts.
M.built_in = { M.VmwareSource, M.OpenstackSource, M.OvaSource }

local added = {}

--- kinds.sources: the kinds an import may name as its sourceCluster.
M.sources = M.built_in

--- kinds.use(sources)
-- The kinds of source that scripts in force add (site.code), instead of those before.
--
--   sources  list of {kind, plural}; of our group
function M.use(sources)
  M.sources = table.move(M.built_in, 1, #M.built_in, 1, {})
  for _, source in ipairs(sources) do
    kind(OURS, "v1beta1", source.kind, source.plural)
    added[source.kind:lower()] = true
    table.insert(M.sources, M[source.kind])
  end
end

--- kinds.is_added(name) -> boolean
-- Whether a script has added it, now or earlier; objects of it are known from then on.
function M.is_added(name)
  return added[name:lower()] or false
end

return M
