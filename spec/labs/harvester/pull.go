package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// readSize is what backing-image-manager reads at a time; a read of zeros only becomes a hole.
const readSize = 4096

// errKilled: the downloading pod is gone. Not a failure of the image: another pod begins from 0.
var errKilled = errors.New("the pod was killed")

// A subject is an image that something downloads.
type subject struct {
	image   string // NAMESPACE/NAME
	uid     string
	display string
	url     string
}

func (s subject) names() []string {
	return []string{s.image, s.display}
}

// A puller is one process that downloads: its own connections, its own way to ask.
type puller struct {
	by      string
	agent   string // User-Agent; "" is that of net/http
	client  *http.Client
	journal *journal
	faults  *faults
}

// newPuller makes a fresh process. timeout bounds a whole request; 0 is no bound.
func (s *standin) newPuller(by, agent string, timeout time.Duration) *puller {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = s.network.dial
	redirect := func(request *http.Request, via []*http.Request) error {
		request.Header.Del("Referer")
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
	return &puller{
		by: by, agent: agent, journal: s.journal, faults: s.faults,
		client: &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: redirect},
	}
}

func (p *puller) close() {
	p.client.CloseIdleConnections()
}

// ask sends one request; the caller reads the body, and finishes the exchange.
func (p *puller) ask(ctx context.Context, s subject, method, ranges string) (*http.Response,
	*exchange, error) {
	entry := p.journal.begin(exchange{
		Image: s.image, UID: s.uid, By: p.by, Method: method, URL: s.url, Length: -1,
	})
	request, err := http.NewRequestWithContext(ctx, method, s.url, nil)
	if err != nil {
		return nil, entry, p.finish(entry, err)
	}
	if p.agent != "" {
		request.Header.Set("User-Agent", p.agent)
	}
	if ranges != "" {
		request.Header.Set("Range", ranges)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, entry, p.finish(entry, err)
	}
	p.journal.update(entry, func(e *exchange) {
		e.Sent, e.Received, e.Status = request.Header.Clone(), response.Header.Clone(),
			response.StatusCode
		e.Length = response.ContentLength
	})
	return response, entry, nil
}

func (p *puller) finish(entry *exchange, err error) error {
	p.journal.update(entry, func(e *exchange) {
		e.Done = true
		if err != nil {
			e.Error = err.Error()
		}
	})
	return err
}

// head asks for the headers; ok says which status will do.
func (p *puller) head(ctx context.Context, s subject, ok func(status int) bool) (*http.Response,
	error) {
	response, entry, err := p.ask(ctx, s, http.MethodHead, "")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if !ok(response.StatusCode) {
		err = fmt.Errorf("expected another status than %s from %s", response.Status, s.url)
	}
	return response, p.finish(entry, err)
}

// part reads at most `most` bytes of the answer to a Range request.
func (p *puller) part(ctx context.Context, s subject, ranges string, most int64) (*http.Response,
	[]byte, error) {
	response, entry, err := p.ask(ctx, s, http.MethodGet, ranges)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, most))
	p.journal.update(entry, func(e *exchange) { e.Bytes = int64(len(data)) })
	return response, data, p.finish(entry, err)
}

// A download is how one program reads a whole body.
type download struct {
	begin    time.Duration // until the answer's head
	idle     time.Duration // then between two reads
	every    time.Duration // between two calls of progress
	progress func(received, length int64)
}

// A body is what was downloaded, less the bytes.
type body struct {
	response    *http.Response
	received    int64
	sum         string // SHA-512, hexadecimal
	first, last []byte // the first and the last 512 bytes
}

// get downloads the whole, hashing and counting. Only a plain 200 will do.
func (p *puller) get(ctx context.Context, s subject, d download) (*body, error) {
	p.journal.pull(1)
	defer p.journal.pull(-1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := &idleWatch{limit: d.begin}
	watch.touch()
	go watch.run(ctx, cancel)

	response, entry, err := p.ask(ctx, s, http.MethodGet, "")
	if err != nil {
		return nil, cause(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, p.finish(entry, fmt.Errorf("expected status code 200 from %s, got %s", s.url,
			response.Status))
	}
	watch.touch() // whose head has come has begun
	watch.idle.Store(int64(d.idle))
	r := &reading{puller: p, subject: s, download: d, entry: entry, watch: watch,
		response: response}
	result, err := r.run(ctx, cancel)
	return result, p.finish(entry, cause(ctx, err))
}

func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); err != nil && why != nil {
		return why
	}
	return err
}

// idleWatch ends a request that has brought nothing for too long.
type idleWatch struct {
	limit time.Duration
	last  atomic.Int64
	idle  atomic.Int64
	pause atomic.Bool
}

func (w *idleWatch) touch() {
	w.last.Store(time.Now().UnixNano())
}

func (w *idleWatch) run(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		limit := w.limit
		if idle := w.idle.Load(); idle > 0 {
			limit = time.Duration(idle)
		}
		if !w.pause.Load() && time.Now().UnixNano()-w.last.Load() > int64(limit) {
			cancel(fmt.Errorf("nothing was received for %s", limit))
			return
		}
	}
}

// A reading is a body on its way.
type reading struct {
	*puller
	subject
	download
	entry    *exchange
	watch    *idleWatch
	response *http.Response
	to       io.Writer // who gets what is read; nil: nobody
	received int64
	zeros    int64
	told     time.Time
}

func (r *reading) run(ctx context.Context, cancel context.CancelCauseFunc) (*body, error) {
	planned := map[string]*fault{}
	for _, kind := range []string{"fail", "kill", "stall", "slow"} {
		planned[kind] = r.faults.take(kind, r.names()...)
	}
	sum, zero := sha512.New(), make([]byte, readSize)
	result := &body{response: r.response}
	buffer := make([]byte, r.chunk(planned["slow"]))
	for {
		if err := r.goWrong(ctx, cancel, planned); err != nil {
			return nil, err
		}
		n, err := r.response.Body.Read(buffer)
		if n > 0 {
			r.watch.touch()
			r.watch.idle.Store(int64(r.idle))
			sum.Write(buffer[:n])
			if bytes.Equal(buffer[:n], zero[:n]) {
				r.zeros += int64(n)
			}
			result.keep(buffer[:n])
			r.received += int64(n)
			r.tell(false)
			if err := r.handOn(buffer[:n]); err != nil {
				return nil, err
			}
		}
		if err == io.EOF {
			break
		} else if err != nil {
			r.tell(true)
			return nil, err
		}
	}
	result.received, result.sum = r.received, hex.EncodeToString(sum.Sum(nil))
	r.journal.update(r.entry, func(e *exchange) { e.SHA512 = result.sum })
	r.tell(true)
	return result, nil
}

// chunk is what is read at a time: of what is slow so little that no pause is long.
func (r *reading) chunk(slow *fault) int64 {
	if slow == nil || slow.Rate <= 0 {
		return readSize
	}
	return max(1, min(readSize, slow.Rate/2))
}

func (r *reading) handOn(data []byte) error {
	if r.to == nil {
		return nil
	}
	_, err := r.to.Write(data)
	return err
}

// tell writes down how far it is, now and then.
func (r *reading) tell(now bool) {
	if !now && time.Since(r.told) < r.every {
		return
	}
	r.told = time.Now()
	r.journal.update(r.entry, func(e *exchange) { e.Bytes, e.Zeros = r.received, r.zeros })
	if r.progress != nil {
		r.progress(r.received, r.response.ContentLength)
	}
}

// goWrong does what the control API asked for, once its byte is reached.
func (r *reading) goWrong(ctx context.Context, cancel context.CancelCauseFunc,
	planned map[string]*fault) error {
	if f := planned["slow"]; f != nil && f.Rate > 0 {
		r.sleep(ctx, time.Duration(float64(r.chunk(f))/float64(f.Rate)*float64(time.Second)))
	}
	if f := planned["stall"]; f != nil && r.received >= f.After {
		delete(planned, "stall")
		r.sleep(ctx, time.Duration(f.Seconds*float64(time.Second)))
	}
	if f := planned["kill"]; f != nil && r.received >= f.After {
		r.tell(true)
		cancel(errKilled)
		return errKilled
	}
	if f := planned["fail"]; f != nil && r.received >= f.After {
		r.tell(true)
		err := errors.New(f.text("no space left on device"))
		cancel(err)
		return err
	}
	return nil
}

// sleep is the reader's own doing: the server must not be blamed for it.
func (r *reading) sleep(ctx context.Context, d time.Duration) {
	r.watch.pause.Store(true)
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	r.watch.touch()
	r.watch.pause.Store(false)
}

// keep remembers both ends of what passes.
func (b *body) keep(data []byte) {
	const end = 512
	if missing := end - len(b.first); missing > 0 {
		b.first = append(b.first, data[:min(missing, len(data))]...)
	}
	b.last = append(b.last, data...)
	if extra := len(b.last) - end; extra > 0 {
		b.last = append(b.last[:0], b.last[extra:]...)
	}
}
