package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const nvramSize = 270840

// nfcRequest is one download, for /state.
type nfcRequest struct {
	Machine string  `json:"machine"`
	File    string  `json:"file"`
	Key     string  `json:"key"`
	Server  string  `json:"server"` // host, or sdk when the URL was https://*
	Sent    int64   `json:"sent"`
	End     string  `json:"end"` // running, whole, cut, reset, http, lease, client, range
	Seconds float64 `json:"seconds"`
	Cookie  bool    `json:"cookie"`
	Range   string  `json:"range,omitempty"`
	began   time.Time
}

var errReset = errors.New("reset on demand")
var errCut = errors.New("cut on demand")

func (s *server) serveHostNFC(w http.ResponseWriter, r *http.Request) {
	s.serveNFC(w, r, "host")
}

// find is the open lease and file that a path names; its token is all it takes.
func (s *server) find(path string) (*lease, *leaseFile) {
	parts := strings.Split(path, "/")
	if len(parts) != 4 || "/"+parts[1]+"/" != s.nfcPath {
		return nil, nil
	}
	for _, l := range s.leases {
		if l.token != parts[2] || l.state != leaseReady {
			continue
		}
		for _, f := range l.files {
			if f.name == parts[3] {
				return l, f
			}
		}
	}
	return nil, nil
}

func (s *server) serveNFC(w http.ResponseWriter, r *http.Request, where string) {
	s.mu.Lock()
	l, f := s.find(r.URL.Path)
	cookie, authorization := r.Header.Get("Cookie") != "", r.Header.Get("Authorization") != ""
	if cookie {
		s.leaks.NFCCookies++
	}
	if authorization {
		s.leaks.NFCAuthorizations++
	}
	if f == nil {
		s.leaks.UnknownTokens++
		s.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	log := &nfcRequest{Machine: l.machine.path, File: f.name, Key: f.key, End: "running",
		Server: where, Cookie: cookie, Range: r.Header.Get("Range"), began: time.Now()}
	if r.Method == http.MethodGet {
		s.nfcLog = append(s.nfcLog, log)
	}
	set := s.settings
	s.mu.Unlock()
	if r.Method != http.MethodGet {
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
		return
	}
	rule := s.match(occasion{on: "nfc", machine: l.machine, file: f})
	if rule != nil && rule.Do == "http" {
		s.logEnd(log, "http")
		http.Error(w, rule.Message, rule.Code)
		return
	}
	b := newBody(s, w, r, l, f, rule, log, set)
	defer b.stop()
	if !b.chooseRange(r, f, set) {
		s.logEnd(log, "range")
		return
	}
	s.sendBody(b, f, set)
}

func (s *server) logEnd(log *nfcRequest, how string) {
	s.mu.Lock()
	log.End, log.Seconds = how, time.Since(log.began).Seconds()
	s.mu.Unlock()
}

// sendBody sends a file and ends the answer in the way that fits.
func (s *server) sendBody(b *body, f *leaseFile, set settings) {
	err := b.send(f, set)
	switch {
	case err == nil:
		b.finish(f)
		s.logEnd(b.log, "whole")
	case errors.Is(err, errCut):
		s.logEnd(b.log, "cut")
	case errors.Is(err, errReset):
		s.logEnd(b.log, "reset")
		resetConnection(b.w)
	default:
		how := "client"
		if b.lease.context.Err() != nil {
			how = "lease"
		}
		s.logEnd(b.log, how)
		panic(http.ErrAbortHandler)
	}
}

// body is an answer being sent: it counts, digests, and goes wrong as its rule says.
type body struct {
	server  *server
	w       http.ResponseWriter
	lease   *lease
	rule    *rule
	log     *nfcRequest
	context context.Context
	stop    context.CancelFunc
	sent    int64
	skip    int64 // bytes at the beginning that were not asked for
	skipped int64
	stalled bool
	sums    map[string]hash.Hash
}

func newBody(s *server, w http.ResponseWriter, r *http.Request, l *lease, f *leaseFile,
	rule *rule, log *nfcRequest, set settings) *body {
	b := &body{server: s, w: w, lease: l, rule: rule, log: log, sums: map[string]hash.Hash{}}
	b.context, b.stop = context.WithCancel(l.context)
	context := r.Context()
	go func() {
		select {
		case <-context.Done():
			b.stop()
		case <-b.context.Done():
		}
	}()
	s.mu.Lock()
	checksum := f.checksum
	s.mu.Unlock()
	if set.Manifest == "both" || set.Manifest == "sha1" {
		b.sums["sha1"] = sha1.New()
	}
	if set.Manifest == "sha256" || set.Manifest == "both" && checksum == "sha256" {
		b.sums["sha256"] = sha256.New()
	}
	return b
}

func (b *body) send(f *leaseFile, set settings) error {
	b.w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	if f.spec == nil {
		b.w.Header().Set("Content-Type", "application/octet-stream")
		b.w.Header().Set("Content-Length", strconv.Itoa(nvramSize))
		_, err := b.Write(make([]byte, nvramSize))
		return err
	}
	if f.spec.VMDK != "" {
		return b.sendPrepared(f.spec.VMDK, set)
	}
	src, err := f.spec.open()
	if err != nil {
		return err
	}
	defer src.Close()
	return writeVMDK(b.context, b, src,
		vmdkOptions{set.Level, set.LastGrain == "short", set.ProgressEvery})
}

func (b *body) sendPrepared(path string, set settings) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	if set.ContentLength {
		st, err := in.Stat()
		if err != nil {
			return err
		}
		b.w.Header().Set("Content-Length", strconv.FormatInt(st.Size(), 10))
	}
	if b.rule == nil && len(b.sums) == 0 {
		// Straight through: with --nfc-plain and a length this is sendfile.
		n, err := io.Copy(b.w, in)
		b.count(n)
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{b}, in, make([]byte, 256<<10))
	return err
}

type onlyWriter struct{ io.Writer }

func (b *body) count(n int64) {
	b.sent += n
	b.server.mu.Lock()
	b.log.Sent = b.sent
	b.server.mu.Unlock()
}

// Write digests the sound bytes, then sends what the rule leaves of them.
func (b *body) Write(p []byte) (int, error) {
	if err := b.context.Err(); err != nil {
		return 0, err
	}
	for _, sum := range b.sums {
		_, _ = sum.Write(p)
	}
	whole := len(p)
	if left := b.skip - b.skipped; left > 0 {
		if left > int64(len(p)) {
			left = int64(len(p))
		}
		b.skipped += left
		p = p[left:]
	}
	if b.rule != nil {
		return whole, b.writeBadly(p)
	}
	n, err := b.w.Write(p)
	b.count(int64(n))
	return whole - len(p) + n, err
}

func (b *body) writeBadly(p []byte) error {
	at := b.rule.Bytes - b.sent // where in p it happens
	in := at >= 0 && at < int64(len(p))
	switch b.rule.Do {
	case "cut", "reset":
		if !in {
			break
		}
		if err := b.pass(p[:at]); err != nil {
			return err
		}
		b.flush()
		if b.rule.Do == "cut" {
			return errCut
		}
		return errReset
	case "corrupt":
		if !in {
			break
		}
		p = append([]byte(nil), p...)
		p[at] ^= 0xff
	case "stall":
		if !in || b.stalled {
			break
		}
		b.stalled = true
		if err := b.pass(p[:at]); err != nil {
			return err
		}
		b.flush()
		b.sleep(seconds(b.rule.Seconds))
		p = p[at:]
	}
	if b.rule.Rate > 0 {
		return b.passSlowly(p)
	}
	return b.pass(p)
}

func (b *body) pass(p []byte) error {
	if err := b.context.Err(); err != nil {
		return err
	}
	n, err := b.w.Write(p)
	b.count(int64(n))
	return err
}

// passSlowly keeps to the rule's rate from the beginning of the answer on.
func (b *body) passSlowly(p []byte) error {
	for len(p) > 0 {
		n := int(b.rule.Rate / 20)
		if n < 1 {
			n = 1
		}
		if n > len(p) {
			n = len(p)
		}
		if err := b.pass(p[:n]); err != nil {
			return err
		}
		b.flush()
		p = p[n:]
		due := time.Duration(float64(b.sent) / b.rule.Rate * float64(time.Second))
		b.sleep(time.Until(b.log.began.Add(due)))
	}
	return nil
}

func (b *body) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-b.context.Done():
	}
}

func (b *body) flush() {
	if f, ok := b.w.(http.Flusher); ok {
		f.Flush()
	}
}

// finish keeps the digests for the manifest.
func (b *body) finish(f *leaseFile) {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	f.size = b.skipped + b.sent
	if sum := b.sums["sha1"]; sum != nil {
		f.sha1 = hex.EncodeToString(sum.Sum(nil))
	}
	if sum := b.sums["sha256"]; sum != nil {
		f.sha256 = hex.EncodeToString(sum.Sum(nil))
	}
}

// resetConnection ends the TCP connection with RST.
func resetConnection(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
