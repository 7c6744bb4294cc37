package server_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
)

// TestRegisterLater registers without waiting: what is not there, not allowed or there already is told before the network
// is opened, and what loads is seen by nobody and delays nobody.
func TestRegisterLater(t *testing.T) {
	t.Parallel()
	opened := make(chan struct{})
	s := start(t, func(o *server.Options) {
		o.Open = func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
			if strings.Contains(net.Path, "two") {
				select {
				case <-opened:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return openSums(ctx, net, opts)
		}
	})
	t.Cleanup(func() { stop(t, s) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	wantPost := func(target, body string, code int, want string) {
		t.Helper()
		contentType := "" // the query says all
		if body != "" {
			contentType = "application/json"
		}
		resp, err := client.Post(target, contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != code || !strings.Contains(compact(got), want) {
			t.Errorf("%s: %d %s, %v, want %d %s", target, resp.StatusCode, compact(got), err, code, want)
		}
	}
	for _, test := range []struct {
		location string
		code     int
		want     string
	}{
		{"gone", http.StatusNotFound, "Model not found at: gone"},
		{"../two", http.StatusNotFound, "Relative path is not allowed in url: ../two"},
		{"https://host/a.mar", http.StatusNotFound, "does not match any allowed URL(s)"},
		{"one", http.StatusConflict, "Model version 1.0 is already registered for model sums"},
		{"two", http.StatusAccepted, "Processing worker updates..."},
		{"two", http.StatusConflict, "Model version 2.0 is already registered for model sums"},
	} {
		wantPost("http://"+s.Addrs().Management+"/models?synchronous=false&initial_workers=1&url="+url.QueryEscape(test.location),
			"", test.code, test.want)
	}
	wantPost("http://"+s.Addrs().Inference+"/predictions/sums", "[1, 1, 1, 1]", http.StatusOK, "")
	wantPost("http://"+s.Addrs().Inference+"/predictions/sums/2.0", "[1, 1, 1, 1]", http.StatusNotFound, "")
	close(opened)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for {
		if _, err := s.Models().Describe(t.Context(), model.Ref{Name: "sums", Version: "2.0"}, model.Description{}); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not registered after 20 s")
		}
	}
	wantPost("http://"+s.Addrs().Inference+"/predictions/sums/2.0", "[1, 1, 1, 1]", http.StatusOK, "")
}

// TestVersionsInOrder checks that versions are told as numbers, and what is told of one that is served from the start.
func TestVersionsInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, func(o *server.Options) {
		for _, version := range []string{"1.10", "1.9"} {
			writeModel(t, filepath.Join(dir, version), version)
			o.Models = append(o.Models, server.Startup{Location: filepath.Join(dir, version)})
		}
	})
	t.Cleanup(func() { stop(t, s) })
	all, err := s.Models().Describe(t.Context(), model.Ref{Name: "sums"}, model.Description{All: true})
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		Version, Handler string
		AtStartup        bool
		Workers          int
	}
	var got []told
	for _, status := range all {
		got = append(got, told{status.Ref.Version, status.Handler, status.AtStartup, len(status.Workers)})
	}
	want := []told{{"1.0", "lists", true, 2}, {"1.9", "lists", true, 2}, {"1.10", "lists", true, 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}
