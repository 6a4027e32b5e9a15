package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// identity is what a TLS port shows; the wrong one on demand.
type identity struct {
	mu     sync.Mutex
	right  tls.Certificate
	wrong  *tls.Certificate
	config *tls.Config
}

type certificates struct {
	sdk, nfc *identity
	other    tls.Certificate
}

// loadCertificates reads or makes, in dir: ca.pem, the SDK's leaf (signed by it
// or self-signed), the disk server's self-signed leaf, and a stranger's.
func loadCertificates(dir, kind, leaf string) (*certificates, error) {
	if err := os.MkdirAll(dir, 0700); err != nil {
		return nil, err
	}
	if !oneOf(kind, []string{"rsa", "ecdsa"}) || !oneOf(leaf, []string{"ca", "self"}) {
		return nil, fmt.Errorf("--key is rsa or ecdsa, --leaf is ca or self")
	}
	ca, err := loadOrMake(dir, "ca", kind, nil)
	if err != nil {
		return nil, err
	}
	parent, name := &ca, "sdk"
	if leaf == "self" {
		parent, name = nil, "sdk-self"
	}
	sdk, err := loadOrMake(dir, name, kind, parent)
	if err != nil {
		return nil, err
	}
	nfc, err := loadOrMake(dir, "nfc", kind, nil)
	if err != nil {
		return nil, err
	}
	other, err := loadOrMake(dir, "other", kind, nil)
	if err != nil {
		return nil, err
	}
	return &certificates{sdk: newIdentity(sdk), nfc: newIdentity(nfc), other: other}, nil
}

func loadOrMake(dir, name, kind string, parent *tls.Certificate) (tls.Certificate, error) {
	certFile := filepath.Join(dir, name+".pem")
	keyFile := filepath.Join(dir, name+"-key.pem")
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
		signed := parent == nil || pair.Leaf.CheckSignatureFrom(parent.Leaf) == nil
		if err == nil && signed && time.Now().Before(pair.Leaf.NotAfter) {
			return pair, nil
		}
	}
	key, err := newKey(kind)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := sign(name, key, parent)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err = writePEM(keyFile, "PRIVATE KEY", private); err != nil {
		return tls.Certificate{}, err
	}
	if err = writePEM(certFile, "CERTIFICATE", der); err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func newKey(kind string) (crypto.Signer, error) {
	if kind == "rsa" {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func sign(name string, key crypto.Signer, parent *tls.Certificate) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "vsim " + name, Organization: []string{"vsim"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if name == "ca" {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		template.IsCA = true
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		template.DNSNames = []string{"localhost"}
	}
	template.BasicConstraintsValid = true
	issuer, signer := template, crypto.Signer(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey.(crypto.Signer)
	}
	return x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
}

func writePEM(path, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(path, text, 0600)
}

func newIdentity(pair tls.Certificate) *identity {
	id := &identity{right: pair}
	id.config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			id.mu.Lock()
			defer id.mu.Unlock()
			if id.wrong != nil {
				return id.wrong, nil
			}
			return &id.right, nil
		},
	}
	// Keys of our own, so that they can be changed: a resumed session would
	// not show the client the new certificate.
	id.forgetTickets()
	return id
}

func (id *identity) forgetTickets() {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		panic(err)
	}
	id.config.SetSessionTicketKeys([][32]byte{key})
}

// show presents other from the next handshake on, nil: the right one; false: it
// did so before.
func (id *identity) show(other *tls.Certificate) bool {
	id.mu.Lock()
	changed := id.wrong != other
	id.wrong = other
	id.mu.Unlock()
	if changed {
		id.forgetTickets()
	}
	return changed
}

func (id *identity) sha1() string {
	sum := sha1.Sum(id.right.Certificate[0])
	return colons(sum[:])
}

func (id *identity) sha256() string {
	sum := sha256.Sum256(id.right.Certificate[0])
	return colons(sum[:])
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}
