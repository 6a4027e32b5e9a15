package main

import (
	"context"
	"slices"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Harvester's webhooks of claims and DataVolumes, and CDI's of DataVolumes.
// Source: Harvester v1.8.0 pkg/webhook/resources/persistentvolumeclaim, .../datavolume.

// claimDefaults marks the claim of an image of backend cdi, which has the image's name, as golden.
func (s *standin) claimDefaults(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	var image harvesterv1.VirtualMachineImage
	err := s.client.Get(ctx, client.ObjectKeyFromObject(claim), &image)
	if apierrors.IsNotFound(err) || err == nil && image.Spec.Backend == harvesterv1.VMIBackendBackingImage {
		return nil
	} else if err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, annotationGolden, "true")
	return nil
}

func (s *standin) claimCreate(_ context.Context, claim *corev1.PersistentVolumeClaim) error {
	if name := claim.Spec.StorageClassName; name != nil && slices.Contains([]string{"longhorn-static", "vmstate-persistence"}, *name) {
		return invalid("spec.storageClassName",
			"can not create volume with the reserved storage class %s", *name)
	}
	return nil
}

func (s *standin) claimUpdate(_ context.Context, before,
	after *corev1.PersistentVolumeClaim) error {
	was, found := before.Annotations[annotationGolden]
	if found && after.Annotations[annotationGolden] != was {
		return invalid("", "can not change golden image annotation from PVC %s/%s", after.Namespace,
			after.Name)
	}
	return nil
}

func (s *standin) claimDelete(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Annotations[annotationGolden] == "true" && claim.Status.Phase != corev1.ClaimLost {
		var image harvesterv1.VirtualMachineImage
		if s.client.Get(ctx, client.ObjectKeyFromObject(claim), &image) == nil {
			return invalid("", "can not delete golden image PVC")
		}
	}
	var machines kubevirtv1.VirtualMachineList
	if err := s.client.List(ctx, &machines, client.InNamespace(claim.Namespace)); err != nil {
		return err
	}
	for _, machine := range machines.Items {
		if machine.DeletionTimestamp != nil || machine.Spec.Template == nil {
			continue
		}
		if slices.Contains(claimsIn(machine.Spec.Template.Spec.Volumes), claim.Name) {
			return conflict("can not delete the volume %s which is currently attached to VM: %s/%s",
				claim.Name, machine.Namespace, machine.Name)
		}
		for _, owner := range claim.OwnerReferences {
			if owner.UID == machine.UID {
				return invalid("",
					"can not delete the volume %s which is currently owned by these VMs: %s",
					claim.Name, machine.Name)
			}
		}
	}
	return nil
}

// volumeCreate is CDI's: a DataVolume makes its claim itself, and a clone is not smaller than its source.
func (s *standin) volumeCreate(ctx context.Context, volume *cdiv1.DataVolume) error {
	var claim corev1.PersistentVolumeClaim
	err := s.client.Get(ctx, client.ObjectKeyFromObject(volume), &claim)
	if err == nil && !metav1.IsControlledBy(&claim, volume) {
		return invalid("metadata.name", "Destination PVC %s/%s already exists", volume.Namespace,
			volume.Name)
	}
	spec := volume.Spec
	if (spec.PVC == nil) == (spec.Storage == nil) {
		return invalid("spec", "exactly one of spec.pvc and spec.storage is needed")
	}
	if spec.Source == nil && spec.SourceRef == nil {
		return invalid("spec.source",
			"Data volume should have either Source or SourceRef, or be externally populated")
	}
	if spec.Storage != nil && spec.Storage.Resources.Requests.Storage().Sign() <= 0 && spec.Source.PVC == nil {
		return invalid("spec.storage.resources.requests.storage", "Storage size is missing")
	}
	if spec.Source != nil && spec.Source.PVC != nil && (spec.Source.PVC.Name == "" || spec.Source.PVC.Namespace == "") {
		return invalid("spec.source.pvc", "PVC source name and namespace are needed")
	}
	return nil
}

func (s *standin) volumeDelete(ctx context.Context, volume *cdiv1.DataVolume) error {
	for _, owner := range volume.OwnerReferences {
		if owner.Kind != "VirtualMachineImage" {
			continue
		}
		var image harvesterv1.VirtualMachineImage
		err := s.client.Get(ctx, client.ObjectKey{Namespace: volume.Namespace, Name: owner.Name},
			&image)
		if err == nil && image.UID == owner.UID {
			return invalid("", "can not delete DataVolume %s/%s which is owned by VMImage %s/%s",
				volume.Namespace, volume.Name, volume.Namespace, owner.Name)
		}
	}
	return nil
}
