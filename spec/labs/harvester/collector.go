package main

import (
	"context"
	"slices"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Garbage collection of what an import makes, for a server without a controller-manager.

var collected = []schema.GroupVersionKind{
	harvesterv1.SchemeGroupVersion.WithKind("VirtualMachineImage"),
	longhornv1.SchemeGroupVersion.WithKind("BackingImage"), // Harvester deletes it in the foreground
	cdiv1.SchemeGroupVersion.WithKind("DataVolume"),
	kubevirtv1.VirtualMachineGroupVersionKind,
	kubevirtv1.VirtualMachineInstanceGroupVersionKind,
	corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
	corev1.SchemeGroupVersion.WithKind("Secret"),
}

func (s *standin) collectGarbage(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, s.options.checkEvery)
		s.sweep(ctx)
	}
}

// sweep deletes every object all of whose owners are gone. A list that fails ends it: what was not seen is
// not known to be gone.
func (s *standin) sweep(ctx context.Context) {
	owners := map[schema.GroupVersionKind]map[types.UID]bool{}
	waiting := map[types.UID]bool{} // owners that objects still wait behind
	var foreground []metav1.PartialObjectMetadata
	for _, kind := range collected {
		list, err := s.metadata(ctx, kind)
		if err != nil {
			return
		}
		for _, object := range list {
			if controllerutil.ContainsFinalizer(&object, metav1.FinalizerDeleteDependents) {
				foreground = append(foreground, object)
			}
			for _, owner := range object.OwnerReferences {
				waiting[owner.UID] = true
			}
			orphaned, err := s.isOrphan(ctx, &object, owners)
			if err != nil {
				return
			}
			if orphaned && object.DeletionTimestamp == nil {
				_ = s.garbage.Delete(ctx, &object, client.Preconditions{UID: &object.UID})
			}
		}
	}
	for _, object := range foreground {
		if !waiting[object.UID] {
			before := object.DeepCopy()
			controllerutil.RemoveFinalizer(&object, metav1.FinalizerDeleteDependents)
			_ = s.garbage.Patch(ctx, &object, client.MergeFrom(before))
		}
	}
}

func (s *standin) metadata(ctx context.Context,
	kind schema.GroupVersionKind) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := s.garbage.List(ctx, list); err != nil {
		return nil, err
	}
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(kind)
	}
	return list.Items, nil
}

// isOrphan: it has owners, and none of them is there, or lives on but for those it waits for.
func (s *standin) isOrphan(ctx context.Context, object *metav1.PartialObjectMetadata,
	owners map[schema.GroupVersionKind]map[types.UID]bool) (bool, error) {
	for _, owner := range object.OwnerReferences {
		kind := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind)
		if owners[kind] == nil {
			list, err := s.metadata(ctx, kind)
			if err != nil {
				return false, err
			}
			owners[kind] = map[types.UID]bool{}
			for _, o := range list {
				foreground := o.DeletionTimestamp != nil && slices.Contains(o.Finalizers,
					metav1.FinalizerDeleteDependents)
				owners[kind][o.UID] = !foreground
			}
		}
		if owners[kind][owner.UID] {
			return false, nil
		}
	}
	// A fresh owner may be younger than the list of its kind.
	old := time.Since(object.CreationTimestamp.Time) > 2*time.Second
	return len(object.OwnerReferences) > 0 && old, nil
}
