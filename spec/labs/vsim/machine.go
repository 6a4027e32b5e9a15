package main

import (
	"context"
	"crypto/sha1"
	"fmt"
	"path"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is a VM of the inventory and what an export of it sends.
type machine struct {
	spec  *machineSpec
	path  string // inventory path, escaped
	vm    *simulator.VirtualMachine
	disks []*exportFile
	nvram bool

	// under server.mu
	tools    string
	ownTime  bool    // shutdown counts, else the setting
	shutdown float64 // seconds; < 0: never
	leased   *lease
	serial   uint64 // of contents
	journal  []moment
	snapshot []diskSpec
	spare    []spareDisk // removed, may be put back
}

// exportFile is one thing a lease can offer; spec is nil for NVRAM.
type exportFile struct {
	key  string // below /vm-42/
	spec *diskSpec
}

func (m *machineSpec) defaults() error {
	if m.Power == "" {
		m.Power = "off"
	}
	if m.Tools == "" {
		m.Tools = "notRunning"
	}
	if m.Firmware == "" {
		m.Firmware = "bios"
	}
	if m.CPUs == 0 {
		m.CPUs = 1
	}
	if m.MemoryMiB == 0 {
		m.MemoryMiB = 512
	}
	if m.GuestID == "" {
		m.GuestID = "otherLinux64Guest"
	}
	if m.GuestName == "" {
		m.GuestName = guestNames[m.GuestID]
	}
	if powerStates[m.Power] == "" {
		return fmt.Errorf("power %q is not off, on or suspended", m.Power)
	}
	if toolsStates[m.Tools] == nil {
		return fmt.Errorf("tools %q is not running, notRunning or notInstalled", m.Tools)
	}
	return nil
}

var guestNames = map[string]string{
	"otherLinux64Guest":      "Other Linux (64-bit)",
	"other5xLinux64Guest":    "Other 5.x or later Linux (64-bit)",
	"debian11_64Guest":       "Debian GNU/Linux 11 (64-bit)",
	"ubuntu64Guest":          "Ubuntu Linux (64-bit)",
	"rhel9_64Guest":          "Red Hat Enterprise Linux 9 (64-bit)",
	"windows2019srv_64Guest": "Microsoft Windows Server 2019 (64-bit)",
}

func (s *server) buildMachine(ctx context.Context, client *vim25.Client, at *site,
	spec *machineSpec) error {
	if err := spec.defaults(); err != nil {
		return err
	}
	folder, err := at.folder(ctx, spec.Folder)
	if err != nil {
		return err
	}
	// A plain name first: the simulator makes files of it, and two machines of
	// one name would clash there.
	plain := fmt.Sprintf("machine%d", len(s.machines))
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: plain, GuestId: "otherGuest64", NumCPUs: spec.CPUs,
		MemoryMB: int64(spec.MemoryMiB), Version: "vmx-15",
		Files: &types.VirtualMachineFileInfo{VmPathName: "[" + at.datastore + "]"},
	}, at.pool, nil)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	ref := info.Result.(types.ManagedObjectReference)
	vm := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	m := &machine{spec: spec, vm: vm, tools: spec.Tools, nvram: spec.Firmware == "efi",
		path: path.Join("/", at.spec.Path, "vm", spec.Folder, escapeName(spec.Name))}
	if err = m.setShutdown(spec.Shutdown); err != nil {
		return err
	}
	if err = m.addDevices(at, plain); err != nil {
		return err
	}
	for _, name := range spec.Snapshots {
		task, err = object.NewVirtualMachine(client, ref).
			CreateSnapshot(ctx, name, "", false, false)
		if err == nil {
			err = task.Wait(ctx)
		}
		if err != nil {
			return err
		}
	}
	m.describe()
	if spec.Writes {
		m.tell()
		m.note(powerStates[spec.Power])
	}
	s.applyPower(simulator.Map, m, powerStates[spec.Power])
	s.machines = append(s.machines, m)
	return nil
}

// describe gives the VM its facts.
func (m *machine) describe() {
	vm, spec := m.vm, m.spec
	name := escapeName(spec.Name)
	vm.Name, vm.Config.Name, vm.Summary.Config.Name = name, name, name
	vm.Config.GuestId, vm.Summary.Config.GuestId = spec.GuestID, spec.GuestID
	vm.Config.GuestFullName, vm.Summary.Config.GuestFullName = spec.GuestName, spec.GuestName
	vm.Config.Annotation, vm.Summary.Config.Annotation = spec.Annotation, spec.Annotation
	vm.Config.Firmware = spec.Firmware
	vm.Config.Hardware.NumCoresPerSocket = spec.CoresPerSocket
	vm.Config.Template, vm.Summary.Config.Template = spec.Template, spec.Template
	vm.Config.ChangeTrackingEnabled = types.NewBool(false)
	vm.Config.Flags.DiskUuidEnabled = types.NewBool(spec.DiskUUID)
	if spec.UUID == "" {
		spec.UUID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("bios "+m.path)).String()
	}
	if spec.InstanceUUID == "" {
		spec.InstanceUUID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("instance "+m.path)).String()
	}
	vm.Config.Uuid, vm.Summary.Config.Uuid = spec.UUID, spec.UUID
	vm.Config.InstanceUuid = spec.InstanceUUID
	vm.Summary.Config.InstanceUuid = spec.InstanceUUID
	vm.Config.BootOptions = &types.VirtualMachineBootOptions{
		EfiSecureBootEnabled: types.NewBool(spec.SecureBoot)}
	vm.Summary.Config.TpmPresent = types.NewBool(spec.TPM)
}

func (m *machine) addDevices(at *site, dir string) error {
	devices := m.vm.Config.Hardware.Device
	controllers := map[string]*controller{}
	var order []*controller
	var disks []types.BaseVirtualDevice
	for i := range m.spec.Disks {
		spec := &m.spec.Disks[i]
		c, err := controllerFor(controllers, spec)
		if err != nil {
			return fmt.Errorf("disk %d: %w", i, err)
		}
		if c.disks == 0 {
			order = append(order, c)
		}
		disk, unit, err := c.disk(spec, i, "["+at.datastore+"] "+dir)
		if err != nil {
			return fmt.Errorf("disk %d: %w", i, err)
		}
		if ds := m.vm.Datastore; len(ds) > 0 {
			disk.Backing.(types.BaseVirtualDeviceFileBackingInfo).
				GetVirtualDeviceFileBackingInfo().Datastore = &ds[0]
		}
		disks = append(disks, disk)
		m.disks = append(m.disks, &exportFile{
			fmt.Sprintf("%s%d:%d", c.kind.typeName, c.bus, unit), spec})
	}
	for _, c := range order {
		if c.device != nil { // the IDE controllers are there already
			devices = append(devices, c.device)
		}
	}
	devices = append(devices, disks...)
	nics, err := m.nics(at)
	if err != nil {
		return err
	}
	devices = append(devices, nics...)
	if m.spec.CDROM != "" {
		devices = append(devices, m.cdrom())
	}
	if m.spec.TPM {
		devices = append(devices, &types.VirtualTPM{VirtualDevice: types.VirtualDevice{
			Key: 11000, ControllerKey: 100, DeviceInfo: &types.Description{
				Label: "Virtual TPM", Summary: "Trusted Platform Module"}}})
	}
	m.vm.Config.Hardware.Device = devices
	m.vm.Summary.Config.NumVirtualDisks = int32(len(disks))
	m.vm.Summary.Config.NumEthernetCards = int32(len(nics))
	return nil
}

// cdrom is a connected drive with an ISO of the machine's datastore.
func (m *machine) cdrom() types.BaseVirtualDevice {
	unit := int32(0)
	iso := &types.VirtualCdromIsoBackingInfo{}
	iso.FileName = m.spec.CDROM
	if ds := m.vm.Datastore; len(ds) > 0 {
		iso.Datastore = &ds[0]
	}
	return &types.VirtualCdrom{VirtualDevice: types.VirtualDevice{
		Key: 3002, ControllerKey: 201, UnitNumber: &unit, Backing: iso,
		DeviceInfo:  &types.Description{Label: "CD/DVD drive 1", Summary: "ISO " + iso.FileName},
		Connectable: &types.VirtualDeviceConnectInfo{StartConnected: true, Status: "ok"}}}
}

func (m *machine) nics(at *site) ([]types.BaseVirtualDevice, error) {
	var devices []types.BaseVirtualDevice
	for i, spec := range m.spec.NICs {
		on := at.networks[spec.Network]
		if on == nil {
			return nil, fmt.Errorf("NIC %d: no network %q", i, spec.Network)
		}
		if spec.Model == "" {
			spec.Model = "vmxnet3"
		}
		device, err := object.EthernetCardTypes().CreateEthernetCard(spec.Model, on.backing)
		if err != nil {
			return nil, fmt.Errorf("NIC %d: %w", i, err)
		}
		if spec.MAC == "" {
			sum := sha1.Sum([]byte(fmt.Sprint(m.path, i)))
			spec.MAC = fmt.Sprintf("00:50:56:%02x:%02x:%02x", sum[0]&0x3f, sum[1], sum[2])
		}
		unit := int32(7 + i)
		card := device.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
		card.Key, card.ControllerKey, card.UnitNumber = int32(4000+i), 100, &unit
		card.DeviceInfo = &types.Description{
			Label: fmt.Sprintf("Network adapter %d", i+1), Summary: on.summary}
		card.MacAddress, card.AddressType = spec.MAC, "assigned"
		card.Connectable = &types.VirtualDeviceConnectInfo{
			StartConnected: !spec.Disconnected, Connected: !spec.Disconnected,
			AllowGuestControl: true, Status: "untried"}
		devices = append(devices, device)
		m.vm.Network = append(m.vm.Network, on.reference)
		if m.vm.Guest.IpAddress == "" && len(spec.Addresses) > 0 {
			m.vm.Guest.IpAddress = spec.Addresses[0]
		}
		m.vm.Guest.Net = append(m.vm.Guest.Net, types.GuestNicInfo{
			Network: spec.Network, MacAddress: spec.MAC, IpAddress: spec.Addresses,
			Connected: !spec.Disconnected, DeviceConfigId: card.Key})
	}
	return devices, nil
}
