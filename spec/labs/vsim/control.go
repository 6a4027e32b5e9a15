package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// controlMux is the control port: plain HTTP, JSON, for the test that started us.
func (s *server) controlMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/state", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, s.state())
	})
	mux.HandleFunc("/journal", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, s.journal())
	})
	for path, f := range map[string]func([]byte) (interface{}, error){
		"/faults":        s.addFaults,
		"/reset":         s.reset,
		"/settings":      s.changeSettings,
		"/sessions/drop": s.controlDrop,
		"/leases/expire": s.controlExpire,
		"/machine":       s.changeMachine,
		"/certificate":   s.changeCertificate,
	} {
		f := f
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				http.Error(w, "POST only", http.StatusMethodNotAllowed)
				return
			}
			text, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			answer, err := f(text)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			writeJSON(w, answer)
		})
	}
	return mux
}

func writeJSON(w http.ResponseWriter, value interface{}) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}

// addFaults takes one rule or a list.
func (s *server) addFaults(text []byte) (interface{}, error) {
	var rules []*rule
	if err := json.Unmarshal(text, &rules); err != nil {
		one := new(rule)
		if err = json.Unmarshal(text, one); err != nil {
			return nil, err
		}
		rules = []*rule{one}
	}
	for _, r := range rules {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, rules...)
	return s.rules, nil
}

// reset removes all rules and shows the right certificates; what was counted
// is forgotten, sessions and leases stay.
func (s *server) reset([]byte) (interface{}, error) {
	s.sdkPort.show(nil)
	s.nfcPort.show(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	s.calls = map[string]int{}
	s.ended = map[string]int{}
	s.leaks = leaks{}
	var running []*nfcRequest
	for _, r := range s.nfcLog {
		if r.End == "running" {
			running = append(running, r)
		}
	}
	s.nfcLog = running
	var held []*lease
	for _, l := range s.leases {
		if l.machine.leased == l {
			held = append(held, l)
		}
	}
	s.leases = held
	return struct{}{}, nil
}

func (s *server) changeSettings(text []byte) (interface{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(text) > 0 {
		if err := s.settings.change(text); err != nil {
			return nil, err
		}
	}
	return s.settings, nil
}

func (s *server) controlDrop([]byte) (interface{}, error) {
	return map[string]int{"dropped": s.dropSessions()}, nil
}

// controlExpire makes every open lease time out now.
func (s *server) controlExpire([]byte) (interface{}, error) {
	s.mu.Lock()
	all := append([]*lease(nil), s.leases...)
	s.mu.Unlock()
	n := 0
	for _, l := range all {
		if s.endLease(l, leaseExpired, "", nil) {
			n++
		}
	}
	return map[string]int{"expired": n}, nil
}

// changeMachine: {"machine": name or path, "power", "tools", "shutdown", "disks", "index"}.
func (s *server) changeMachine(text []byte) (interface{}, error) {
	var change struct {
		Machine, Power, Tools, Disks string
		Index                        int
		Shutdown                     interface{}
	}
	if err := json.Unmarshal(text, &change); err != nil {
		return nil, err
	}
	for _, m := range s.machines {
		if m.path != change.Machine && m.spec.Name != change.Machine {
			continue
		}
		s.mu.Lock()
		var err error
		if change.Tools != "" {
			if toolsStates[change.Tools] == nil {
				err = fmt.Errorf("unknown tools state %q", change.Tools)
			} else {
				m.tools = change.Tools
			}
		}
		if change.Shutdown != nil && err == nil {
			err = m.setShutdown(change.Shutdown)
		}
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if change.Disks != "" {
			if err = s.changeDisks(m, change.Disks, change.Index); err != nil {
				return nil, err
			}
		}
		if change.Power == "on" && m.spec.Writes && s.held(m) {
			return nil, fmt.Errorf("an export holds the machine")
		}
		if change.Power == "" {
			s.refresh(m)
		} else if state := powerStates[change.Power]; state != "" {
			s.setPower(m, state)
		} else {
			return nil, fmt.Errorf("unknown power state %q", change.Power)
		}
		return struct{}{}, nil
	}
	return nil, fmt.Errorf("no machine %q", change.Machine)
}

// changeCertificate: {"server": "sdk" or "nfc", "show": "other" or "right"}.
func (s *server) changeCertificate(text []byte) (interface{}, error) {
	var change struct{ Server, Show string }
	if err := json.Unmarshal(text, &change); err != nil {
		return nil, err
	}
	if !oneOf(change.Show, []string{"other", "right"}) {
		return nil, fmt.Errorf("show %q is not other or right", change.Show)
	}
	var other *tls.Certificate
	if change.Show == "other" {
		other = &s.certificates.other
	}
	switch change.Server {
	case "sdk":
		s.sdkPort.show(other)
	case "nfc":
		s.nfcPort.show(other)
	default:
		return nil, fmt.Errorf("server %q is not sdk or nfc", change.Server)
	}
	return struct{}{}, nil
}

type leaseView struct {
	Machine       string     `json:"machine"`
	State         leaseState `json:"state"`
	Reason        string     `json:"reason,omitempty"`
	Open          bool       `json:"open"`
	Created       string     `json:"created"`
	Renewed       string     `json:"renewed,omitempty"`
	Over          string     `json:"over,omitempty"`
	ProgressCalls int        `json:"progressCalls"`
	Percent       int32      `json:"percent"`
	ManifestCalls int        `json:"manifestCalls"`
}

type machineView struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	ID    string `json:"id"`
	UUID  string `json:"instanceUuid"`
	Power string `json:"power"`
	Tools string `json:"tools"`
}

func (s *server) state() map[string]interface{} {
	powers := map[*machine]string{}
	for _, m := range s.machines {
		powers[m] = string(s.powerOf(m))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	leases := []leaseView{}
	open := 0
	for _, l := range s.leases {
		v := leaseView{Machine: l.machine.path, State: l.state, Reason: l.reason,
			Open: l.machine.leased == l, Created: stamp(l.created), Renewed: stamp(l.renewed),
			Over: stamp(l.over), ProgressCalls: l.progressCalls, Percent: l.percent,
			ManifestCalls: l.manifestCalls}
		if v.Open {
			open++
		}
		leases = append(leases, v)
	}
	machines := []machineView{}
	for _, m := range s.machines {
		machines = append(machines, machineView{m.spec.Name, m.path, m.vm.Self.Value,
			m.spec.InstanceUUID, powers[m], m.tools})
	}
	return map[string]interface{}{
		"sessions": len(s.sessions), "sessionsEnded": s.ended,
		"leases": leases, "openLeases": open, "machines": machines, "calls": s.calls,
		"nfc": s.nfcLog, "leaks": s.leaks, "faults": s.rules, "settings": s.settings,
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
