package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

const cookieName = "vmware_soap_session"

type session struct {
	key   string
	user  string
	last  time.Time
	calls int
}

// sessionOf is the live session whose cookie r carries, which it renews.
func (s *server) sessionOf(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	found := s.sessions[cookie.Value]
	if found != nil && !strings.Contains(r.Header.Get("Cookie"), `="`) {
		s.leaks.UnquotedCookies++
	}
	idle := seconds(s.settings.SessionIdle)
	expired := found != nil && idle > 0 && time.Since(found.last) > idle
	if found != nil && !expired {
		found.last = time.Now()
		found.calls++
	}
	s.mu.Unlock()
	if expired {
		s.endSession(found, "idle")
		return nil
	}
	return found
}

func (s *server) login(c *call) {
	req := c.method.Body.(*types.Login)
	if c.session != nil || req.UserName != s.options.user || req.Password != s.options.password {
		writeFault(c.w, invalidLogin)
		return
	}
	answer := s.forward(c)
	made := (&http.Response{Header: answer.header}).Cookies()
	if answer.code == http.StatusOK && len(made) == 1 {
		key := made[0].Value
		s.mu.Lock()
		s.sessions[key] = &session{key: key, user: req.UserName, last: time.Now()}
		s.mu.Unlock()
		answer.header.Set("Set-Cookie",
			fmt.Sprintf(`%s="%s"; Path=/; HttpOnly; Secure; `, cookieName, key))
	}
	answer.copyTo(c.w)
}

func (s *server) logout(c *call) {
	s.endSession(c.session, "logout")
	writeResult(c.w, "Logout", "")
}

func (s *server) terminateSession(c *call) {
	for _, key := range c.method.Body.(*types.TerminateSession).SessionId {
		s.mu.Lock()
		found := s.sessions[key]
		s.mu.Unlock()
		if found == nil || found == c.session {
			writeFault(c.w, &soapFault{kind: "NotFound", message: "The session was not found."})
			return
		}
		s.endSession(found, "terminated")
	}
	writeResult(c.w, c.method.Name, "")
}

// endSession forgets a session, what it was reading, and, if the settings say
// so, its leases. The reason is counted for /state.
func (s *server) endSession(gone *session, reason string) {
	if gone == nil {
		return
	}
	s.mu.Lock()
	if s.sessions[gone.key] != gone {
		s.mu.Unlock()
		return
	}
	delete(s.sessions, gone.key)
	s.ended[reason]++
	for token, p := range s.pages {
		if p.session == gone {
			delete(s.pages, token)
		}
	}
	var orphans []*lease
	for _, l := range s.leases {
		if l.session == gone && s.settings.LeaseOnLogout == "end" {
			orphans = append(orphans, l)
		}
	}
	s.mu.Unlock()
	s.world.Lock()
	s.pass([]byte(envelopeHead+`<Logout xmlns="urn:vim25">`+
		reference("_this", s.sessionManager)+`</Logout>`+envelopeTail), gone)
	s.world.Unlock()
	for _, l := range orphans {
		s.endLease(l, leaseAborted, "session ended", nil)
	}
}

func (s *server) dropSessions() int {
	s.mu.Lock()
	var all []*session
	for _, one := range s.sessions {
		all = append(all, one)
	}
	s.mu.Unlock()
	for _, one := range all {
		s.endSession(one, "dropped")
	}
	return len(all)
}
