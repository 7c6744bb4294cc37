package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // a caller may compress what it sends, and is answered likewise
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/fault"
)

// Options are the settings of a server.
type Options struct {
	Credentials credentials.TransportCredentials // nil: without TLS
	// Auth returns an error, of [fault.Unauthorized] as a rule, for a call that its caller may not make. It is asked of
	// every call, health and reflection included, whose full method is like "/package.Service/Method"; nil: all may.
	Auth func(ctx context.Context, fullMethod string, md metadata.MD) error
	// Ready returns nil when all that should answer can; it is what the health service tells. Nil: always.
	Ready func() error

	Log     *slog.Logger                                                 // defects, once each; nil: none
	Access  *slog.Logger                                                 // one line a call; nil: none
	Observe func(fullMethod string, code codes.Code, took time.Duration) // told of every call that ended; nil: nobody looks

	MaxReceive int // bytes of a message; 0: [inference.DefaultMaxBody]

	MaxAge      time.Duration // of a connection; 0: no limit
	MaxAgeGrace time.Duration // the calls of a connection that is too old have so long to end; 0: no limit
}

// Service is one that a server can offer: [Inference], [Management] or [OpenInference].
type Service interface {
	// Register makes the server's calls of the service its own.
	Register(to grpc.ServiceRegistrar)
}

// handshakeTimeout is how long a connection may take to say that it speaks HTTP/2.
const handshakeTimeout = 20 * time.Second

// maxCalls is how many calls of one connection run at once. More wait.
const maxCalls = 1000

// Server answers gRPC.
type Server struct {
	grpc  *grpc.Server
	stop  context.CancelFunc
	conns conns
}

// NewServer returns a server of services, and of health and reflection. Its services return ordinary errors, which it
// translates.
func NewServer(opts Options, services ...Service) *Server {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.MaxReceive == 0 {
		opts.MaxReceive = inference.DefaultMaxBody
	}
	if opts.Ready == nil {
		opts.Ready = func() error { return nil }
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &calls{auth: opts.Auth, log: opts.Log}
	settings := []grpc.ServerOption{
		grpc.StatsHandler(&watch{access: opts.Access, observe: opts.Observe}),
		grpc.UnaryInterceptor(c.unary), grpc.StreamInterceptor(c.stream), grpc.UnknownServiceHandler(unknown),
		grpc.MaxRecvMsgSize(opts.MaxReceive), grpc.MaxConcurrentStreams(maxCalls), grpc.WaitForHandlers(true),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: opts.MaxAge, MaxConnectionAgeGrace: opts.MaxAgeGrace}),
	}
	if opts.Credentials != nil {
		settings = append(settings, grpc.Creds(opts.Credentials))
	}
	s := grpc.NewServer(settings...)
	for _, service := range services {
		service.Register(s)
		if waits, ok := service.(interface{ until(stop <-chan struct{}) }); ok {
			waits.until(ctx.Done())
		}
	}
	healthpb.RegisterHealthServer(s, &health{ready: opts.Ready, known: s.GetServiceInfo, stopping: ctx.Done()})
	registerReflection(s)
	return &Server{grpc: s, stop: stop}
}

// Serve answers what comes to l until Stop is called, and then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(listener{l, &s.conns}); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC at %s: %w: %w", l.Addr(), fault.Unavailable, err)
	}
	return nil
}

// Stop takes no more calls and waits for those under way, until ctx ends: then it cancels them, and returns the error of
// ctx.
func (s *Server) Stop(ctx context.Context) error {
	s.stop()
	s.conns.closeSilent()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.conns.closeAll()
		s.grpc.Stop()
		<-done
		return ctx.Err()
	}
}

// unknown answers calls of methods that are not there.
func unknown(any, grpc.ServerStream) error {
	return api.Words(fault.Unsupported, "there is no such method here; reflection tells which ones there are")
}
