package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// A relay is the way of one pod to the image server: a proxy that sees every request, and through which the
// control API makes things go wrong. It adds nothing and waits for nothing: each byte goes on as it has come.
type relay struct {
	puller   *puller
	subject  subject
	progress func(received, length int64)
	every    time.Duration
	failed   context.CancelCauseFunc // ends the pod
	last     *body                   // of the last whole that came to its end
	server   *http.Server
	url      string
}

// newRelay listens on loopback until it is closed.
func (s *standin) newRelay(by string, image subject, failed context.CancelCauseFunc) (*relay, error) {
	r := &relay{puller: s.newPuller(by, "", 0), subject: image, failed: failed,
		every: s.options.progressEvery, progress: func(int64, int64) {}}
	// What the pod's own client does is none of the relay's business.
	r.puller.client.Transport.(*http.Transport).DisableCompression = true
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.url = "http://" + listener.Addr().String()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *relay) close() {
	_ = r.server.Close()
	r.puller.close()
}

// ServeHTTP passes on a request whose line has the whole URL.
func (r *relay) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	entry := r.puller.journal.begin(exchange{
		Image: r.subject.image, UID: r.subject.uid, By: r.puller.by, Method: request.Method,
		URL: request.URL.String(), Length: -1,
	})
	response, err := r.forward(request, entry)
	if err == nil {
		defer response.Body.Close()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		err = r.pass(w, request, response, entry)
	}
	if r.puller.finish(entry, err) != nil {
		panic(http.ErrAbortHandler) // the pod sees what the relay has seen: a connection that breaks
	}
}

// forward asks the server itself; a redirect is for the pod to follow.
func (r *relay) forward(request *http.Request, entry *exchange) (*http.Response, error) {
	out := request.Clone(request.Context())
	out.RequestURI = ""
	out.Header.Del("Proxy-Connection")
	if out.Header.Get("User-Agent") == "" {
		out.Header["User-Agent"] = nil
	}
	response, err := r.puller.client.Transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	r.puller.journal.update(entry, func(e *exchange) {
		e.Sent, e.Received, e.Status = out.Header.Clone(), response.Header.Clone(),
			response.StatusCode
		e.Length = response.ContentLength
	})
	return response, nil
}

// pass hands the body on, and counts and hashes it when it is that of the whole.
func (r *relay) pass(w http.ResponseWriter, request *http.Request, response *http.Response,
	entry *exchange) error {
	to := flushing{w, http.NewResponseController(w)}
	if err := to.flush(); err != nil {
		return err
	}
	if request.Method != http.MethodGet || response.StatusCode != http.StatusOK {
		n, err := io.Copy(to, response.Body)
		r.puller.journal.update(entry, func(e *exchange) { e.Bytes = n })
		return err
	}
	r.puller.journal.pull(1)
	defer r.puller.journal.pull(-1)
	whole := &reading{puller: r.puller, subject: r.subject, entry: entry, watch: &idleWatch{},
		download: download{every: r.every, progress: r.progress}, response: response, to: to}
	done, err := whole.run(request.Context(), r.failed)
	if err == nil {
		r.last = done
	}
	return err
}

// flushing sends what is written at once.
type flushing struct {
	http.ResponseWriter
	controller *http.ResponseController
}

func (f flushing) Write(data []byte) (int, error) {
	n, err := f.ResponseWriter.Write(data)
	if err != nil {
		return n, err
	}
	return n, f.flush()
}

func (f flushing) flush() error {
	return f.controller.Flush()
}
