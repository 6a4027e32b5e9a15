package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// settings say how the server behaves; POST /settings changes them while it
// runs. Times are seconds.
type settings struct {
	LeaseTimeout   float64  `json:"leaseTimeout"`   // without HttpNfcLeaseProgress
	LeaseInit      float64  `json:"leaseInit"`      // in state initializing
	LeaseLinger    float64  `json:"leaseLinger"`    // an ended lease can still be read
	LeaseOnLogout  string   `json:"leaseOnLogout"`  // keep: held until its timeout; end
	SessionIdle    float64  `json:"sessionIdle"`    // 0: never ends
	PageSize       int      `json:"pageSize"`       // most objects in an answer, 0: all
	Unknown        string   `json:"unknown"`        // unknown property: fault or missing
	Unauthorized   string   `json:"unauthorized"`   // property reads: missing or fault
	Hidden         []string `json:"hidden"`         // properties this server is too old for
	AnyVersion     bool     `json:"anyVersion"`     // SOAPAction version is not checked
	DeviceURL      string   `json:"deviceUrl"`      // host, star or star-port
	NFCHost        string   `json:"nfcHost"`        // name in device URLs instead of an IP
	Manifest       string   `json:"manifest"`       // both, sha1, sha256 or none
	Level          int      `json:"level"`          // zlib level of bodies, 1-9
	LastGrain      string   `json:"lastGrain"`      // full or short
	ProgressEvery  int      `json:"progressEvery"`  // grains between progress markers, 0: none
	ContentLength  bool     `json:"contentLength"`  // of prepared files; else chunked
	TaskTime       float64  `json:"taskTime"`       // of a power task
	ShutdownTime   float64  `json:"shutdownTime"`   // of a guest, unless its machine says
	Ranges         bool     `json:"ranges"`         // disk server: ETag, Range, If-Range
	VersionMissing bool     `json:"versionMissing"` // vimServiceVersions.xml is 404
}

func defaultSettings() settings {
	return settings{
		LeaseTimeout: 300, LeaseInit: 0.2, LeaseLinger: 2, LeaseOnLogout: "keep",
		SessionIdle: 1800, Unknown: "fault", Unauthorized: "missing",
		DeviceURL: "host", Manifest: "both", Level: 1, LastGrain: "full",
		ProgressEvery: 1024, TaskTime: 0.1, ShutdownTime: 0.3,
	}
}

// change overwrites the fields that text, a JSON object, names.
func (s *settings) change(text []byte) error {
	next := *s
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&next); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	for _, c := range []struct {
		name, value string
		of          []string
	}{
		{"leaseOnLogout", next.LeaseOnLogout, []string{"keep", "end"}},
		{"unknown", next.Unknown, []string{"fault", "missing"}},
		{"unauthorized", next.Unauthorized, []string{"fault", "missing"}},
		{"deviceUrl", next.DeviceURL, []string{"host", "star", "star-port"}},
		{"manifest", next.Manifest, []string{"both", "sha1", "sha256", "none"}},
		{"lastGrain", next.LastGrain, []string{"full", "short"}},
	} {
		if !oneOf(c.value, c.of) {
			return fmt.Errorf("settings: %s %q is none of %v", c.name, c.value, c.of)
		}
	}
	if next.Level < 1 || next.Level > 9 {
		return fmt.Errorf("settings: level %d is not 1 to 9", next.Level)
	}
	*s = next
	return nil
}

func oneOf(value string, of []string) bool {
	for _, v := range of {
		if v == value {
			return true
		}
	}
	return false
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second))
}
