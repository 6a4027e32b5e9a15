// vsim is a vSphere to test against: the govmomi simulator's inventory behind
// an /sdk of our own that adds what an export needs (ExportVm, leases, NFC
// bodies, paging, asynchronous tasks) and goes wrong on demand. README.md has
// the scenario format and the control port.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// options are the things that cannot change while the server runs.
type options struct {
	listen, nfcListen, control string
	tlsDir, leaf, key          string
	nfcPlain                   bool
	user, password             string
	scenario, disks            string
	set                        string
	stdinExit, verbose         bool
	leaseTimeout, leaseInit    float64
	sessionIdle                float64
}

func parseOptions() (*options, error) {
	o := new(options)
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address of the SDK (HTTPS)")
	flag.StringVar(&o.nfcListen, "nfc-listen", "127.0.0.1:0", "address of the disk server")
	flag.StringVar(&o.control, "control", "127.0.0.1:0", "address of the control port")
	flag.StringVar(&o.tlsDir, "tls-dir", "", "folder of certificates, made when missing")
	flag.StringVar(&o.leaf, "leaf", "ca", "SDK certificate: ca (signed by ca.pem) or self")
	flag.StringVar(&o.key, "key", "ecdsa", "kind of new keys: ecdsa or rsa")
	flag.BoolVar(&o.nfcPlain, "nfc-plain", false, "disk server without TLS")
	flag.StringVar(&o.user, "user", "user", "user name")
	flag.StringVar(&o.password, "password", "pass", "password")
	flag.StringVar(&o.scenario, "scenario", "demo", "file.json or demo, wide, readme")
	flag.StringVar(&o.disks, "disks", "", "folder that disk files are relative to")
	flag.StringVar(&o.set, "set", "", "settings as a JSON object")
	flag.BoolVar(&o.stdinExit, "stdin-exit", false, "end when stdin closes")
	flag.BoolVar(&o.verbose, "verbose", false, "log to stderr")
	flag.Float64Var(&o.leaseTimeout, "lease-timeout", -1, "setting leaseTimeout")
	flag.Float64Var(&o.leaseInit, "lease-init", -1, "setting leaseInit")
	flag.Float64Var(&o.sessionIdle, "session-idle", -1, "setting sessionIdle")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.tlsDir == "" {
		return nil, fmt.Errorf("--tls-dir is needed")
	}
	return o, nil
}

// settings of the command line win over those of the scenario.
func (o *options) settings(from *scenario) (settings, error) {
	all := defaultSettings()
	for _, layer := range []json.RawMessage{from.Settings, json.RawMessage(o.set)} {
		if len(layer) == 0 {
			continue
		}
		if err := all.change(layer); err != nil {
			return all, err
		}
	}
	for _, f := range []struct {
		from float64
		to   *float64
	}{
		{o.leaseTimeout, &all.LeaseTimeout},
		{o.leaseInit, &all.LeaseInit},
		{o.sessionIdle, &all.SessionIdle},
	} {
		if f.from >= 0 {
			*f.to = f.from
		}
	}
	return all, nil
}

func listen(address string) (net.Listener, string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", err
	}
	return l, l.Addr().String(), nil
}

func run() error {
	o, err := parseOptions()
	if err != nil {
		return err
	}
	if !o.verbose {
		log.SetOutput(io.Discard)
	}
	plan, err := loadScenario(o.scenario, o.disks)
	if err != nil {
		return err
	}
	set, err := o.settings(plan)
	if err != nil {
		return err
	}
	certificates, err := loadCertificates(o.tlsDir, o.key, o.leaf)
	if err != nil {
		return err
	}
	work := filepath.Join(o.tlsDir, "datastores")
	if err = os.RemoveAll(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)

	s := newServer(o, set, certificates)
	if err = s.build(plan, work); err != nil {
		return err
	}
	ready, err := s.start()
	if err != nil {
		return err
	}
	if err = json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	waitForEnd(o.stdinExit)
	return nil
}

// start opens the three ports and says where they are.
func (s *server) start() (map[string]interface{}, error) {
	sdk, sdkAddress, err := listen(s.options.listen)
	if err != nil {
		return nil, err
	}
	nfc, nfcAddress, err := listen(s.options.nfcListen)
	if err != nil {
		return nil, err
	}
	control, controlAddress, err := listen(s.options.control)
	if err != nil {
		return nil, err
	}
	s.sdkAddress, s.nfcAddress = sdkAddress, nfcAddress
	s.sdkPort = serve(sdk, s.sdkMux(), s.certificates.sdk)
	scheme := "http"
	if s.options.nfcPlain {
		s.nfcPort = serve(nfc, http.HandlerFunc(s.serveHostNFC), nil)
	} else {
		scheme = "https"
		s.nfcPort = serve(nfc, http.HandlerFunc(s.serveHostNFC), s.certificates.nfc)
	}
	serve(control, s.controlMux(), nil)
	nfcFacts := map[string]string{"url": scheme + "://" + nfcAddress}
	if !s.options.nfcPlain {
		nfcFacts["sha1"] = s.certificates.nfc.sha1()
		nfcFacts["sha256"] = s.certificates.nfc.sha256()
	}
	return map[string]interface{}{
		"url":         "https://" + sdkAddress + "/sdk",
		"control":     "http://" + controlAddress,
		"ca":          filepath.Join(s.options.tlsDir, "ca.pem"),
		"fingerprint": "SHA-256 " + s.certificates.sdk.sha256(),
		"nfc":         nfcFacts,
		"pid":         os.Getpid(),
	}, nil
}

func waitForEnd(stdin bool) {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	if stdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			end <- syscall.SIGTERM
		}()
	}
	<-end
}

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "disk" {
		err = writeDisk(os.Args[2:])
	} else {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vsim:", err)
		os.Exit(1)
	}
}
