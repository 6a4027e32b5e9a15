package main

import (
	"encoding/json"
	"net/http"
)

// controlAPI is how a test looks in and makes things go wrong; README.md describes it.
func (s *standin) controlAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok"))
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		state := s.journal.state(r.URL.Query().Get("image"))
		state.Faults = s.faults.all()
		answer(w, state)
	})
	mux.HandleFunc("DELETE /state", func(w http.ResponseWriter, _ *http.Request) {
		s.journal.clear()
	})
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.faults.all())
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var wanted fault
		if !read(w, r, &wanted) {
			return
		}
		id, err := s.faults.add(wanted)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, map[string]int{"id": id})
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.faults.clear()
	})
	mux.HandleFunc("PUT /resolve", func(w http.ResponseWriter, r *http.Request) {
		var more map[string]string
		if read(w, r, &more) {
			s.network.set((*map[string]string)(&s.network.routes), more)
		}
	})
	mux.HandleFunc("PUT /holders", func(w http.ResponseWriter, r *http.Request) {
		var more map[string]string
		if read(w, r, &more) {
			s.network.set(&s.network.holders, more)
		}
	})
	return mux
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}
