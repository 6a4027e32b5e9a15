package main

import (
	"fmt"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// leaseOf is the lease a call is for, or nil after answering NotFound: a lease
// exists only for the session that took it, and not long after its end.
func (s *server) leaseOf(c *call) *lease {
	l := s.leaseByReference(c.method.This)
	if l != nil && l.session == c.session && simulator.Map.Get(l.Self) != nil {
		return l
	}
	writeFault(c.w, notFound(c.method.This))
	return nil
}

// stateOf also says what a call on a lease that is not ready answers.
func (s *server) stateOf(l *lease) (leaseState, *soapFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch l.state {
	case leaseReady:
		return l.state, nil
	case leaseExpired:
		return l.state, timedOut
	}
	return l.state, invalidState
}

func (s *server) leaseProgress(c *call) {
	l := s.leaseOf(c)
	if l == nil {
		return
	}
	percent := c.method.Body.(*types.HttpNfcLeaseProgress).Percent
	if percent < 0 || percent > 100 {
		writeFault(c.w, &soapFault{kind: "InvalidArgument",
			message: "A specified parameter was not correct: percent",
			inner:   "<invalidProperty>percent</invalidProperty>"})
		return
	}
	s.mu.Lock()
	if l.state == leaseReady {
		l.progressCalls++
		l.percent, l.renewed = percent, time.Now()
		l.timer.Reset(seconds(s.settings.LeaseTimeout))
	}
	s.mu.Unlock()
	if _, fault := s.stateOf(l); fault != nil {
		writeFault(c.w, fault)
		return
	}
	s.inWorld(func(world *simulator.Registry) {
		update(world, l, []types.PropertyChange{{Name: "transferProgress", Val: percent}})
	})
	writeResult(c.w, c.method.Name, "")
}

func (s *server) leaseComplete(c *call) {
	l := s.leaseOf(c)
	if l == nil {
		return
	}
	state, fault := s.stateOf(l)
	if state != leaseReady || !s.endLease(l, leaseDone, "", nil) {
		writeFault(c.w, fault)
		return
	}
	writeResult(c.w, c.method.Name, "")
}

func (s *server) leaseAbort(c *call) {
	l := s.leaseOf(c)
	if l == nil {
		return
	}
	reason := ""
	var cause types.BaseMethodFault
	if f := c.method.Body.(*types.HttpNfcLeaseAbort).Fault; f != nil {
		reason, cause = f.LocalizedMessage, f.Fault
	}
	if !s.endLease(l, leaseAborted, reason, cause) {
		_, fault := s.stateOf(l)
		writeFault(c.w, fault)
		return
	}
	writeResult(c.w, c.method.Name, "")
}

// leaseManifest lists what was downloaded whole.
func (s *server) leaseManifest(c *call) {
	l := s.leaseOf(c)
	if l == nil {
		return
	}
	if _, fault := s.stateOf(l); fault != nil {
		writeFault(c.w, fault)
		return
	}
	s.mu.Lock()
	l.manifestCalls++
	kind := s.settings.Manifest
	entries := ""
	for _, f := range l.files {
		if f.size > 0 && kind != "none" {
			entries += f.manifestEntry(l.machine.vm.Self.Value, kind)
		}
	}
	s.mu.Unlock()
	writeResult(c.w, c.method.Name, entries)
}

func (f *leaseFile) manifestEntry(vm, kind string) string {
	sum := ""
	switch {
	case kind == "sha256" || kind == "both" && f.checksum == "sha256":
		sum = "<checksum>" + f.sha256 + "</checksum><checksumType>sha256</checksumType>"
	case kind == "both":
		sum = "<checksum>" + f.sha1 + "</checksum><checksumType>sha1</checksumType>"
	}
	capacity := ""
	if f.spec != nil {
		capacity = fmt.Sprintf("<capacity>%d</capacity>", f.spec.Capacity)
	}
	return fmt.Sprintf("<returnval><key>/%s/%s</key><sha1>%s</sha1>%s<size>%d</size>"+
		"<disk>%v</disk>%s</returnval>", vm, f.key, f.sha1, sum, f.size, f.spec != nil, capacity)
}

func (s *server) leaseChecksumType(c *call) {
	l := s.leaseOf(c)
	if l == nil {
		return
	}
	if _, fault := s.stateOf(l); fault != nil {
		writeFault(c.w, fault)
		return
	}
	req := c.method.Body.(*types.HttpNfcLeaseSetManifestChecksumType)
	s.mu.Lock()
	known := true
	for _, pair := range req.DeviceUrlsToChecksumTypes {
		found := false
		for _, f := range l.files {
			if pair.Key == f.url || pair.Key == "/"+l.machine.vm.Self.Value+"/"+f.key {
				f.checksum, found = pair.Value, true
			}
		}
		known = known && found && oneOf(pair.Value, []string{"sha1", "sha256"})
	}
	s.mu.Unlock()
	if !known {
		writeFault(c.w, &soapFault{kind: "InvalidArgument",
			message: "A specified parameter was not correct: deviceUrlsToChecksumTypes",
			inner:   "<invalidProperty>deviceUrlsToChecksumTypes</invalidProperty>"})
		return
	}
	writeResult(c.w, c.method.Name, "")
}
