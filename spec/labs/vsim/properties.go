package main

import (
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/types"
)

// page is the rest of an answer that ContinueRetrievePropertiesEx will give.
type page struct {
	session *session
	objects []string
}

var (
	objectElement   = regexp.MustCompile(`(?s)<objects>.*?</objects>`)
	missingProperty = regexp.MustCompile(
		`<missingSet><path>([^<]*)</path><fault><fault [^>]*"InvalidProperty"`)
)

// retrieve answers RetrieveProperties and RetrievePropertiesEx: what the
// simulator finds, with the manners of a real server.
func (s *server) retrieve(c *call) {
	var specs []types.PropertyFilterSpec
	most := 0
	switch req := c.method.Body.(type) {
	case *types.RetrievePropertiesEx:
		specs, most = req.SpecSet, int(req.Options.MaxObjects)
	case *types.RetrieveProperties:
		specs = req.SpecSet
	}
	set := s.current()
	if c.session == nil && set.Unauthorized == "fault" {
		writeFault(c.w, notAuthenticated(c.method.This))
		return
	}
	if hidden := s.foreignLease(specs, c.session); hidden != nil {
		writeFault(c.w, notFound(*hidden))
		return
	}
	if name := hiddenProperty(specs, set.Hidden); name != "" {
		writeFault(c.w, invalidProperty(name))
		return
	}
	answer := s.forward(c)
	if answer.code != 200 {
		answer.copyTo(c.w)
		return
	}
	text := answer.body.String()
	if bad := missingProperty.FindStringSubmatch(text); bad != nil && set.Unknown == "fault" {
		writeFault(c.w, invalidProperty(bad[1]))
		return
	}
	if set.PageSize > 0 && (most == 0 || most > set.PageSize) {
		most = set.PageSize
	}
	objects := objectElement.FindAllString(text, -1)
	if most == 0 || len(objects) <= most || c.method.Name == "RetrieveProperties" {
		answer.copyTo(c.w)
		return
	}
	s.writePage(c, objects, most)
}

func hiddenProperty(specs []types.PropertyFilterSpec, hidden []string) string {
	for _, spec := range specs {
		for _, set := range spec.PropSet {
			for _, name := range set.PathSet {
				if oneOf(name, hidden) {
					return name
				}
			}
		}
	}
	return ""
}

func invalidProperty(name string) *soapFault {
	return &soapFault{kind: "InvalidProperty", inner: "<name>" + escape(name) + "</name>"}
}

func (s *server) writePage(c *call, objects []string, most int) {
	token := ""
	if most > 0 && len(objects) > most {
		id := uuid.New().String()
		s.mu.Lock()
		s.pages[id] = &page{c.session, objects[most:]}
		s.mu.Unlock()
		objects, token = objects[:most], "<token>"+id+"</token>"
	}
	writeResult(c.w, c.method.Name,
		"<returnval>"+token+strings.Join(objects, "")+"</returnval>")
}

// takePage gives a token's page once, to its own session.
func (s *server) takePage(token string, session *session) *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[token]
	if p == nil || p.session != session {
		return nil
	}
	delete(s.pages, token)
	return p
}

func (s *server) continueRetrieve(c *call) {
	p := s.takePage(c.method.Body.(*types.ContinueRetrievePropertiesEx).Token, c.session)
	if p == nil {
		writeFault(c.w, invalidProperty("token"))
		return
	}
	most := s.current().PageSize
	if most == 0 {
		most = len(p.objects)
	}
	s.writePage(c, p.objects, most)
}

func (s *server) cancelRetrieve(c *call) {
	token := c.method.Body.(*types.CancelRetrievePropertiesEx).Token
	if s.takePage(token, c.session) == nil {
		writeFault(c.w, invalidProperty("token"))
		return
	}
	writeResult(c.w, c.method.Name, "")
}

func (s *server) createFilter(c *call) {
	req := c.method.Body.(*types.CreateFilter)
	specs := []types.PropertyFilterSpec{req.Spec}
	if hidden := s.foreignLease(specs, c.session); hidden != nil {
		writeFault(c.w, notFound(*hidden))
		return
	}
	s.forward(c).copyTo(c.w)
}

// foreignLease is a lease in specs that is not one of this session's: those
// do not exist for it.
func (s *server) foreignLease(specs []types.PropertyFilterSpec,
	session *session) *types.ManagedObjectReference {
	for _, spec := range specs {
		for _, o := range spec.ObjectSet {
			if o.Obj.Type != "HttpNfcLease" {
				continue
			}
			if l := s.leaseByReference(o.Obj); l == nil || l.session != session {
				ref := o.Obj
				return &ref
			}
		}
	}
	return nil
}
