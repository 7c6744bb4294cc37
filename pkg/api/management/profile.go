package management

import (
	"net"
	"net/http"
	"net/http/pprof" //nolint:gosec // its own routes are on a mux that nobody serves
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// profile answers with a profile of the process, as net/http/pprof has them, to callers on this machine alone: what a
// profile shows, and what making it costs, is nobody else's. Who comes through a proxy that says so is not on this machine;
// one on this machine that does not say so passes for a caller here.
func profile(w http.ResponseWriter, r *http.Request, name string) error {
	if !local(r) {
		return api.Words(fault.NotFound, "Profiles are for callers on the server's own machine.")
	}
	switch name {
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "":
		pprof.Index(w, r)
	default:
		pprof.Handler(name).ServeHTTP(w, r)
	}
	return nil
}

// local tells whether a request came from this machine: over loopback or a Unix socket, and not through a proxy.
func local(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || slices.Contains([]string{"Forwarded", "Via", "X-Real-Ip"}, name) {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return true // a Unix socket has no port
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
