package main

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
	admissionv1 "k8s.io/api/admission/v1"
	extensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/cache"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"kubevirt.io/kubevirt/pkg/defaults"
	netadmitter "kubevirt.io/kubevirt/pkg/network/admitter"
	webhookutils "kubevirt.io/kubevirt/pkg/util/webhooks"
	"kubevirt.io/kubevirt/pkg/virt-api/webhooks"
	"kubevirt.io/kubevirt/pkg/virt-api/webhooks/validating-webhook/admitters"
	virtconfig "kubevirt.io/kubevirt/pkg/virt-config"
	"kubevirt.io/kubevirt/pkg/virt-config/featuregate"
)

// KubeVirt's own admission, from its own code, configured as Harvester v1.8.0's chart does.

const kubevirtConfiguration = `{
	"vmStateStorageClass": "vmstate-persistence",
	"vmRolloutStrategy": "LiveUpdate",
	"developerConfiguration": {"featureGates": ["CPUManager", "DeclarativeHotplugVolumes", "ExpandDisks",
		"EnableVirtioFsConfigVolumes", "HostDevices"]},
	"network": {"defaultNetworkInterface": "bridge", "permitSlirpInterface": true,
		"permitBridgeInterfaceOnPodNetwork": true,
		"binding": {"managedtap": {"domainAttachmentType": "managedTap"}}}
}`

func newKubeVirtConfig() (*virtconfig.ClusterConfig, error) {
	object := &kubevirtv1.KubeVirt{ObjectMeta: metav1.ObjectMeta{Namespace: "harvester-system",
		Name: "kubevirt", ResourceVersion: "1"}}
	object.Status.Phase, object.Status.DefaultArchitecture = kubevirtv1.KubeVirtPhaseDeployed,
		"amd64"
	if err := json.Unmarshal([]byte(kubevirtConfiguration), &object.Spec.Configuration); err != nil {
		return nil, err
	}
	source := &cache.ListWatch{}
	crds := cache.NewSharedIndexInformer(source, &extensionsv1.CustomResourceDefinition{}, 0,
		cache.Indexers{})
	settings := cache.NewSharedIndexInformer(source, &kubevirtv1.KubeVirt{}, 0, cache.Indexers{})
	if err := settings.GetStore().Add(object); err != nil {
		return nil, err
	}
	return virtconfig.NewClusterConfigWithCPUArch(crds, settings, object.Namespace, "amd64")
}

// virtSchema knows every field that a machine may have. (KubeVirt's Go types cannot be decoded strictly: the
// instance's part has a decoder of its own.)
func virtSchema(raw []byte) error {
	response := webhookutils.ValidateSchema(kubevirtv1.VirtualMachineGroupVersionKind, raw)
	if response == nil || response.Allowed {
		return nil
	}
	return invalid("", "%s", response.Result.Message)
}

// virtDefaults sets what KubeVirt's mutating webhook sets.
func (s *standin) virtDefaults(_ context.Context, machine *kubevirtv1.VirtualMachine,
	create bool) error {
	if machine.Spec.Template == nil || machine.DeletionTimestamp != nil {
		return nil
	}
	domain := &machine.Spec.Template.Spec.Domain
	if create {
		if domain.Firmware == nil {
			domain.Firmware = &kubevirtv1.Firmware{}
		}
		if domain.Firmware.UUID == "" {
			domain.Firmware.UUID = types.UID(uuid.NewString())
		}
		if domain.Firmware.Serial == "" {
			domain.Firmware.Serial = uuid.NewString()
		}
	}
	defaults.SetVirtualMachineDefaults(machine, s.kubevirt, nil)
	return nil
}

// virtJudge is KubeVirt's validating webhook of machines. It goes further in one way: the instance that the
// machine would start is judged now, not when it starts, so that nobody has to look for the reason there.
func (s *standin) virtJudge(ctx context.Context, machine *kubevirtv1.VirtualMachine,
	create bool) []metav1.StatusCause {
	if machine.DeletionTimestamp != nil {
		return nil
	}
	path := field.NewPath("spec")
	judged := machine.DeepCopy()
	if judged.Spec.Template == nil {
		return admitters.ValidateVirtualMachineSpec(path, &judged.Spec, s.kubevirt, false)
	}
	spec := &judged.Spec.Template.Spec
	if err := defaults.SetDefaultVirtualMachineInstanceSpec(s.kubevirt, spec); err != nil {
		return []metav1.StatusCause{{Type: metav1.CauseTypeUnexpectedServerResponse,
			Message: err.Error()}}
	}
	if create {
		gates := s.kubevirt.GetConfig().DeveloperConfiguration.FeatureGates
		if causes := featuregate.ValidateFeatureGates(gates, spec); len(causes) > 0 {
			return causes
		}
		if causes := netadmitter.NewValidator(path, spec, s.kubevirt).ValidateCreation(); len(causes) > 0 {
			return causes
		}
	}
	if causes := admitters.ValidateVirtualMachineSpec(path, &judged.Spec, s.kubevirt, false); len(causes) > 0 {
		return causes
	}
	return s.instanceCauses(ctx, machine)
}

// instanceCauses asks the webhook of instances.
func (s *standin) instanceCauses(ctx context.Context,
	machine *kubevirtv1.VirtualMachine) []metav1.StatusCause {
	template := machine.Spec.Template.DeepCopy()
	instance := &kubevirtv1.VirtualMachineInstance{
		TypeMeta: metav1.TypeMeta{APIVersion: kubevirtv1.GroupVersion.String(),
			Kind: "VirtualMachineInstance"},
		ObjectMeta: template.ObjectMeta, Spec: template.Spec,
	}
	instance.Name, instance.Namespace = machine.Name, machine.Namespace
	if err := defaults.SetDefaultVirtualMachineInstance(s.kubevirt, instance); err != nil {
		return []metav1.StatusCause{{Type: metav1.CauseTypeUnexpectedServerResponse,
			Message: err.Error()}}
	}
	raw, err := json.Marshal(instance)
	if err != nil {
		return []metav1.StatusCause{{Type: metav1.CauseTypeUnexpectedServerResponse,
			Message: err.Error()}}
	}
	review := &admissionv1.AdmissionReview{Request: &admissionv1.AdmissionRequest{
		Resource:  webhooks.VirtualMachineInstanceGroupVersionResource,
		Operation: admissionv1.Create,
		Object:    runtime.RawExtension{Raw: raw},
	}}
	judge := &admitters.VMICreateAdmitter{ClusterConfig: s.kubevirt}
	response := judge.Admit(ctx, review)
	if response.Allowed {
		return nil
	}
	if details := response.Result.Details; details != nil && len(details.Causes) > 0 {
		return details.Causes
	}
	return []metav1.StatusCause{{Type: metav1.CauseTypeFieldValueInvalid,
		Message: response.Result.Message}}
}
