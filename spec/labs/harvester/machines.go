package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// What KubeVirt's controller does with machines, and Harvester's with their claims.

func (s *standin) reconcileMachine(ctx context.Context,
	request reconcile.Request) (reconcile.Result, error) {
	var machine kubevirtv1.VirtualMachine
	if err := s.client.Get(ctx, request.NamespacedName, &machine); err != nil {
		s.recent.drop(request.NamespacedName.String())
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if machine.DeletionTimestamp != nil {
		return s.removeMachine(ctx, &machine)
	}
	if !controllerutil.ContainsFinalizer(&machine, machineFinalizer) {
		return reconcile.Result{}, s.change(ctx, &machine, func() {
			controllerutil.AddFinalizer(&machine, machineFinalizer)
		})
	}
	if err := s.makeClaims(ctx, &machine); err != nil {
		return reconcile.Result{}, err
	}
	strategy, err := machine.RunStrategy()
	if err != nil {
		return reconcile.Result{}, err
	}
	if strategy == kubevirtv1.RunStrategyHalted || strategy == kubevirtv1.RunStrategyManual {
		return s.haltMachine(ctx, &machine)
	}
	if machine.Annotations[annotationRunStrategy] != string(strategy) {
		err := s.change(ctx, &machine, func() {
			metav1.SetMetaDataAnnotation(&machine.ObjectMeta, annotationRunStrategy,
				string(strategy))
		})
		if err != nil {
			return reconcile.Result{}, err
		}
	}
	return s.runMachine(ctx, &machine)
}

// removeMachine ends its instance first, then the claims that the user wanted to go with it.
func (s *standin) removeMachine(ctx context.Context,
	machine *kubevirtv1.VirtualMachine) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(machine, machineFinalizer) {
		return reconcile.Result{}, nil
	}
	if gone, err := s.removeInstance(ctx, machine); err != nil || !gone {
		return reconcile.Result{RequeueAfter: s.options.checkEvery}, err
	}
	for _, name := range strings.Split(machine.Annotations[annotationRemoved], ",") {
		if name == "" {
			continue
		}
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: machine.Namespace, Name: name}}
		if err := client.IgnoreNotFound(s.client.Delete(ctx, claim)); err != nil {
			return reconcile.Result{}, err
		}
	}
	err := s.change(ctx, machine, func() {
		controllerutil.RemoveFinalizer(machine,
			machineFinalizer)
	})
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

func (s *standin) removeInstance(ctx context.Context, machine *kubevirtv1.VirtualMachine) (bool,
	error) {
	instance := &kubevirtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Namespace: machine.Namespace, Name: machine.Name}}
	err := s.client.Delete(ctx, instance)
	return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
}

func (s *standin) haltMachine(ctx context.Context,
	machine *kubevirtv1.VirtualMachine) (reconcile.Result, error) {
	gone, err := s.removeInstance(ctx, machine)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !gone {
		return reconcile.Result{RequeueAfter: 50 * time.Millisecond},
			s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusStopping, true, false, "")
	}
	return reconcile.Result{}, s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusStopped,
		false, false, "")
}

// makeClaims makes the claims of the annotation that are not there: from an image of backend cdi as a
// DataVolume that clones the image's claim. Source: Harvester's createPVCsFromAnnotation.
func (s *standin) makeClaims(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	text := machine.Annotations[annotationClaims]
	if text == "" {
		return nil
	}
	var claims []corev1.PersistentVolumeClaim
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		return err
	}
	for i := range claims {
		claim := &claims[i]
		claim.Namespace = machine.Namespace
		made, err := s.makeClone(ctx, claim)
		if err != nil {
			return err
		}
		var there corev1.PersistentVolumeClaim
		err = s.client.Get(ctx, client.ObjectKeyFromObject(claim), &there)
		if apierrors.IsNotFound(err) && !made {
			err = s.client.Create(ctx, claim)
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// makeClone says whether the claim is a DataVolume's affair, and makes that.
func (s *standin) makeClone(ctx context.Context, claim *corev1.PersistentVolumeClaim) (bool,
	error) {
	id := claim.Annotations[annotationImageID]
	var image harvesterv1.VirtualMachineImage
	if id == "" || s.client.Get(ctx, keyOf(id), &image) != nil || image.Spec.Backend != harvesterv1.VMIBackendCDI {
		return false, nil
	}
	var volume cdiv1.DataVolume
	err := s.client.Get(ctx, client.ObjectKeyFromObject(claim), &volume)
	if !apierrors.IsNotFound(err) {
		return true, err
	}
	class, err := s.class(ctx, claim.Spec.StorageClassName)
	if err != nil {
		return true, err
	}
	clone := dataVolume(client.ObjectKeyFromObject(claim), class,
		claim.Spec.Resources.Requests.Storage())
	clone.Spec.Source = &cdiv1.DataVolumeSource{PVC: &cdiv1.DataVolumeSourcePVC{Namespace: image.Namespace, Name: image.Name}}
	return true, s.client.Create(ctx, clone)
}

// volumesReady says what the machine still waits for: a status of KubeVirt, "" for nothing.
func (s *standin) volumesReady(ctx context.Context,
	machine *kubevirtv1.VirtualMachine) (kubevirtv1.VirtualMachinePrintableStatus, error) {
	for _, name := range claimsIn(machine.Spec.Template.Spec.Volumes) {
		key := client.ObjectKey{Namespace: machine.Namespace, Name: name}
		var volume cdiv1.DataVolume
		err := s.client.Get(ctx, key, &volume)
		if client.IgnoreNotFound(err) != nil {
			return "", err
		}
		if err == nil && volume.Status.Phase != cdiv1.Succeeded {
			return kubevirtv1.VirtualMachineStatusProvisioning, nil
		}
		var claim corev1.PersistentVolumeClaim
		if err := s.client.Get(ctx, key, &claim); apierrors.IsNotFound(err) {
			return kubevirtv1.VirtualMachineStatusPvcNotFound, nil
		} else if err != nil {
			return "", err
		}
		if claim.Status.Phase != corev1.ClaimBound && !s.waitsForConsumer(ctx, &claim) {
			return kubevirtv1.VirtualMachineStatusWaitingForVolumeBinding, nil
		}
	}
	return "", nil
}

func (s *standin) waitsForConsumer(ctx context.Context, claim *corev1.PersistentVolumeClaim) bool {
	class, err := s.class(ctx, claim.Spec.StorageClassName)
	return err == nil && class.VolumeBindingMode != nil &&
		*class.VolumeBindingMode == "WaitForFirstConsumer"
}

// runMachine goes one step towards Running.
func (s *standin) runMachine(ctx context.Context,
	machine *kubevirtv1.VirtualMachine) (reconcile.Result, error) {
	again := reconcile.Result{RequeueAfter: s.options.checkEvery}
	name := machine.Namespace + "/" + machine.Name
	waits, err := s.volumesReady(ctx, machine)
	if err != nil {
		return reconcile.Result{}, err
	}
	if waits != "" {
		return again, s.machineIs(ctx, machine, waits, false, false, "")
	}
	var instance kubevirtv1.VirtualMachineInstance
	err = s.client.Get(ctx, client.ObjectKeyFromObject(machine), &instance)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{RequeueAfter: 10 * time.Millisecond}, s.makeInstance(ctx, machine)
	} else if err != nil {
		return reconcile.Result{}, err
	}
	if s.faults.take("unschedulable", name) != nil {
		return again, s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusUnschedulable, true,
			false,
			"0/1 nodes are available: 1 Insufficient memory.")
	}
	if s.faults.take("crash", name) != nil {
		return again, s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusCrashLoopBackOff,
			true, false, "")
	}
	if s.faults.take("starting", name) != nil || time.Since(instance.CreationTimestamp.Time) < s.options.boot {
		return again, s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusStarting, true,
			false, "")
	}
	if instance.Status.Phase != kubevirtv1.Running {
		if err := s.instanceRuns(ctx, &instance); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{RequeueAfter: 10 * time.Millisecond},
			s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusStarting, true, false, "")
	}
	return reconcile.Result{}, s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusRunning,
		true, true, "")
}

func (s *standin) makeInstance(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	template := machine.Spec.Template
	instance := &kubevirtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{
			Name: machine.Name, Namespace: machine.Namespace,
			Labels: template.ObjectMeta.Labels, Annotations: template.ObjectMeta.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(machine,
				kubevirtv1.VirtualMachineGroupVersionKind)},
		},
		Spec: *template.Spec.DeepCopy(),
	}
	if err := s.client.Create(ctx, instance); err != nil && !apierrors.IsAlreadyExists(err) {
		var status apierrors.APIStatus
		if errors.As(err, &status) && status.Status().Code < 500 {
			return s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusStopped, false, false,
				err.Error())
		}
		return err
	}
	return s.machineIs(ctx, machine, kubevirtv1.VirtualMachineStatusStarting, true, false, "")
}

func (s *standin) instanceRuns(ctx context.Context,
	instance *kubevirtv1.VirtualMachineInstance) error {
	before := instance.DeepCopy()
	instance.Status.Phase = kubevirtv1.Running
	instance.Status.NodeName = "standin"
	for _, nic := range instance.Spec.Domain.Devices.Interfaces {
		instance.Status.Interfaces = append(instance.Status.Interfaces,
			kubevirtv1.VirtualMachineInstanceNetworkInterface{Name: nic.Name, MAC: nic.MacAddress})
	}
	instance.Status.Conditions = []kubevirtv1.VirtualMachineInstanceCondition{{
		Type: kubevirtv1.VirtualMachineInstanceReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.Now(),
	}}
	// The CRD has no status subresource for instances: KubeVirt writes the object itself.
	return s.client.Patch(ctx, instance, client.MergeFrom(before))
}

// machineIs writes the machine's status; Ready says whether it runs, Failure why it cannot.
func (s *standin) machineIs(ctx context.Context, machine *kubevirtv1.VirtualMachine,
	printable kubevirtv1.VirtualMachinePrintableStatus, created, ready bool, failure string) error {
	before := machine.DeepCopy()
	status := &machine.Status
	if status.PrintableStatus == printable && status.Ready == ready && status.Created == created {
		return nil
	}
	status.PrintableStatus, status.Created, status.Ready = printable, created, ready
	status.ObservedGeneration, status.DesiredGeneration = machine.Generation, machine.Generation
	condition := kubevirtv1.VirtualMachineCondition{
		Type: kubevirtv1.VirtualMachineReady, Status: corev1.ConditionFalse,
		Reason:  "GuestNotRunning",
		Message: "Guest VM is not reported as running", LastTransitionTime: metav1.Now(),
	}
	if ready {
		condition.Status, condition.Reason, condition.Message = corev1.ConditionTrue, "", ""
	}
	status.Conditions = []kubevirtv1.VirtualMachineCondition{condition}
	if failure != "" {
		status.Conditions = append(status.Conditions, kubevirtv1.VirtualMachineCondition{
			Type: kubevirtv1.VirtualMachineFailure, Status: corev1.ConditionTrue,
			Reason:  "FailedCreate",
			Message: failure, LastTransitionTime: metav1.Now(),
		})
	}
	return s.client.Status().Patch(ctx, machine, client.MergeFrom(before))
}
