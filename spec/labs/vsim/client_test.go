package main

import (
	"bufio"
	"context"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	vimsession "github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// vsim is a running server, the program that $VSIM names, seen from outside.
type vsim struct {
	t       *testing.T
	URL     string
	Control string
	CA      string
	NFC     struct{ URL, SHA1, SHA256 string }
}

func startVsim(t *testing.T, args ...string) *vsim {
	program := os.Getenv("VSIM")
	if program == "" {
		t.Skip("VSIM does not name the program")
	}
	args = append([]string{"--tls-dir", filepath.Join(t.TempDir(), "tls"), "--stdin-exit",
		"--user", "DOMAIN\\tester", "--password", "a<b&\"c"}, args...)
	command := exec.Command(program, args...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	check(t, err)
	stdout, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	t.Cleanup(func() {
		stdin.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("vsim ended with %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	check(t, err)
	v := &vsim{t: t}
	check(t, json.Unmarshal(line, v))
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// post sends JSON to the control port.
func (v *vsim) post(path, text string) {
	v.t.Helper()
	answer, err := http.Post(v.Control+path, "application/json", strings.NewReader(text))
	check(v.t, err)
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		message, _ := io.ReadAll(answer.Body)
		v.t.Fatalf("POST %s: %d %s", path, answer.StatusCode, message)
	}
}

type controlState struct {
	Sessions      int
	SessionsEnded map[string]int
	OpenLeases    int
	Leases        []leaseView
	Calls         map[string]int
	NFC           []nfcRequest
	Leaks         leaks
	Machines      []machineView
}

func (v *vsim) state() *controlState {
	v.t.Helper()
	answer, err := http.Get(v.Control + "/state")
	check(v.t, err)
	defer answer.Body.Close()
	s := new(controlState)
	check(v.t, json.NewDecoder(answer.Body).Decode(s))
	return s
}

// connect is a logged-in govmomi client that trusts only the server's CA.
func (v *vsim) connect() *govmomi.Client {
	v.t.Helper()
	u, err := url.Parse(v.URL)
	check(v.t, err)
	transport := soap.NewClient(u, false)
	check(v.t, transport.SetRootCAs(v.CA))
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, transport)
	check(v.t, err)
	check(v.t, client.UseServiceVersion())
	c := &govmomi.Client{Client: client, SessionManager: vimsession.NewManager(client)}
	check(v.t, c.SessionManager.Login(ctx, url.UserPassword("DOMAIN\\tester", "a<b&\"c")))
	v.t.Cleanup(func() { _ = c.Logout(ctx) })
	return c
}

func (v *vsim) machine(c *govmomi.Client, path string) *object.VirtualMachine {
	v.t.Helper()
	found, err := object.NewSearchIndex(c.Client).FindByInventoryPath(context.Background(), path)
	check(v.t, err)
	if found == nil {
		v.t.Fatalf("no machine %s", path)
	}
	return found.(*object.VirtualMachine)
}

// export takes a lease on a machine and waits until it is ready.
func (v *vsim) export(vm *object.VirtualMachine) (*nfc.Lease, *nfc.LeaseInfo) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	lease, err := vm.Export(ctx)
	check(v.t, err)
	info, err := lease.Wait(ctx, nil)
	check(v.t, err)
	return lease, info
}

// download GETs a device URL with nothing but the certificate's thumbprint.
func (v *vsim) download(u, thumbprint, file string) (int64, error) {
	pinned := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			leaf, err := x509.ParseCertificate(raw[0])
			if err == nil && soap.ThumbprintSHA1(leaf) != thumbprint {
				err = fmt.Errorf("certificate of a stranger")
			}
			return err
		}}}
	answer, err := (&http.Client{Transport: pinned}).Get(u)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		return 0, fmt.Errorf("status %d", answer.StatusCode)
	}
	if answer.ContentLength >= 0 && strings.HasSuffix(u, ".vmdk") {
		return 0, fmt.Errorf("a length was given")
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(f, answer.Body)
}

// convert makes a raw file of a VMDK with qemu-img.
func convert(t *testing.T, vmdk string) string {
	t.Helper()
	raw := vmdk + ".raw"
	text, err := exec.Command("qemu-img", "convert", "-f", "vmdk", "-O", "raw", vmdk, raw).
		CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img: %v: %s", err, text)
	}
	return raw
}

func sumOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha512.New()
	_, err := io.Copy(h, r)
	check(t, err)
	return fmt.Sprintf("%x", h.Sum(nil))
}

func sumOfFile(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	check(t, err)
	defer f.Close()
	return sumOf(t, f)
}

// properties reads some properties of an object.
func properties(t *testing.T, c *vim25.Client, ref types.ManagedObjectReference,
	names []string, into interface{}) {
	t.Helper()
	check(t, property.DefaultCollector(c).
		RetrieveOne(context.Background(), ref, names, into))
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !yes(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func bytesOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}

func faultOf(err error) string {
	if err == nil {
		return "no error"
	}
	if soap.IsSoapFault(err) {
		return strings.TrimPrefix(fmt.Sprintf("%T", soap.ToSoapFault(err).VimFault()), "types.")
	}
	return err.Error()
}
