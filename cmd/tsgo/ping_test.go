package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPingUnwell asks servers that are not well: one says so, and one says nothing.
func TestPingUnwell(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, timeout, want string
		ping                http.HandlerFunc
	}{
		{"unhealthy", "1m", `says that it is "Unhealthy"`, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"status": "Unhealthy"}`)
		}},
		{"silent", "20ms", "context deadline exceeded", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("GET /ping", tt.ping)
			s := httptest.NewServer(mux)
			t.Cleanup(s.Close)
			status, out, errs := tsgo(t, nil, "ping", "--server", s.URL, "--timeout", tt.timeout)
			if status != 5 || out != "" || !strings.Contains(errs, tt.want) {
				t.Errorf("status %d, stdout %q, stderr %q, want 5 and %q", status, out, errs, tt.want)
			}
		})
	}
}
