package main

import "strings"

// The scenarios that need no file. FIRST and SECOND stand for the two disks of
// the guest: disk-0.raw and disk-1.raw of --disks, patterns without it.
const demoScenario = `{
  "datacenters": [{
    "path": "DC0",
    "networks": [{"name": "DC0_DVPG0", "kind": "distributed", "switch": "DVS0"}],
    "machines": [{
      "name": "alpine-export-test", "firmware": "efi", "cpus": 2, "coresPerSocket": 1,
      "memoryMiB": 512, "guestId": "otherLinux64Guest",
      "annotation": "A guest to import",
      "disks": [FIRST, SECOND],
      "nics": [{"network": "VM Network", "mac": "00:50:56:10:20:30"}]
    }]
  }]
}`

const readmeScenario = `{
  "datacenters": [{
    "path": "DCO",
    "networks": [
      {"name": "dvSwitch 1", "kind": "distributed", "switch": "DSwitch"},
      {"name": "dvSwitch 2", "kind": "distributed", "switch": "DSwitch"},
      {"name": "VM Network"}
    ],
    "machines": [{
      "name": "alpine-export-test", "firmware": "efi", "cpus": 2, "coresPerSocket": 1,
      "memoryMiB": 512, "guestId": "otherLinux64Guest", "power": "on", "tools": "running",
      "hostname": "alpine", "disks": [FIRST, SECOND],
      "nics": [
        {"network": "dvSwitch 1", "mac": "00:50:56:10:20:30", "addresses": ["192.0.2.10"]},
        {"network": "VM Network", "mac": "00:50:56:10:20:31"}
      ]
    }]
  }]
}`

const wideScenario = `{
  "datacenters": [{
    "path": "Region EU/DC-Nested",
    "datastore": "fast store",
    "networks": [
      {"name": "dvSwitch 1", "kind": "distributed", "switch": "DSwitch"},
      {"name": "nsx-segment", "kind": "opaque"},
      {"name": "VLAN 20 (büro)"}
    ],
    "folders": ["Empty", "Prod/Web Tier"],
    "machines": [{
      "name": "four-kinds", "folder": "Prod/Web Tier", "firmware": "efi",
      "secureBoot": true, "tpm": true, "cpus": 8, "coresPerSocket": 4,
      "memoryMiB": 4096, "guestId": "rhel9_64Guest",
      "disks": [
        {"controller": "pvscsi", "pattern": "text", "seed": 1, "capacity": "24MiB"},
        {"controller": "lsilogic", "bus": 1, "pattern": "mixed", "seed": 2,
         "capacity": "65MiB", "every": 3},
        {"controller": "ahci", "pattern": "random", "seed": 3, "capacity": "5243392"},
        {"controller": "nvme", "pattern": "mixed", "seed": 4, "capacity": "1GiB",
         "every": 500}
      ],
      "nics": [
        {"network": "dvSwitch 1", "mac": "00:50:56:00:00:01"},
        {"network": "VM Network", "model": "e1000e", "mac": "00:50:56:00:00:02"},
        {"network": "nsx-segment", "mac": "00:50:56:00:00:03"}
      ]
    }, {
      "name": "twin", "folder": "Prod", "cpus": 1, "guestId": "debian11_64Guest",
      "disks": [{"pattern": "text", "seed": 10, "capacity": "8MiB"}],
      "nics": [{"network": "VM Network"}]
    }, {
      "name": "twin", "folder": "Test", "cpus": 2, "guestId": "debian11_64Guest",
      "disks": [{"controller": "lsisas", "pattern": "text", "seed": 11, "capacity": "8MiB"}],
      "nics": [{"network": "VLAN 20 (büro)"}]
    }, {
      "name": "a/b%c\\d & <Bürö>", "folder": "Test", "annotation": "öde & <leer>",
      "disks": [{"controller": "ide", "pattern": "text", "seed": 12, "capacity": "4MiB"}],
      "nics": [{"network": "VM Network", "model": "e1000"}]
    }, {
      "name": "running", "folder": "Test", "power": "on", "tools": "running",
      "hostname": "running.example", "memoryMiB": 1024, "guestId": "ubuntu64Guest",
      "snapshots": ["before update"],
      "disks": [{"pattern": "mixed", "seed": 13, "capacity": "16MiB"}],
      "nics": [{"network": "dvSwitch 1", "addresses": ["192.0.2.20", "2001:db8::20"]}]
    }, {
      "name": "running-without-tools", "folder": "Test", "power": "on",
      "disks": [{"pattern": "text", "seed": 14, "capacity": "4MiB"}],
      "nics": [{"network": "VM Network", "disconnected": true}]
    }, {
      "name": "deaf", "folder": "Test", "power": "on", "tools": "running",
      "shutdown": "never",
      "disks": [{"pattern": "text", "seed": 15, "capacity": "4MiB"}]
    }, {
      "name": "empty-disk", "folder": "Test",
      "disks": [{"pattern": "zero", "capacity": "64GiB"}]
    }, {
      "name": "huge", "folder": "Test",
      "disks": [{"controller": "nvme", "pattern": "mixed", "seed": 16, "capacity": "64GiB",
                 "every": 2000}]
    }]
  }, {
    "path": "DC1",
    "machines": [{
      "name": "twin",
      "disks": [{"pattern": "text", "seed": 17, "capacity": "4MiB"}],
      "nics": [{"network": "VM Network"}]
    }]
  }]
}`

// builtinScenario is nil for a name that is none of ours.
func builtinScenario(name string, files bool) ([]byte, error) {
	text := map[string]string{
		"demo": demoScenario, "readme": readmeScenario, "wide": wideScenario}[name]
	if text == "" {
		return nil, nil
	}
	first := `{"pattern": "mixed", "seed": 1, "capacity": "64MiB", "every": 2}`
	second := `{"controller": "pvscsi", "pattern": "text", "seed": 2, "capacity": "16MiB"}`
	if files {
		first, second = `{"file": "disk-0.raw"}`, `{"file": "disk-1.raw"}`
	}
	return []byte(strings.NewReplacer("FIRST", first, "SECOND", second).Replace(text)), nil
}
