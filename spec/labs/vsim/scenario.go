package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// scenario is what the server holds; README.md describes the JSON.
type scenario struct {
	Kind        string           `json:"kind"` // vcenter or esxi
	APIVersion  string           `json:"apiVersion"`
	Settings    json.RawMessage  `json:"settings"`
	Datacenters []datacenterSpec `json:"datacenters"`
}

type datacenterSpec struct {
	Path      string        `json:"path"` // folders/name, escaped as in inventory paths
	Datastore string        `json:"datastore"`
	Networks  []networkSpec `json:"networks"`
	Folders   []string      `json:"folders"`
	Machines  []machineSpec `json:"machines"`
}

type networkSpec struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`   // standard, distributed or opaque
	Switch string `json:"switch"` // of a distributed port group
}

type machineSpec struct {
	Name           string      `json:"name"`   // as a user types it
	Folder         string      `json:"folder"` // escaped, below the datacenter's vm folder
	Power          string      `json:"power"`  // off, on or suspended
	Tools          string      `json:"tools"`  // notRunning, running or notInstalled
	Shutdown       interface{} `json:"shutdown"`
	Writes         bool        `json:"writes"`   // its disks at each start and stop
	Firmware       string      `json:"firmware"` // bios or efi
	SecureBoot     bool        `json:"secureBoot"`
	TPM            bool        `json:"tpm"`
	CPUs           int32       `json:"cpus"`
	CoresPerSocket int32       `json:"coresPerSocket"`
	MemoryMiB      int32       `json:"memoryMiB"`
	GuestID        string      `json:"guestId"`
	GuestName      string      `json:"guestName"`
	Hostname       string      `json:"hostname"`
	UUID           string      `json:"uuid"`
	InstanceUUID   string      `json:"instanceUuid"`
	Annotation     string      `json:"annotation"`
	Template       bool        `json:"template"`
	DiskUUID       bool        `json:"diskUuid"` // the guest sees its disks' UUIDs
	CDROM          string      `json:"cdrom"`    // path of a datastore, there or not
	Snapshots      []string    `json:"snapshots"`
	Disks          []diskSpec  `json:"disks"`
	NICs           []nicSpec   `json:"nics"`
}

type nicSpec struct {
	Network      string   `json:"network"`
	Model        string   `json:"model"`
	MAC          string   `json:"mac"`
	Addresses    []string `json:"addresses"`
	Disconnected bool     `json:"disconnected"`
}

// diskSpec has one of File, VMDK and Pattern.
type diskSpec struct {
	Controller string   `json:"controller"` // pvscsi, lsilogic, lsisas, buslogic, ahci, nvme, ide
	Bus        int32    `json:"bus"`
	Unit       *int32   `json:"unit"`
	File       string   `json:"file"`    // raw
	VMDK       string   `json:"vmdk"`    // sent as it is
	Pattern    string   `json:"pattern"` // zero, random, text, mixed
	Seed       uint64   `json:"seed"`
	Every      uint64   `json:"every"` // one grain in so many has data
	Capacity   byteSize `json:"capacity"`
	Missing    bool     `json:"missing"` // the export does not offer it
	Delta      bool     `json:"delta"`   // its backing has a parent, as under a snapshot
	Mode       string   `json:"mode"`    // persistent, independent_persistent, ...
	RDM        string   `json:"rdm"`     // physicalMode or virtualMode: a raw device mapping
}

// byteSize reads 65536, "64KiB", "10MiB", "64GiB" or "2TiB".
type byteSize int64

func (b *byteSize) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	factor := int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if strings.HasSuffix(s, unit) {
			s, factor = strings.TrimSuffix(s, unit), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	*b = byteSize(n * factor)
	return err
}

func loadScenario(name, disks string) (*scenario, error) {
	text, err := builtinScenario(name, disks != "")
	if err != nil {
		return nil, err
	}
	if text == nil {
		if text, err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	plan := &scenario{Kind: "vcenter", APIVersion: "7.0.3.0"}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(plan); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	if err = plan.checkKind(); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	for i := range plan.Datacenters {
		for j := range plan.Datacenters[i].Machines {
			m := &plan.Datacenters[i].Machines[j]
			for k := range m.Disks {
				if err = m.Disks[k].resolve(disks); err != nil {
					return nil, fmt.Errorf("machine %s, disk %d: %w", m.Name, k, err)
				}
			}
		}
	}
	return plan, nil
}

// checkKind: an ESXi host has one datacenter, which has no folders.
func (plan *scenario) checkKind() error {
	if plan.Kind == "vcenter" {
		return nil
	}
	if plan.Kind != "esxi" {
		return fmt.Errorf("kind %q is not vcenter or esxi", plan.Kind)
	}
	if len(plan.Datacenters) != 1 || plan.Datacenters[0].Path != esxiDatacenter {
		return fmt.Errorf("an ESXi host has one datacenter, %s", esxiDatacenter)
	}
	for _, m := range plan.Datacenters[0].Machines {
		if m.Folder != "" {
			return fmt.Errorf("an ESXi host has no VM folders")
		}
	}
	for _, n := range plan.Datacenters[0].Networks {
		if n.Kind != "" && n.Kind != "standard" {
			return fmt.Errorf("an ESXi host has standard networks only")
		}
	}
	return nil
}

// resolve makes file names absolute and learns the capacity.
func (d *diskSpec) resolve(dir string) error {
	sources := 0
	for _, s := range []*string{&d.File, &d.VMDK} {
		if *s == "" {
			continue
		}
		sources++
		if !filepath.IsAbs(*s) {
			*s = filepath.Join(dir, *s)
		}
	}
	if d.Pattern != "" {
		sources++
	}
	if sources != 1 {
		return fmt.Errorf("exactly one of file, vmdk and pattern is needed")
	}
	if d.VMDK != "" {
		capacity, err := vmdkCapacity(d.VMDK)
		d.Capacity = byteSize(capacity)
		return err
	}
	if d.File != "" {
		st, err := os.Stat(d.File)
		if err != nil {
			return err
		}
		d.Capacity = byteSize(st.Size())
	}
	if d.Capacity <= 0 || d.Capacity%sectorSize != 0 {
		return fmt.Errorf("capacity %d is not a multiple of 512", d.Capacity)
	}
	src, err := d.open()
	if err == nil {
		src.Close()
	}
	return err
}

func (d *diskSpec) open() (content, error) {
	if d.File != "" {
		return openFile(d.File)
	}
	return newPattern(d.Pattern, d.Seed, d.Every, int64(d.Capacity))
}

func vmdkCapacity(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var header [20]byte
	if _, err = f.ReadAt(header[:], 0); err != nil {
		return 0, err
	}
	if string(header[:4]) != "KDMV" {
		return 0, fmt.Errorf("%s is no sparse VMDK", filepath.Base(path))
	}
	return int64(binary.LittleEndian.Uint64(header[12:])) * sectorSize, nil
}

// escapeName is how vSphere writes a name that holds path characters.
func escapeName(name string) string {
	return strings.NewReplacer("%", "%25", "/", "%2f", `\`, "%5c").Replace(name)
}
