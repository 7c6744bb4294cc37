package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/auth"
	"github.com/tsgo/tsgo/pkg/auth/certificate"
	"github.com/tsgo/tsgo/pkg/fault"
)

// Keys say which callers need a key, and where the keys are. The inference key opens the inference API, the management key
// the management API, and the API key makes the other two anew by /token; metrics, /ping and the descriptions of the APIs
// are open to all.
type Keys struct {
	Need       Need
	File       string           // where they are written; "": key_file.json in the working directory
	Life       time.Duration    // of the inference and the management key; 0: an hour
	TorchServe bool             // a key that is refused is answered as TorchServe does, with status 400
	Now        func() time.Time // nil: time.Now
}

// Need is when callers need a key.
type Need uint8

// When callers need a key. NeedRemote is the zero value.
const (
	NeedRemote Need = iota // as soon as one address can be reached from another machine
	NeedAlways
	NeedNever
)

// Endpoint is one of the APIs as callers reach it.
type Endpoint struct {
	API    api.API
	GRPC   bool   // over gRPC, and else HTTP
	URL    string // http://HOST:PORT, or https; unix:PATH; of gRPC, HOST:PORT
	Secure bool   // it speaks TLS
	Local  bool   // reached from this machine alone
	Key    bool   // callers need a key
	Mutual bool   // callers show a certificate
}

// secure decides, once the addresses are known, who may do what.
func (s *Server) secure() error {
	need, open := s.opts.Keys.Need == NeedAlways, false
	for _, l := range s.listeners {
		need = need || s.opts.Keys.Need == NeedRemote && !isLocal(l.net.Addr())
	}
	for _, a := range s.answered {
		open = open || a.api() == api.Management && !isLocal(a.on.net.Addr())
	}
	s.modelAPI = s.opts.ModelAPI || s.opts.LocalModelAPI && !open
	if t := s.opts.TLS; s.certificate == nil && t.Certificate+t.Key+t.Keystore+t.ClientCA != "" {
		s.log.Warn("a certificate is configured and no address speaks TLS: write https:// before an address, or enable_grpc_ssl for those of gRPC")
	}
	if need {
		keys, err := auth.New(auth.Options{Path: s.opts.Keys.File, Life: s.opts.Keys.Life, Now: s.opts.Keys.Now})
		if err != nil {
			return fmt.Errorf("%w; name another with --key-file, or let everybody in with --disable-token-auth", err)
		}
		s.keys = keys
		s.undo = append(s.undo, func(context.Context) error { return keys.Close() })
	}
	for _, a := range s.answered {
		l := a.on
		s.endpoints = append(s.endpoints, Endpoint{
			API: a.api(), GRPC: isGRPC(a.what), URL: l.url(), Secure: l.tls != nil, Local: isLocal(l.net.Addr()),
			Key: s.guard(a.api()) != nil, Mutual: l.tls != nil && s.certificate.Mutual(),
		})
	}
	return nil
}

// isLocal tells whether an address is reached from this machine alone.
func isLocal(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback() // what is not TCP is a file
}

// guard returns what asks the callers of an API for their key, over HTTP or gRPC; nil: they need none.
func (s *Server) guard(of api.API) *api.Guard {
	if s.keys == nil || of == api.Metrics {
		return nil
	}
	check := func(scope auth.Scope) func([]string) error {
		return func(authorization []string) error { return s.keys.Check(scope, authorization) }
	}
	g := &api.Guard{API: of, Check: check(auth.Inference), TorchServe: s.opts.Keys.TorchServe, Log: s.log}
	if of == api.Management {
		g.Check, g.Refresh = check(auth.Management), check(auth.API)
	}
	return g
}

// refresh returns what makes keys anew; nil where there are none.
func (s *Server) refresh() func(which string) error {
	if s.keys == nil {
		return nil
	}
	return func(which string) error {
		err := s.keys.Refresh(auth.Scope(which))
		switch {
		case err == nil:
			s.log.Info("a key was made anew", "key", which, "file", s.keys.Path())
		case s.opts.Keys.TorchServe && fault.Of(err) == fault.Invalid:
			return api.Words(fault.Unauthorized, "Token Authentication failed. Token either incorrect, expired, or not provided correctly")
		}
		return err
	}
}

// tls returns what a listener, of HTTP or of gRPC, has that speaks TLS.
func (s *Server) tls() (*tls.Config, error) {
	if s.certificate == nil {
		opts := s.opts.TLS
		opts.Log = s.log
		for _, address := range []string{s.opts.Inference, s.opts.Management, s.opts.Metrics, s.opts.GRPCInference, s.opts.GRPCManagement} {
			if host, _, err := net.SplitHostPort(strings.TrimPrefix(address, secureScheme)); err == nil {
				opts.Hosts = append(opts.Hosts, host)
			}
		}
		source, err := certificate.Open(opts)
		if err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		s.certificate = source
	}
	return s.certificate.Config(), nil
}

const secureScheme = "https://"

func (a answered) api() api.API { return apiOf(a.what) }

// apiOf returns the API that messages call so, over HTTP or gRPC.
func apiOf(what string) api.API { return api.API(strings.TrimPrefix(what, "gRPC ")) }

// address returns where a listener is reached, as the options have it.
func (l *listener) address() string {
	address := l.net.Addr().String()
	if l.net.Addr().Network() == "unix" {
		return socketScheme + address
	}
	return address
}

// url returns the address of a listener as callers write it.
func (l *listener) url() string {
	address := l.address()
	switch {
	case isGRPC(l.what), strings.HasPrefix(address, socketScheme):
		return address
	case l.tls != nil:
		return secureScheme + address
	}
	return "http://" + address
}
