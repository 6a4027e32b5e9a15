package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Harvester's mutating webhook of machines.
// Source: Harvester v1.8.0 pkg/webhook/resources/virtualmachine/mutator.go.

func (s *standin) machineDefaults(ctx context.Context, machine *kubevirtv1.VirtualMachine,
	create bool) error {
	if machine.Spec.Template == nil || machine.DeletionTimestamp != nil {
		return nil
	}
	if create {
		if err := s.overcommit(ctx, machine); err != nil {
			return err
		}
	}
	defaultCPU(machine)
	return first(ctx, machine, s.pinToNetworks, s.gracePeriod, generateMacs)
}

// setting's value, or its default.
func (s *standin) setting(ctx context.Context, name string) (string, error) {
	var setting harvesterv1.Setting
	if err := s.client.Get(ctx, client.ObjectKey{Name: name}, &setting); apierrors.IsNotFound(err) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if setting.Value != "" {
		return setting.Value, nil
	}
	return setting.Default, nil
}

// overcommit makes requests of the limits, and the guest's memory, by the cluster's settings.
func (s *standin) overcommit(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	text, err := s.setting(ctx, "overcommit-config")
	if err != nil || text == "" {
		return err
	}
	var percent struct{ CPU, Memory int64 }
	if err := json.Unmarshal([]byte(text), &percent); err != nil {
		return err
	}
	domain := &machine.Spec.Template.Spec.Domain
	if domain.Resources.Requests == nil {
		domain.Resources.Requests = corev1.ResourceList{}
	}
	if cpu := domain.Resources.Limits.Cpu(); !cpu.IsZero() {
		domain.Resources.Requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(cpu.MilliValue()*100/percent.CPU, cpu.Format)
	}
	memory := domain.Resources.Limits.Memory()
	if memory.IsZero() {
		return nil
	}
	const mib = 1 << 20
	domain.Resources.Requests[corev1.ResourceMemory] = *resource.NewQuantity(memory.Value()*100/percent.Memory/mib*mib, memory.Format)
	if strings.EqualFold(machine.Annotations[annotationHotplug], "true") {
		return nil
	}
	guest, err := s.guestMemory(ctx, machine, memory)
	if err != nil {
		return err
	}
	if domain.Memory == nil {
		domain.Memory = &kubevirtv1.Memory{}
	}
	domain.Memory.Guest = guest
	if domain.CPU == nil {
		domain.CPU = &kubevirtv1.CPU{}
	}
	domain.CPU.MaxSockets = s.maxSockets(domain.CPU)
	return nil
}

// maxSockets: up to 1.8.0 it is 1, and KubeVirt then refuses every machine of two sockets or more.
func (s *standin) maxSockets(cpu *kubevirtv1.CPU) uint32 {
	if s.options.harvester == "1.8.0" {
		return 1
	}
	return max(cpu.Sockets, 1)
}

// guestMemory is the limit less what QEMU may need, where no ratio makes the pod larger instead.
func (s *standin) guestMemory(ctx context.Context, machine *kubevirtv1.VirtualMachine,
	limit *resource.Quantity) (*resource.Quantity, error) {
	reserved := *resource.NewQuantity(100<<20, resource.BinarySI)
	if text := machine.Annotations[annotationReserved]; text != "" {
		var err error
		if reserved, err = resource.ParseQuantity(text); err != nil {
			return nil, fmt.Errorf("annotation %s can't be converted to memory unit", text)
		}
		if reserved.Cmp(*limit) >= 0 {
			return nil, fmt.Errorf("reservedMemory can't be equal or greater than limits.memory %s",
				limit)
		}
	} else {
		ratio, err := s.setting(ctx, "additional-guest-memory-overhead-ratio")
		if err != nil {
			return nil, err
		}
		if number, err := strconv.ParseFloat(ratio, 64); err == nil && number > 0 {
			reserved = resource.Quantity{}
		}
	}
	guest := limit.DeepCopy()
	guest.Sub(reserved)
	if guest.Value() < 10<<20 {
		return nil,
			fmt.Errorf("guest memory is under the minimum requirement (10 Mi), original: %d, final: %d", limit.Value(), guest.Value())
	}
	return &guest, nil
}

func defaultCPU(machine *kubevirtv1.VirtualMachine) {
	domain := &machine.Spec.Template.Spec.Domain
	if domain.CPU == nil {
		domain.CPU = &kubevirtv1.CPU{}
	}
	for _, number := range []*uint32{&domain.CPU.Cores, &domain.CPU.Sockets, &domain.CPU.Threads} {
		if *number == 0 {
			*number = 1
		}
	}
}

// pinToNetworks lets the machine run only where its cluster networks are. One that is missing is an error.
func (s *standin) pinToNetworks(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	var wanted []corev1.NodeSelectorRequirement
	for _, network := range machine.Spec.Template.Spec.Networks {
		if network.Multus == nil || network.Multus.NetworkName == "" {
			continue
		}
		nad, err := s.attachment(ctx, machine.Namespace, network.Multus.NetworkName)
		if err != nil {
			return err
		}
		if name := nad.Labels[labelClusterNetwork]; name != "" {
			wanted = append(wanted, corev1.NodeSelectorRequirement{
				Key: "network.harvesterhci.io/" + name, Operator: corev1.NodeSelectorOpIn,
				Values: []string{"true"},
			})
		}
	}
	if len(wanted) == 0 || machine.Spec.Template.Spec.Affinity != nil {
		return nil
	}
	machine.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: unique(wanted)}},
		},
	}}
	return nil
}

func unique(list []corev1.NodeSelectorRequirement) []corev1.NodeSelectorRequirement {
	var result []corev1.NodeSelectorRequirement
	seen := map[string]bool{}
	for _, requirement := range list {
		if !seen[requirement.Key] {
			seen[requirement.Key] = true
			result = append(result, requirement)
		}
	}
	return result
}

func (s *standin) gracePeriod(ctx context.Context, machine *kubevirtv1.VirtualMachine) error {
	spec := &machine.Spec.Template.Spec
	if spec.TerminationGracePeriodSeconds != nil {
		return nil
	}
	text, err := s.setting(ctx, "default-vm-termination-grace-period-seconds")
	if err != nil || text == "" {
		return err
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	spec.TerminationGracePeriodSeconds = &seconds
	return err
}

// generateMacs gives a locally administered address to every interface without one.
func generateMacs(_ context.Context, machine *kubevirtv1.VirtualMachine) error {
	observed := map[string]string{}
	_ = json.Unmarshal([]byte(machine.Annotations[annotationMacs]), &observed)
	nics := machine.Spec.Template.Spec.Domain.Devices.Interfaces
	for i := range nics {
		if nics[i].MacAddress != "" || observed[nics[i].Name] != "" {
			continue
		}
		b := make([]byte, 6)
		if _, err := rand.Read(b); err != nil {
			return err
		}
		nics[i].MacAddress = fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0]&0xfe|2, b[1], b[2],
			b[3], b[4], b[5])
	}
	return nil
}
