package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// rule is one fault on demand; README.md has the table. It lets `skip`
// occasions pass, then happens `count` times (0: for ever).
type rule struct {
	On      string  `json:"on"`                // SOAP method, "*", "lease", "nfc", "task", ...
	Do      string  `json:"do"`                // what happens
	Machine string  `json:"machine,omitempty"` // only for this name or path
	File    string  `json:"file,omitempty"`    // nfc: only a key or file name that contains this
	Skip    int     `json:"skip"`
	Count   int     `json:"count"`
	Fault   string  `json:"fault,omitempty"`
	Element string  `json:"element,omitempty"`
	Message string  `json:"message,omitempty"`
	Code    int     `json:"code,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	Rate    float64 `json:"rate,omitempty"` // bytes a second
	Hits    int     `json:"hits"`
}

var soapActions = []string{
	"fault", "http", "garbage", "truncate", "drop", "lose", "stall", "expire"}
var nfcActions = []string{"cut", "reset", "corrupt", "stall", "http", "throttle"}

func (r *rule) check() error {
	of := soapActions
	switch r.On {
	case "":
		return fmt.Errorf("on is needed")
	case "nfc":
		of = nfcActions
	case "lease":
		of = []string{"error", "stall"}
	case "task":
		of = []string{"fault", "stall"}
	}
	if !oneOf(r.Do, of) {
		return fmt.Errorf("%s: do %q is none of %v", r.On, r.Do, of)
	}
	if r.Do == "http" && r.Code == 0 {
		r.Code = 503
	}
	if r.Do == "throttle" && r.Rate <= 0 {
		return fmt.Errorf("throttle needs a rate")
	}
	if r.Fault == "" {
		r.Fault = "SystemError"
		if r.On == "lease" {
			r.Fault = "FileLocked"
		}
	}
	if faultNamed(r.Fault) == nil {
		return fmt.Errorf("no fault type %q", r.Fault)
	}
	if r.Message == "" {
		r.Message = r.Fault + " on demand"
	}
	return nil
}

// occasion is something a rule may be about.
type occasion struct {
	on      string
	soap    bool
	machine *machine
	file    *leaseFile
}

func (r *rule) fits(o occasion) bool {
	if r.On != o.on && !(r.On == "*" && o.soap) {
		return false
	}
	if r.Machine != "" && (o.machine == nil ||
		r.Machine != o.machine.path && r.Machine != o.machine.spec.Name) {
		return false
	}
	return r.File == "" || o.file == nil || strings.Contains(o.file.key, r.File) ||
		strings.Contains(o.file.name, r.File)
}

// match counts the occasion and returns the first rule whose turn it is.
func (s *server) match(o occasion) *rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[o.on]++
	for i, r := range s.rules {
		if !r.fits(o) {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		r.Hits++
		taken := *r
		if r.Count > 0 {
			if r.Count--; r.Count == 0 {
				s.rules = append(s.rules[:i:i], s.rules[i+1:]...)
			}
		}
		return &taken
	}
	return nil
}

// soapFault is the rule's fault in answer to a call to ref.
func (r *rule) soapFault(ref types.ManagedObjectReference) *soapFault {
	f := &soapFault{kind: r.Fault, element: r.Element, message: r.Message}
	switch r.Fault {
	case "NotAuthenticated":
		f.inner = notAuthenticated(ref).inner
	case "ManagedObjectNotFound":
		f.inner = notFound(ref).inner
	case "TaskInProgress":
		f.inner = taskInProgress.inner
	}
	return f
}

// faultNamed makes an empty fault of a vSphere type, nil if there is none.
func faultNamed(name string) types.BaseMethodFault {
	kind, ok := types.TypeFunc()(name)
	if !ok || kind.Kind() != reflect.Struct {
		return nil
	}
	fault, _ := reflect.New(kind).Interface().(types.BaseMethodFault)
	return fault
}
