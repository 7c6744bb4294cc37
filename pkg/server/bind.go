package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	netstat "github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/tsgo/tsgo/pkg/fault"
)

// bind takes the ports. All are taken before one of them answers.
func (s *Server) bind(ctx context.Context) error {
	apis := []struct {
		what, address, flag string
		actual              *string
	}{
		{"inference", s.opts.Inference, "--inference-address", &s.addrs.Inference},
		{"management", s.opts.Management, "--management-address", &s.addrs.Management},
		{"metrics", s.opts.Metrics, "--metrics-address", &s.addrs.Metrics},
	}
	for _, api := range apis {
		if api.what == "metrics" && !s.opts.MetricsAPI {
			continue
		}
		l, err := s.listen(ctx, api.what, api.address, api.flag)
		if err != nil {
			return err
		}
		*api.actual = l.net.Addr().String()
		s.listeners = append(s.listeners, l)
		s.undo = append(s.undo, l.stop)
	}
	if err := s.secure(); err != nil {
		return err
	}
	for _, l := range s.listeners {
		l.http.Handler = s.patient(s.handler(l.what))
	}
	return nil
}

func (s *Server) listen(ctx context.Context, what, address, flag string) (*listener, error) {
	address, secure := strings.CutPrefix(address, secureScheme)
	address, err := shifted(address, s.opts.PortOffset)
	if err != nil {
		return nil, fmt.Errorf("%s address %q (%s): %w", what, address, flag, err)
	}
	var secrets *tls.Config
	if secure {
		if secrets, err = s.tls(); err != nil {
			return nil, err
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s API: %w: %w%s; choose another port with %s or --port-offset",
			what, fault.Unavailable, err, holder(ctx, address), flag)
	}
	return &listener{
		what: what, net: l, secure: secure, failed: make(chan error, 1), ended: make(chan struct{}),
		http: &http.Server{
			TLSConfig:         secrets,
			ReadHeaderTimeout: idleTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// shifted adds an offset to a port that is not 0.
func shifted(address string, offset int) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, fmt.Errorf("%w: %w: want HOST:PORT", fault.Invalid, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n+offset > 65535 {
		return address, fmt.Errorf("%w: port %s and an offset of %d: want a port from 0 to 65535", fault.Invalid, port, offset)
	}
	if n > 0 {
		n += offset
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// holder says which process listens on address, where the system tells: ` (held by process 42, "nginx")`.
func holder(ctx context.Context, address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	connections, err := netstat.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return ""
	}
	for _, c := range connections {
		if c.Status != "LISTEN" || strconv.Itoa(int(c.Laddr.Port)) != port || c.Pid == 0 {
			continue
		}
		text := fmt.Sprintf(" (held by process %d", c.Pid)
		if p, err := process.NewProcessWithContext(ctx, c.Pid); err == nil {
			if name, err := p.NameWithContext(ctx); err == nil {
				text += ", " + strconv.Quote(name)
			}
		}
		return text + ")"
	}
	return ""
}

// patient gives up on a body that sends nothing for Options.BodyTimeout: a slow sender keeps its connection as long as it
// sends. A body that nobody reads to its end, because the request is refused say, has that long for what net/http reads of
// it before it answers.
func (s *Server) patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			body := &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w), wait: s.opts.BodyTimeout}
			r.Body = body
			defer func() {
				if !body.ended {
					_ = body.control.SetReadDeadline(time.Now().Add(body.wait)) // of a connection that has gone there is none
				}
			}()
		}
		next.ServeHTTP(w, r)
	})
}

type patientBody struct {
	io.ReadCloser

	control *http.ResponseController
	wait    time.Duration
	ended   bool
}

func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.control.SetReadDeadline(time.Now().Add(b.wait)); err != nil {
		return 0, err //nolint:wrapcheck // the connection is gone
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // what comes after the body has the server's own limits; a body that is late has no after
		b.ended = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err //nolint:wrapcheck // io.EOF among them
}
