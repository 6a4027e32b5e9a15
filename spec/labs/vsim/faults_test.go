package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

func TestCallsGoWrong(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t)
	c := v.connect()
	now := func() error { _, err := methods.GetCurrentTime(ctx, c.Client); return err }
	for _, one := range []struct{ rule, is string }{
		{`"do": "http"`, "503"},
		{`"do": "http", "code": 502`, "502"},
		{`"do": "garbage"`, "expected element type"},
		{`"do": "truncate"`, "EOF"},
		{`"do": "drop"`, "EOF"},
		{`"do": "lose"`, "EOF"},
		{`"do": "fault", "fault": "NotAuthenticated"`, "NotAuthenticated"},
		{`"do": "fault", "fault": "RestrictedVersion", "message": "licence"`, "RestrictedVersion"},
	} {
		v.post("/faults", `{"on": "CurrentTime", "skip": 1, "count": 1, `+one.rule+`}`)
		check(t, now())
		err := now()
		if err == nil || !strings.Contains(faultOf(err)+err.Error(), one.is) {
			t.Errorf("%s: %v", one.rule, err)
		}
		check(t, now())
	}
	v.post("/faults", `{"on": "*", "do": "stall", "seconds": 0.3, "count": 1}`)
	began := time.Now()
	check(t, now())
	if time.Since(began) < 300*time.Millisecond {
		t.Error("it did not stall")
	}
	v.post("/faults", `[{"on": "CurrentTime", "do": "drop"}]`)
	v.post("/reset", "")
	check(t, now())
}

func TestALostAnswerWasCarriedOut(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t)
	vm := v.machine(v.connect(), guest)
	v.post("/faults", `{"on": "ExportVm", "do": "lose", "count": 1,
		"machine": "alpine-export-test"}`)
	if _, err := vm.Export(ctx); err == nil {
		t.Fatal("there was an answer")
	}
	if _, err := vm.Export(ctx); faultOf(err) != "TaskInProgress" {
		t.Error(faultOf(err))
	}
	v.post("/leases/expire", "")
	_, err := vm.Export(ctx)
	check(t, err)
}

// one is a lease with one disk to download, again and again.
func one(t *testing.T, args ...string) (*vsim, *nfc.Lease, types.HttpNfcLeaseDeviceUrl) {
	v := startVsim(t, args...)
	lease, info := v.export(v.machine(v.connect(), guest))
	for _, d := range info.DeviceUrl {
		if strings.HasSuffix(d.Key, "0:0") {
			return v, lease, d
		}
	}
	t.Fatal("no disk")
	return nil, nil, types.HttpNfcLeaseDeviceUrl{}
}

func TestBodiesGoWrong(t *testing.T) {
	v, lease, d := one(t)
	dir := t.TempDir()
	get := func() (int64, string, error) {
		file := filepath.Join(dir, "disk")
		n, err := v.download(d.Url, d.SslThumbprint, file)
		return n, file, err
	}
	size, file, err := get()
	check(t, err)
	sound := bytesOf(t, file)

	v.post("/faults", `{"on": "nfc", "do": "cut", "bytes": 100000, "count": 1, "file": "0:0"}`)
	if n, _, err := get(); n != 100000 || err != nil {
		t.Errorf("cut: %d %v", n, err)
	}
	v.post("/faults", `{"on": "nfc", "do": "reset", "bytes": 100000, "count": 1}`)
	if n, _, err := get(); n > 100000 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %d %v", n, err)
	}
	v.post("/faults", `{"on": "nfc", "do": "corrupt", "bytes": 100000, "count": 1}`)
	n, file, err := get()
	check(t, err)
	bad := bytesOf(t, file)
	if n != size || bad[100000] != ^sound[100000] {
		t.Errorf("corrupt: %d bytes", n)
	}
	bad[100000] = sound[100000]
	if string(bad) != string(sound) {
		t.Error("more than one byte is corrupt")
	}
	v.post("/faults", `{"on": "nfc", "do": "stall", "bytes": 5000, "seconds": 0.3, "count": 1}`)
	began := time.Now()
	if n, _, err = get(); n != size || err != nil || time.Since(began) < 300*time.Millisecond {
		t.Errorf("stall: %d %v", n, err)
	}
	v.post("/faults", `{"on": "nfc", "do": "throttle", "rate": 20e6, "count": 1}`)
	began = time.Now()
	n, _, err = get()
	if rate := float64(n) / time.Since(began).Seconds(); err != nil || rate > 25e6 {
		t.Errorf("throttle: %v %v", rate, err)
	}
	v.post("/faults", `{"on": "nfc", "do": "http", "count": 1}`)
	if _, _, err = get(); err == nil || err.Error() != "status 503" {
		t.Errorf("http: %v", err)
	}
	ends := ""
	for _, r := range v.state().NFC {
		ends += r.End + " "
	}
	if ends != "whole cut reset whole whole whole http " {
		t.Errorf("the log says %s", ends)
	}
	v.post("/faults", `{"on": "nfc", "do": "stall", "bytes": 5000, "seconds": 60}`)
	time.AfterFunc(50*time.Millisecond, func() { _ = lease.Abort(context.Background(), nil) })
	if _, _, err = get(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a lease aborted while its disk is read: %v", err)
	}
}

func TestWrongCertificates(t *testing.T) {
	v, _, d := one(t)
	v.post("/certificate", `{"server": "nfc", "show": "other"}`)
	_, err := v.download(d.Url, d.SslThumbprint, filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("disk server: %v", err)
	}
	c := v.connect()
	v.post("/certificate", `{"server": "sdk", "show": "other"}`)
	eventually(t, "a connected client meets the SDK's other certificate", func() bool {
		_, err = methods.GetCurrentTime(context.Background(), c.Client)
		return err != nil && strings.Contains(err.Error(), "x509")
	})
	v.post("/reset", "")
	v.connect()
}

func TestPreparedFile(t *testing.T) {
	dir := t.TempDir()
	raw, vmdk := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "disk.vmdk")
	check(t, writeDisk([]string{"--output", raw,
		"--disk", `{"pattern": "mixed", "seed": 9, "capacity": "20MiB"}`}))
	text, err := exec.Command("qemu-img", "convert", "-O", "vmdk", "-o",
		"subformat=streamOptimized", raw, vmdk).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	scenario := filepath.Join(dir, "s.json")
	check(t, os.WriteFile(scenario, []byte(`{"datacenters": [{"path": "DC0",
		"machines": [{"name": "alpine-export-test", "disks": [{"vmdk": "disk.vmdk"}]}]}]}`), 0600))
	for _, args := range [][]string{{}, {"--set", `{"manifest": "none"}`}, {"--nfc-plain"}} {
		v, _, d := one(t, append(args, "--scenario", scenario, "--disks", dir)...)
		file := filepath.Join(dir, "got")
		_, err = v.download(d.Url, d.SslThumbprint, file)
		check(t, err)
		if string(bytesOf(t, file)) != string(bytesOf(t, vmdk)) {
			t.Errorf("%v: the file was changed on its way", args)
		}
	}
}

func TestSparseDiskIsQuickAndSmall(t *testing.T) {
	v := startVsim(t, "--scenario", "wide", "--set", `{"manifest": "none"}`)
	lease, info := v.export(v.machine(v.connect(), "/Region EU/DC-Nested/vm/Test/huge"))
	file := filepath.Join(t.TempDir(), "disk")
	n, err := v.download(info.DeviceUrl[0].Url, info.DeviceUrl[0].SslThumbprint, file)
	check(t, err)
	if n > 100<<20 || info.TotalDiskCapacityInKB != 64<<20 {
		t.Errorf("%d bytes of %d KiB", n, info.TotalDiskCapacityInKB)
	}
	text, err := exec.Command("qemu-img", "info", file).CombinedOutput()
	if err != nil || !strings.Contains(string(text), "64 GiB") {
		t.Errorf("%v: %s", err, text)
	}
	check(t, lease.Complete(context.Background()))
}
