package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// requestID is the metadata that tells the caller its request's ID.
const requestID = "x-request-id"

// calls wraps every call: who may make it, what a panic and an error become.
type calls struct {
	auth func(ctx context.Context, fullMethod string, md metadata.MD) error
	log  *slog.Logger
}

func (c *calls) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	_ = grpc.SetHeader(ctx, metadata.Pairs(requestID, api.RequestID(ctx))) // a caller that has gone needs none
	err = c.call(ctx, info.FullMethod, func() (err error) {
		resp, err = next(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (c *calls) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx := stream.Context()
	_ = stream.SetHeader(metadata.Pairs(requestID, api.RequestID(ctx))) // a caller that has gone needs none
	return c.call(ctx, info.FullMethod, func() error { return next(srv, stream) })
}

// call makes a call, and returns its failure as a status.
func (c *calls) call(ctx context.Context, method string, next func() error) error {
	err := c.allowed(ctx, method)
	if err == nil {
		err = recovered(next)
	}
	if err == nil {
		return nil
	}
	id := api.RequestID(ctx)
	var told interface{ GRPCStatus() *status.Status } // by gRPC itself, or by a service of its own
	if errors.As(err, &told) {
		return err
	}
	if fault.Of(err) == fault.Internal {
		c.log.Error("request failed", "request", id, "method", method, "err", err)
	}
	return failure(err, id)
}

func (c *calls) allowed(ctx context.Context, method string) error {
	if c.auth == nil {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return c.auth(ctx, method, md)
}

// recovered turns a panic into an error.
func recovered(next func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v: %w\n%s", cause, fault.Internal, debug.Stack())
		}
	}()
	return next()
}

// domain is where the reasons of failures are defined.
const domain = "tsgo"

// failure returns an error as the status that goes out.
func failure(err error, id string) error {
	f := api.FailureOf(err, id)
	s := status.New(f.Code, f.Message)
	if detailed, err := s.WithDetails(&errdetails.ErrorInfo{
		Reason: f.Type, Domain: domain, Metadata: map[string]string{"request": id},
	}); err == nil {
		s = detailed
	}
	return s.Err()
}

// watch gives every call its ID, and tells of it when it is over, even if it never reached a service.
type watch struct {
	access  *slog.Logger
	observe func(fullMethod string, code codes.Code, took time.Duration)
}

// methodKey is where gRPC carries a call's method from its beginning to its end.
type methodKey struct{}

// TagRPC gives a call its ID.
func (w *watch) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(api.WithRequestID(ctx), methodKey{}, info.FullMethodName)
}

// HandleRPC tells of a call that is over.
func (w *watch) HandleRPC(ctx context.Context, what stats.RPCStats) {
	end, over := what.(*stats.End)
	if !over {
		return
	}
	method, _ := ctx.Value(methodKey{}).(string)
	code, took := codeOf(end.Error), end.EndTime.Sub(end.BeginTime)
	if w.access != nil && w.access.Enabled(ctx, slog.LevelInfo) {
		w.access.LogAttrs(ctx, slog.LevelInfo, "access",
			slog.String("line", accessLine(ctx, method, code, took)), slog.String("request", api.RequestID(ctx)))
	}
	if w.observe != nil {
		w.observe(method, code, took)
	}
}

// codeOf returns the status that a call ended with. gRPC tells of a call that its caller left by the context's error.
func codeOf(err error) codes.Code {
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return status.FromContextError(err).Code()
}

// accessLine is TorchServe's: the caller, the call, the status, the milliseconds.
func accessLine(ctx context.Context, method string, code codes.Code, took time.Duration) string {
	caller := "-"
	if p, ok := peer.FromContext(ctx); ok {
		caller = p.Addr.String()
	}
	if len(method) > 0 && method[0] == '/' {
		method = method[1:]
	}
	return fmt.Sprintf("/%s %q %d %d", caller, "gRPC "+method+" HTTP/2.0", code, took.Milliseconds())
}

// TagConn does nothing: connections are not told of.
func (*watch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (*watch) HandleConn(context.Context, stats.ConnStats) {}
