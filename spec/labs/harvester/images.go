package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Harvester's controller of images: registers what admission let in, hands it to Longhorn or CDI, and tries
// again up to spec.retry times. Source: Harvester v1.8.0 pkg/controller/master/image, pkg/image.

// What became of looking at the backend's object.
var (
	errAgain = errors.New("to be made again")
	errLater = errors.New("to be looked at later")
)

// A backend is where an image's bytes go.
type backend interface {
	check(context.Context, *harvesterv1.VirtualMachineImage) error
	initialize(context.Context, *harvesterv1.VirtualMachineImage) error
	remove(context.Context, *harvesterv1.VirtualMachineImage) error
}

func (s *standin) backendOf(image *harvesterv1.VirtualMachineImage) backend {
	if image.Spec.Backend == harvesterv1.VMIBackendCDI {
		return cdiBackend{s}
	}
	return longhornBackend{s}
}

func subjectOf(image *harvesterv1.VirtualMachineImage) subject {
	return subject{
		image: image.Namespace + "/" + image.Name, uid: string(image.UID),
		display: image.Spec.DisplayName, url: image.Spec.URL,
	}
}

func (s *standin) reconcileImage(ctx context.Context, request reconcile.Request) (reconcile.Result,
	error) {
	var image harvesterv1.VirtualMachineImage
	if err := s.client.Get(ctx, request.NamespacedName, &image); err != nil {
		s.recent.drop(request.NamespacedName.String())
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if image.DeletionTimestamp != nil {
		return reconcile.Result{}, s.removeImage(ctx, &image)
	}
	if !controllerutil.ContainsFinalizer(&image, imageFinalizer) {
		return reconcile.Result{}, s.change(ctx, &image, func() {
			controllerutil.AddFinalizer(&image, imageFinalizer)
		})
	}
	if conditionIs(&image, harvesterv1.ImageRetryLimitExceeded, corev1.ConditionTrue) {
		return reconcile.Result{}, nil
	}
	if conditionIs(&image, harvesterv1.ImageImported, corev1.ConditionTrue) {
		return reconcile.Result{}, s.labelImage(ctx, &image)
	}
	switch err := s.backendOf(&image).check(ctx, &image); {
	case errors.Is(err, errAgain):
		return s.tryImage(ctx, &image)
	case errors.Is(err, errLater):
		return reconcile.Result{RequeueAfter: s.options.checkEvery}, nil
	default:
		return reconcile.Result{}, err
	}
}

// change patches what `edit` changes in the object.
func (s *standin) change(ctx context.Context, object client.Object, edit func()) error {
	before := object.DeepCopyObject().(client.Object)
	edit()
	return s.client.Patch(ctx, object, client.MergeFrom(before))
}

func (s *standin) removeImage(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	if !controllerutil.ContainsFinalizer(image, imageFinalizer) {
		return nil
	}
	if err := s.backendOf(image).remove(ctx, image); err != nil {
		return err
	}
	return client.IgnoreNotFound(s.change(ctx, image, func() {
		controllerutil.RemoveFinalizer(image, imageFinalizer)
	}))
}

// labelImage keeps the label by which admission finds display names. 1.9 hashes those that are no label.
func (s *standin) labelImage(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	if image.Labels[labelDisplayName] == image.Spec.DisplayName {
		return nil
	}
	return s.change(ctx, image, func() {
		metav1.SetMetaDataLabel(&image.ObjectMeta, labelDisplayName, image.Spec.DisplayName)
	})
}

// tryImage registers the image, unless the last failure is too fresh.
func (s *standin) tryImage(ctx context.Context,
	image *harvesterv1.VirtualMachineImage) (reconcile.Result, error) {
	if failed, err := time.Parse(time.RFC3339, image.Status.LastFailedTime); err == nil {
		if wait := time.Until(failed.Add(s.options.imageRetry)); wait > 0 {
			return reconcile.Result{RequeueAfter: wait}, nil
		}
	}
	err := s.backendOf(image).initialize(ctx, image)
	if apierrors.IsConflict(err) || ctx.Err() != nil {
		return reconcile.Result{}, err
	}
	if err != nil {
		return reconcile.Result{RequeueAfter: s.options.imageRetry}, s.failImage(ctx, image,
			harvesterv1.ImageInitialized, err.Error(), 0)
	}
	return reconcile.Result{RequeueAfter: s.options.checkEvery}, s.change(ctx, image, func() {
		image.Status.AppliedURL = image.Spec.URL
		image.Status.StorageClassName = storageClassOf(image)
		image.Status.Progress = 0
		setCondition(image, harvesterv1.ImageImported, corev1.ConditionUnknown, "Importing", "")
		setCondition(image, harvesterv1.ImageInitialized, corev1.ConditionTrue, "Initialized", "")
	})
}

// failImage counts a failure. Only the one past spec.retry is final; of those before, only the message of
// RetryLimitExceeded, which is still False, tells.
func (s *standin) failImage(ctx context.Context, image *harvesterv1.VirtualMachineImage,
	about conditionType, why string, progress int) error {
	return s.change(ctx, image, func() {
		image.Status.Failed++
		image.Status.LastFailedTime = time.Now().Format(time.RFC3339)
		image.Status.Progress = progress
		message := "failed due to error: " + why
		if image.Status.Failed > 1 {
			message = fmt.Sprintf("retry attempted %d/%d %s", image.Status.Failed-1,
				image.Spec.Retry, message)
		}
		exceeded := corev1.ConditionFalse
		if image.Status.Failed > image.Spec.Retry {
			exceeded = corev1.ConditionTrue
			setCondition(image, about, corev1.ConditionFalse, "", message)
		}
		setCondition(image, harvesterv1.ImageRetryLimitExceeded, exceeded, "", message)
	})
}

func (s *standin) importing(ctx context.Context, image *harvesterv1.VirtualMachineImage,
	message string, progress int) error {
	return s.change(ctx, image, func() {
		image.Status.Progress = min(progress, 99) // 100 only when it is ready
		setCondition(image, harvesterv1.ImageImported, corev1.ConditionUnknown, "Importing",
			message)
	})
}

func (s *standin) imported(ctx context.Context, image *harvesterv1.VirtualMachineImage, size,
	virtualSize int64) error {
	return s.change(ctx, image, func() {
		image.Status.Progress, image.Status.Size, image.Status.VirtualSize = 100, size, virtualSize
		setCondition(image, harvesterv1.ImageImported, corev1.ConditionTrue, "Imported", "")
		setCondition(image, harvesterv1.ImageRetryLimitExceeded, corev1.ConditionFalse, "", "")
	})
}

func storageClassOf(image *harvesterv1.VirtualMachineImage) string {
	if image.Spec.Backend == harvesterv1.VMIBackendCDI {
		return image.Spec.TargetStorageClassName
	}
	return "lh-" + string(image.UID)
}

// longhornBackend keeps an image as a BackingImage, and a StorageClass whose volumes begin as copies of it.
type longhornBackend struct{ *standin }

func backingOf(image *harvesterv1.VirtualMachineImage) client.ObjectKey {
	return client.ObjectKey{Namespace: longhornNamespace, Name: "vmi-" + string(image.UID)}
}

func (b longhornBackend) check(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	var backing longhornv1.BackingImage
	if err := b.client.Get(ctx, backingOf(image), &backing); apierrors.IsNotFound(err) {
		return errAgain
	} else if err != nil {
		return err
	}
	if backing.DeletionTimestamp != nil {
		return errLater
	}
	for _, file := range backing.Status.DiskFileStatusMap {
		if file.State == longhornv1.BackingImageStateFailed {
			// Only after the failure is counted, or the next try would not wait.
			if b.counted.has(string(backing.UID)) {
				return errAgain
			}
			return errLater
		}
	}
	var class storagev1.StorageClass
	err := b.client.Get(ctx, client.ObjectKey{Name: storageClassOf(image)}, &class)
	if apierrors.IsNotFound(err) {
		return errAgain
	}
	return err
}

func (b longhornBackend) initialize(ctx context.Context,
	image *harvesterv1.VirtualMachineImage) error {
	if err := b.remove(ctx, image); err != nil {
		return err
	}
	register := b.newPuller("harvester", "", b.options.registerTimeout)
	defer register.close()
	response, err := register.head(ctx, subjectOf(image), func(status int) bool {
		return status >= http.StatusOK && status < http.StatusBadRequest
	})
	if err != nil {
		return err
	}
	if response.ContentLength > 0 {
		err = b.change(ctx, image, func() { image.Status.Size = response.ContentLength })
		if err != nil {
			return err
		}
	}
	var left longhornv1.BackingImage
	if err := b.client.Get(ctx, backingOf(image), &left); err == nil {
		return fmt.Errorf("backing image %s is being deleted", left.Name) // counts, as any failure does
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	copies, err := strconv.Atoi(image.Spec.StorageClassParameters["numberOfReplicas"])
	if err != nil {
		return err
	}
	key := backingOf(image)
	backing := longhornv1.BackingImage{
		ObjectMeta: metav1.ObjectMeta{
			Name: key.Name, Namespace: key.Namespace,
			Annotations: map[string]string{annotationImageID: image.Namespace + "/" + image.Name},
		},
		Spec: longhornv1.BackingImageSpec{
			SourceType:       longhornv1.BackingImageDataSourceType(image.Spec.SourceType),
			SourceParameters: map[string]string{longhornv1.DataSourceTypeDownloadParameterURL: image.Spec.URL},
			Checksum:         image.Spec.Checksum, MinNumberOfCopies: copies,
			DataEngine: longhornv1.DataEngineTypeV1,
		},
	}
	if err := b.client.Create(ctx, &backing); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	class := storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: storageClassOf(image)},
		Provisioner: longhornProvisioner, AllowVolumeExpansion: ptr.To(true),
		ReclaimPolicy:     ptr.To(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingImmediate),
		Parameters:        map[string]string{"backingImage": key.Name},
	}
	for name, value := range image.Spec.StorageClassParameters {
		class.Parameters[name] = value
	}
	if err := b.client.Create(ctx, &class); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func (b longhornBackend) remove(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	key := backingOf(image)
	backing := longhornv1.BackingImage{ObjectMeta: metav1.ObjectMeta{Name: key.Name,
		Namespace: key.Namespace}}
	inForeground := client.PropagationPolicy(metav1.DeletePropagationForeground)
	if err := b.client.Delete(ctx, &backing, inForeground); client.IgnoreNotFound(err) != nil {
		return err
	}
	class := storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: storageClassOf(image)}}
	return client.IgnoreNotFound(b.client.Delete(ctx, &class))
}
