package rpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/api/rpc"
)

// TestStopAmongSilent stops a server to which something is connected that says nothing, or begins and goes no further.
func TestStopAmongSilent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		says  string
		reads int // by when the server has heard that
		wait  time.Duration
		want  error
	}{
		"silent":          {"", 1, 20 * time.Second, nil},
		"half a greeting": {"PRI * HTTP/2.0\r\n", 2, 10 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			accepted := &counted{Listener: l, reads: make(chan struct{}, 100)}
			s := rpc.NewServer(rpc.Options{})
			served := make(chan error, 1)
			go func() { served <- s.Serve(accepted) }()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // the test is over
			if _, err := io.WriteString(conn, tt.says); err != nil {
				t.Fatal(err)
			}
			for range tt.reads {
				<-accepted.reads
			}
			ctx, cancel := context.WithTimeout(t.Context(), tt.wait)
			defer cancel()
			begin := time.Now()
			if err := s.Stop(ctx); !errors.Is(err, tt.want) {
				t.Errorf("stop: %v, want %v", err, tt.want)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("stopping took %v", took)
			}
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
}

// counted tells of every time that somebody begins to read of its connections.
type counted struct {
	net.Listener

	reads chan struct{}
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &reading{conn, c.reads}, nil
}

type reading struct {
	net.Conn

	reads chan struct{}
}

func (r *reading) Read(p []byte) (int, error) {
	select {
	case r.reads <- struct{}{}:
	default:
	}
	return r.Conn.Read(p)
}

// TestServeAfterStop serves when it is over already.
func TestServeAfterStop(t *testing.T) {
	t.Parallel()
	s := rpc.NewServer(rpc.Options{})
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}
