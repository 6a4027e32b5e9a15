package main

import (
	"fmt"
	"strconv"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// moment is what the disks of a machine held from one change to the next.
type moment struct {
	Power string     `json:"power"`
	Disks []diskSpec `json:"disks"`
}

// A guest that writes does so when it starts and when it goes down; "disk" changes are the
// administrator's. All of them are under server.world and server.mu.

// note writes down what the disks hold now.
func (m *machine) note(power types.VirtualMachinePowerState) {
	now := moment{Power: string(power)}
	for _, d := range m.disks {
		now.Disks = append(now.Disks, *d.spec)
	}
	m.journal = append(m.journal, now)
}

// write gives the index-th disk another content; who reads the old one reads on.
func (m *machine) write(index int) {
	m.serial++
	next := *m.disks[index].spec
	next.Seed = m.serial<<16 + uint64(index)
	m.disks[index].spec = &next
}

// tell lets vSphere say what the disks hold, as it does of those that are not written to.
func (m *machine) tell() {
	m.vm.Config.ChangeVersion = strconv.FormatUint(m.serial, 10)
	at := 0
	for _, device := range m.vm.Config.Hardware.Device {
		disk, ok := device.(*types.VirtualDisk)
		if !ok || at >= len(m.disks) {
			continue
		}
		spec := m.disks[at].spec
		at++
		disk.CapacityInKB, disk.CapacityInBytes = int64(spec.Capacity)/1024, int64(spec.Capacity)
		if flat, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
			flat.ContentId = fmt.Sprintf("%016x%016x", spec.Seed, uint64(spec.Capacity))
			if m.snapshot != nil {
				flat.FileName = fmt.Sprintf("[datastore1] m/%d-%06d.vmdk", at, m.serial)
			}
		}
	}
}

// livesOn is what a change of power does to the disks of a guest that writes.
func (s *server) livesOn(world *simulator.Registry, m *machine,
	state types.VirtualMachinePowerState) {
	if !m.spec.Writes {
		return
	}
	for i := range m.disks {
		m.write(i)
	}
	m.tell()
	m.note(state)
	if state == types.VirtualMachinePowerStatePoweredOn {
		started(world, m)
	}
}

// started posts the event of a start, as vCenter does.
func started(world *simulator.Registry, m *machine) {
	event := &types.VmPoweredOnEvent{}
	event.Vm = &types.VmEventArgument{Vm: m.vm.Self,
		EntityEventArgument: types.EntityEventArgument{Name: m.vm.Name}}
	by := &simulator.Context{Session: &simulator.Session{}}
	manager := world.EventManager()
	world.WithLock(manager, func() {
		manager.PostEvent(by, &types.PostEvent{EventToPost: event})
	})
}

func lastDisk(devices []types.BaseVirtualDevice) int {
	for i := len(devices) - 1; i >= 0; i-- {
		if _, ok := devices[i].(*types.VirtualDisk); ok {
			return i
		}
	}
	return -1
}

// unplug takes the last disk away, plug puts it back with another content.
func (m *machine) unplug() error {
	devices := m.vm.Config.Hardware.Device
	at := lastDisk(devices)
	if len(m.disks) < 2 || at < 0 {
		return fmt.Errorf("the machine has one disk")
	}
	last := len(m.disks) - 1
	m.spare = append(m.spare, spareDisk{devices[at], m.disks[last]})
	m.vm.Config.Hardware.Device = append(devices[:at:at], devices[at+1:]...)
	m.disks = m.disks[:last:last]
	return nil
}

func (m *machine) plug() error {
	if len(m.spare) == 0 {
		return fmt.Errorf("no disk was removed")
	}
	disk := m.spare[len(m.spare)-1]
	m.spare = m.spare[:len(m.spare)-1]
	devices := m.vm.Config.Hardware.Device
	at := lastDisk(devices) + 1
	m.vm.Config.Hardware.Device = append(devices[:at:at],
		append([]types.BaseVirtualDevice{disk.device}, devices[at:]...)...)
	m.disks = append(m.disks[:len(m.disks):len(m.disks)], disk.file)
	m.write(len(m.disks) - 1)
	return nil
}

type spareDisk struct {
	device types.BaseVirtualDevice
	file   *exportFile
}

func (m *machine) grow(index int) error {
	if m.snapshot != nil {
		return fmt.Errorf("a disk under a snapshot cannot grow")
	}
	m.write(index)
	m.disks[index].spec.Capacity += 1 << 20
	return nil
}

func (m *machine) takeSnapshot() {
	m.snapshot = []diskSpec{}
	for _, d := range m.disks {
		m.snapshot = append(m.snapshot, *d.spec)
	}
}

func (m *machine) revert() error {
	if m.snapshot == nil || len(m.snapshot) != len(m.disks) {
		return fmt.Errorf("there is no snapshot of these disks")
	}
	m.serial++
	for i := range m.disks {
		before := m.snapshot[i]
		m.disks[i].spec = &before
	}
	return nil
}

// change is one of write, grow, remove, add, snapshot and revert, of a machine that is not
// held by an export.
func (m *machine) change(what string, index int) error {
	if m.leased != nil {
		return fmt.Errorf("an export holds the machine")
	}
	if index < 0 || index >= len(m.disks) {
		index = 0
	}
	switch what {
	case "write":
		m.write(index)
	case "grow":
		return m.grow(index)
	case "remove":
		return m.unplug()
	case "add":
		return m.plug()
	case "snapshot":
		m.takeSnapshot()
	case "revert":
		return m.revert()
	default:
		return fmt.Errorf("unknown change %q", what)
	}
	return nil
}

func (s *server) changeDisks(m *machine, what string, index int) error {
	var err error
	s.inWorld(func(world *simulator.Registry) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err = m.change(what, index); err == nil {
			m.tell()
			m.note(m.vm.Runtime.PowerState)
		}
	})
	return err
}

// journal answers GET /journal: machine name -> moments.
func (s *server) journal() map[string][]moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]moment{}
	for _, m := range s.machines {
		all[m.spec.Name] = append([]moment(nil), m.journal...)
	}
	return all
}
