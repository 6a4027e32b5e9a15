package main

import (
	"context"
	"crypto/sha1"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// diskName is the last part of a device key of a machine's n-th disk.
func diskName(machine, n int, plan *scenario) string {
	m := plan.Datacenters[0].Machines[machine]
	c := map[string]*controller{}
	counts := map[string]int{}
	name := ""
	for i := 0; i <= n; i++ {
		one, _ := controllerFor(c, &m.Disks[i])
		name = fmt.Sprintf("%s%d:%d", one.kind.typeName, one.bus, counts[one.kind.typeName])
		counts[one.kind.typeName]++
	}
	return name
}

// exportAll downloads a machine and compares every disk with its scenario.
func exportAll(t *testing.T, v *vsim, inventoryPath string, m int, plan *scenario) {
	t.Helper()
	ctx := context.Background()
	c := v.connect()
	vm := v.machine(c, inventoryPath)
	lease, info := v.export(vm)
	manifest := map[string]string{}
	dir := t.TempDir()
	disks := 0
	for _, d := range info.DeviceUrl {
		file := filepath.Join(dir, path.Base(d.Url))
		_, err := v.download(d.Url, d.SslThumbprint, file)
		check(t, err)
		manifest[d.Key] = fmt.Sprintf("%x", sha1.Sum(bytesOf(t, file)))
		check(t, lease.Progress(ctx, 50))
		if !*d.Disk {
			if !strings.HasSuffix(d.Key, "/nvram") || d.FileSize == 0 {
				t.Errorf("%s is no NVRAM", d.Key)
			}
			continue
		}
		found := false
		for i := range plan.Datacenters[0].Machines[m].Disks {
			spec := &plan.Datacenters[0].Machines[m].Disks[i]
			if !strings.HasSuffix(d.Key, "/"+diskName(m, i, plan)) {
				continue
			}
			found = true
			src, err := spec.open()
			check(t, err)
			want := filepath.Join(dir, fmt.Sprint(i))
			out, err := os.Create(want)
			check(t, err)
			check(t, copyRaw(out, src, int64(spec.Capacity)))
			out.Close()
			if sumOfFile(t, convert(t, file)) != sumOfFile(t, want) {
				t.Errorf("%s differs from what the scenario says", d.Key)
			}
		}
		if !found {
			t.Errorf("%s is no disk of the scenario", d.Key)
		}
		disks++
	}
	if want := len(plan.Datacenters[0].Machines[m].Disks); disks != want {
		t.Errorf("%d disks, not %d", disks, want)
	}
	answer, err := methods.HttpNfcLeaseGetManifest(ctx, c.Client,
		&types.HttpNfcLeaseGetManifest{This: lease.Reference()})
	check(t, err)
	for _, e := range answer.Returnval {
		if manifest[e.Key] != e.Sha1 {
			t.Errorf("%s: the manifest has %s", e.Key, e.Sha1)
		}
		delete(manifest, e.Key)
	}
	if len(manifest) != 0 {
		t.Errorf("not in the manifest: %v", manifest)
	}
	check(t, lease.Complete(ctx))
}

func TestExportIsTheDisk(t *testing.T) {
	plan, err := loadScenario("wide", "")
	check(t, err)
	v := startVsim(t, "--scenario", "wide")
	exportAll(t, v, "/Region EU/DC-Nested/vm/Prod/Web Tier/four-kinds", 0, plan)
	s := v.state()
	if s.OpenLeases != 0 || s.Leases[0].State != leaseDone || s.Leases[0].ProgressCalls < 4 {
		t.Errorf("leases after completion: %+v", s.Leases)
	}
	s.Leaks.UnquotedCookies = 0 // Go's cookie jar drops the quotes
	if s.Leaks != (leaks{}) {
		t.Errorf("leaks of a clean client: %+v", s.Leaks)
	}
}

func TestExportOfFiles(t *testing.T) {
	dir := t.TempDir()
	for i, text := range []string{`{"pattern":"mixed","seed":5,"capacity":"40MiB","every":2}`,
		`{"pattern":"text","seed":6,"capacity":"3146240"}`} {
		check(t, writeDisk([]string{"--disk", text,
			"--output", filepath.Join(dir, fmt.Sprintf("disk-%d.raw", i))}))
	}
	plan, err := loadScenario("demo", dir)
	check(t, err)
	for _, setting := range []string{`{}`, `{"lastGrain":"short","level":6,"progressEvery":3}`} {
		v := startVsim(t, "--scenario", "demo", "--disks", dir, "--set", setting)
		exportAll(t, v, "/DC0/vm/alpine-export-test", 0, plan)
	}
}
