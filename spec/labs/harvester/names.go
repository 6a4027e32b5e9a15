package main

import (
	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	extensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
)

// Names that Harvester, Longhorn, KubeVirt, CDI and the importer of machines agree on.
// Source: Harvester v1.8.0 pkg/util/constants.go; KubeVirt and CDI API packages.
const (
	annotationImageID      = "harvesterhci.io/imageId"
	annotationStorageClass = "harvesterhci.io/storageClassName"
	annotationGolden       = "harvesterhci.io/goldenImage"
	annotationClaims       = "harvesterhci.io/volumeClaimTemplates"
	annotationReserved     = "harvesterhci.io/reservedMemory"
	annotationHotplug      = "harvesterhci.io/enableCPUAndMemoryHotplug"
	annotationMacs         = "harvesterhci.io/mac-address"
	annotationRemoved      = "harvesterhci.io/removedPersistentVolumeClaims"
	annotationRunStrategy  = "harvesterhci.io/vmRunStrategy"
	annotationDefaultClass = "storageclass.kubernetes.io/is-default-class"
	annotationBindNow      = "cdi.kubevirt.io/storage.bind.immediate.requested"

	labelDisplayName    = "harvesterhci.io/imageDisplayName"
	labelImported       = "migration.harvesterhci.io/imported"
	labelMaintenance    = "harvesterhci.io/maintain-mode-strategy"
	labelClusterNetwork = "network.harvesterhci.io/clusternetwork"

	longhornNamespace   = "longhorn-system"
	longhornProvisioner = "driver.longhorn.io"

	imageFinalizer   = "wrangler.cattle.io/vm-image-controller"
	machineFinalizer = "kubevirt.io/virtualMachineControllerFinalize"
	claimFinalizer   = "kubernetes.io/pvc-protection"
	volumeFinalizer  = "kubernetes.io/pv-protection"

	harvesterUser = "system:serviceaccount:harvester-system:harvester"
	collectorUser = "system:serviceaccount:kube-system:generic-garbage-collector"
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetes.AddToScheme, extensionsv1.AddToScheme, harvesterv1.AddToScheme,
		longhornv1.AddToScheme,
		kubevirtv1.AddToScheme, cdiv1.AddToScheme, nadv1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}
