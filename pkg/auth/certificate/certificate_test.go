package certificate_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/tsgo/tsgo/pkg/auth/certificate"
	"github.com/tsgo/tsgo/pkg/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var serial = struct {
	sync.Mutex
	n int64
}{}

// issue makes a certificate of a name, signed by a parent, or by itself where there is none.
func issue(t *testing.T, name string, parent *authority, until time.Time) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial.Lock()
	serial.n++
	n := serial.n
	serial.Unlock()
	of := &x509.Certificate{
		SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		DNSNames: []string{"server"}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: parent == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer, signed := of, key
	if parent != nil {
		signer, signed = parent.cert, parent.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, of, signer, key.Public(), signed)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert}
}

// text is a log that is written to and read at once.
type text struct {
	mu      sync.Mutex // guards written
	written bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.String()
}

func later() time.Time { return time.Now().Add(24 * time.Hour) }

func (a *authority) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) keyPEM(t *testing.T) []byte {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func (a *authority) pair() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}
}

func pool(of ...*authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range of {
		p.AddCert(a.cert)
	}
	return p
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve answers "hello" over TLS until the test ends, and returns the address.
func serve(t *testing.T, s *certificate.Source) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close() //nolint:errcheck // of a test
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = io.WriteString(conn, "hello")
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// hello connects, reads the whole answer, and returns the state of the connection.
func hello(t *testing.T, address string, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	c.ServerName = "server"
	dialer := &tls.Dialer{Config: c}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close() //nolint:errcheck // of a test
	text, err := io.ReadAll(conn)
	if err == nil && string(text) != "hello" {
		err = errors.New("the answer is " + string(text))
	}
	return conn.(*tls.Conn).ConnectionState(), err
}

// wantName connects and looks whose certificate the server shows.
func wantName(t *testing.T, address string, roots *x509.CertPool, want string) {
	t.Helper()
	state, err := hello(t, address, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	if got := state.PeerCertificates[0].Subject.CommonName; got != want {
		t.Errorf("the server is %q, want %q", got, want)
	}
}

// store returns a keystore with a server's key.
func store(t *testing.T, e *pkcs12.Encoder, a, ca *authority, password string) []byte {
	t.Helper()
	data, err := e.Encode(a.key, a.cert, []*x509.Certificate{ca.cert}, password)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSources serves from each kind of file.
func TestSources(t *testing.T) {
	t.Parallel()
	ca := issue(t, "ca", nil, later())
	server := issue(t, "one", ca, later())
	dir := t.TempDir()
	cert := write(t, dir, "cert.pem", server.certPEM())
	key := write(t, dir, "key.pem", server.keyPEM(t))
	ec, err := x509.MarshalECPrivateKey(server.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		opts certificate.Options
	}{
		{"PEM", certificate.Options{Certificate: cert, Key: key}},
		{"PEM, OpenSSL's own form", certificate.Options{
			Certificate: cert, Key: write(t, dir, "ec.pem", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec})),
		}},
		{"keystore", certificate.Options{Keystore: write(t, dir, "a.p12", store(t, pkcs12.Modern, server, ca, "changeit"))}},
		{"keystore with a password of its own", certificate.Options{
			Keystore: write(t, dir, "b.p12", store(t, pkcs12.Modern, server, ca, "secret")), KeystorePass: "secret", KeystoreType: "pkcs12",
		}},
		{"old keystore", certificate.Options{Keystore: write(t, dir, "c.p12", store(t, pkcs12.LegacyDES, server, ca, "changeit"))}},
		{"keystore before PEM", certificate.Options{Keystore: filepath.Join(dir, "a.p12"), Certificate: "gone", Key: "gone"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := certificate.Open(test.opts)
			if err != nil {
				t.Fatal(err)
			}
			wantName(t, serve(t, s), pool(ca), "one")
		})
	}
}

// TestRSA serves with a key of RSA in both PEM forms, as TorchServe's documentation makes them.
func TestRSA(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: later(), DNSNames: []string{"server"}, Subject: pkix.Name{CommonName: "rsa"}}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	eight, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert := write(t, dir, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	for name, block := range map[string]*pem.Block{
		"one": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, "eight": {Type: "PRIVATE KEY", Bytes: eight},
	} {
		s, err := certificate.Open(certificate.Options{Certificate: cert, Key: write(t, dir, name, pem.EncodeToMemory(block))})
		if err != nil {
			t.Fatal(err)
		}
		wantName(t, serve(t, s), pool(&authority{cert: parsed}), "rsa")
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	ca := issue(t, "ca", nil, later())
	server, other := issue(t, "one", ca, later()), issue(t, "two", ca, later())
	dir := t.TempDir()
	cert, key := write(t, dir, "cert.pem", server.certPEM()), write(t, dir, "key.pem", server.keyPEM(t))
	p12 := write(t, dir, "a.p12", store(t, pkcs12.Modern, server, ca, "secret"))
	empty := write(t, dir, "empty", nil)
	jks, jceks := write(t, dir, "a.jks", []byte("\xfe\xed\xfe\xed\x00\x00\x00\x02")), write(t, dir, "b", []byte("\xce\xce\xce\xce\x00\x00\x00\x02"))
	for _, test := range []struct {
		name string
		opts certificate.Options
		says []string
	}{
		{"certificate alone", certificate.Options{Certificate: cert}, []string{"want both files"}},
		{"key alone", certificate.Options{Key: key}, []string{"want both files"}},
		{"certificate that is not there", certificate.Options{Certificate: dir + "/gone", Key: key}, []string{"gone", "no such file"}},
		{"key that is not there", certificate.Options{Certificate: cert, Key: dir + "/gone"}, []string{"private key", "gone"}},
		{"empty certificate", certificate.Options{Certificate: empty, Key: key}, []string{"empty"}},
		{"key of another", certificate.Options{Certificate: cert, Key: write(t, dir, "other.pem", other.keyPEM(t))}, []string{"cert.pem", "other.pem"}},
		{"encrypted key", certificate.Options{Certificate: cert, Key: write(t, dir, "locked.pem", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}))}, []string{"it is encrypted", "openssl"}},
		{"wrong password", certificate.Options{Keystore: p12}, []string{"a.p12", "another password"}},
		{"no keystore", certificate.Options{Keystore: cert}, []string{"cert.pem", "PKCS #12"}},
		{"keystore that is not there", certificate.Options{Keystore: dir + "/gone"}, []string{"gone"}},
		{"keystore of Java's own type, as it is said", certificate.Options{Keystore: p12, KeystoreType: "JKS"}, []string{"JKS", "keytool"}},
		{"keystore of Java's own type, as it is", certificate.Options{Keystore: jks}, []string{
			"is of type JKS", "keytool -importkeystore -srckeystore " + jks + " -srcstoretype JKS -destkeystore " + strings.TrimSuffix(jks, ".jks") + ".p12 -deststoretype PKCS12",
		}},
		{"keystore of Java's other type", certificate.Options{Keystore: jceks}, []string{"is of type JCEKS", "keytool"}},
		{"authority that is not there", certificate.Options{Certificate: cert, Key: key, ClientCA: dir + "/gone"}, []string{"authority", "gone"}},
		{"authority that is none", certificate.Options{Certificate: cert, Key: key, ClientCA: key}, []string{"key.pem", "no certificate"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := certificate.Open(test.opts)
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("got %v, want fault.Invalid", err)
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "changeit") {
				t.Errorf("%q has a password in it", err)
			}
		})
	}
}

// TestMade serves without any file.
func TestMade(t *testing.T) {
	t.Parallel()
	var log text
	s, err := certificate.Open(certificate.Options{Hosts: []string{"server", "0.0.0.0", "10.1.2.3", ""}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, s)
	if _, err := hello(t, address, &tls.Config{RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("a certificate that nobody signed is trusted")
	}
	state, err := hello(t, address, &tls.Config{InsecureSkipVerify: true}) // it is looked at below
	if err != nil {
		t.Fatal(err)
	}
	shown := state.PeerCertificates[0]
	for _, name := range []string{"server", "localhost", "127.0.0.1", "::1", "10.1.2.3"} {
		if err := shown.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := shown.VerifyHostname("0.0.0.0"); err == nil {
		t.Error("0.0.0.0 is in the certificate")
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "nobody else has signed") || !strings.Contains(got, "sha256=") {
		t.Errorf("log %q", got)
	}
}

// TestReload changes the files in the ways in which they are changed, while connections are made.
func TestReload(t *testing.T) {
	t.Parallel()
	ca := issue(t, "ca", nil, later())
	one, two, three := issue(t, "one", ca, later()), issue(t, "two", ca, later()), issue(t, "three", ca, later())
	dir := t.TempDir()
	cert, key := write(t, dir, "cert.pem", one.certPEM()), write(t, dir, "key.pem", one.keyPEM(t))
	var log text
	s, err := certificate.Open(certificate.Options{Certificate: cert, Key: key, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, s)
	wantName(t, address, pool(ca), "one")

	write(t, dir, "cert.pem", two.certPEM()) // the key is still of the other one
	wantName(t, address, pool(ca), "one")
	wantName(t, address, pool(ca), "one")
	if got := strings.Count(log.String(), "cannot be used"); got != 1 {
		t.Errorf("the mismatch is logged %d times, want once: %s", got, &log)
	}
	write(t, dir, "key.pem", two.keyPEM(t))
	wantName(t, address, pool(ca), "two")

	for name, data := range map[string][]byte{"cert.pem": three.certPEM(), "key.pem": three.keyPEM(t)} { // by renaming
		if err := os.Rename(write(t, dir, "new", data), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	wantName(t, address, pool(ca), "three")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	wantName(t, address, pool(ca), "three")
	if got := strings.Count(log.String(), "was read anew"); got != 2 {
		t.Errorf("read anew %d times, want twice: %s", got, &log)
	}
}

// TestKubernetes changes a mounted secret as Kubernetes does: a new directory, and one link that is renamed over the old.
// The times of the files are the same before and after.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	ca := issue(t, "ca", nil, later())
	dir := t.TempDir()
	then := time.Now().Add(-time.Hour)
	publish := func(version string, a *authority) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"tls.crt": a.certPEM(), "tls.key": a.keyPEM(t)} {
			if err := os.Chtimes(write(t, filepath.Join(dir, version), name, data), then, then); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(version, filepath.Join(dir, "..new")); err != nil {
			t.Skipf("no links here: %v", err)
		}
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", issue(t, "one", ca, later()))
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := certificate.Open(certificate.Options{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, s)
	wantName(t, address, pool(ca), "one")
	publish("..2", issue(t, "two", ca, later()))
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	wantName(t, address, pool(ca), "two")
}

// TestMutual asks callers for certificates, and changes who signs them.
func TestMutual(t *testing.T) {
	t.Parallel()
	ca, callers, others := issue(t, "ca", nil, later()), issue(t, "callers", nil, later()), issue(t, "others", nil, later())
	server := issue(t, "one", ca, later())
	dir := t.TempDir()
	authorities := write(t, dir, "callers.pem", callers.certPEM())
	s, err := certificate.Open(certificate.Options{
		Certificate: write(t, dir, "cert.pem", server.certPEM()), Key: write(t, dir, "key.pem", server.keyPEM(t)), ClientCA: authorities,
	})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, s)
	sessions := tls.NewLRUClientSessionCache(10)
	ask := func(of ...*authority) error {
		c := &tls.Config{RootCAs: pool(ca), ClientSessionCache: sessions}
		for _, a := range of {
			c.Certificates = append(c.Certificates, a.pair())
		}
		_, err := hello(t, address, c)
		return err
	}
	good, bad := issue(t, "good", callers, later()), issue(t, "bad", others, later())
	if err := ask(good); err != nil {
		t.Errorf("a certificate of the authority: %v", err)
	}
	for name, with := range map[string][]*authority{
		"none": nil, "of another authority": {bad}, "signed by itself": {issue(t, "self", nil, later())},
		"expired": {issue(t, "old", callers, time.Now().Add(-time.Hour))}, "the server's own": {server},
	} {
		if err := ask(with...); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	write(t, dir, "callers.pem", others.certPEM())
	if err := ask(good); err == nil {
		t.Error("a certificate of the authority that was: let in")
	}
	if err := ask(bad); err != nil {
		t.Errorf("a certificate of the authority that is now: %v", err)
	}
}

// TestVersions offers old versions of TLS, and the protocols of HTTP.
func TestVersions(t *testing.T) {
	t.Parallel()
	s, err := certificate.Open(certificate.Options{Hosts: []string{"server"}})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, s)
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		state, err := hello(t, address, &tls.Config{ // old versions are what is tried, and no certificate
			InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"},
		})
		if (err == nil) != want {
			t.Errorf("%s: %v, want it to work: %t", tls.VersionName(version), err, want)
		}
		if want && state.NegotiatedProtocol != "h2" {
			t.Errorf("%s: protocol %q, want h2", tls.VersionName(version), state.NegotiatedProtocol)
		}
	}
}

// TestExpired warns of a certificate that callers will not trust.
func TestExpired(t *testing.T) {
	t.Parallel()
	ca := issue(t, "ca", nil, later())
	server := issue(t, "one", ca, later())
	dir := t.TempDir()
	var log text
	_, err := certificate.Open(certificate.Options{
		Certificate: write(t, dir, "cert.pem", server.certPEM()), Key: write(t, dir, "key.pem", server.keyPEM(t)),
		Now: func() time.Time { return later().Add(time.Hour) }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil || !strings.Contains(log.String(), "has expired") {
		t.Errorf("%v, log %q, want a warning", err, &log)
	}
}

// TestTogether makes many connections while the files change: each of them succeeds.
func TestTogether(t *testing.T) {
	t.Parallel()
	ca := issue(t, "ca", nil, later())
	all := []*authority{issue(t, "one", ca, later()), issue(t, "two", ca, later())}
	dir := t.TempDir()
	cert, key := write(t, dir, "cert.pem", all[0].certPEM()), write(t, dir, "key.pem", all[0].keyPEM(t))
	s, err := certificate.Open(certificate.Options{Certificate: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, s)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				if _, err := hello(t, address, &tls.Config{RootCAs: pool(ca)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		a := all[(i+1)%2]
		write(t, dir, "cert.pem", a.certPEM())
		write(t, dir, "key.pem", a.keyPEM(t))
	}
	group.Wait()
	wantName(t, address, pool(ca), "one")
}
