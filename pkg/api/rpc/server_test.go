package rpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tsgo/tsgo/pkg/api/rpc"
	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func services(m *models) []rpc.Service {
	return []rpc.Service{
		rpc.NewInference(m, rpc.InferenceOptions{}), rpc.NewOpenInference(m, rpc.InferenceOptions{}),
		rpc.NewManagement(newManager(), rpc.ManagementOptions{}),
	}
}

const (
	predictions = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
	ping        = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping"
)

func TestAuth(t *testing.T) {
	t.Parallel()
	m := &models{}
	var mu sync.Mutex
	var asked []string
	conn, _ := serve(t, rpc.Options{Auth: func(_ context.Context, method string, md metadata.MD) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, method)
		if len(md.Get("authorization")) == 0 {
			return fmt.Errorf("%w: no key; want the metadata authorization", fault.Unauthorized)
		}
		return nil
	}}, services(m)...)
	c := inferencepb.NewInferenceAPIsServiceClient(conn)
	_, err := c.Predictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "m"})
	wantFailure(t, err, codes.Unauthenticated, "InvalidKeyException", "unauthorized: no key; want the metadata authorization")
	stream, err := c.StreamPredictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream: %v", err)
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("health: %v", err)
	}
	if err := conn.Invoke(t.Context(), "/a.B/C", &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("an unknown method: %v", err)
	}
	if len(m.asked) != 0 {
		t.Errorf("the model was asked %v", m.asked)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer key")
	if _, err := c.Predictions(ctx, &inferencepb.PredictionsRequest{ModelName: "m"}); err != nil {
		t.Error(err)
	}
	want := []string{
		predictions, "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions",
		"/grpc.health.v1.Health/Check", "/a.B/C", predictions,
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked about (-want +got):\n%s", diff)
	}
}

// rawCodec sends bytes as they are, so that they need not be a message.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (rawCodec) Name() string                       { return "proto" }

var _ encoding.Codec = rawCodec{}

// TestEveryCallIsTold shows that calls which never reach a service have a line and a status too.
func TestEveryCallIsTold(t *testing.T) {
	t.Parallel()
	var access logged
	var mu sync.Mutex
	var observed []string
	over := make(chan struct{}, 10)
	conn, _ := serve(t, rpc.Options{
		Access: logTo(&access), MaxReceive: 1000,
		Observe: func(method string, code codes.Code, took time.Duration) {
			mu.Lock()
			observed = append(observed, fmt.Sprint(method, " ", code))
			mu.Unlock()
			if took < 0 || took > time.Minute {
				t.Errorf("%s took %v", method, took)
			}
			over <- struct{}{}
		},
	}, services(&models{answer: func(_ context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
		return &model.Response{Body: bytes.Repeat(req.Inputs[0].Data, 1000)}, nil
	}})...)
	c := inferencepb.NewInferenceAPIsServiceClient(conn)
	predict := func(n int) error {
		_, err := c.Predictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "m", Input: map[string][]byte{"x": make([]byte, n)}})
		return err
	}
	call := func(method string, message []byte) error {
		var answer []byte
		return conn.Invoke(t.Context(), method, message, &answer, grpc.ForceCodec(rawCodec{}))
	}
	for _, tt := range []struct {
		name string
		call func() error
		want codes.Code
	}{
		{"good", func() error { return predict(1) }, codes.OK},
		{"no garbage", func() error { return call(predictions, []byte("\x0a\x01m\x1a\x05\x0a\x01x\x12\x00")) }, codes.OK},
		{"large question", func() error { return predict(2000) }, codes.ResourceExhausted},
		{"garbage", func() error { return call(predictions, []byte("\xff\xff")) }, codes.Internal},
		{"unknown method", func() error { return call(predictions+"3", nil) }, codes.Unimplemented},
		{"unknown service", func() error { return call("/a.B/C", nil) }, codes.Unimplemented},
	} {
		if err := tt.call(); status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		<-over
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		predictions + " OK", predictions + " OK", predictions + " ResourceExhausted",
		predictions + " Internal", predictions + "3 Unimplemented", "/a.B/C Unimplemented",
	}
	if diff := cmp.Diff(want, observed); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	lines := strings.Split(strings.TrimSpace(access.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines of access: %q", len(lines), lines)
	}
	line := regexp.MustCompile(`^level=INFO msg=access line="/bufconn \\"gRPC org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions HTTP/2.0\\" 8 \d+" request=[0-9a-f-]{36}$`)
	if !line.MatchString(lines[2]) {
		t.Errorf("line %s", lines[2])
	}
}

func TestUnknownMethod(t *testing.T) {
	t.Parallel()
	conn, _ := serve(t, rpc.Options{}, services(&models{})...)
	err := conn.Invoke(t.Context(), "/a.B/C", &emptypb.Empty{}, &emptypb.Empty{})
	wantFailure(t, err, codes.Unimplemented, "UnsupportedException", "there is no such method here; reflection tells which ones there are")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	m := &models{}
	conn, s := serve(t, rpc.Options{Ready: m.Ready}, services(m)...)
	c := healthpb.NewHealthClient(conn)
	check := func(service string, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		resp, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || resp.GetStatus() != want {
			t.Errorf("%q: %v, %v, want %v", service, resp, err, want)
		}
	}
	check("", healthpb.HealthCheckResponse_SERVING)
	check("inference.GRPCInferenceService", healthpb.HealthCheckResponse_SERVING)
	_, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "a.B"})
	wantFailure(t, err, codes.NotFound, "", `service "a.B" is not here; reflection tells which ones are`)

	watch := func(service string) (next func() healthpb.HealthCheckResponse_ServingStatus, end func() error) {
		stream, err := c.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return func() healthpb.HealthCheckResponse_ServingStatus {
			resp, err := stream.Recv()
			if err != nil {
				t.Errorf("watch %q: %v", service, err)
			}
			return resp.GetStatus()
		}, func() error { _, err := stream.Recv(); return err }
	}
	next, end := watch("")
	nextUnknown, endUnknown := watch("a.B")
	if got := nextUnknown(); got != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("unknown: %v", got)
	}
	if got := next(); got != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("first: %v", got)
	}
	m.setReady(fault.Unavailable)
	if got := next(); got != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("second: %v", got)
	}
	check("", healthpb.HealthCheckResponse_NOT_SERVING)
	list, err := c.List(t.Context(), &healthpb.HealthListRequest{})
	if err != nil || len(list.GetStatuses()) < 6 {
		t.Errorf("list %v, %v", list, err)
	}
	for service, state := range list.GetStatuses() {
		if state.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("list: %q is %v", service, state)
		}
	}
	m.setReady(nil)
	if got := next(); got != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("third: %v", got)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := next(); got != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("last: %v", got)
	}
	for _, end := range []func() error{end, endUnknown} {
		if err := end(); status.Code(err) != codes.Unavailable {
			t.Errorf("the end: %v", err)
		}
	}
}

func TestReflection(t *testing.T) {
	t.Parallel()
	conn, _ := serve(t, rpc.Options{}, services(&models{})...)
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(req *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	var names []string
	for _, service := range ask(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}).GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	for _, want := range []string{
		"org.pytorch.serve.grpc.inference.InferenceAPIsService", "org.pytorch.serve.grpc.management.ManagementAPIsService",
		"inference.GRPCInferenceService", "org.pytorch.serve.grpc.openinference.GRPCInferenceService",
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %q", want, names)
		}
		file := ask(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: want},
		})
		described := file.GetFileDescriptorResponse().GetFileDescriptorProto()
		var got descriptorpb.FileDescriptorProto
		if len(described) == 0 {
			t.Errorf("%s: %v", want, file)
		} else if err := proto.Unmarshal(described[0], &got); err != nil || !strings.HasPrefix(want, got.GetPackage()+".") {
			t.Errorf("%s: package %s, %v", want, got.GetPackage(), err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	m := &models{answer: func(ctx context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
		entered <- struct{}{}
		if len(req.Inputs) > 0 { // one that only its end ends
			defer close(left)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		<-leave
		return &model.Response{Body: []byte("done")}, nil
	}}
	call := func(c inferencepb.InferenceAPIsServiceClient, inputs map[string][]byte) <-chan error {
		answered := make(chan error, 1)
		go func() {
			_, err := c.Predictions(context.Background(), &inferencepb.PredictionsRequest{ModelName: "m", Input: inputs})
			answered <- err
		}()
		<-entered
		return answered
	}
	conn, s := serve(t, rpc.Options{}, rpc.NewInference(m, rpc.InferenceOptions{}))
	answered := call(inferencepb.NewInferenceAPIsServiceClient(conn), nil)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	close(leave)
	if err := errors.Join(<-answered, <-stopped); err != nil {
		t.Errorf("a call under way: %v", err)
	}

	conn, s = serve(t, rpc.Options{}, rpc.NewInference(m, rpc.InferenceOptions{}))
	answered = call(inferencepb.NewInferenceAPIsServiceClient(conn), map[string][]byte{"x": nil})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v, want that the time was over", err)
	}
	<-left // Stop has waited for it
	if err := <-answered; err == nil {
		t.Error("a call that was cancelled has an answer")
	}
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	s := rpc.NewServer(rpc.Options{})
	if err := s.Serve(l); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("a closed listener: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, pool := selfSigned(t)
	creds := credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "server.test", MinVersion: tls.VersionTLS12})
	server := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	conn, _ := serveOver(t, creds, rpc.Options{Credentials: server}, services(&models{})...)
	if _, err := inferencepb.NewInferenceAPIsServiceClient(conn).Ping(t.Context(), &emptypb.Empty{}); err != nil {
		t.Error(err)
	}
	plain, _ := serve(t, rpc.Options{Credentials: server}, services(&models{})...)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := plain.Invoke(ctx, ping, &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unavailable {
		t.Errorf("without TLS: %v", err)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"server.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
