package server

import (
	"context"
	"math"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/api/rpc"
	"github.com/tsgo/tsgo/pkg/model"
)

// The gRPC APIs, as messages call them.
const (
	grpcInference  = "gRPC inference"
	grpcManagement = "gRPC management"
)

func isGRPC(what string) bool { return what == grpcInference || what == grpcManagement }

// services returns one of the gRPC APIs.
func (s *Server) services(l *listener) *rpc.Server {
	life := s.opts.GRPCInferenceLife
	if l.what == grpcManagement {
		life = s.opts.GRPCManagementLife
	}
	opts := rpc.Options{
		Auth: s.guard(apiOf(l.what)).Call, Ready: s.Ready, Log: s.log, Access: s.opts.Access, Observe: s.count,
		MaxReceive: math.MaxInt32, MaxAge: life.Age, MaxAgeGrace: life.Grace,
	}
	if l.tls != nil {
		opts.Credentials = credentials.NewTLS(l.tls)
	}
	if s.opts.MaxBody > 0 {
		opts.MaxReceive = int(min(s.opts.MaxBody, math.MaxInt32))
	}
	if l.what == grpcManagement {
		return rpc.NewServer(opts, rpc.NewManagement(s.models, rpc.ManagementOptions{ModelAPI: s.modelAPI, Log: s.log}))
	}
	settings := rpc.InferenceOptions{
		Params: s.opts.Params, Inputs: s.models.InputNames, Signature: s.signature, MaxAnswer: s.opts.MaxAnswer, Version: s.opts.Version, Log: s.log,
	}
	models := ready{s.models, s}
	return rpc.NewServer(opts, rpc.NewInference(models, settings), rpc.NewOpenInference(models, settings))
}

// count counts a call among the requests, by the status that it would have over HTTP.
func (s *Server) count(_ string, code codes.Code, _ time.Duration) {
	s.metrics.Status(api.HTTPStatus(code))
}

// signature returns what a model takes and gives; nothing of a model that is not there.
func (s *Server) signature(ref model.Ref) oip.Signature {
	about, _ := s.models.About(ref)
	return oip.SignatureOf(about)
}

// grpcServer gives a gRPC server the manners of an HTTP server.
type grpcServer struct{ *rpc.Server }

// Serve answers until Shutdown is called, and then returns [http.ErrServerClosed].
func (g grpcServer) Serve(l net.Listener) error {
	if err := g.Server.Serve(l); err != nil {
		return err
	}
	return http.ErrServerClosed
}

// Shutdown lets calls end until ctx does, and cuts off the rest.
func (g grpcServer) Shutdown(ctx context.Context) error { return g.Stop(ctx) }

// Close does nothing: Shutdown has cut off what was left.
func (grpcServer) Close() error { return nil }
