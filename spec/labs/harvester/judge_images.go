package main

import (
	"context"
	"net/url"
	"reflect"
	"sync"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Harvester's webhooks of images. Source: Harvester v1.8.0 pkg/webhook/resources/virtualmachineimage,
// pkg/image/common; where 1.9 refuses more, this does too.

// recent remembers what was admitted and may not have come back by watch yet.
type recent struct {
	mutex  sync.Mutex
	owners map[string]recentOwner
}

type recentOwner struct {
	name string
	at   time.Time
}

// claim takes the thing for the owner unless another took it and, if that is longer ago than a creation
// lasts, really has it. It returns whether the owner may have it.
func (r *recent) claim(ctx context.Context, thing, owner string, has func(name string) bool) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	before := r.owners[thing]
	age := time.Since(before.at)
	if before.name != "" && before.name != owner && age < 10*time.Second && (age < time.Second || has(before.name)) {
		return false
	}
	if ctx.Value(dryRun{}) == nil {
		r.owners[thing] = recentOwner{owner, time.Now()}
	}
	return true
}

// drop forgets an owner that is gone.
func (r *recent) drop(owner string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for thing, holder := range r.owners {
		if holder.name == owner {
			delete(r.owners, thing)
		}
	}
}

func (s *standin) imageDefaults(ctx context.Context, image *harvesterv1.VirtualMachineImage,
	create bool) error {
	if create && image.Spec.Backend == "" {
		image.Spec.Backend = harvesterv1.VMIBackendBackingImage
	}
	if create && image.Spec.Backend == harvesterv1.VMIBackendBackingImage {
		if err := s.classParameters(ctx, image); err != nil {
			return err
		}
	}
	name, annotated := image.Annotations[annotationStorageClass]
	if annotated && image.Spec.TargetStorageClassName != "" {
		return nil
	}
	if name == "" {
		name = image.Spec.TargetStorageClassName
	}
	if name == "" {
		class, err := s.class(ctx, nil)
		if err != nil {
			return err
		}
		name = class.Name
	}
	if image.Annotations[annotationStorageClass] == "" {
		metav1.SetMetaDataAnnotation(&image.ObjectMeta, annotationStorageClass, name)
	}
	if image.Spec.TargetStorageClassName == "" {
		image.Spec.TargetStorageClassName = name
	}
	return nil
}

// classParameters fills in what the image's own StorageClass will have: some of the base class.
func (s *standin) classParameters(ctx context.Context,
	image *harvesterv1.VirtualMachineImage) error {
	name := image.Annotations[annotationStorageClass]
	class, err := s.class(ctx, &name)
	if err != nil {
		return err
	}
	base := image.Spec.StorageClassParameters
	if class.Provisioner == longhornProvisioner {
		if class.Parameters["backingImage"] != "" {
			return invalid("",
				"can not use a backing image storageClass as the base storageClass template")
		}
		base = class.Parameters
	}
	parameters := map[string]string{"numberOfReplicas": "3", "staleReplicaTimeout": "30",
		"migratable": "true"}
	for _, key := range []string{
		"nodeSelector", "diskSelector", "numberOfReplicas", "staleReplicaTimeout", "dataLocality",
		"encrypted",
	} {
		if value, found := base[key]; found {
			parameters[key] = value
		}
	}
	image.Spec.StorageClassParameters = parameters
	return nil
}

func (s *standin) imageCreate(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	return first(ctx, image, s.checkDisplayName, checkClasses, checkURL, checkChecksum,
		s.checkClassExists)
}

func (s *standin) checkDisplayName(ctx context.Context,
	image *harvesterv1.VirtualMachineImage) error {
	display := image.Spec.DisplayName
	if display == "" {
		return invalid("spec.displayName", "displayName is required")
	}
	if problems := validation.IsValidLabelValue(display); len(problems) > 0 {
		return invalid("spec.displayName", "displayName %q cannot be a label: %s", display,
			problems[0])
	}
	var others harvesterv1.VirtualMachineImageList
	err := s.cache.List(ctx, &others, client.InNamespace(image.Namespace),
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return err
	}
	for i := range others.Items {
		if other := &others.Items[i]; other.UID != image.UID && sameDisplayName(other, display) {
			return conflict("A resource with the same name exists")
		}
	}
	thing, owner := "image "+image.Namespace+"/"+display, image.Namespace+"/"+image.Name
	free := s.recent.claim(ctx, thing, owner, func(name string) bool {
		var other harvesterv1.VirtualMachineImage
		return s.client.Get(ctx, keyOf(name), &other) == nil && sameDisplayName(&other, display)
	})
	if !free {
		return conflict("A resource with the same name exists")
	}
	return nil
}

// sameDisplayName also looks at the spec: Harvester sees only the label, which it writes once the image is
// imported, and then has two of a name.
func sameDisplayName(image *harvesterv1.VirtualMachineImage, display string) bool {
	return image.Labels[labelDisplayName] == display || image.Spec.DisplayName == display
}

func checkClasses(_ context.Context, image *harvesterv1.VirtualMachineImage) error {
	annotated, target := image.Annotations[annotationStorageClass],
		image.Spec.TargetStorageClassName
	if annotated != "" && target != "" && annotated != target {
		return invalid("spec.targetStorageClassName",
			"storageClassName should keep the consistency")
	}
	return nil
}

func checkURL(_ context.Context, image *harvesterv1.VirtualMachineImage) error {
	if image.Spec.SourceType != harvesterv1.VirtualMachineImageSourceTypeDownload {
		return invalid("spec.sourceType", "only downloads are known here, not %q",
			image.Spec.SourceType)
	}
	if image.Spec.URL == "" {
		return invalid("spec.url", "url is required")
	}
	if _, err := url.Parse(image.Spec.URL); err != nil {
		return invalid("spec.url", "url is invalid: %s", err)
	}
	return nil
}

// checkChecksum: only Longhorn compares; CDI would ignore a checksum silently.
func checkChecksum(_ context.Context, image *harvesterv1.VirtualMachineImage) error {
	if image.Spec.Checksum != "" && image.Spec.Backend == harvesterv1.VMIBackendCDI {
		return invalid("spec.checksum", "checksum has no effect with backend cdi")
	}
	return nil
}

// checkClassExists: Harvester would fail to initialize such an image, again and again; and it would take a
// class with another engine, whose volumes cannot begin as a backing image.
func (s *standin) checkClassExists(ctx context.Context,
	image *harvesterv1.VirtualMachineImage) error {
	var class storagev1.StorageClass
	err := s.client.Get(ctx, client.ObjectKey{Name: image.Spec.TargetStorageClassName}, &class)
	if apierrors.IsNotFound(err) {
		return invalid("spec.targetStorageClassName", "storage class %s not found",
			image.Spec.TargetStorageClassName)
	} else if err != nil {
		return err
	}
	engine := class.Parameters["dataEngine"]
	backing := class.Provisioner == longhornProvisioner && (engine == "" || engine == "v1")
	if backing != (image.Spec.Backend == harvesterv1.VMIBackendBackingImage) {
		return invalid("spec.backend",
			"backend %s does not fit storage class %s (provisioner %s, dataEngine %q)",
			image.Spec.Backend, class.Name, class.Provisioner, engine)
	}
	return nil
}

func (s *standin) imageUpdate(ctx context.Context, before,
	after *harvesterv1.VirtualMachineImage) error {
	old, spec := &before.Spec, &after.Spec
	class := func(image *harvesterv1.VirtualMachineImage) string { return image.Annotations[annotationStorageClass] }
	switch {
	case after.DeletionTimestamp != nil:
		return nil
	case spec.Backend == harvesterv1.VMIBackendBackingImage && !reflect.DeepEqual(old.StorageClassParameters, spec.StorageClassParameters):
		return invalid("spec.storageClassParameters",
			"storageClassParameters of the VM Image cannot be modified")
	case class(before) != "" && class(before) != class(after):
		return invalid("metadata.annotations["+annotationStorageClass+"]",
			"storageClassName cannot be modified")
	case old.TargetStorageClassName != "" && old.TargetStorageClassName != spec.TargetStorageClassName:
		return invalid("spec.targetStorageClassName", "storageClassName cannot be modified")
	case old.SourceType != spec.SourceType:
		return invalid("spec.sourceType", "sourceType cannot be modified")
	case old.URL != spec.URL:
		return invalid("spec.url", "url cannot be modified")
	case old.DisplayName != spec.DisplayName:
		return invalid("spec.displayName", "displayName cannot be modified")
	}
	return s.checkDisplayName(ctx, after)
}

// imageDelete keeps an image whose StorageClass a claim still uses; nobody asks that of backend cdi.
func (s *standin) imageDelete(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	class := image.Status.StorageClassName
	if class == "" || image.Spec.Backend == harvesterv1.VMIBackendCDI {
		return nil
	}
	var claims corev1.PersistentVolumeClaimList
	if err := s.client.List(ctx, &claims); err != nil {
		return err
	}
	for _, claim := range claims.Items {
		if claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName == class {
			return invalid("", "Cannot delete image %s/%s: being used by volume %s/%s",
				image.Namespace, image.Spec.DisplayName, claim.Namespace, claim.Name)
		}
	}
	return nil
}
