package main

import (
	"net/http"
	"sync"
	"time"
)

// An exchange is one HTTP request for an image, as it went.
type exchange struct {
	Image    string      `json:"image"` // NAMESPACE/NAME
	UID      string      `json:"uid"`
	By       string      `json:"by"` // which of the programs asks
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Sent     http.Header `json:"sent,omitempty"`
	Started  time.Time   `json:"started"`
	Seconds  float64     `json:"seconds"`
	Status   int         `json:"status"`
	Received http.Header `json:"received,omitempty"`
	Length   int64       `json:"length"` // what Content-Length promised, -1 for nothing
	Bytes    int64       `json:"bytes"`  // of the body
	Zeros    int64       `json:"zeros"`  // in reads that were all zero: what becomes a hole
	SHA512   string      `json:"sha512,omitempty"`
	Error    string      `json:"error,omitempty"`
	Done     bool        `json:"done"`
}

// A rejection is a request that admission refused.
type rejection struct {
	Time      time.Time `json:"time"`
	Webhook   string    `json:"webhook"`
	Operation string    `json:"operation"`
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	User      string    `json:"user"`
	Message   string    `json:"message"`
}

// A remark is something Harvester accepts and its users miss.
type remark struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// journal is everything that was seen; the control API shows it.
type journal struct {
	mutex      sync.Mutex
	exchanges  []*exchange
	rejections []rejection
	remarks    []remark
	pulling    int
	mostAtOnce int
}

func (j *journal) begin(e exchange) *exchange {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	e.Started = time.Now()
	j.exchanges = append(j.exchanges, &e)
	return &e
}

// update changes an exchange while nobody reads it.
func (j *journal) update(e *exchange, change func(*exchange)) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	change(e)
	e.Seconds = time.Since(e.Started).Seconds()
}

func (j *journal) pull(delta int) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.pulling += delta
	j.mostAtOnce = max(j.mostAtOnce, j.pulling)
}

func (j *journal) rejected(r rejection) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	r.Time = time.Now()
	j.rejections = append(j.rejections, r)
}

func (j *journal) remarked(list []remark) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	for _, r := range list {
		known := false
		for _, before := range j.remarks {
			known = known || before == r
		}
		if !known {
			j.remarks = append(j.remarks, r)
		}
	}
}

func (j *journal) clear() {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.exchanges, j.rejections, j.remarks, j.mostAtOnce = nil, nil, nil, j.pulling
}

// state is what GET /state answers.
type state struct {
	Pulling    int         `json:"pulling"`
	MostAtOnce int         `json:"mostAtOnce"`
	Exchanges  []exchange  `json:"exchanges"`
	Rejections []rejection `json:"rejections"`
	Remarks    []remark    `json:"remarks"`
	Faults     []fault     `json:"faults"`
}

// state of one image (NAMESPACE/NAME), or of all for "".
func (j *journal) state(image string) state {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	s := state{
		Pulling: j.pulling, MostAtOnce: j.mostAtOnce, Exchanges: []exchange{},
		Rejections: append([]rejection{}, j.rejections...), Remarks: append([]remark{},
			j.remarks...),
	}
	for _, e := range j.exchanges {
		if image == "" || e.Image == image {
			s.Exchanges = append(s.Exchanges, *e)
		}
	}
	return s
}
