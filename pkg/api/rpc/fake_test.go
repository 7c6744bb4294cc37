package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/tsgo/tsgo/pkg/api/rpc"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// models is what answers: it remembers what it was asked, and echoes it unless told otherwise.
type models struct {
	answer func(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) // nil: say which model it was

	mu       sync.Mutex
	asked    []*model.Request
	refs     []model.Ref
	notReady error
}

func (m *models) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	m.mu.Lock()
	m.asked, m.refs = append(m.asked, req), append(m.refs, ref)
	m.mu.Unlock()
	if m.answer != nil {
		return m.answer(ctx, ref, req)
	}
	return &model.Response{ContentType: "application/json", Body: []byte(fmt.Sprintf("%q", ref.String()+" "+req.Mode.String()))}, nil
}

// last is what was asked last.
func (m *models) last(t *testing.T) (model.Ref, *model.Request) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) == 0 {
		t.Fatal("nothing was asked")
	}
	return m.refs[len(m.refs)-1], m.asked[len(m.asked)-1]
}

func (m *models) setReady(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notReady = err
}

func (m *models) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notReady
}

// Describe knows mnist 1.0 (default) and 2.0, of which 2.0 has a worker too few, and idle, which has none.
func (m *models) Describe(_ context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	ready, loading := model.Worker{Ready: true}, model.Worker{}
	one := model.Status{Ref: model.Ref{Name: "mnist", Version: "1.0"}, MinWorkers: 1, Workers: []model.Worker{ready}}
	two := model.Status{Ref: model.Ref{Name: "mnist", Version: "2.0"}, MinWorkers: 2, Workers: []model.Worker{ready, loading}}
	switch {
	case ref.Name == "broken":
		return nil, nil
	case ref.Name == "idle":
		return []model.Status{{Ref: model.Ref{Name: "idle", Version: "1.0"}, Runtime: "LSP"}}, nil
	case ref.Name != "mnist":
		return nil, fmt.Errorf("%w: %q", fault.NoModel, ref.Name)
	case d.All:
		return []model.Status{one, two}, nil
	case ref.Version == "", ref.Version == "1.0":
		return []model.Status{one}, nil
	case ref.Version == "2.0":
		return []model.Status{two}, nil
	}
	return nil, fmt.Errorf("%w: %q", fault.NoVersion, ref)
}

// serve starts a server that lives as long as the test.
func serve(t *testing.T, opts rpc.Options, services ...rpc.Service) (*grpc.ClientConn, *rpc.Server) {
	t.Helper()
	return serveOver(t, insecure.NewCredentials(), opts, services...)
}

func serveOver(t *testing.T, creds credentials.TransportCredentials, opts rpc.Options, services ...rpc.Service) (*grpc.ClientConn, *rpc.Server) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := rpc.NewServer(opts, services...)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///server.test",
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return conn, s
}

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

var errSecret = errors.New("a defect with its secrets")
