package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// port is a listening server that can turn its clients away.
type port struct {
	identity *identity // nil: without TLS

	mu    sync.Mutex
	conns map[net.Conn]bool // whether it is idle
	old   map[net.Conn]bool // to be closed when it becomes idle
}

// serve runs handler on l in the background, with TLS if id is not nil.
// HTTP/2 stays off: a body that is to be reset needs its connection.
func serve(l net.Listener, handler http.Handler, id *identity) *port {
	p := &port{identity: id, conns: map[net.Conn]bool{}, old: map[net.Conn]bool{}}
	server := &http.Server{
		Handler:      handler,
		ErrorLog:     quiet,
		ConnState:    p.track,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	if id != nil {
		l = tls.NewListener(l, id.config)
	}
	go func() { _ = server.Serve(l) }()
	return p
}

func (p *port) track(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateHijacked, http.StateClosed:
		delete(p.conns, c)
		delete(p.old, c)
	default:
		p.conns[c] = state == http.StateIdle
		if p.conns[c] && p.old[c] {
			_ = c.Close()
		}
	}
}

// show presents another certificate from now on, nil: the right one. Whoever
// is connected has seen the one of before, and must connect again.
func (p *port) show(other *tls.Certificate) {
	if p.identity == nil || !p.identity.show(other) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, idle := range p.conns {
		p.old[c] = true
		if idle {
			_ = c.Close()
		}
	}
}
