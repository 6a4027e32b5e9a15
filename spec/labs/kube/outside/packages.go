//go:build tools

package main

// Whose types controller-gen reads, so that go.mod keeps their modules.
import (
	_ "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	_ "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	_ "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	_ "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
)
