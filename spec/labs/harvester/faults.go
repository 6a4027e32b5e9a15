package main

import (
	"fmt"
	"regexp"
	"sync"
)

// Kinds of faults, and what each does to whom.
var faultKinds = map[string]string{
	"fail":          "an image's download fails with `message`, after `after` bytes",
	"kill":          "the downloading pod dies after `after` bytes and another one begins from 0",
	"stall":         "it reads nothing for `seconds` after `after` bytes, then goes on",
	"slow":          "it reads at most `rate` bytes per second",
	"checksum":      "Longhorn reports the SHA-512 of something else",
	"reject":        "creating an object is refused with `message` (match: KIND NAMESPACE/NAME)",
	"unbound":       "a claim is not bound; an Event says `message`",
	"unschedulable": "a machine finds no node",
	"crash":         "a machine does not stay up",
	"starting":      "a machine never gets further than Starting",
}

// A fault is something that shall go wrong.
type fault struct {
	ID      int     `json:"id"`
	Kind    string  `json:"kind"`
	Match   string  `json:"match,omitempty"`   // regular expression on NAMESPACE/NAME or display name
	Times   int     `json:"times,omitempty"`   // 0 means once, -1 for ever
	After   int64   `json:"after,omitempty"`   // bytes
	Seconds float64 `json:"seconds,omitempty"` // of a stall
	Rate    int64   `json:"rate,omitempty"`    // bytes per second
	Message string  `json:"message,omitempty"`
	Hits    int     `json:"hits"`

	match *regexp.Regexp
}

func (f *fault) text(otherwise string) string {
	if f.Message != "" {
		return f.Message
	}
	return otherwise
}

type faults struct {
	mutex sync.Mutex
	last  int
	list  []*fault
}

func (fs *faults) add(f fault) (int, error) {
	if faultKinds[f.Kind] == "" {
		return 0, fmt.Errorf("no fault is called %q", f.Kind)
	}
	match, err := regexp.Compile(f.Match)
	if err != nil {
		return 0, err
	}
	fs.mutex.Lock()
	defer fs.mutex.Unlock()
	fs.last++
	f.ID, f.match, f.Hits = fs.last, match, 0
	if f.Times == 0 {
		f.Times = 1
	}
	fs.list = append(fs.list, &f)
	return f.ID, nil
}

// take returns the first fault of this kind that is meant for one of the names and not used up.
func (fs *faults) take(kind string, names ...string) *fault {
	fs.mutex.Lock()
	defer fs.mutex.Unlock()
	for _, f := range fs.list {
		if f.Kind != kind || f.Times >= 0 && f.Hits >= f.Times {
			continue
		}
		for _, name := range names {
			if f.match.MatchString(name) {
				f.Hits++
				taken := *f
				return &taken
			}
		}
	}
	return nil
}

func (fs *faults) all() []fault {
	fs.mutex.Lock()
	defer fs.mutex.Unlock()
	list := make([]fault, 0, len(fs.list))
	for _, f := range fs.list {
		list = append(list, *f)
	}
	return list
}

func (fs *faults) clear() {
	fs.mutex.Lock()
	defer fs.mutex.Unlock()
	fs.list = nil
}
