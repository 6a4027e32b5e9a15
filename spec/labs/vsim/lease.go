package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type leaseState string

const (
	leaseInitializing leaseState = "initializing"
	leaseReady        leaseState = "ready"
	leaseDone         leaseState = "done"
	leaseAborted      leaseState = "aborted"
	leaseExpired      leaseState = "expired"
	leaseFailed       leaseState = "failed"
)

// lease holds a machine while its disks are downloaded. The embedded object is
// what property reads see (under server.world), the rest is under server.mu.
type lease struct {
	mo.HttpNfcLease
	session *session
	machine *machine
	token   string // in URLs, the only credential of a download
	files   []*leaseFile
	context context.Context // of the downloads
	cancel  context.CancelFunc
	timer   *time.Timer

	state                         leaseState
	reason                        string
	created, ready, renewed, over time.Time
	progressCalls                 int
	percent                       int32
	manifestCalls                 int
}

// leaseFile is a device URL.
type leaseFile struct {
	*exportFile
	name     string // last element of the URL
	url      string
	checksum string // sha1 or sha256, for the manifest
	size     int64  // of the last whole download; 0: none
	sha1     string
	sha256   string
}

func (s *server) held(m *machine) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.leased != nil
}

func (s *server) leaseByReference(ref types.ManagedObjectReference) *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.leases {
		if l.Self == ref {
			return l
		}
	}
	return nil
}

func (s *server) exportVM(c *call) {
	m := s.machineOf(c)
	if m == nil {
		return
	}
	if is := s.powerOf(m); is != types.VirtualMachinePowerStatePoweredOff {
		writeFault(c.w, invalidPowerState(types.VirtualMachinePowerStatePoweredOff, is))
		return
	}
	l := newLease(m, c.session)
	s.mu.Lock()
	busy := m.leased != nil
	if !busy {
		m.leased = l
		s.leases = append(s.leases, l)
	}
	set := s.settings
	s.mu.Unlock()
	if busy {
		writeFault(c.w, taskInProgress)
		return
	}
	s.inWorld(func(world *simulator.Registry) { world.Put(l) })
	s.refresh(m)
	go s.initialize(l, set)
	writeResult(c.w, c.method.Name, reference("returnval", l.Self))
}

func newLease(m *machine, owner *session) *lease {
	var secret [24]byte
	if _, err := rand.Read(secret[:]); err != nil {
		panic(err)
	}
	l := &lease{session: owner, machine: m, token: hex.EncodeToString(secret[:]),
		state: leaseInitializing, created: time.Now()}
	l.context, l.cancel = context.WithCancel(context.Background())
	l.Self = types.ManagedObjectReference{Type: "HttpNfcLease",
		Value: fmt.Sprintf("session[%s]%s", owner.key, uuid.New())}
	l.State = types.HttpNfcLeaseStateInitializing
	l.Mode = "pushOrGet"
	return l
}

// initialize makes a lease ready, or fails it if a rule says so.
func (s *server) initialize(l *lease, set settings) {
	rule := s.match(occasion{on: "lease", machine: l.machine})
	pause := set.LeaseInit
	if rule != nil {
		pause += rule.Seconds
	}
	select {
	case <-time.After(seconds(pause)):
	case <-l.context.Done():
		return
	}
	if rule != nil && rule.Do == "error" {
		s.endLease(l, leaseFailed, rule.Message, faultNamed(rule.Fault))
		return
	}
	info := s.leaseInfo(l, set)
	s.mu.Lock()
	if l.state != leaseInitializing {
		s.mu.Unlock()
		return
	}
	l.state, l.ready, l.renewed = leaseReady, time.Now(), time.Now()
	l.timer = time.AfterFunc(seconds(set.LeaseTimeout), func() { s.expire(l) })
	s.mu.Unlock()
	s.inWorld(func(world *simulator.Registry) {
		if l.State != types.HttpNfcLeaseStateInitializing {
			return
		}
		update(world, l, []types.PropertyChange{
			{Name: "initializeProgress", Val: int32(100)},
			{Name: "info", Val: info},
			{Name: "state", Val: types.HttpNfcLeaseStateReady}})
	})
}

// leaseInfo makes the device URLs: NVRAM first, then the disks from the last
// to the first, because the order of a real server is not the machine's.
func (s *server) leaseInfo(l *lease, set settings) types.HttpNfcLeaseInfo {
	m := l.machine
	base, thumbprint := s.nfcBase(set)
	info := types.HttpNfcLeaseInfo{Lease: l.Self, Entity: m.vm.Self,
		LeaseTimeout: int32(set.LeaseTimeout + 0.999)}
	var files []*exportFile
	if m.nvram {
		files = append(files, &exportFile{key: "nvram"})
	}
	for i := len(m.disks) - 1; i >= 0; i-- {
		info.TotalDiskCapacityInKB += int64(m.disks[i].spec.Capacity) / 1024
		if !m.disks[i].spec.Missing {
			files = append(files, m.disks[i])
		}
	}
	var offered []*leaseFile
	for i, file := range files {
		f := &leaseFile{exportFile: file, name: fmt.Sprintf("disk-%d.vmdk", i),
			checksum: "sha1"}
		d := types.HttpNfcLeaseDeviceUrl{Disk: types.NewBool(file.spec != nil)}
		if file.spec == nil {
			f.name = fmt.Sprintf("disk-%d.nvram", i)
			d.FileSize = nvramSize
		}
		f.url = base + l.token + "/" + f.name
		d.Key = "/" + m.vm.Self.Value + "/" + file.key
		d.Url, d.SslThumbprint, d.TargetId = f.url, thumbprint, f.name
		info.DeviceUrl = append(info.DeviceUrl, d)
		offered = append(offered, f)
	}
	s.mu.Lock()
	l.files = offered
	s.mu.Unlock()
	return info
}

// nfcBase is what device URLs begin with, and whose certificate answers there.
func (s *server) nfcBase(set settings) (string, string) {
	colon := strings.LastIndex(s.nfcAddress, ":")
	switch set.DeviceURL {
	case "star": // the client puts the SDK's host and port there
		return "https://*" + s.nfcPath, s.certificates.sdk.sha1()
	case "star-port":
		return "https://*" + s.nfcAddress[colon:] + s.nfcPath, s.certificates.nfc.sha1()
	}
	host := s.nfcAddress
	if set.NFCHost != "" {
		host = set.NFCHost + s.nfcAddress[colon:]
	}
	if s.options.nfcPlain {
		return "http://" + host + s.nfcPath, ""
	}
	return "https://" + host + s.nfcPath, s.certificates.nfc.sha1()
}

func (s *server) expire(l *lease) {
	s.endLease(l, leaseExpired, "", nil)
}

// endLease ends an open lease and its downloads; false: it was over already.
func (s *server) endLease(l *lease, how leaseState, reason string,
	fault types.BaseMethodFault) bool {
	s.mu.Lock()
	if l.state != leaseInitializing && l.state != leaseReady {
		s.mu.Unlock()
		return false
	}
	l.state, l.reason, l.over = how, reason, time.Now()
	l.machine.leased = nil
	if l.timer != nil {
		l.timer.Stop()
	}
	linger := seconds(s.settings.LeaseLinger)
	s.mu.Unlock()
	l.cancel()

	state := types.HttpNfcLeaseStateError
	var changes []types.PropertyChange
	switch how {
	case leaseDone:
		state = types.HttpNfcLeaseStateDone
	case leaseExpired:
		fault, reason = new(types.Timedout), timedOut.message
	}
	if fault != nil {
		changes = append(changes, types.PropertyChange{Name: "error",
			Val: types.LocalizedMethodFault{Fault: fault, LocalizedMessage: reason}})
	}
	s.inWorld(func(world *simulator.Registry) {
		update(world, l, append(changes, types.PropertyChange{Name: "state", Val: state}))
	})
	s.refresh(l.machine)
	time.AfterFunc(linger, func() {
		s.inWorld(func(world *simulator.Registry) { world.Remove(l.Self) })
	})
	return true
}
