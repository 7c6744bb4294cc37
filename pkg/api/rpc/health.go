package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// health is the standard health service. All services of a server are as healthy as the server.
type health struct {
	healthpb.UnimplementedHealthServer

	ready    func() error
	known    func() map[string]grpc.ServiceInfo
	stopping <-chan struct{}
}

// of returns the state of a service; "" is the server.
func (h *health) of(service string) healthpb.HealthCheckResponse_ServingStatus {
	if _, ok := h.known()[service]; !ok && service != "" {
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	}
	select {
	case <-h.stopping:
		return healthpb.HealthCheckResponse_NOT_SERVING
	default:
	}
	if h.ready() != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

// Check tells the state of a service.
func (h *health) Check(_ context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	state := h.of(req.GetService())
	if state == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "service %q is not here; reflection tells which ones are", req.GetService())
	}
	return &healthpb.HealthCheckResponse{Status: state}, nil
}

// List tells the state of every service.
func (h *health) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	all := map[string]*healthpb.HealthCheckResponse{"": {Status: h.of("")}}
	for service := range h.known() {
		all[service] = &healthpb.HealthCheckResponse{Status: h.of(service)}
	}
	return &healthpb.HealthListResponse{Statuses: all}, nil
}

// look is how often the state is looked at for those who watch it.
const look = time.Second

// Watch tells the state of a service, and again whenever it is another, until the server stops.
func (h *health) Watch(req *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	last, stopped := healthpb.HealthCheckResponse_UNKNOWN, false
	for {
		if state := h.of(req.GetService()); state != last {
			last = state
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: state}); err != nil {
				return err
			}
		}
		if stopped {
			return status.Error(codes.Unavailable, "the server is stopping")
		}
		select {
		case <-h.stopping:
			stopped = true
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-ticker.C:
		}
	}
}
