package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/api/rpc/managementpb"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/auth"
	"github.com/tsgo/tsgo/pkg/auth/certificate"
	"github.com/tsgo/tsgo/pkg/server"
)

// TestGRPCKeys asks over gRPC with each key and with none: each opens its own port and no other.
func TestGRPCKeys(t *testing.T) {
	t.Parallel()
	f := build(t, withGRPC)
	inference, management := connect(t, f.Addrs().GRPCInference), connect(t, f.Addrs().GRPCManagement)
	t.Cleanup(func() { _, _ = inference.Close(), management.Close() })
	keys := f.keys(t)
	for name, call := range map[string]struct {
		scope auth.Scope
		ask   func(ctx context.Context) error
	}{
		"ModelInfer": {auth.Inference, func(ctx context.Context) error {
			_, err := openinferencepb.NewGRPCInferenceServiceClient(inference).ModelInfer(ctx, asBody(question(), "predict"))
			return err
		}},
		"ModelMetadata": {auth.Inference, func(ctx context.Context) error {
			_, err := openinferencepb.NewGRPCInferenceServiceClient(inference).ModelMetadata(ctx, &openinferencepb.ModelMetadataRequest{Name: "sums"})
			return err
		}},
		"DescribeModel": {auth.Management, func(ctx context.Context) error {
			_, err := managementpb.NewManagementAPIsServiceClient(management).DescribeModel(ctx, &managementpb.DescribeModelRequest{ModelName: "sums"})
			return err
		}},
	} {
		for key, text := range map[string]string{"none": "", "inference": keys[auth.Inference], "management": keys[auth.Management], "API": keys[auth.API]} {
			ctx, want := t.Context(), codes.Unauthenticated
			if text != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+text)
			}
			if key == string(call.scope) {
				want = codes.OK
			}
			if err := call.ask(ctx); status.Code(err) != want {
				t.Errorf("%s with key %s: %v, want %s", name, key, err, want)
			}
		}
	}
	for _, conn := range []*grpc.ClientConn{inference, management} {
		if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("health without a key: %v", err)
		}
	}
	if _, err := inferencepb.NewInferenceAPIsServiceClient(inference).Ping(t.Context(), nil); err != nil {
		t.Errorf("Ping without a key: %v", err)
	}
	f.silent(t, keys)
}

// TestGRPCNeed opens one gRPC port to other machines: all callers need keys, and models can be registered only while both
// management ports are of this machine alone.
func TestGRPCNeed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		inference, management string
		keys, modelAPI        bool
	}{
		"local":           {"127.0.0.1:0", "127.0.0.1:0", false, true},
		"off":             {"", "", false, true},
		"inference open":  {"0.0.0.0:0", "127.0.0.1:0", true, true},
		"management open": {"127.0.0.1:0", "0.0.0.0:0", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var report server.Report
			f := build(t, func(o *server.Options) {
				o.GRPCInference, o.GRPCManagement, o.Keys.Need = test.inference, test.management, server.NeedRemote
				o.ModelAPI, o.LocalModelAPI = false, true
				o.Started = func(r server.Report) { report = r }
			})
			if report.ModelAPI != test.modelAPI || (report.KeyFile != "") != test.keys {
				t.Errorf("model API %t, key file %q, want %t, %t", report.ModelAPI, report.KeyFile, test.modelAPI, test.keys)
			}
			for _, e := range report.Endpoints {
				if e.Key != (test.keys && e.API != "metrics") {
					t.Errorf("%+v, want keys %t", e, test.keys)
				}
				if e.GRPC && e.URL != f.Addrs().GRPCInference && e.URL != f.Addrs().GRPCManagement {
					t.Errorf("%+v has no address of gRPC", e)
				}
			}
			if f.Addrs().GRPCManagement == "" {
				return
			}
			_, err := managementpb.NewManagementAPIsServiceClient(connectUntil(t, f.Addrs().GRPCManagement)).RegisterModel(
				f.with(t, auth.Management, test.keys), &managementpb.RegisterModelRequest{Url: "two"})
			if want := map[bool]codes.Code{true: codes.OK, false: codes.PermissionDenied}[test.modelAPI]; status.Code(err) != want {
				t.Errorf("RegisterModel: %v, want %s", err, want)
			}
		})
	}
}

// connectUntil is connect until the test ends.
func connectUntil(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn := connect(t, address)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// with returns a context whose calls carry a key, where there are keys.
func (f *fortress) with(t *testing.T, scope auth.Scope, keys bool) context.Context {
	t.Helper()
	if !keys {
		return t.Context()
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+f.keys(t)[scope])
}

// TestGRPCTLS asks over gRPC and TLS, and in vain without it, or without the certificate that callers have to show.
func TestGRPCTLS(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, "server")
	shown, shownKey := certify(t, "caller")
	pair, err := tls.LoadX509KeyPair(shown, shownKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	for name, ca := range map[string]string{"plain": "", "mutual": shown} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var report server.Report
			s := start(t, func(o *server.Options) {
				withGRPC(o)
				o.GRPCTLS, o.TLS = true, certificate.Options{Certificate: cert, Key: key, ClientCA: ca}
				o.Started = func(r server.Report) { report = r }
			})
			t.Cleanup(func() { stop(t, s) })
			for _, e := range report.Endpoints {
				if e.Secure != e.GRPC || e.Mutual != (e.GRPC && ca != "") {
					t.Errorf("%+v", e)
				}
			}
			for _, address := range []string{s.Addrs().GRPCInference, s.Addrs().GRPCManagement} {
				address = strings.TrimPrefix(byName(address), "https://")
				for _, shows := range [][]tls.Certificate{nil, {pair}} {
					conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: trusted, Certificates: shows})))
					if err != nil {
						t.Fatal(err)
					}
					_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
					if want := ca == "" || shows != nil; (err == nil) != want {
						t.Errorf("%d certificates shown: %v, want an answer %t", len(shows), err, want)
					}
					_ = conn.Close()
				}
				if _, err := healthpb.NewHealthClient(connectUntil(t, address)).Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
					t.Errorf("without TLS: %v, want %s", err, codes.Unavailable)
				}
			}
		})
	}
}
