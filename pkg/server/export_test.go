package server

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
)

// HandlerOf returns what answers one of the APIs, for tests that ask more than a network carries.
func (s *Server) HandlerOf(of api.API) http.Handler { return s.one(of, nil) }
