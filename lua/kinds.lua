--- kinds: every Kubernetes kind we touch: group, version, plural.

local OURS = "migration.harvesterhci.io"

local M = {}

--- kinds.group: the API group of our own kinds.
M.group = OURS

local function kind(group, version, name, plural)
  M[name] = {
    api_version = group == "" and version or group .. "/" .. version,
    group = group,
    version = version,
    kind = name,
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
kind("storage.k8s.io", "v1", "StorageClass", "storageclasses")
kind("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes")
kind("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition",
  "network-attachment-definitions")
kind("kubevirt.io", "v1", "VirtualMachine", "virtualmachines")
kind("kubevirt.io", "v1", "VirtualMachineInstance", "virtualmachineinstances")
kind("harvesterhci.io", "v1beta1", "VirtualMachineImage", "virtualmachineimages")
kind("harvesterhci.io", "v1beta1", "Setting", "settings")
kind("longhorn.io", "v1beta2", "BackingImage", "backingimages")

-- Kinds are found in any case, as upstream takes spec.sourceCluster.kind.
setmetatable(M, { __index = function(_, name)
  for known, found in pairs(M) do
    if type(name) == "string" and known:lower() == name:lower() then
      return found
    end
  end
end })

--- kinds.sources: the kinds an import may name as its sourceCluster.
M.sources = { M.VmwareSource, M.OpenstackSource, M.OvaSource }

return M
