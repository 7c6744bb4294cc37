package server

import (
	"context"
	"net"
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
)

// HandlerOf returns what answers one of the APIs, for tests that ask more than a network carries.
func (s *Server) HandlerOf(of api.API) http.Handler { return s.one(of, nil) }

// Serve answers the first API of a port, its limits on time included, on connections of the test's own, until the listener
// is closed.
func (s *Server) Serve(of api.API, conns net.Listener) error {
	for _, l := range s.listeners {
		if apiOf(l.what) == of {
			return s.answerer(l).Serve(conns) //nolint:wrapcheck // the test sees why
		}
	}
	return net.ErrClosed
}

// Broken starts a server one of whose ports breaks at once, and returns what Run waits for: the first that does.
func (s *Server) Broken(ctx context.Context) error {
	_ = s.listeners[0].net.Close()
	s.Start()
	select {
	case err := <-s.failed():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
