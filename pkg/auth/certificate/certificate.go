// Package certificate has what a server proves itself with over TLS: a key and its certificate, out of PEM files or a
// PKCS #12 keystore, or made on the spot; and the authority that callers' certificates are to be signed by. Files that
// change are read anew without a restart.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Options say where the key and the certificate are. A keystore goes before PEM files; without either a key is made, and a
// certificate that nobody but itself has signed.
type Options struct {
	Keystore     string // a PKCS #12 file with one key and its certificates
	KeystorePass string // "": DefaultPass
	KeystoreType string // "" or PKCS12, in any case
	Certificate  string // a PEM file: the server's certificate, and those between it and its authority
	Key          string // a PEM file: its key, not encrypted
	ClientCA     string // a PEM file: who signs the certificates that callers have to show; "": callers need none

	Hosts []string         // the names and addresses in a certificate that is made
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: silent
}

// DefaultPass is the password of a keystore where none is given; Java's and TorchServe's.
const DefaultPass = "changeit"

// Source is a server's key and certificate as they are now. It is safe for concurrent use.
type Source struct {
	opts  Options
	files []string
	made  *tls.Certificate // nil: it comes from files

	mu      sync.Mutex    // guards what follows
	seen    []fs.FileInfo // of the files when they were last read; nil for one that was not there
	current *tls.Config   // never changed once it stands here
}

// Open reads the files. It returns [fault.Invalid], naming the file, for what cannot be used.
func Open(opts Options) (*Source, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.KeystorePass == "" {
		opts.KeystorePass = DefaultPass
	}
	s := &Source{opts: opts}
	switch {
	case opts.Keystore != "":
		if t := opts.KeystoreType; t != "" && !strings.EqualFold(t, "PKCS12") {
			return nil, foreign(opts.Keystore, t)
		}
		s.files = append(s.files, opts.Keystore)
	case opts.Certificate != "" && opts.Key != "":
		s.files = append(s.files, opts.Certificate, opts.Key)
	case opts.Certificate != "" || opts.Key != "":
		return nil, fmt.Errorf("certificate %q and private key %q: %w: want both files, or a keystore", opts.Certificate, opts.Key, fault.Invalid)
	default:
		if err := s.make(); err != nil {
			return nil, err
		}
	}
	if opts.ClientCA != "" {
		s.files = append(s.files, opts.ClientCA)
	}
	s.seen = s.look()
	var err error
	s.current, err = s.read()
	return s, err
}

// Config returns what a listener, of HTTP or of gRPC, is to have. With each handshake it looks whether the files are still
// the same, links followed, and reads them where they are not. What cannot be used then is logged once, and what was
// there before goes on being used.
func (s *Source) Config() *tls.Config {
	c := s.settings()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.now(), nil }
	return c
}

// Mutual tells whether callers have to show a certificate.
func (s *Source) Mutual() bool { return s.opts.ClientCA != "" }

// settings are what does not depend on the files. A session that is resumed would outlive a change of who may come in:
// where callers show certificates each connection shows its own.
func (s *Source) settings() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, SessionTicketsDisabled: s.Mutual()}
}

// now returns the settings of a connection that begins now.
func (s *Source) now() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.look() // before they are read: what changes meanwhile is seen the next time
	if same(s.seen, seen) {
		return s.current
	}
	s.seen = seen
	next, err := s.read()
	if err != nil {
		s.opts.Log.Warn("the certificate files have changed and cannot be used; what was there before is used on", "err", err)
		return s.current
	}
	s.opts.Log.Info("the certificate was read anew", "files", s.files)
	s.current = next
	return next
}

// look returns what the file system says of the files.
func (s *Source) look() []fs.FileInfo {
	all := make([]fs.FileInfo, len(s.files))
	for i, file := range s.files {
		if info, err := os.Stat(file); err == nil {
			all[i] = info
		}
	}
	return all
}

// same tells whether the files are those that they were. Kubernetes changes all files of a volume at once, by one link: the
// paths then lead to other files.
func same(a, b []fs.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil && b[i] == nil:
			continue
		case a[i] == nil || b[i] == nil:
			return false
		case !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() || !os.SameFile(a[i], b[i]):
			return false
		}
	}
	return true
}

// read returns the settings of a connection by what the files hold.
func (s *Source) read() (*tls.Config, error) {
	pair, err := s.pair()
	if err != nil {
		return nil, err
	}
	c := s.settings()
	c.Certificates = []tls.Certificate{*pair}
	if leaf := pair.Leaf; leaf != nil && !s.opts.Now().Before(leaf.NotAfter) {
		s.opts.Log.Warn("the server's certificate has expired: callers will not trust it", "until", leaf.NotAfter)
	}
	if !s.Mutual() {
		return c, nil
	}
	text, err := os.ReadFile(s.opts.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("authority of the callers' certificates: %w: %w", fault.Invalid, err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("authority of the callers' certificates: %s: %w: no certificate in PEM form", s.opts.ClientCA, fault.Invalid)
	}
	return c, nil
}

// pair returns the key and its certificates.
func (s *Source) pair() (*tls.Certificate, error) {
	switch {
	case s.made != nil:
		return s.made, nil
	case s.opts.Keystore != "":
		return s.keystore()
	}
	certificates, err := os.ReadFile(s.opts.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w: %w", fault.Invalid, err)
	}
	key, err := os.ReadFile(s.opts.Key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w: %w", fault.Invalid, err)
	}
	if encrypted(key) {
		return nil, fmt.Errorf("private key %s: %w: it is encrypted; openssl pkey -in %s -out FILE writes it without a password", s.opts.Key, fault.Invalid, s.opts.Key)
	}
	pair, err := tls.X509KeyPair(certificates, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s and private key %s: %w: %w", s.opts.Certificate, s.opts.Key, fault.Invalid, err)
	}
	return &pair, nil
}

// encrypted tells whether a PEM file holds a key that needs a password.
func encrypted(text []byte) bool {
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			return false
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
}

func (s *Source) keystore() (*tls.Certificate, error) {
	data, err := os.ReadFile(s.opts.Keystore)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w: %w", fault.Invalid, err)
	}
	if t := javaType(data); t != "" {
		return nil, foreign(s.opts.Keystore, t)
	}
	key, leaf, others, err := pkcs12.DecodeChain(data, s.opts.KeystorePass)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, fmt.Errorf("keystore %s: %w: another password opens it", s.opts.Keystore, fault.Invalid)
	case err != nil:
		return nil, fmt.Errorf("keystore %s: %w: %w; want a PKCS #12 file with one key and its certificates", s.opts.Keystore, fault.Invalid, err)
	}
	pair := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for _, other := range others {
		pair.Certificate = append(pair.Certificate, other.Raw)
	}
	return &pair, nil
}

// javaType returns which of Java's own types a keystore is of, by its first bytes; "": of none.
func javaType(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}):
		return "JKS"
	case bytes.HasPrefix(data, []byte{0xce, 0xce, 0xce, 0xce}):
		return "JCEKS"
	}
	return ""
}

// foreign refuses a keystore of another type, and says how to make one of it that can be read.
func foreign(keystore, kind string) error {
	converted := strings.TrimSuffix(keystore, filepath.Ext(keystore)) + ".p12"
	if converted == keystore {
		converted = keystore + ".new"
	}
	return fmt.Errorf("keystore %s is of type %s: %w: want PKCS12, which this makes of it: keytool -importkeystore -srckeystore %s -srcstoretype %s -destkeystore %s -deststoretype PKCS12",
		keystore, kind, fault.Invalid, keystore, kind, converted)
}

// lasts is how long a certificate holds that is made: longer than a server runs.
const lasts = 10 * 365 * 24 * time.Hour

// make makes a key and a certificate that nobody else has signed.
func (s *Source) make() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	start := s.opts.Now()
	of := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "tsgo"},
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(lasts),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, host := range s.opts.Hosts {
		switch ip := net.ParseIP(host); {
		case ip != nil && !ip.IsUnspecified():
			of.IPAddresses = append(of.IPAddresses, ip)
		case ip == nil && host != "":
			of.DNSNames = append(of.DNSNames, host)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	s.made = &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
	sum := sha256.Sum256(raw)
	s.opts.Log.Warn("no certificate was given: one was made that nobody else has signed, so callers cannot tell this server from another",
		"sha256", hex.EncodeToString(sum[:]), "until", leaf.NotAfter)
	return nil
}
