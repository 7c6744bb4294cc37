package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/auth/certificate"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// certify writes a certificate that signs itself and its key, for this machine, and returns where they are.
func certify(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// secureClient returns a client that trusts the certificates of a file, and shows one where it is given.
func secureClient(t *testing.T, roots string, shows ...tls.Certificate) *http.Client {
	t.Helper()
	text, err := os.ReadFile(roots)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: shows}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// byName is an address with the name that is in the certificates.
func byName(address string) string {
	return "https://localhost" + address[strings.LastIndex(address, ":"):]
}

// TestTLS answers over TLS and HTTP/2 on all three ports, bodies in both directions, and changes its certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, "first")
	var report server.Report
	s := start(t, func(o *server.Options) {
		o.Inference, o.Management, o.Metrics = "https://127.0.0.1:0", "https://127.0.0.1:0", "https://127.0.0.1:0"
		o.TLS = certificate.Options{Certificate: cert, Key: key}
		o.Started = func(r server.Report) { report = r }
	})
	t.Cleanup(func() { stop(t, s) })
	c := secureClient(t, cert)
	for _, test := range []struct{ url, body, want string }{
		{byName(s.Addrs().Inference) + "/ping", "", "Healthy"},
		{byName(s.Addrs().Inference) + "/predictions/sums", "[1, 1, 1, 1]", "[4.0,8.0]"},
		{byName(s.Addrs().Inference) + "/predictions/sums", "[" + strings.Repeat(" ", 2<<20), "RequestTooLargeException"},
		{byName(s.Addrs().Inference) + "/predictions/sums", "[" + strings.Repeat(" ", 900<<10) + "1, 1, 1, 1]", "[4.0,8.0]"},
		{byName(s.Addrs().Management) + "/models/sums", "", `"READY"`},
		{byName(s.Addrs().Management) + "/api-description", "", s.Addrs().Inference},
		{byName(s.Addrs().Metrics) + "/metrics", "", "ts_inference_requests_total"},
	} {
		method := http.MethodGet
		if test.body != "" {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(t.Context(), method, test.url, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.ProtoMajor != 2 || !bytes.Contains([]byte(compact(text)), []byte(test.want)) {
			t.Errorf("%s: %s %.300s, %v, want %s over HTTP/2", test.url, resp.Proto, text, err, test.want)
		}
	}
	for _, e := range report.Endpoints {
		if !strings.HasPrefix(e.URL, "https://127.0.0.1:") || !e.Local || e.Mutual {
			t.Errorf("%+v, want https", e)
		}
	}
	if resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + s.Addrs().Inference + "/ping"); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %d, want 400", resp.StatusCode)
		}
	}
	second, secondKey := certify(t, "second")
	for from, to := range map[string]string{second: cert, secondKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := secureClient(t, cert).Get(byName(s.Addrs().Inference) + "/ping")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.TLS.PeerCertificates[0].Subject.CommonName; got != "second" {
		t.Errorf("the certificate is of %q, want the second", got)
	}
}

// TestTLSClient asks by tsgo's own client, with a key, over TLS on one port and without on the other.
func TestTLSClient(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, "server")
	f := build(t, func(o *server.Options) {
		o.Inference, o.TLS = "https://127.0.0.1:0", certificate.Options{Certificate: cert, Key: key}
	})
	ca, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		token string
		works bool
	}{{f.keys(t)["inference"], true}, {f.keys(t)["management"], false}, {"", false}} {
		c, err := client.New(client.Options{Server: byName(f.Addrs().Inference), Token: test.token, CA: ca})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Predict(t.Context(), model.Ref{Name: "sums"}, &model.Request{
			Inputs: []model.Input{{Name: "body", ContentType: "application/json", Data: []byte("[1, 2, 3, 4]")}},
		})
		if (err == nil) != test.works || test.works && compact(resp.Body) != `{"sums":[[10.0,20.0]]}` {
			t.Errorf("%v, %v, want it to work: %t", resp, err, test.works)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMutualTLS lets in who shows the right certificate.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, "server")
	callers, callersKey := certify(t, "caller")
	others, othersKey := certify(t, "other")
	s := start(t, func(o *server.Options) {
		o.Inference = "https://127.0.0.1:0"
		o.TLS = certificate.Options{Certificate: cert, Key: key, ClientCA: callers}
	})
	t.Cleanup(func() { stop(t, s) })
	good, err := tls.LoadX509KeyPair(callers, callersKey)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := tls.LoadX509KeyPair(others, othersKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		shows []tls.Certificate
		works bool
	}{{"good", []tls.Certificate{good}, true}, {"none", nil, false}, {"other", []tls.Certificate{bad}, false}} {
		resp, err := secureClient(t, cert, test.shows...).Get(byName(s.Addrs().Inference) + "/ping")
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != test.works {
			t.Errorf("%s: %v, want it to work: %t", test.name, err, test.works)
		}
	}
	for _, test := range []struct {
		name, cert, key string
		works           bool
	}{{"good", callers, callersKey, true}, {"none", "", "", false}, {"other", others, othersKey, false}} {
		opts := client.Options{Server: byName(s.Addrs().Inference), CA: content(t, cert), Certificate: content(t, test.cert), Key: content(t, test.key)}
		c, err := client.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ping(t.Context()); (err == nil) != test.works {
			t.Errorf("%s, of tsgo's own client: %v, want it to work: %t", test.name, err, test.works)
		}
		_ = c.Close()
	}
	if _, err := client.New(client.Options{Certificate: content(t, cert), Key: content(t, othersKey)}); !errors.Is(err, fault.Invalid) {
		t.Errorf("the key of another: %v, want %v", err, fault.Invalid)
	}
}

// content reads a file; nothing where there is none.
func content(t *testing.T, path string) []byte {
	t.Helper()
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTLSFails starts with files that are not there: nothing is left, and it says which.
func TestTLSFails(t *testing.T) {
	t.Parallel()
	_, err := server.New(t.Context(), server.Options{
		Inference: "127.0.0.1:0", Management: "https://127.0.0.1:0", Store: store.New(store.Dir{Path: t.TempDir()}), Open: openSums,
		TLS: certificate.Options{Certificate: "gone.pem", Key: "gone.key"},
	})
	if err == nil || !strings.Contains(err.Error(), "gone.pem") {
		t.Errorf("%v, want it to name the file", err)
	}
}

// TestCertificateForNothing warns once where a certificate is given and nothing speaks TLS.
func TestCertificateForNothing(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, "server")
	for address, want := range map[string]int{"127.0.0.1:0": 1, "https://127.0.0.1:0": 0} {
		var log journal
		s := start(t, func(o *server.Options) {
			o.Inference, o.Log = address, log.logger()
			o.TLS = certificate.Options{Certificate: cert, Key: key}
		})
		stop(t, s)
		if got := strings.Count(log.String(), "a certificate is configured and no address speaks TLS"); got != want {
			t.Errorf("%s: told %d times, want %d: %s", address, got, want, log.String())
		}
	}
}
