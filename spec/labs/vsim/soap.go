package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"

	"github.com/vmware/govmomi/vim25/types"
)

const (
	envelopeHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"` +
		` xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"` +
		` xmlns:xsd="http://www.w3.org/2001/XMLSchema"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` + "\n<soapenv:Body>\n"
	envelopeTail = "\n</soapenv:Body>\n</soapenv:Envelope>"
)

// soapFault is what a call can answer instead of a result.
type soapFault struct {
	kind    string // the type
	element string // of the detail; "": kind + "Fault"
	message string
	inner   string // XML of the fault's own fields
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func reference(element string, ref types.ManagedObjectReference) string {
	return fmt.Sprintf(`<%s type="%s">%s</%s>`,
		element, escape(ref.Type), escape(ref.Value), element)
}

func writeEnvelope(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, envelopeHead+body+envelopeTail)
}

func writeResult(w http.ResponseWriter, method, inner string) {
	writeEnvelope(w, http.StatusOK, fmt.Sprintf(
		`<%sResponse xmlns="urn:vim25">%s</%sResponse>`, method, inner, method))
}

func writeFault(w http.ResponseWriter, f *soapFault) {
	element := f.element
	if element == "" {
		element = f.kind + "Fault"
	}
	writeEnvelope(w, http.StatusInternalServerError, fmt.Sprintf(
		`<soapenv:Fault><faultcode>ServerFaultCode</faultcode>`+
			`<faultstring>%s</faultstring><detail>`+
			`<%s xmlns="urn:vim25" xsi:type="%s">%s</%s></detail></soapenv:Fault>`,
		escape(f.message), element, escape(f.kind), f.inner, element))
}

func notAuthenticated(ref types.ManagedObjectReference) *soapFault {
	return &soapFault{kind: "NotAuthenticated", message: "The session is not authenticated.",
		inner: reference("object", ref) + "<privilegeId>System.View</privilegeId>"}
}

func notFound(ref types.ManagedObjectReference) *soapFault {
	return &soapFault{kind: "ManagedObjectNotFound",
		message: fmt.Sprintf("The object 'vim.%s:%s' has already been deleted or has "+
			"not been completely created", ref.Type, ref.Value),
		inner: reference("obj", ref)}
}

func invalidPowerState(wanted, is types.VirtualMachinePowerState) *soapFault {
	names := map[types.VirtualMachinePowerState]string{
		types.VirtualMachinePowerStatePoweredOn:  "Powered on",
		types.VirtualMachinePowerStatePoweredOff: "Powered off",
		types.VirtualMachinePowerStateSuspended:  "Suspended",
	}
	return &soapFault{kind: "InvalidPowerState", element: "InvalidStateFault",
		message: "The attempted operation cannot be performed in the current state (" +
			names[is] + ").",
		inner: fmt.Sprintf("<requestedState>%s</requestedState>"+
			"<existingState>%s</existingState>", wanted, is)}
}

var (
	invalidLogin = &soapFault{kind: "InvalidLogin", message: "Cannot complete login due to " +
		"an incorrect user name or password."}
	invalidState = &soapFault{kind: "InvalidState",
		message: "The operation is not allowed in the current state."}
	timedOut       = &soapFault{kind: "Timedout", message: "Operation timed out."}
	taskInProgress = &soapFault{kind: "TaskInProgress",
		message: "Another task is already in progress.",
		inner:   `<task type="Task">task-1</task>`}
	toolsUnavailable = &soapFault{kind: "ToolsUnavailable", message: "Cannot complete " +
		"operation because VMware Tools is not running in this virtual machine."}
)

// recorder keeps an answer of the simulator, to be looked at or changed.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, code: 200} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorder) copyTo(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(r.code)
	_, _ = w.Write(r.body.Bytes())
}
