package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const maxRequest = 16 << 20

// call is one SOAP request.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	text    []byte
	method  *simulator.Method
	session *session // nil: not logged in
}

// What we answer ourselves; all else goes to the simulator as it is.
var handlers map[string]func(*server, *call)

func init() {
	handlers = map[string]func(*server, *call){
		"Login":                               (*server).login,
		"Logout":                              (*server).logout,
		"TerminateSession":                    (*server).terminateSession,
		"RetrievePropertiesEx":                (*server).retrieve,
		"RetrieveProperties":                  (*server).retrieve,
		"ContinueRetrievePropertiesEx":        (*server).continueRetrieve,
		"CancelRetrievePropertiesEx":          (*server).cancelRetrieve,
		"CreateFilter":                        (*server).createFilter,
		"FindByInventoryPath":                 (*server).findByPath,
		"ExportVm":                            (*server).exportVM,
		"HttpNfcLeaseProgress":                (*server).leaseProgress,
		"HttpNfcLeaseComplete":                (*server).leaseComplete,
		"HttpNfcLeaseAbort":                   (*server).leaseAbort,
		"HttpNfcLeaseGetManifest":             (*server).leaseManifest,
		"HttpNfcLeaseSetManifestChecksumType": (*server).leaseChecksumType,
		"PowerOffVM_Task":                     (*server).powerOff,
		"PowerOnVM_Task":                      (*server).powerOn,
		"ShutdownGuest":                       (*server).shutdownGuest,
		"Destroy_Task":                        (*server).destroy,
		"RelocateVM_Task":                     (*server).whileNotLeased,
		"MigrateVM_Task":                      (*server).whileNotLeased,
		"ReconfigVM_Task":                     (*server).whileNotLeased,
		"SuspendVM_Task":                      (*server).whileNotLeased,
		"ResetVM_Task":                        (*server).whileNotLeased,
		"UnregisterVM":                        (*server).whileNotLeased,
	}
}

// May be called without a session.
var open = map[string]bool{
	"RetrieveServiceContent": true, "Login": true, "RetrieveProperties": true,
	"RetrievePropertiesEx": true, "LoginByToken": true, "CloneSession": true,
	"LoginExtensionByCertificate": true,
}

func (s *server) sdkMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/sdk", s.serveSDK)
	mux.HandleFunc("/sdk/", s.serveSDK)
	mux.HandleFunc("/sdk/vimServiceVersions.xml", s.serveVersions)
	mux.HandleFunc(s.nfcPath, func(w http.ResponseWriter, r *http.Request) {
		s.serveNFC(w, r, "sdk")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.NotFound(w, r)
	})
	return mux
}

func (s *server) serveSDK(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return
	}
	method, err := simulator.UnmarshalBody(types.TypeFunc(), text)
	if err != nil {
		writeFault(w, &soapFault{kind: "InvalidRequest", message: err.Error()})
		return
	}
	c := &call{w: w, r: r, text: text, method: method}
	rule := s.match(occasion{on: method.Name, soap: true, machine: s.subject(method.This)})
	if rule != nil && !s.misbehave(c, rule) {
		return
	}
	if !s.versionKnown(r.Header.Get("SOAPAction")) {
		writeEnvelope(w, 500, `<soapenv:Fault><faultcode>vim25:VersionMismatchFaultCode`+
			`</faultcode><faultstring>Unsupported version URI "`+
			escape(strings.Trim(r.Header.Get("SOAPAction"), `"`))+
			`"</faultstring><detail/></soapenv:Fault>`)
		return
	}
	c.session = s.sessionOf(r)
	if c.session == nil && !open[method.Name] {
		writeFault(w, notAuthenticated(method.This))
		return
	}
	if handler := handlers[method.Name]; handler != nil {
		handler(s, c)
		return
	}
	s.forward(c).copyTo(w)
}

// misbehave does what rule says; true: the call is to be answered after all.
func (s *server) misbehave(c *call, r *rule) bool {
	wait(c.r, r.Seconds)
	switch r.Do {
	case "fault":
		writeFault(c.w, r.soapFault(c.method.This))
	case "http":
		http.Error(c.w, r.Message, r.Code)
	case "garbage":
		c.w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(c.w, "<html><body>Bad Gateway<br></body>")
	case "truncate":
		c.w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = io.WriteString(c.w, envelopeHead+"<"+c.method.Name+"Response xmlns=")
	case "drop":
		panic(http.ErrAbortHandler)
	case "expire":
		s.endSession(s.sessionOf(c.r), "expired")
		return true
	case "lose": // it is carried out, but the answer never arrives
		lost := *c
		lost.w = newRecorder()
		if lost.session = s.sessionOf(c.r); lost.session != nil || open[c.method.Name] {
			s.dispatch(&lost)
		}
		panic(http.ErrAbortHandler)
	default: // stall: only the wait above
		return true
	}
	return false
}

func (s *server) dispatch(c *call) {
	if handler := handlers[c.method.Name]; handler != nil {
		handler(s, c)
		return
	}
	s.forward(c).copyTo(c.w)
}

func wait(r *http.Request, s float64) {
	if s <= 0 {
		return
	}
	select {
	case <-time.After(seconds(s)):
	case <-r.Context().Done():
	}
}

// findByPath: an escaped character may be written in either case.
func (s *server) findByPath(c *call) {
	for _, escaped := range []string{"%2f", "%5c"} {
		upper := []byte(strings.ToUpper(escaped))
		c.text = bytes.ReplaceAll(c.text, upper, []byte(escaped))
	}
	s.forward(c).copyTo(c.w)
}

// forward hands the call to the simulator.
func (s *server) forward(c *call) *recorder {
	switch c.method.Name {
	case "WaitForUpdatesEx", "WaitForUpdates":
	default:
		s.world.Lock()
		defer s.world.Unlock()
	}
	return s.pass(c.text, c.session)
}

// pass posts text to the simulator in the name of a session. The world is locked.
func (s *server) pass(text []byte, session *session) *recorder {
	r, err := http.NewRequest(http.MethodPost, "/sdk", bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	r.RemoteAddr = "127.0.0.1:1"
	if session != nil {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: session.key})
	}
	answer := newRecorder()
	s.simulator.ServeHTTP(answer, r)
	return answer
}

// Versions a client may ask for, newest first. Those above the scenario's
// apiVersion do not exist.
var versions = []string{
	"8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.2", "7.0.3.1", "7.0.3.0", "7.0.2.0", "7.0.1.0",
	"7.0.0.0", "7.0", "6.9.1", "6.8.7", "6.7.3", "6.7.2", "6.7.1", "6.7", "6.5", "6.0",
	"5.5", "5.1", "5.0", "4.1", "4.0", "2.5u2", "2.5",
}

func (s *server) knownVersions() []string {
	for i, v := range versions {
		if v == s.apiVersion {
			return versions[i:]
		}
	}
	return append([]string{s.apiVersion}, versions...)
}

func (s *server) versionKnown(action string) bool {
	action = strings.Trim(action, `"`)
	if s.current().AnyVersion || action == "" || action == "urn:vim25" {
		return true
	}
	return oneOf(strings.TrimPrefix(action, "urn:vim25/"), s.knownVersions())
}

func (s *server) serveVersions(w http.ResponseWriter, r *http.Request) {
	if rule := s.match(occasion{on: "vimServiceVersions.xml"}); rule != nil {
		if c := (&call{w: w, r: r, method: &simulator.Method{}}); !s.misbehave(c, rule) {
			return
		}
	}
	if s.current().VersionMissing {
		http.NotFound(w, r)
		return
	}
	known := s.knownVersions()
	prior := ""
	for _, v := range known[1:] {
		prior += "<version>" + v + "</version>\n"
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8" ?>
<namespaces version="1.0">
<namespace>
<name>urn:vim2</name>
<version>2.0</version>
</namespace>
<namespace>
<name>urn:vim25</name>
<version>%s</version>
<priorVersions>
%s</priorVersions>
</namespace>
</namespaces>
`, known[0], prior)
}
