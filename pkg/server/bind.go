package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	netstat "github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/tsgo/tsgo/pkg/fault"
)

// bind takes the ports. All are taken before one of them answers.
func (s *Server) bind(ctx context.Context) error {
	s.undo = append(s.undo, s.hangUp)
	apis := []struct {
		what, address, flag string
		actual              *string
	}{
		{"inference", s.opts.Inference, "--inference-address", &s.addrs.Inference},
		{"management", s.opts.Management, "--management-address", &s.addrs.Management},
		{"metrics", s.opts.Metrics, "--metrics-address", &s.addrs.Metrics},
		{grpcInference, s.opts.GRPCInference, "--grpc-inference-address", &s.addrs.GRPCInference},
		{grpcManagement, s.opts.GRPCManagement, "--grpc-management-address", &s.addrs.GRPCManagement},
	}
	for _, api := range apis {
		if api.what == "metrics" && !s.opts.MetricsAPI || isGRPC(api.what) && api.address == "" {
			continue
		}
		l, err := s.shared(api.what, api.address)
		if err == nil && l == nil {
			l, err = s.listen(ctx, api.what, api.address, api.flag)
		}
		if err != nil {
			return err
		}
		*api.actual = l.address()
		s.answered = append(s.answered, answered{api.what, l})
	}
	if err := s.secure(); err != nil {
		return err
	}
	for _, l := range s.listeners {
		l.server = s.answerer(l)
	}
	return nil
}

// shared returns the listener that an HTTP API shares with one before it, as the two have one address; nil: there is none.
// Port 0 is another one each time.
func (s *Server) shared(what, address string) (*listener, error) {
	if isGRPC(what) {
		return nil, nil
	}
	for _, l := range s.listeners {
		plain, secure := strings.CutPrefix(address, secureScheme)
		switch {
		case isGRPC(l.what) || !sameAddress(plain, strings.TrimPrefix(l.configured, secureScheme)):
			continue
		case secure != (l.tls != nil):
			return nil, fmt.Errorf("%w: the %s address %s is that of the %s API, %s: one speaks TLS, and the other does not; give both the same, or two ports",
				fault.Invalid, what, address, l.what, l.configured)
		}
		return l, nil
	}
	return nil, nil
}

// sameAddress tells whether two addresses are one, also where a host is written in two ways.
func sameAddress(a, b string) bool {
	if a == b {
		return !strings.HasSuffix(a, ":0")
	}
	one, failed := net.ResolveTCPAddr("tcp", a)
	other, err := net.ResolveTCPAddr("tcp", b)
	return failed == nil && err == nil && one.Port != 0 && one.String() == other.String()
}

// answerer returns what answers on one of the ports.
func (s *Server) answerer(l *listener) answerer {
	if isGRPC(l.what) {
		return grpcServer{s.services(l)}
	}
	h := &http.Server{
		TLSConfig: l.tls,
		Handler:   s.patient(s.handler(l)), ReadHeaderTimeout: idleTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), ConnState: l.watch,
	}
	if l.tls != nil {
		return secureServer{h}
	}
	return h
}

// secureServer is an HTTP server that speaks TLS.
type secureServer struct{ *http.Server }

// Serve answers until Shutdown is called, and then returns [http.ErrServerClosed].
func (s secureServer) Serve(l net.Listener) error {
	return s.ServeTLS(l, "", "") //nolint:wrapcheck // the certificate is in TLSConfig
}

func (s *Server) listen(ctx context.Context, what, address, flag string) (*listener, error) {
	made := &listener{
		what: what, configured: address, ended: make(chan struct{}), conns: map[net.Conn]http.ConnState{},
	}
	address, secure := strings.CutPrefix(address, secureScheme)
	var err error
	if secure || isGRPC(what) && s.opts.GRPCTLS {
		if made.tls, err = s.tls(); err != nil {
			return nil, err
		}
	}
	if path, ok := strings.CutPrefix(address, socketScheme); ok {
		made.net, err = listenSocket(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("%s API (%s): %w", what, flag, err)
		}
	} else if made.net, err = s.listenTCP(ctx, what, address, flag); err != nil {
		return nil, err
	}
	s.listeners = append(s.listeners, made)
	return made, nil
}

func (s *Server) listenTCP(ctx context.Context, what, address, flag string) (net.Listener, error) {
	address, err := shifted(address, s.opts.PortOffset)
	if err != nil {
		return nil, fmt.Errorf("%s address %q (%s): %w", what, address, flag, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, network(address), address)
	if err != nil {
		return nil, fmt.Errorf("%s API: %w: %w%s; choose another port with %s or --port-offset",
			what, fault.Unavailable, err, holder(ctx, address), flag)
	}
	return l, nil
}

// network returns the network of an address: what is said to be of IPv4 is not open to IPv6 as well.
func network(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
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

// patient gives up on a caller that neither sends what is left of a body nor takes more of an answer for
// Options.BodyTimeout: a slow one keeps its connection as long as something moves. A body that nobody reads has that time
// as a whole, as net/http waits for it before it answers.
func (s *Server) patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limits := patience{http.NewResponseController(w), s.opts.BodyTimeout}
		_ = limits.control.SetWriteDeadline(time.Time{}) // of the answer before, on the same connection
		if r.Body != nil && r.Body != http.NoBody {
			_ = limits.control.SetReadDeadline(time.Now().Add(limits.wait))
			own := *r // net/http looks at the body that it made
			own.Body = &patientBody{r.Body, limits}
			r = &own
		}
		next.ServeHTTP(&patientWriter{w, limits, &s.stopping}, r)
	})
}

// patience is how long a connection may stand still.
type patience struct {
	control *http.ResponseController
	wait    time.Duration
}

type patientBody struct {
	io.ReadCloser

	patience
}

func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.control.SetReadDeadline(time.Now().Add(b.wait)); err != nil {
		return 0, err //nolint:wrapcheck // the connection is gone
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // what comes after the body has the server's own limits; a body that is late has no after
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err //nolint:wrapcheck // io.EOF among them
}

// patientWriter also ends the connection with its answer where the server stops.
type patientWriter struct {
	http.ResponseWriter

	patience

	stopping *atomic.Bool
}

// WriteHeader writes the head of the answer.
func (w *patientWriter) WriteHeader(code int) {
	if w.stopping.Load() {
		w.Header().Set("Connection", "close")
	}
	w.ResponseWriter.WriteHeader(code)
}

// stretch is how many bytes of an answer have to go out in the time that it may stand still.
const stretch = 256 << 10

// Write writes a part of the answer.
func (w *patientWriter) Write(p []byte) (written int, err error) {
	for {
		// Twice: net/http may wait for what is left of the body first.
		if err := w.control.SetWriteDeadline(time.Now().Add(2 * w.wait)); err != nil {
			return written, err //nolint:wrapcheck // the connection is gone
		}
		n, err := w.ResponseWriter.Write(p[:min(len(p), stretch)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err //nolint:wrapcheck // it is the same writer to its caller
		}
	}
}

// Unwrap lets [http.ResponseController] reach what is wrapped.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
