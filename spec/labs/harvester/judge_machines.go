package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/json"
)

// Harvester's validating webhook of machines.
// Source: Harvester v1.8.0 pkg/webhook/resources/virtualmachine/validator.go.

var maintenanceStrategies = []string{
	"Migrate", "ShutdownAndRestartAfterEnable", "ShutdownAndRestartAfterDisable", "Shutdown",
}

func (s *standin) machineJudge(ctx context.Context, machine *kubevirtv1.VirtualMachine,
	create bool) error {
	if machine.Spec.Template == nil || machine.DeletionTimestamp != nil {
		return nil // KubeVirt's affair
	}
	err := first(ctx, machine, checkClaimTemplates, s.checkGolden, s.checkOccupied,
		checkGracePeriod,
		checkMemory, checkReserved, checkMaintenance, checkCDROM)
	if err != nil || !create {
		return err
	}
	return s.checkMacs(ctx, machine)
}

// A claimTemplate is an entry of the annotation: a claim, and where it shall move.
type claimTemplate struct {
	corev1.PersistentVolumeClaim `json:",inline"`
	TargetVolume                 string `json:"targetVolume,omitempty"`
}

func checkClaimTemplates(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	text := machine.Annotations[annotationClaims]
	if text == "" {
		return nil
	}
	field := "metadata.annotations[" + annotationClaims + "]"
	var claims []claimTemplate
	unknown, err := json.UnmarshalStrict([]byte(text), &claims)
	if err == nil && len(unknown) > 0 {
		err = unknown[0]
	}
	if err != nil {
		return invalid(field, "the volumeClaimTemplates annotation is invalid: %s", err)
	}
	for _, claim := range claims {
		if claim.Name == "" {
			return invalid(field,
				"the volumeClaimTemplates annotation is invalid: PVC name is required")
		}
		if claim.Spec.Resources.Requests.Storage().IsZero() {
			return invalid(field,
				"the volumeClaimTemplates annotation is invalid: %s requests no storage",
				claim.Name)
		}
	}
	return nil
}

// checkGolden: a golden claim is an image's own; only what says that it was imported may run from it.
func (s *standin) checkGolden(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	if machine.Labels[labelImported] == "true" {
		return nil
	}
	return s.eachClaim(ctx, machine, func(claim *corev1.PersistentVolumeClaim) error {
		if claim.Annotations[annotationGolden] == "true" {
			return invalid("spec.templates.spec.volumes",
				"PVC %s/%s is a golden image, it can't be used as a volume in VM",
				claim.Namespace, claim.Name)
		}
		return nil
	})
}

// eachClaim calls judge for the machine's claims that exist.
func (s *standin) eachClaim(ctx context.Context, machine *kubevirtv1.VirtualMachine,
	judge func(*corev1.PersistentVolumeClaim) error) error {
	for _, volume := range machine.Spec.Template.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		var claim corev1.PersistentVolumeClaim
		key := client.ObjectKey{Namespace: machine.Namespace,
			Name: volume.PersistentVolumeClaim.ClaimName}
		if err := s.client.Get(ctx, key, &claim); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return internal("failed to get PVC %s: %s", key, err)
		}
		if err := judge(&claim); err != nil {
			return err
		}
	}
	return nil
}

// checkOccupied: a claim that another machine has, unless it is RWX and not Longhorn's.
func (s *standin) checkOccupied(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	var others kubevirtv1.VirtualMachineList
	err := s.cache.List(ctx, &others, client.InNamespace(machine.Namespace),
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return err
	}
	return s.eachClaim(ctx, machine, func(claim *corev1.PersistentVolumeClaim) error {
		if slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany) && !s.isLonghorn(ctx, claim) {
			return nil
		}
		for _, other := range others.Items {
			if other.Name == machine.Name || other.Spec.Template == nil {
				continue
			}
			if slices.Contains(claimsIn(other.Spec.Template.Spec.Volumes), claim.Name) {
				return invalid("spec.templates.spec.volumes",
					"PVC %s/%s is already used by other VM, please use a shareable RWX volume.",
					claim.Namespace, claim.Name)
			}
		}
		return nil
	})
}

func (s *standin) isLonghorn(ctx context.Context, claim *corev1.PersistentVolumeClaim) bool {
	var class *storagev1.StorageClass
	class, err := s.class(ctx, claim.Spec.StorageClassName)
	return err != nil || class.Provisioner == longhornProvisioner
}

func checkGracePeriod(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	seconds := machine.Spec.Template.Spec.TerminationGracePeriodSeconds
	if seconds != nil && *seconds < 0 {
		return invalid("spec.template.spec.terminationGracePeriodSeconds",
			"Termination grace period can't be negative")
	}
	return nil
}

func checkMemory(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	domain := machine.Spec.Template.Spec.Domain
	guest := domain.Memory != nil && domain.Memory.Guest != nil && !domain.Memory.Guest.IsZero()
	if !guest && domain.Resources.Limits.Memory().IsZero() {
		return invalid("spec.template.spec.domain",
			"either memory.guest or resources.limits.memory must be set")
	}
	return nil
}

func checkReserved(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	limit := machine.Spec.Template.Spec.Domain.Resources.Limits.Memory()
	text := machine.Annotations[annotationReserved]
	if limit.IsZero() || text == "" {
		return nil
	}
	field := "metadata.annotations[" + annotationReserved + "]"
	reserved, err := resource.ParseQuantity(text)
	if err != nil {
		return invalid(field, "%s", err)
	}
	if reserved.Sign() < 0 || reserved.Cmp(*limit) >= 0 {
		return invalid(field, "reservedMemory must be less than limits.memory, and not less than 0")
	}
	if memory := machine.Spec.Template.Spec.Domain.Memory; memory != nil && memory.Guest != nil {
		total := memory.Guest.DeepCopy()
		total.Add(reserved)
		if total.Cmp(*limit) > 0 {
			return invalid(field,
				"guest memory %s plus reservedMemory %s cannot be greater than limits.memory %s",
				memory.Guest, &reserved, limit)
		}
	}
	return nil
}

func checkMaintenance(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	strategy, found := machine.Labels[labelMaintenance]
	if found && !slices.Contains(maintenanceStrategies, strategy) {
		return invalid("metadata.labels["+labelMaintenance+"]",
			"invalid maintenance mode strategy: %s", strategy)
	}
	return nil
}

func checkCDROM(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	spec := machine.Spec.Template.Spec
	for _, disk := range spec.Domain.Devices.Disks {
		filled := slices.ContainsFunc(spec.Volumes,
			func(v kubevirtv1.Volume) bool { return v.Name == disk.Name })
		if disk.CDRom != nil && !filled && disk.CDRom.Bus != kubevirtv1.DiskBusSATA {
			return invalid("spec.template.spec.domain.devices.disks",
				"empty cd-rom device should connect via SATA bus")
		}
	}
	return nil
}

// macsOf are the machine's MAC addresses as "CLUSTER-NETWORK MAC".
func (s *standin) macsOf(ctx context.Context, machine *kubevirtv1.VirtualMachine) ([]string,
	error) {
	if machine.Spec.Template == nil {
		return nil, nil
	}
	spec := machine.Spec.Template.Spec
	clusterNetwork := map[string]string{} // of each network of the machine; "" is the management network's
	for _, network := range spec.Networks {
		if network.Multus == nil {
			continue
		}
		nad, err := s.attachment(ctx, "default", network.Multus.NetworkName)
		if err != nil {
			return nil, err
		}
		clusterNetwork[network.Name] = nad.Labels[labelClusterNetwork]
	}
	var macs []string
	for _, nic := range spec.Domain.Devices.Interfaces {
		if nic.MacAddress != "" {
			macs = append(macs, clusterNetwork[nic.Name]+" "+strings.ToLower(nic.MacAddress))
		}
	}
	return macs, nil
}

// attachment finds the NetworkAttachmentDefinition `NAME` or `NAMESPACE/NAME`.
func (s *standin) attachment(ctx context.Context, namespace,
	name string) (*nadv1.NetworkAttachmentDefinition, error) {
	parts := strings.Split(name, "/")
	switch len(parts) {
	case 1:
	case 2:
		namespace, name = parts[0], parts[1]
	default:
		return nil, fmt.Errorf("invalid network name %s", name)
	}
	var nad nadv1.NetworkAttachmentDefinition
	err := s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &nad)
	return &nad, err
}

// checkMacs refuses an address that another machine has in the same cluster network.
func (s *standin) checkMacs(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	macs, err := s.macsOf(ctx, machine)
	if err != nil || len(macs) == 0 {
		return err
	}
	var others kubevirtv1.VirtualMachineList
	if err := s.cache.List(ctx, &others, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	owner := machine.Namespace + "/" + machine.Name
	for i := range others.Items {
		if err := s.sameMac(ctx, machine, macs, &others.Items[i]); err != nil {
			return err
		}
	}
	for _, mac := range macs {
		free := s.recent.claim(ctx, "mac "+mac, owner, func(name string) bool {
			var other kubevirtv1.VirtualMachine
			return s.client.Get(ctx, keyOf(name), &other) == nil && s.sameMac(ctx, machine, macs,
				&other) != nil
		})
		if !free {
			return duplicateMac(machine, mac)
		}
	}
	return nil
}

func duplicateMac(machine *kubevirtv1.VirtualMachine, mac string) error {
	network, _, _ := strings.Cut(mac, " ")
	return internal("duplicate mac address present for vm %s for cluster network %s", machine.Name,
		network)
}

func (s *standin) sameMac(ctx context.Context, machine *kubevirtv1.VirtualMachine, macs []string,
	other *kubevirtv1.VirtualMachine) error {
	if other.Name == machine.Name && other.Namespace == machine.Namespace || !sharesMac(machine, other) {
		return nil
	}
	theirs, err := s.macsOf(ctx, other)
	if err != nil {
		return err
	}
	for _, mac := range macs {
		if slices.Contains(theirs, mac) {
			return duplicateMac(machine, mac)
		}
	}
	return nil
}

// sharesMac: on whichever network.
func sharesMac(a, b *kubevirtv1.VirtualMachine) bool {
	if b.Spec.Template == nil {
		return false
	}
	for _, nic := range a.Spec.Template.Spec.Domain.Devices.Interfaces {
		for _, other := range b.Spec.Template.Spec.Domain.Devices.Interfaces {
			if nic.MacAddress != "" && strings.EqualFold(nic.MacAddress, other.MacAddress) {
				return true
			}
		}
	}
	return false
}
