// Package client asks a server over HTTP: its three APIs, as TorchServe has them and tsgo keeps them. It knows the wire and
// nothing of models; what it answers is what the server sent, byte for byte.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// DefaultServer is the address that is asked where the options name none.
const DefaultServer = "http://127.0.0.1:8080"

// defaultMaxAnswer is how many bytes an answer may have where the options do not say.
const defaultMaxAnswer = 256 << 20

// Options say where the server is, and how to ask it.
type Options struct {
	// Server is the address of one of the APIs, whichever, http://HOST:PORT or unix:/PATH of a socket; the other two are
	// found through it. Empty: one of those below, or else DefaultServer.
	Server string
	// Inference, Management and Metrics are the addresses of the APIs. Empty: found through Server.
	Inference, Management, Metrics string
	// Token is sent as a bearer token, to the hosts that these options name and to no other. Empty: none is sent.
	Token string
	// CA are the certificates, as PEM, that the server's may be signed with. Empty: the system's.
	CA []byte
	// Certificate and Key are the client's own, as PEM, for servers that ask for one. Empty: it has none.
	Certificate, Key []byte
	// HTTP does the asking; redirects are the client's own affair. Nil: one of the client's own. Not together with CA or Certificate.
	HTTP *http.Client
	// Timeout bounds each call, its answer included. Zero: only the call's context does.
	Timeout time.Duration
	// MaxAnswer bounds an answer's bytes. Zero: 256 MiB.
	MaxAnswer int64
}

// Client asks one server. It keeps [model.Predictor] and [model.Manager], and is safe for concurrent use. Beside what the
// server answers, its calls return [fault.Unavailable] when the server cannot be reached or stops in the middle of an
// answer, [fault.Timeout] when it takes too long, [fault.TooLarge] for an answer over the limit, and [fault.Internal] for
// one that makes no sense.
type Client struct {
	http    *http.Client
	token   string
	timeout time.Duration
	most    int64

	server  *url.URL   // whichever of the APIs it is
	given   addresses  // nil where the options name none
	trusted []*url.URL // what the options name

	finding chan struct{} // one place: whoever holds it looks for the addresses
	found   atomic.Pointer[addresses]
}

var (
	_ model.Predictor = (*Client)(nil)
	_ model.Manager   = (*Client)(nil)
)

// New checks the options, and asks nothing yet. It returns [fault.Invalid] for an address that is none, and for
// certificates that cannot be read.
func New(opts Options) (*Client, error) {
	c := &Client{token: opts.Token, timeout: opts.Timeout, most: opts.MaxAnswer, finding: make(chan struct{}, 1)}
	if c.most <= 0 {
		c.most = defaultMaxAnswer
	}
	named := [...]string{opts.Server, opts.Inference, opts.Management, opts.Metrics}
	for i, text := range named {
		if text == "" {
			continue
		}
		u, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		if c.server == nil {
			c.server = u
		}
		if i > 0 {
			c.given[i-1] = u
		}
		c.trusted = append(c.trusted, u)
	}
	if c.server == nil {
		u, err := parseAddress(DefaultServer)
		if err != nil {
			return nil, err
		}
		c.server, c.trusted = u, []*url.URL{u}
	}
	return c, c.connect(opts)
}

// connect makes the HTTP client.
func (c *Client) connect(opts Options) error {
	switch {
	case opts.HTTP != nil && len(opts.CA)+len(opts.Certificate)+len(opts.Key) > 0:
		return fmt.Errorf("%w: certificates and an HTTP client are given; give the client its own certificates", fault.Invalid)
	case opts.HTTP != nil && slices.ContainsFunc(c.trusted, isSocket):
		return fmt.Errorf("%w: a Unix socket and an HTTP client are given, which cannot know it; give the client alone what dials", fault.Invalid)
	case opts.HTTP != nil:
		own := *opts.HTTP
		c.http = &own
	default:
		transport, err := newTransport(opts)
		if err != nil {
			return err
		}
		c.http = &http.Client{Transport: transport}
	}
	c.http.CheckRedirect = checkRedirect
	return nil
}

// How connections are kept.
const (
	dialTimeout = 10 * time.Second
	idleTimeout = 60 * time.Second
	idleMost    = 64
)

func newTransport(opts Options) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(opts.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(opts.CA) {
			return nil, fmt.Errorf("%w: the CA's file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", fault.Invalid)
		}
	}
	if len(opts.Certificate)+len(opts.Key) > 0 {
		own, err := tls.X509KeyPair(opts.Certificate, opts.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: the client's certificate and key: %w", fault.Invalid, err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           dial,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   dialTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   idleMost,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // the body is handed on as it comes
	}, nil
}

// Close closes the connections that wait for another call. The client can still be used. It returns nil.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// maxRedirects is how often one call is sent elsewhere.
const maxRedirects = 5

// checkRedirect follows a server to another path, or to HTTPS, and to nothing else: neither a token nor an input may go to
// a host that nobody named, and a request must not lose its body.
func checkRedirect(req *http.Request, via []*http.Request) error {
	from, to := via[0], req.URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d redirects", fault.Unavailable, maxRedirects)
	case req.Method != from.Method:
		return fmt.Errorf("%w: it redirects to %s, which a %s cannot follow; give that address instead", fault.Unavailable, to.Redacted(), from.Method)
	case to.Hostname() != from.URL.Hostname() || from.URL.Scheme == schemeTLS && to.Scheme != schemeTLS,
		to.Host != from.URL.Host && to.Scheme != schemeTLS:
		return fmt.Errorf("%w: it redirects to %s, where nothing is sent unasked; give that address instead", fault.Unavailable, to.Redacted())
	}
	return nil
}

// trusts tells whether the token may be sent to u: a named host, and not in clear where it was named for TLS. A socket that
// is named stands for this machine.
func (c *Client) trusts(u *url.URL) bool {
	for _, named := range c.trusted {
		if isSocket(named) && (isSocket(u) || isLoopback(u)) {
			return true
		}
		if u.Hostname() == named.Hostname() && (u.Scheme == schemeTLS || named.Scheme != schemeTLS) {
			return true
		}
	}
	return false
}

// wayOut says what helps against a certificate that is not trusted.
func wayOut(why error) string {
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	switch {
	case errors.As(why, &unknown):
		return "; give the certificate of its authority (--cacert)"
	case errors.As(why, &other):
		return "; ask for it by a name that its certificate has"
	}
	return ""
}

// unreachable says why a call came to nothing.
func (c *Client) unreachable(ctx context.Context, u *url.URL, err error) error {
	var (
		kind   fault.Kind
		dial   *net.OpError
		cert   *tls.CertificateVerificationError
		alert  *net.OpError
		whole  *url.Error
		server = shown(u)
	)
	if errors.As(err, &whole) {
		err = whole.Err // without the method and the URL, which may hold a whole request's parameters
	}
	switch ended := ctx.Err(); {
	case ended != nil && errors.As(context.Cause(ctx), &kind): // the client's own limit
		return fmt.Errorf("%s: %w", server, context.Cause(ctx))
	case ended != nil:
		return fmt.Errorf("%s: %w", server, ended)
	case errors.As(err, &kind):
		return fmt.Errorf("%s: %w", server, err)
	case errors.As(err, &cert):
		return fmt.Errorf("%w: the certificate of %s is not trusted: %w%s", fault.Unavailable, server, cert.Err, wayOut(cert.Err))
	case errors.As(err, &alert) && alert.Op == "remote error": // so crypto/tls calls what the other side says
		return fmt.Errorf("%w: %s refused the connection: %w; where it asks its callers for a certificate, give one that it trusts, with its key (--cert, --key)",
			fault.Unauthorized, server, alert.Err)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%w: no server answers at %s: %w; is tsgo serve running there, or at another address (--server)?", fault.Unavailable, server, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %s: %w", fault.Timeout, server, err)
	}
	return fmt.Errorf("%w: the connection to %s broke: %w", fault.Unavailable, server, err)
}
