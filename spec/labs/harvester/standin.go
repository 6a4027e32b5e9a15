package main

import (
	"context"
	"sync"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	virtconfig "kubevirt.io/kubevirt/pkg/virt-config"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// standin is what its parts share.
type standin struct {
	options  options
	context  context.Context // ends with the program
	client   client.Client   // as Harvester's controllers; reads what the server has now
	cache    client.Reader   // what the watches have brought so far
	garbage  client.Client   // as the garbage collector
	faults   *faults
	journal  *journal
	network  *network
	pods     *pods
	counted  *set
	recent   *recent
	kubevirt *virtconfig.ClusterConfig
}

// class finds a StorageClass, nil meaning the default one.
func (s *standin) class(ctx context.Context, name *string) (*storagev1.StorageClass, error) {
	if name != nil && *name != "" {
		var class storagev1.StorageClass
		err := s.client.Get(ctx, client.ObjectKey{Name: *name}, &class)
		return &class, err
	}
	var list storagev1.StorageClassList
	if err := s.client.List(ctx, &list); err != nil {
		return nil, err
	}
	for i := range list.Items {
		if list.Items[i].Annotations[annotationDefaultClass] == "true" {
			return &list.Items[i], nil
		}
	}
	return nil, internal("no default storage class found")
}

// displayName of the image NAMESPACE/NAME, "" if there is none.
func (s *standin) displayName(ctx context.Context, name string) string {
	var image harvesterv1.VirtualMachineImage
	if s.client.Get(ctx, keyOf(name), &image) != nil {
		return ""
	}
	return image.Spec.DisplayName
}

func keyOf(name string) client.ObjectKey {
	for i := range name {
		if name[i] == '/' {
			return types.NamespacedName{Namespace: name[:i], Name: name[i+1:]}
		}
	}
	return types.NamespacedName{Name: name}
}

// A set remembers what has been done.
type set struct {
	mutex   sync.Mutex
	members map[string]bool
}

func (s *set) has(member string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.members[member]
}

// once does it unless it has succeeded before.
func (s *set) once(member string, do func() error) error {
	if s.has(member) {
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.members[member] = true
	return nil
}
