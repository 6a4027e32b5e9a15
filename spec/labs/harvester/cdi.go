package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// CDI's part: a DataVolume per image, an importer that downloads it, and clones of its claim.
// Source: Harvester v1.8.0 pkg/image/cdi; CDI's importer.

// qcow2 begins with this; its virtual size is at 24, big-endian.
const qcow2Magic = "QFI\xfb"

func virtualSizeOf(beginning []byte, size int64) int64 {
	if len(beginning) >= 32 && string(beginning[:4]) == qcow2Magic {
		return int64(binary.BigEndian.Uint64(beginning[24:32]))
	}
	return size
}

// cdiBackend keeps an image as a DataVolume of its own name, in the target class.
type cdiBackend struct{ *standin }

func (b cdiBackend) check(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	var volume cdiv1.DataVolume
	err := b.client.Get(ctx, client.ObjectKeyFromObject(image), &volume)
	if apierrors.IsNotFound(err) {
		return errAgain
	} else if err != nil {
		return err
	}
	percent, _, _ := strings.Cut(string(volume.Status.Progress), ".")
	if progress, err := strconv.Atoi(percent); err == nil && progress != image.Status.Progress {
		if err := b.importing(ctx, image, "Image Importing", progress); err != nil {
			return err
		}
	}
	if volume.Status.Phase != cdiv1.Succeeded {
		return errLater
	}
	return b.imported(ctx, image, image.Status.Size, image.Status.VirtualSize)
}

// initialize looks at the first 128 bytes and at the size, and makes the DataVolume.
func (b cdiBackend) initialize(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	register := b.newPuller("harvester", "", 0)
	defer register.close()
	s := subjectOf(image)
	_, beginning, err := register.part(ctx, s, "bytes=0-127", 128)
	if err != nil {
		return err
	}
	if len(beginning) < 128 {
		return fmt.Errorf("%s has less than 128 bytes", s.url)
	}
	head, err := register.head(ctx, s, func(int) bool { return true })
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(head.Header.Get("Content-Length"), 10, 64)
	if err != nil {
		return fmt.Errorf("HEAD %s: no Content-Length", s.url)
	}
	if image.Status.Size == 0 && image.Status.VirtualSize == 0 {
		err = b.change(ctx, image, func() {
			image.Status.Size, image.Status.VirtualSize = size, virtualSizeOf(beginning, size)
		})
		if err != nil {
			return err
		}
	}
	var class storagev1.StorageClass
	if err := b.client.Get(ctx, client.ObjectKey{Name: image.Spec.TargetStorageClassName}, &class); err != nil {
		return err
	}
	volume := dataVolume(client.ObjectKeyFromObject(image), &class,
		resource.NewQuantity(image.Status.VirtualSize, resource.DecimalSI))
	volume.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: harvesterv1.SchemeGroupVersion.String(), Kind: "VirtualMachineImage",
		Name: image.Name, UID: image.UID, BlockOwnerDeletion: ptr.To(true),
	}}
	volume.Spec.Source = &cdiv1.DataVolumeSource{HTTP: &cdiv1.DataVolumeSourceHTTP{URL: image.Spec.URL}}
	return b.client.Create(ctx, volume)
}

func (b cdiBackend) remove(ctx context.Context, image *harvesterv1.VirtualMachineImage) error {
	volume := cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Name: image.Name,
		Namespace: image.Namespace}}
	return client.IgnoreNotFound(b.client.Delete(ctx, &volume))
}

// dataVolume is what Harvester makes, less its source.
func dataVolume(key client.ObjectKey, class *storagev1.StorageClass,
	size *resource.Quantity) *cdiv1.DataVolume {
	volume := &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Name: key.Name,
		Namespace: key.Namespace}}
	if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
		volume.Annotations = map[string]string{annotationBindNow: "true"}
	}
	volume.Spec.Storage = &cdiv1.StorageSpec{
		StorageClassName: ptr.To(class.Name),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: *size},
		},
	}
	return volume
}

func (s *standin) dataVolumeUIDs(ctx context.Context) map[types.UID]bool {
	var list cdiv1.DataVolumeList
	if s.client.List(ctx, &list) != nil {
		return nil
	}
	uids := map[types.UID]bool{}
	for _, volume := range list.Items {
		uids[volume.UID] = true
	}
	return uids
}

func (s *standin) reconcileVolume(ctx context.Context, request reconcile.Request) (reconcile.Result,
	error) {
	var volume cdiv1.DataVolume
	if err := s.client.Get(ctx, request.NamespacedName, &volume); err != nil {
		s.forgetPods(ctx)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if volume.DeletionTimestamp != nil || volume.Status.Phase == cdiv1.Succeeded || volume.Spec.Source == nil {
		return reconcile.Result{}, nil
	}
	if pvc := volume.Spec.PVC; volume.Spec.Storage == nil && pvc != nil {
		volume.Spec.Storage = &cdiv1.StorageSpec{
			StorageClassName: pvc.StorageClassName, Resources: pvc.Resources,
			AccessModes: pvc.AccessModes, VolumeMode: pvc.VolumeMode,
		}
	}
	switch source := volume.Spec.Source; {
	case source.HTTP != nil:
		claim, err := s.claimOf(ctx, &volume)
		if err != nil || claim.Status.Phase != corev1.ClaimBound {
			s.volumeIs(ctx, &volume, cdiv1.ImportScheduled, "N/A", "")
			return reconcile.Result{RequeueAfter: s.options.checkEvery}, err
		}
		s.pods.start(s.context, volume.UID, func(ctx context.Context) {
			s.runImporter(ctx, &volume,
				claim)
		})
	case source.PVC != nil:
		return s.cloneVolume(ctx, &volume)
	}
	return reconcile.Result{}, nil
}

// claimOf makes the claim of a DataVolume, which has its name, or finds it.
func (s *standin) claimOf(ctx context.Context,
	volume *cdiv1.DataVolume) (*corev1.PersistentVolumeClaim, error) {
	var claim corev1.PersistentVolumeClaim
	err := s.client.Get(ctx, client.ObjectKeyFromObject(volume), &claim)
	if !apierrors.IsNotFound(err) {
		return &claim, err
	}
	class, err := s.class(ctx, volume.Spec.Storage.StorageClassName)
	if err != nil {
		return nil, err
	}
	access, mode := profileOf(class)
	if len(volume.Spec.Storage.AccessModes) > 0 {
		access = volume.Spec.Storage.AccessModes
	}
	mode = ptr.Deref(volume.Spec.Storage.VolumeMode, mode)
	claim = corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: volume.Name, Namespace: volume.Namespace,
			// Harvester's webhook counts on it that CDI's claims have some.
			Annotations: map[string]string{"cdi.kubevirt.io/storage.contentType": "kubevirt"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(volume,
				cdiv1.SchemeGroupVersion.WithKind("DataVolume"))},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class.Name, AccessModes: access, VolumeMode: &mode,
			Resources: volume.Spec.Storage.Resources,
		},
	}
	for key, value := range volume.Annotations {
		claim.Annotations[key] = value
	}
	return &claim, s.client.Create(ctx, &claim)
}

// runImporter is an importer pod, and those that follow it: CDI never gives up.
func (s *standin) runImporter(ctx context.Context, volume *cdiv1.DataVolume,
	claim *corev1.PersistentVolumeClaim) {
	image := subject{
		image: volume.Namespace + "/" + volume.Name, uid: string(volume.UID),
		url: volume.Spec.Source.HTTP.URL,
	}
	// A pod before this one may have ended after the volume was read.
	if s.client.Get(ctx, client.ObjectKeyFromObject(volume), volume) != nil || volume.Status.Phase == cdiv1.Succeeded {
		return
	}
	image.display = s.displayName(ctx, image.image)
	s.volumeIs(ctx, volume, cdiv1.ImportInProgress, "N/A", "")
	for ctx.Err() == nil {
		err := s.importOnce(ctx, volume, claim, image)
		if err == nil {
			s.volumeIs(ctx, volume, cdiv1.Succeeded, "100.0%", "")
			return
		}
		volume.Status.RestartCount++
		s.volumeIs(ctx, volume, cdiv1.ImportInProgress, "N/A", err.Error())
		pause(ctx, s.options.podRetry)
	}
}

func (s *standin) importOnce(ctx context.Context, volume *cdiv1.DataVolume,
	claim *corev1.PersistentVolumeClaim, image subject) error {
	if s.options.importer != "" {
		return s.importByPod(ctx, volume, claim, image)
	}
	pod := s.newPuller("cdi-importer", "cdi-golang-importer", 0)
	defer pod.close()
	if _, err := pod.head(ctx, image, func(status int) bool { return status == http.StatusOK }); err != nil {
		return err
	}
	done, err := pod.get(ctx, image, download{
		begin: s.options.importerIdle, idle: s.options.importerIdle, every: s.options.progressEvery,
		progress: func(received, length int64) {
			if length > 0 {
				s.volumeIs(ctx, volume, cdiv1.ImportInProgress, fmt.Sprintf("%.2f%%",
					float64(received)*100/float64(length)), "")
			}
		},
	})
	if err != nil {
		return err
	}
	if ranges := done.response.Header.Get("Accept-Ranges"); ranges != "" && ranges != "none" {
		if err := s.checkRanges(ctx, pod, image, done); err != nil {
			return err
		}
	}
	space := claim.Spec.Resources.Requests.Storage().Value()
	if size := virtualSizeOf(done.first, done.received); size > space {
		return fmt.Errorf("virtual image size %d is larger than the reported available storage %d",
			size, space)
	}
	return nil
}

// checkRanges asks for both ends again, as newer importers do where a server says that it has ranges.
func (s *standin) checkRanges(ctx context.Context, pod *puller, image subject, done *body) error {
	size := int64(len(done.first))
	for _, end := range []struct {
		from int64
		want []byte
	}{{0, done.first}, {done.received - int64(len(done.last)), done.last}} {
		ranges := fmt.Sprintf("bytes=%d-%d", end.from, end.from+size-1)
		response, got, err := pod.part(ctx, image, ranges, size+1)
		if err != nil {
			return err
		}
		want := fmt.Sprintf("bytes %d-%d/%d", end.from, end.from+size-1, done.received)
		if said := response.Header.Get("Content-Range"); response.StatusCode != http.StatusPartialContent || said != want {
			return fmt.Errorf("Range %s of %s: status %d, Content-Range %q instead of %q", ranges,
				image.url, response.StatusCode, said, want)
		}
		if !bytes.Equal(got, end.want) {
			return errors.New("Range " + ranges + " of " + image.url + " brought other bytes than the whole did")
		}
	}
	return nil
}

// cloneVolume copies a claim: at once, when the source is there and idle.
func (s *standin) cloneVolume(ctx context.Context, volume *cdiv1.DataVolume) (reconcile.Result,
	error) {
	from := volume.Spec.Source.PVC
	var source corev1.PersistentVolumeClaim
	err := s.client.Get(ctx, client.ObjectKey{Namespace: from.Namespace, Name: from.Name}, &source)
	if apierrors.IsNotFound(err) || err == nil && source.Status.Phase != corev1.ClaimBound {
		s.volumeIs(ctx, volume, cdiv1.CloneScheduled, "N/A", "")
		return reconcile.Result{RequeueAfter: s.options.checkEvery}, nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	if source.Spec.Resources.Requests.Storage().Cmp(*volume.Spec.Storage.Resources.Requests.Storage()) > 0 {
		s.volumeIs(ctx, volume, cdiv1.CloneScheduled, "N/A",
			"target resources requests storage size is smaller than the source")
		return reconcile.Result{}, nil
	}
	claim, err := s.claimOf(ctx, volume)
	if err != nil || claim.Status.Phase != corev1.ClaimBound {
		return reconcile.Result{RequeueAfter: s.options.checkEvery}, err
	}
	s.volumeIs(ctx, volume, cdiv1.Succeeded, "100.0%", "")
	return reconcile.Result{}, nil
}

// volumeIs writes the status, if the object is still there.
func (s *standin) volumeIs(ctx context.Context, volume *cdiv1.DataVolume,
	phase cdiv1.DataVolumePhase, progress, message string) {
	status := volume.Status
	status.Phase, status.Progress, status.ClaimName = phase, cdiv1.DataVolumeProgress(progress),
		volume.Name
	running, reason := corev1.ConditionFalse, "Pending"
	switch {
	case message != "":
		reason = "Error"
	case phase == cdiv1.ImportInProgress:
		running, reason = corev1.ConditionTrue, "Pod is running"
	case phase == cdiv1.Succeeded:
		reason = "Completed"
	}
	now := metav1.Now()
	condition := func(kind cdiv1.DataVolumeConditionType,
		is corev1.ConditionStatus) cdiv1.DataVolumeCondition {
		return cdiv1.DataVolumeCondition{
			Type: kind, Status: is, Reason: reason, Message: message, LastTransitionTime: now,
			LastHeartbeatTime: now,
		}
	}
	ready := corev1.ConditionFalse
	if phase == cdiv1.Succeeded {
		ready = corev1.ConditionTrue
	}
	status.Conditions = []cdiv1.DataVolumeCondition{
		condition(cdiv1.DataVolumeReady, ready), condition(cdiv1.DataVolumeBound, ready),
		condition(cdiv1.DataVolumeRunning, running),
	}
	if same := volume.Status; message == "" && same.Phase == status.Phase && same.Progress == status.Progress &&
		len(same.Conditions) == 3 && same.Conditions[2].Message == "" {
		return
	}
	before := volume.DeepCopy()
	before.Status.RestartCount = -1 // so that it is always sent
	volume.Status = status
	for ctx.Err() == nil {
		err := s.client.Status().Patch(ctx, volume, client.MergeFrom(before))
		volume.Status = status
		if client.IgnoreNotFound(err) == nil {
			return
		}
		pause(ctx, s.options.checkEvery)
	}
}
