package main

import (
	"context"
	"fmt"
	"strings"

	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// What Kubernetes' volume controllers and the CSI drivers do with claims.

// profileOf is what CDI's StorageProfile says of a class: how its volumes are used when nobody says.
func profileOf(class *storagev1.StorageClass) ([]corev1.PersistentVolumeAccessMode,
	corev1.PersistentVolumeMode) {
	switch {
	case class.Provisioner == longhornProvisioner:
		return []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			corev1.PersistentVolumeBlock
	case strings.HasPrefix(class.Provisioner, "lvm."):
		return []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			corev1.PersistentVolumeBlock
	}
	return []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		corev1.PersistentVolumeFilesystem
}

func (s *standin) reconcileClaim(ctx context.Context, request reconcile.Request) (reconcile.Result,
	error) {
	var claim corev1.PersistentVolumeClaim
	if err := s.client.Get(ctx, request.NamespacedName, &claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if claim.DeletionTimestamp != nil {
		return s.releaseClaim(ctx, &claim)
	}
	if claim.Status.Phase == corev1.ClaimBound {
		return reconcile.Result{}, s.growClaim(ctx, &claim)
	}
	why, err := s.whyUnbound(ctx, &claim)
	if err != nil {
		return reconcile.Result{}, err
	}
	if why != "" {
		return reconcile.Result{RequeueAfter: s.options.checkEvery}, s.tellUnbound(ctx, &claim, why)
	}
	return reconcile.Result{}, s.bind(ctx, &claim)
}

// releaseClaim lets a claim go that no instance uses, and its volume with it.
func (s *standin) releaseClaim(ctx context.Context,
	claim *corev1.PersistentVolumeClaim) (reconcile.Result, error) {
	user, err := s.userOf(ctx, claim)
	if err != nil {
		return reconcile.Result{}, err
	}
	if user != "" {
		return reconcile.Result{RequeueAfter: s.options.checkEvery}, nil
	}
	if claim.Spec.VolumeName != "" {
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName}}
		if err := client.IgnoreNotFound(s.client.Delete(ctx, volume)); err != nil {
			return reconcile.Result{}, err
		}
		if s.client.Get(ctx, client.ObjectKeyFromObject(volume), volume) == nil {
			err := s.change(ctx, volume, func() {
				controllerutil.RemoveFinalizer(volume,
					volumeFinalizer)
			})
			if client.IgnoreNotFound(err) != nil {
				return reconcile.Result{}, err
			}
		}
	}
	err = s.change(ctx, claim, func() { controllerutil.RemoveFinalizer(claim, claimFinalizer) })
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// userOf names the instance that has the claim as a volume, if any.
func (s *standin) userOf(ctx context.Context, claim *corev1.PersistentVolumeClaim) (string, error) {
	var instances kubevirtv1.VirtualMachineInstanceList
	if err := s.client.List(ctx, &instances, client.InNamespace(claim.Namespace)); err != nil {
		return "", err
	}
	for _, instance := range instances.Items {
		for _, name := range claimsIn(instance.Spec.Volumes) {
			if name == claim.Name {
				return instance.Name, nil
			}
		}
	}
	return "", nil
}

func claimsIn(volumes []kubevirtv1.Volume) []string {
	var names []string
	for _, volume := range volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		} else if volume.DataVolume != nil {
			names = append(names, volume.DataVolume.Name)
		}
	}
	return names
}

// whyUnbound says what a claim waits for, "" if nothing.
func (s *standin) whyUnbound(ctx context.Context, claim *corev1.PersistentVolumeClaim) (string,
	error) {
	name := claim.Namespace + "/" + claim.Name
	if f := s.faults.take("unbound", name); f != nil {
		return f.text("failed to provision volume: insufficient storage"), nil
	}
	class, err := s.class(ctx, claim.Spec.StorageClassName)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("storageclass.storage.k8s.io %q not found",
			*claim.Spec.StorageClassName), nil
	} else if err != nil {
		return "", err
	}
	if why, err := s.whyNoCopy(ctx, claim, class); why != "" || err != nil {
		return why, err
	}
	waits := ptr.Deref(class.VolumeBindingMode, "") == storagev1.VolumeBindingWaitForFirstConsumer
	if waits && claim.Annotations[annotationBindNow] != "true" {
		user, err := s.userOf(ctx, claim)
		if user == "" {
			return "waiting for first consumer to be created before binding", err
		}
	}
	return "", nil
}

// whyNoCopy says why a volume cannot begin as a copy of an image or of another claim.
func (s *standin) whyNoCopy(ctx context.Context, claim *corev1.PersistentVolumeClaim,
	class *storagev1.StorageClass) (string, error) {
	size := claim.Spec.Resources.Requests.Storage().Value()
	if name := class.Parameters["backingImage"]; name != "" {
		var backing longhornv1.BackingImage
		err := s.client.Get(ctx, client.ObjectKey{Namespace: longhornNamespace, Name: name},
			&backing)
		if client.IgnoreNotFound(err) != nil {
			return "", err
		}
		file := backing.Status.DiskFileStatusMap[longhornDisk]
		if err != nil || file == nil || file.State != longhornv1.BackingImageStateReady {
			return fmt.Sprintf("backing image %s is not ready", name), nil
		}
		if size < backing.Status.VirtualSize {
			return fmt.Sprintf("volume size %d should be larger than the backing image virtual size %d", size, backing.Status.VirtualSize), nil
		}
	}
	from := claim.Spec.DataSource
	if from == nil || from.Kind != "PersistentVolumeClaim" {
		return "", nil
	}
	var source corev1.PersistentVolumeClaim
	err := s.client.Get(ctx, client.ObjectKey{Namespace: claim.Namespace, Name: from.Name}, &source)
	switch {
	case apierrors.IsNotFound(err) || err == nil && source.Status.Phase != corev1.ClaimBound:
		return fmt.Sprintf("source claim %s is not bound", from.Name), nil
	case err != nil:
		return "", err
	case source.Spec.Resources.Requests.Storage().Value() > size:
		return fmt.Sprintf("error new pvc %d must be larger than source pvc %s", size, from.Name), nil
	}
	return "", nil
}

// tellUnbound says it in an Event, as a provisioner does.
func (s *standin) tellUnbound(ctx context.Context, claim *corev1.PersistentVolumeClaim,
	why string) error {
	return s.counted.once(string(claim.UID)+why, func() error {
		now := metav1.Now()
		return s.client.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: claim.Name + ".",
				Namespace: claim.Namespace},
			InvolvedObject: corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace,
				Name: claim.Name, UID: claim.UID,
			},
			Type: corev1.EventTypeWarning, Reason: "ProvisioningFailed", Message: why, Count: 1,
			FirstTimestamp: now, LastTimestamp: now,
			Source: corev1.EventSource{Component: "persistentvolume-controller"},
		})
	})
}

func (s *standin) bind(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	class, err := s.class(ctx, claim.Spec.StorageClassName)
	if err != nil {
		return err
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID)},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes,
			VolumeMode: claim.Spec.VolumeMode, StorageClassName: class.Name,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace,
				Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: class.Provisioner,
					VolumeHandle: "pvc-" + string(claim.UID)},
			},
		},
	}
	if err := s.client.Create(ctx, volume); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if claim.Spec.VolumeName == "" {
		if err := s.change(ctx, claim, func() { claim.Spec.VolumeName = volume.Name }); err != nil {
			return err
		}
	}
	before := claim.DeepCopy()
	claim.Status.Phase = corev1.ClaimBound
	claim.Status.AccessModes = claim.Spec.AccessModes
	claim.Status.Capacity = claim.Spec.Resources.Requests
	return s.client.Status().Patch(ctx, claim, client.MergeFrom(before))
}

// growClaim gives a bound claim what it asks for by now.
func (s *standin) growClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Status.Capacity.Storage().Cmp(*claim.Spec.Resources.Requests.Storage()) >= 0 {
		return nil
	}
	before := claim.DeepCopy()
	claim.Status.Capacity = claim.Spec.Resources.Requests
	return s.client.Status().Patch(ctx, claim, client.MergeFrom(before))
}
