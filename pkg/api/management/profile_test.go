package management_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/api/management"
)

// TestProfile asks for profiles from this machine, from another one, through a proxy, and where there are none.
func TestProfile(t *testing.T) {
	t.Parallel()
	on, off := serve(serving(), management.Options{Profile: true}), open(serving())
	tests := []struct {
		name, target, remote, header string
		server                       http.Handler
		code                         int
		body                         string
	}{
		{"the list", "/debug/pprof/", "127.0.0.1:5", "", on, 200, "goroutine"},
		{"one of them", "/debug/pprof/goroutine?debug=1", "127.0.0.1:5", "", on, 200, "goroutine profile: total"},
		{"over IPv6", "/debug/pprof/heap?debug=1", "[::1]:5", "", on, 200, "heap profile"},
		{"over a Unix socket", "/debug/pprof/cmdline", "@", "", on, 200, "management.test"},
		{"one that is none", "/debug/pprof/wall", "127.0.0.1:5", "", on, 404, "Unknown profile"},
		{"below one", "/debug/pprof/heap/1", "127.0.0.1:5", "", on, 404, "Requested resource is not found"},
		{"from another machine", "/debug/pprof/heap", "192.0.2.1:5", "", on, 404, "on the server's own machine"},
		{"through a proxy", "/debug/pprof/heap", "127.0.0.1:5", "X-Forwarded-For", on, 404, "on the server's own machine"},
		{"through one that says little", "/debug/pprof/heap", "127.0.0.1:5", "X-Forwarded-Proto", on, 404, "on the server's own machine"},
		{"through one by the book", "/debug/pprof/heap", "127.0.0.1:5", "Via", on, 404, "on the server's own machine"},
		{"not wanted", "/debug/pprof/heap", "127.0.0.1:5", "", off, 404, "Requested resource is not found"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, test.target, http.NoBody)
			r.RemoteAddr = test.remote
			if test.header != "" {
				r.Header.Set(test.header, "192.0.2.1")
			}
			w := httptest.NewRecorder()
			test.server.ServeHTTP(w, r)
			if w.Code != test.code || !strings.Contains(w.Body.String(), test.body) {
				t.Errorf("%d %.200q, want %d and %q", w.Code, w.Body, test.code, test.body)
			}
		})
	}
	for server, want := range map[http.Handler]bool{on: true, off: false} {
		if got := (call{"OPTIONS /", ""}).send(server); strings.Contains(got.body, "/debug/pprof/") != want {
			t.Errorf("the description speaks of profiles: %t, want %t", !want, want)
		}
	}
}
