package main

import (
	"io"
	"log"
	"net/http"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

var quiet = log.New(io.Discard, "", 0)

// server is the whole state. Two locks, world before mu:
//
//	world  the simulator's objects. The simulator encodes answers from live
//	       objects without a lock, so its calls take turns (but for those that
//	       wait for updates).
//	mu     everything else in here. Never held while the simulator is called.
type server struct {
	options      *options
	certificates *certificates
	sdkAddress   string
	nfcAddress   string
	sdkPort      *port
	nfcPort      *port

	// Made by build, then never changed.
	simulator      http.Handler
	sessionManager types.ManagedObjectReference
	apiVersion     string
	nfcPath        string // what the path of a device URL begins with
	machines       []*machine

	world sync.Mutex

	mu       sync.Mutex
	settings settings
	sessions map[string]*session
	ended    map[string]int // reason -> sessions
	pages    map[string]*page
	leases   []*lease
	rules    []*rule
	calls    map[string]int
	nfcLog   []*nfcRequest
	leaks    leaks
}

// leaks count what a client must not do.
type leaks struct {
	NFCCookies        int `json:"nfcCookies"`        // Cookie sent to the disk server
	NFCAuthorizations int `json:"nfcAuthorizations"` // Authorization sent there
	UnquotedCookies   int `json:"unquotedCookies"`   // session cookie not sent back verbatim
	UnknownTokens     int `json:"unknownTokens"`     // disk URLs of no open lease
}

func newServer(o *options, set settings, c *certificates) *server {
	return &server{
		options:      o,
		certificates: c,
		settings:     set,
		sessions:     map[string]*session{},
		ended:        map[string]int{},
		pages:        map[string]*page{},
		calls:        map[string]int{},
	}
}

// current is a copy of the settings.
func (s *server) current() settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

func (s *server) inWorld(f func(*simulator.Registry)) {
	s.world.Lock()
	defer s.world.Unlock()
	f(simulator.Map)
}

// update changes an object for everyone, also those who wait for updates: they
// read under its own lock, not under world.
func update(world *simulator.Registry, object mo.Reference, changes []types.PropertyChange) {
	world.WithLock(object, func() { world.Update(object, changes) })
}
