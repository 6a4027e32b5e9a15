package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func hardware(t *testing.T, v *vsim, path string) (mo.VirtualMachine, object.VirtualDeviceList) {
	t.Helper()
	c := v.connect()
	var vm mo.VirtualMachine
	properties(t, c.Client, v.machine(c, path).Reference(), []string{"name", "config",
		"network", "guest", "summary.config", "runtime", "snapshot", "disabledMethod"}, &vm)
	return vm, object.VirtualDeviceList(vm.Config.Hardware.Device)
}

func TestDevices(t *testing.T) {
	v := startVsim(t, "--scenario", "wide")
	vm, devices := hardware(t, v, "/Region EU/DC-Nested/vm/Prod/Web Tier/four-kinds")
	got := ""
	for _, d := range devices.SelectByType((*types.VirtualDisk)(nil)) {
		disk := d.(*types.VirtualDisk)
		c := devices.FindByKey(disk.ControllerKey)
		got += fmt.Sprintf("%d %s%d:%d %d\n", disk.Key, devices.TypeName(c),
			c.(types.BaseVirtualController).GetVirtualController().BusNumber,
			*disk.UnitNumber, disk.CapacityInBytes)
	}
	want := "2000 ParaVirtualSCSIController0:0 25165824\n" +
		"2016 VirtualLsiLogicController1:0 68157440\n" +
		"16000 VirtualAHCIController0:0 5243392\n" +
		"32000 VirtualNVMEController0:0 1073741824\n"
	if got != want {
		t.Errorf("disks:\n%s", got)
	}
	got = ""
	for _, d := range devices.SelectByType((*types.VirtualEthernetCard)(nil)) {
		card := d.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
		got += fmt.Sprintf("%d %T %s %T\n", card.Key, d, card.MacAddress, card.Backing)
	}
	want = strings.ReplaceAll("4000 *T.VirtualVmxnet3 00:50:56:00:00:01 "+
		"*T.VirtualEthernetCardDistributedVirtualPortBackingInfo\n"+
		"4001 *T.VirtualE1000e 00:50:56:00:00:02 *T.VirtualEthernetCardNetworkBackingInfo\n"+
		"4002 *T.VirtualVmxnet3 00:50:56:00:00:03 "+
		"*T.VirtualEthernetCardOpaqueNetworkBackingInfo\n", "*T.", "*types.")
	if got != want {
		t.Errorf("NICs:\n%s", got)
	}
	tpm := devices.SelectByType((*types.VirtualTPM)(nil))
	if vm.Config.Firmware != "efi" || !*vm.Config.BootOptions.EfiSecureBootEnabled ||
		len(tpm) != 1 || vm.Config.Hardware.NumCoresPerSocket != 4 || len(vm.Network) != 3 {
		t.Errorf("%+v", vm.Config)
	}
}

func TestMachines(t *testing.T) {
	v := startVsim(t, "--scenario", "wide")
	below := "/Region EU/DC-Nested/vm/"
	a, _ := hardware(t, v, below+"Prod/twin")
	b, _ := hardware(t, v, below+"Test/twin")
	if a.Name != b.Name || a.Config.InstanceUuid == b.Config.InstanceUuid || a.Self == b.Self {
		t.Error("the twins are one, or not twins")
	}
	odd, _ := hardware(t, v, below+"Test/a%2fb%25c%5cd & <Bürö>")
	if odd.Config.Annotation != "öde & <leer>" {
		t.Error(odd.Config.Annotation)
	}
	on, _ := hardware(t, v, below+"Test/running")
	if on.Guest.ToolsRunningStatus != "guestToolsRunning" || on.Snapshot == nil ||
		on.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn ||
		len(on.Guest.Net[0].IpAddress) != 2 || !oneOf("ExportVm", on.DisabledMethod) {
		t.Errorf("%+v", on)
	}
}

func TestReadme(t *testing.T) {
	v := startVsim(t, "--scenario", "readme")
	c := v.connect()
	vm, _ := hardware(t, v, "/DCO/vm/alpine-export-test")
	names := ""
	for _, ref := range vm.Network {
		name, err := object.NewCommon(c.Client, ref).ObjectName(context.Background())
		check(t, err)
		names += ref.Type + " " + name + "\n"
	}
	if names != "DistributedVirtualPortgroup dvSwitch 1\nNetwork VM Network\n" {
		t.Error(names)
	}
	found, err := object.NewSearchIndex(c.Client).
		FindByInventoryPath(context.Background(), "/DCO/network/dvSwitch 2")
	check(t, err)
	if found == nil {
		t.Error("no dvSwitch 2")
	}
}

func TestDiskKinds(t *testing.T) {
	scenario := filepath.Join(t.TempDir(), "s.json")
	check(t, os.WriteFile(scenario, []byte(`{"datacenters": [{"path": "DC0", "machines": [{
		"name": "alpine-export-test", "disks": [
		{"pattern": "zero", "capacity": "1MiB", "delta": true},
		{"pattern": "zero", "capacity": "1MiB", "mode": "independent_persistent"},
		{"pattern": "zero", "capacity": "1MiB", "rdm": "physicalMode", "missing": true}]}]}]}`),
		0600))
	v := startVsim(t, "--scenario", scenario)
	_, devices := hardware(t, v, guest)
	disks := devices.SelectByType((*types.VirtualDisk)(nil))
	backing := func(i int) types.BaseVirtualDeviceBackingInfo {
		return disks[i].GetVirtualDevice().Backing
	}
	if backing(0).(*types.VirtualDiskFlatVer2BackingInfo).Parent == nil ||
		backing(1).(*types.VirtualDiskFlatVer2BackingInfo).DiskMode != "independent_persistent" ||
		backing(2).(*types.VirtualDiskRawDiskMappingVer1BackingInfo).CompatibilityMode !=
			"physicalMode" {
		t.Errorf("%+v %+v %+v", backing(0), backing(1), backing(2))
	}
	_, info := v.export(v.machine(v.connect(), guest))
	if len(info.DeviceUrl) != 2 {
		t.Errorf("%d disks are offered", len(info.DeviceUrl))
	}
}
