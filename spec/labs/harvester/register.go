package main

import (
	"context"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An entry is a webhook as it is registered, under the name that its program gives it.
type entry struct {
	configuration, name, path string
	group, version, resource  string
	operations                string // some of C, U, D
}

var entries = []entry{
	{"harvester-mutator", "mutator-images.harvesterhci.io", "/harvester/mutate/images", "harvesterhci.io", "v1beta1", "virtualmachineimages", "CU"},
	{"harvester-mutator", "mutator-claims.harvesterhci.io", "/harvester/mutate/claims", "", "v1", "persistentvolumeclaims", "C"},
	{"harvester-mutator", "mutator-machines.harvesterhci.io", "/harvester/mutate/machines", "kubevirt.io", "v1", "virtualmachines", "CU"},
	{"virt-api-mutator", "virtualmachines-mutator.kubevirt.io", "/kubevirt/mutate/machines", "kubevirt.io", "v1", "virtualmachines", "CU"},
	{"harvester-validator", "validator-images.harvesterhci.io", "/harvester/validate/images", "harvesterhci.io", "v1beta1", "virtualmachineimages", "CUD"},
	{"harvester-validator", "validator-claims.harvesterhci.io", "/harvester/validate/claims", "", "v1", "persistentvolumeclaims", "CUD"},
	{"harvester-validator", "validator-volumes.harvesterhci.io", "/harvester/validate/volumes", "cdi.kubevirt.io", "v1beta1", "datavolumes", "D"},
	{"harvester-validator", "validator-machines.harvesterhci.io", "/harvester/validate/machines", "kubevirt.io", "v1", "virtualmachines", "CU"},
	{"virt-api-validator", "virtualmachine-validator.kubevirt.io", "/kubevirt/validate/machines", "kubevirt.io", "v1", "virtualmachines", "CU"},
	{"cdi-api-datavolume-validate", "datavolume-validate.cdi.kubevirt.io", "/cdi/validate/volumes", "cdi.kubevirt.io", "v1beta1", "datavolumes", "C"},
}

func (e entry) mutates() bool {
	return e.configuration == "harvester-mutator" || e.configuration == "virt-api-mutator"
}

func (e entry) rules() []admissionregistrationv1.RuleWithOperations {
	names := map[rune]admissionregistrationv1.OperationType{
		'C': admissionregistrationv1.Create, 'U': admissionregistrationv1.Update,
		'D': admissionregistrationv1.Delete,
	}
	rule := admissionregistrationv1.RuleWithOperations{Rule: admissionregistrationv1.Rule{
		APIGroups: []string{e.group}, APIVersions: []string{e.version},
		Resources: []string{e.resource},
	}}
	for _, letter := range e.operations {
		rule.Operations = append(rule.Operations, names[letter])
	}
	return []admissionregistrationv1.RuleWithOperations{rule}
}

// configurations are the objects that put the webhooks into the API server's way.
func configurations(url string, ca []byte) []client.Object {
	none, fail := admissionregistrationv1.SideEffectClassNoneOnDryRun, admissionregistrationv1.Fail
	mutating := map[string]*admissionregistrationv1.MutatingWebhookConfiguration{}
	validating := map[string]*admissionregistrationv1.ValidatingWebhookConfiguration{}
	var objects []client.Object
	for _, e := range entries {
		where := admissionregistrationv1.WebhookClientConfig{URL: ptr.To(url + e.path),
			CABundle: ca}
		meta := metav1.ObjectMeta{Name: e.configuration}
		if e.mutates() {
			if mutating[e.configuration] == nil {
				mutating[e.configuration] = &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: meta}
				objects = append(objects, mutating[e.configuration])
			}
			list := &mutating[e.configuration].Webhooks
			*list = append(*list, admissionregistrationv1.MutatingWebhook{
				Name: e.name, ClientConfig: where, Rules: e.rules(), SideEffects: &none,
				FailurePolicy:           &fail,
				AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: ptr.To[int32](10),
			})
			continue
		}
		if validating[e.configuration] == nil {
			validating[e.configuration] = &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: meta}
			objects = append(objects, validating[e.configuration])
		}
		list := &validating[e.configuration].Webhooks
		*list = append(*list, admissionregistrationv1.ValidatingWebhook{
			Name: e.name, ClientConfig: where, Rules: e.rules(), SideEffects: &none,
			FailurePolicy:           &fail,
			AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: ptr.To[int32](10),
		})
	}
	return objects
}

// othersOf are those that are not Harvester's own.
func othersOf(objects []client.Object) []client.Object {
	var others []client.Object
	for _, object := range objects {
		if !strings.HasPrefix(object.GetName(), "harvester-") {
			others = append(others, object)
		}
	}
	return others
}

// register puts them there, in place of those that a killed run may have left.
func (s *standin) register(ctx context.Context, objects []client.Object) error {
	for _, object := range objects {
		old := object.DeepCopyObject().(client.Object)
		if err := s.client.Delete(ctx, old); client.IgnoreNotFound(err) != nil {
			return err
		}
		if err := s.client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

func (s *standin) unregister(ctx context.Context, objects []client.Object) {
	for _, object := range objects {
		_ = s.client.Delete(ctx, object)
	}
}
