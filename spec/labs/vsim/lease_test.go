package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const guest = "/DC0/vm/alpine-export-test"

func TestLeaseExpires(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t, "--lease-timeout", "1.5", "--lease-init", "0.05")
	c := v.connect()
	vm := v.machine(c, guest)
	lease, info := v.export(vm)
	if info.LeaseTimeout != 2 {
		t.Errorf("leaseTimeout %d", info.LeaseTimeout)
	}
	for i := 0; i < 17; i++ { // longer than the timeout, but alive
		time.Sleep(100 * time.Millisecond)
		check(t, lease.Progress(ctx, 0))
	}
	eventually(t, "the lease expires", func() bool { return v.state().OpenLeases == 0 })
	if got := faultOf(lease.Progress(ctx, 1)); got != "Timedout" {
		t.Errorf("progress on an expired lease: %s", got)
	}
	var seen mo.HttpNfcLease
	properties(t, c.Client, lease.Reference(), []string{"state", "error"}, &seen)
	_, timedout := seen.Error.Fault.(*types.Timedout)
	if seen.State != types.HttpNfcLeaseStateError || !timedout {
		t.Errorf("%s %+v", seen.State, seen.Error)
	}
	_, err := v.download(info.DeviceUrl[1].Url, info.DeviceUrl[1].SslThumbprint,
		filepath.Join(t.TempDir(), "x"))
	if err == nil || err.Error() != "status 404" {
		t.Errorf("a disk of an expired lease: %v", err)
	}
	again, _ := v.export(vm)
	check(t, again.Complete(ctx))
	v.post("/settings", `{"leaseLinger": 0.01}`)
	last, _ := v.export(vm)
	check(t, last.Abort(ctx, nil))
	eventually(t, "the lease object goes", func() bool {
		return faultOf(last.Progress(ctx, 1)) == "ManagedObjectNotFound"
	})
}

func TestLeaseHoldsTheMachine(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t)
	vm := v.machine(v.connect(), guest)
	lease, _ := v.export(vm)
	_, err := vm.Export(ctx)
	if faultOf(err) != "TaskInProgress" {
		t.Errorf("a second export: %s", faultOf(err))
	}
	_, err = vm.PowerOn(ctx)
	if faultOf(err) != "TaskInProgress" {
		t.Errorf("power on: %s", faultOf(err))
	}
	other := v.machine(v.connect(), guest)
	var seen mo.HttpNfcLease
	err = other.Properties(ctx, lease.Reference(), []string{"state"}, &seen)
	if faultOf(err) != "ManagedObjectNotFound" {
		t.Errorf("another session sees the lease: %s", faultOf(err))
	}
	check(t, lease.Abort(ctx, nil))
	if got := faultOf(lease.Abort(ctx, nil)); got != "InvalidState" {
		t.Errorf("a second abort: %s", got)
	}
	task, err := vm.PowerOn(ctx)
	check(t, err)
	check(t, task.Wait(ctx))
	_, err = vm.Export(ctx)
	if faultOf(err) != "InvalidPowerState" {
		t.Errorf("export of a running machine: %s", faultOf(err))
	}
}

func TestLeaseOutlivesItsSession(t *testing.T) {
	ctx := context.Background()
	for _, ends := range []bool{false, true} {
		v := startVsim(t)
		if ends {
			v.post("/settings", `{"leaseOnLogout": "end"}`)
		}
		c := v.connect()
		v.export(v.machine(c, guest))
		check(t, c.Logout(ctx))
		_, err := v.machine(v.connect(), guest).Export(ctx)
		if held := faultOf(err) == "TaskInProgress"; held == ends {
			t.Errorf("leaseOnLogout end %v: %s", ends, faultOf(err))
		}
	}
}

func TestLeaseFails(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t)
	vm := v.machine(v.connect(), guest)
	v.post("/faults", `{"on": "lease", "do": "error", "count": 1, "message": "in use"}`)
	lease, err := vm.Export(ctx)
	check(t, err)
	if _, err = lease.Wait(ctx, nil); err == nil || err.Error() != "in use" {
		t.Errorf("the lease: %v", err)
	}
	if s := v.state(); s.OpenLeases != 0 || s.Leases[0].State != leaseFailed {
		t.Errorf("%+v", s.Leases)
	}
	lease, _ = v.export(vm)
	check(t, lease.Complete(ctx))
}

func TestShutdown(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t, "--scenario", "wide", "--set", `{"shutdownTime": 0.05}`)
	c := v.connect()
	below := "/Region EU/DC-Nested/vm/Test/"
	off := func(name string) bool {
		state, err := v.machine(c, below+name).PowerState(ctx)
		check(t, err)
		return state == types.VirtualMachinePowerStatePoweredOff
	}
	check(t, v.machine(c, below+"running").ShutdownGuest(ctx))
	eventually(t, "the guest shuts down", func() bool { return off("running") })
	got := faultOf(v.machine(c, below+"running").ShutdownGuest(ctx))
	if got != "InvalidPowerState" {
		t.Errorf("shutdown of what is off: %s", got)
	}
	got = faultOf(v.machine(c, below+"running-without-tools").ShutdownGuest(ctx))
	if got != "ToolsUnavailable" {
		t.Errorf("without tools: %s", got)
	}
	check(t, v.machine(c, below+"deaf").ShutdownGuest(ctx))
	v.post("/settings", `{"taskTime": 0.2}`)
	task, err := v.machine(c, below+"running-without-tools").PowerOff(ctx)
	check(t, err)
	if off("running-without-tools") {
		t.Error("the power task ended before it was answered")
	}
	check(t, task.Wait(ctx))
	if !off("running-without-tools") || off("deaf") {
		t.Error("the wrong machine is off")
	}
	task, err = v.machine(c, below+"running-without-tools").PowerOff(ctx)
	check(t, err)
	if err = task.Wait(ctx); err == nil || !strings.Contains(err.Error(), "Powered off") {
		t.Errorf("power off of what is off: %v", err)
	}
}

func TestESXi(t *testing.T) {
	scenario := filepath.Join(t.TempDir(), "esxi.json")
	check(t, os.WriteFile(scenario, []byte(`{"kind": "esxi",
		"settings": {"deviceUrl": "star"}, "datacenters": [{"path": "ha-datacenter",
		"networks": [{"name": "LAN"}], "machines": [{"name": "alone", "firmware": "efi",
		"disks": [{"controller": "ahci", "pattern": "text", "capacity": "4MiB"}],
		"nics": [{"network": "LAN"}]}]}]}`), 0600))
	v := startVsim(t, "--scenario", scenario)
	c := v.connect()
	lease, info := v.export(v.machine(c, "/ha-datacenter/vm/alone"))
	for _, d := range info.DeviceUrl {
		if !strings.HasPrefix(d.Url, "https://*/ha-nfc/") {
			t.Fatal(d.Url)
		}
		host := strings.TrimSuffix(strings.TrimPrefix(v.URL, "https://"), "/sdk")
		_, err := v.download(strings.Replace(d.Url, "*", host, 1), d.SslThumbprint,
			filepath.Join(t.TempDir(), "disk"))
		check(t, err)
	}
	check(t, lease.Complete(context.Background()))
	if v.state().NFC[0].Server != "sdk" {
		t.Error("the disks did not come from the SDK's port")
	}
}
