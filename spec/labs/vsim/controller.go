package main

import (
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
)

// controllerKind numbers devices as vSphere does: keys come from kind, bus and
// unit.
type controllerKind struct {
	typeName, label   string
	key, perBus       int32 // of the controller
	diskKey, diskStep int32 // of its disks: diskKey + bus*diskStep + unit
	units, reserved   int32
	make              func(types.VirtualController) types.BaseVirtualDevice
}

func scsi(c types.VirtualController) types.VirtualSCSIController {
	hot := true
	return types.VirtualSCSIController{VirtualController: c, HotAddRemove: &hot,
		SharedBus: types.VirtualSCSISharingNoSharing, ScsiCtlrUnitNumber: 7}
}

var controllerKinds = map[string]*controllerKind{
	"pvscsi": {"ParaVirtualSCSIController", "SCSI controller", 1000, 1, 2000, 16, 65, 7,
		func(c types.VirtualController) types.BaseVirtualDevice {
			return &types.ParaVirtualSCSIController{VirtualSCSIController: scsi(c)}
		}},
	"lsilogic": {"VirtualLsiLogicController", "SCSI controller", 1000, 1, 2000, 16, 16, 7,
		func(c types.VirtualController) types.BaseVirtualDevice {
			return &types.VirtualLsiLogicController{VirtualSCSIController: scsi(c)}
		}},
	"lsisas": {"VirtualLsiLogicSASController", "SCSI controller", 1000, 1, 2000, 16, 16, 7,
		func(c types.VirtualController) types.BaseVirtualDevice {
			return &types.VirtualLsiLogicSASController{VirtualSCSIController: scsi(c)}
		}},
	"buslogic": {"VirtualBusLogicController", "SCSI controller", 1000, 1, 2000, 16, 16, 7,
		func(c types.VirtualController) types.BaseVirtualDevice {
			return &types.VirtualBusLogicController{VirtualSCSIController: scsi(c)}
		}},
	"ahci": {"VirtualAHCIController", "SATA controller", 15000, 1, 16000, 30, 30, -1,
		func(c types.VirtualController) types.BaseVirtualDevice {
			return &types.VirtualAHCIController{
				VirtualSATAController: types.VirtualSATAController{VirtualController: c}}
		}},
	"nvme": {"VirtualNVMEController", "NVME controller", 31000, 1, 32000, 15, 15, -1,
		func(c types.VirtualController) types.BaseVirtualDevice {
			return &types.VirtualNVMEController{VirtualController: c}
		}},
	"ide": {"VirtualIDEController", "IDE", 200, 1, 3000, 2, 2, -1, nil},
}

// controller is one controller of a machine being built.
type controller struct {
	kind   *controllerKind
	bus    int32
	device types.BaseVirtualDevice
	used   map[int32]bool
	disks  int
}

// controllerFor finds or makes the controller that spec asks for.
func controllerFor(all map[string]*controller, spec *diskSpec) (*controller, error) {
	if spec.Controller == "" {
		spec.Controller = "pvscsi"
	}
	kind := controllerKinds[spec.Controller]
	if kind == nil {
		return nil, fmt.Errorf("unknown controller %q", spec.Controller)
	}
	place := fmt.Sprint(kind.label, spec.Bus)
	if found := all[place]; found != nil {
		if found.kind != kind {
			return nil, fmt.Errorf("%s %d is a %s", kind.label, spec.Bus, found.kind.typeName)
		}
		return found, nil
	}
	c := &controller{kind: kind, bus: spec.Bus, used: map[int32]bool{}}
	if kind.make != nil {
		c.device = kind.make(types.VirtualController{
			BusNumber: spec.Bus,
			VirtualDevice: types.VirtualDevice{
				Key: kind.key + spec.Bus*kind.perBus, ControllerKey: 100,
				DeviceInfo: &types.Description{
					Label:   fmt.Sprintf("%s %d", kind.label, spec.Bus),
					Summary: kind.typeName}}})
	} else if spec.Bus > 1 {
		return nil, fmt.Errorf("there is no IDE %d", spec.Bus)
	}
	all[place] = c
	return c, nil
}

// disk makes the index-th disk of the machine; dir is its datastore folder.
func (c *controller) disk(spec *diskSpec, index int, dir string) (*types.VirtualDisk,
	int32, error) {
	unit := int32(0)
	if spec.Unit != nil {
		unit = *spec.Unit
	} else {
		for c.used[unit] || unit == c.kind.reserved {
			unit++
		}
	}
	if c.used[unit] || unit == c.kind.reserved || unit >= c.kind.units {
		return nil, 0, fmt.Errorf("unit %d of %s %d is taken", unit, c.kind.label, c.bus)
	}
	c.used[unit] = true
	c.disks++
	name := "disk"
	if index > 0 {
		name = fmt.Sprintf("disk_%d", index)
	}
	kib := (int64(spec.Capacity) + 1023) / 1024
	key := c.kind.diskKey + c.bus*c.kind.diskStep + unit
	if unit >= c.kind.diskStep { // pvscsi has 64 places, of which 48 came later
		key = 131072 + c.bus*64 + unit
	}
	return &types.VirtualDisk{
		CapacityInKB: kib, CapacityInBytes: int64(spec.Capacity),
		DiskObjectId: fmt.Sprintf("1-%d", key),
		VirtualDevice: types.VirtualDevice{
			Key: key, ControllerKey: c.kind.key + c.bus*c.kind.perBus, UnitNumber: &unit,
			Backing: spec.backing(index, dir+"/"+name),
			DeviceInfo: &types.Description{Label: fmt.Sprintf("Hard disk %d", index+1),
				Summary: fmt.Sprintf("%d KB", kib)}}}, unit, nil
}

// backing is where the index-th disk lies; file lacks its extension.
func (d *diskSpec) backing(index int, file string) types.BaseVirtualDeviceBackingInfo {
	mode := d.Mode
	if mode == "" {
		mode = "persistent"
	}
	id := fmt.Sprintf("6000C29%d-0000-0000-0000-%012d", index%10, index)
	if d.RDM != "" {
		mapping := &types.VirtualDiskRawDiskMappingVer1BackingInfo{DiskMode: mode,
			CompatibilityMode: d.RDM, LunUuid: "02000000006000c29", Uuid: id,
			DeviceName: "vml.02000000006000c29"}
		mapping.FileName = file + ".vmdk"
		return mapping
	}
	flat := &types.VirtualDiskFlatVer2BackingInfo{DiskMode: mode,
		ThinProvisioned: types.NewBool(true), Uuid: id}
	flat.FileName = file + ".vmdk"
	if d.Delta {
		parent := *flat
		flat.FileName = file + "-000001.vmdk"
		flat.Parent = &parent
	}
	return flat
}
