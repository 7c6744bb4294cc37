package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// fakeServer serves all APIs on one port: a model m that says how many bytes its input has, and fails on "bad".
func fakeServer(t *testing.T, metrics string, token *atomic.Value) string {
	t.Helper()
	s := httptest.NewServer(api.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		token.Store(r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/api-description":
			return api.WriteJSON(w, http.StatusOK, map[string]any{"paths": map[string]any{"/predictions/{model_name}": nil, "/models": nil}})
		case "/metrics":
			_, err := io.WriteString(w, metrics)
			return err
		case "/predictions/m":
			data, err := io.ReadAll(r.Body)
			if string(data) == "bad" {
				return fmt.Errorf("%w: that is no input", fault.Invalid)
			}
			_, _ = fmt.Fprint(w, len(data))
			return err
		}
		return fmt.Errorf("%w: %s", fault.NotFound, r.URL.Path)
	}, api.Options{}))
	t.Cleanup(s.Close)
	return s.URL
}

// tsgo runs a command line in this process.
func tsgo(t *testing.T, env map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(streams{in: strings.NewReader(""), out: &out, err: &errs, env: func(name string) string { return env[name] }}, args)
	return status, out.String(), errs.String()
}

func TestAskServer(t *testing.T) {
	t.Parallel()
	var token atomic.Value
	url, dir := fakeServer(t, "", &token), t.TempDir()
	for i := range 50 {
		text := strings.Repeat("x", i)
		if i == 7 {
			text = "bad"
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.txt", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, out, errs := tsgo(t, map[string]string{"TSGO_SERVER": url, "TSGO_TOKEN": "key"}, "predict", "m", dir, "-o", "json")
	if status != 2 || !strings.Contains(errs, "07.txt: invalid: that is no input") {
		t.Errorf("exit status %d, stderr %q; want 2 and the file that is bad", status, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 50 {
		t.Fatalf("%d lines, want 50", len(lines))
	}
	for i, line := range lines {
		want := fmt.Sprintf(`{"file":%q,"answer":%d}`, filepath.Join(dir, fmt.Sprintf("%02d.txt", i)), i)
		if i != 7 && line != want {
			t.Errorf("line %d = %s, want %s", i, line, want)
		}
	}
	if got := token.Load(); got != "Bearer key" {
		t.Errorf("Authorization = %q, want that of TSGO_TOKEN", got)
	}
	status, out, errs = tsgo(t, nil, "predict", "m", filepath.Join(dir, "09.txt"), "--server", url, "--token", "other")
	if status != 0 || out != "9" || token.Load() != "Bearer other" {
		t.Errorf("exit status %d, stdout %q, stderr %q, token %q", status, out, errs, token.Load())
	}
}

// TestCACert trusts a server whose certificate's authority is in the file, and says how to where it is not.
func TestCACert(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			_, _ = io.WriteString(w, metricsPage)
			return
		}
		_, _ = io.WriteString(w, `{"paths": {"/predictions/{model_name}": {}, "/models": {}}}`)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the refused handshake
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := tsgo(t, nil, "metrics", "--raw", "--server", s.URL, "--cacert", file)
	if status != 0 || out != metricsPage {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, out, errs)
	}
	status, out, errs = tsgo(t, map[string]string{"TSGO_CACERT": file}, "metrics", "--raw", "--server", s.URL)
	if status != 0 || out != metricsPage {
		t.Errorf("by a variable: exit status %d, stdout %q, stderr %q", status, out, errs)
	}
	status, _, errs = tsgo(t, nil, "metrics", "--server", s.URL)
	if status != 5 || !strings.Contains(errs, "is not trusted") || !strings.Contains(errs, "--cacert") {
		t.Errorf("exit status %d, stderr %q; want 5 and the way out", status, errs)
	}
}

const metricsPage = `# TYPE tsgo_request_seconds histogram
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="0.004"} 100
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="2"} 200
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="+Inf"} 200
tsgo_request_seconds_count{model_name="m",model_version="1.0",mode="predict"} 200
tsgo_request_seconds_count{model_name="m",model_version="1.0",mode="explain"} 0
# TYPE tsgo_workers gauge
tsgo_workers{model_name="m",model_version="1.0"} 2
`

func TestMetrics(t *testing.T) {
	t.Parallel()
	var token atomic.Value
	url := fakeServer(t, metricsPage, &token)
	_, out, _ := tsgo(t, nil, "metrics", "--server", url, "-o", "table")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("table:\n%s\nwant a header, and no row for explanations", out)
	}
	if got, want := strings.Join(strings.Fields(lines[1]), " "), "m 1.0 predict 200 0 4.00 ms 1.8 s 1.96 s 0 2 0 B"; got != want {
		t.Errorf("row = %s, want %s", got, want)
	}
	_, out, _ = tsgo(t, nil, "metrics", "--server", url, "-o", "json")
	var all []measured
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 || all[0].P50 != 4 || all[0].Workers != 2 {
		t.Errorf("JSON: %v, %+v", err, all)
	}
	if _, out, _ = tsgo(t, nil, "metrics", "--server", url, "--raw"); out != metricsPage {
		t.Errorf("--raw = %q, want what the server sends", out)
	}
	if _, out, _ = tsgo(t, nil, "metrics", "--server", fakeServer(t, "", &token), "-o", "table"); !strings.Contains(out, "no models") {
		t.Errorf("no metrics: %q", out)
	}
}

// TestWatch looks every two seconds, goes on when the server is away for once, and ends with its context.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		o := metricsOptions{streams: streams{out: &out, outTerminal: true}}
		begun, looks := time.Now(), 0
		err := o.repeat(ctx, func() ([]byte, error) {
			looks++
			switch looks {
			case 2:
				return nil, fault.Unavailable
			case 4:
				cancel()
				return nil, ctx.Err()
			}
			return []byte("page\n"), nil
		})
		const fresh = "\x1b[H\x1b[J"
		if want := fresh + "page\n" + fresh + "tsgo: unavailable\n" + fresh + "page\n"; err != nil || out.String() != want {
			t.Errorf("repeat = %v, %q, want %q", err, out.String(), want)
		}
		if took := time.Since(begun); took != 3*watchEvery {
			t.Errorf("four looks took %v, want %v", took, 3*watchEvery)
		}
		if err := o.repeat(t.Context(), func() ([]byte, error) { return nil, fault.Unavailable }); !errors.Is(err, fault.Unavailable) {
			t.Errorf("the first look fails: %v, want %v", err, fault.Unavailable)
		}
	})
}

// TestSpin shows nothing of what is soon over, and how long the rest has taken; and leaves nothing behind.
func TestSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := streams{err: &out, errTerminal: true}
		spin(s, "loading m", time.Second)()
		if out.Len() > 0 && strings.Contains(out.String(), "loading") {
			t.Errorf("at once: %q, want nothing", out.String())
		}
		done := spin(s, "loading m", time.Second)
		<-time.After(2500 * time.Millisecond)
		done()
		if !strings.Contains(out.String(), "loading m") || !strings.Contains(out.String(), "[2s]") {
			t.Errorf("after 2.5 s: %q", out.String())
		}
		shown := out.String()
		if last := shown[strings.LastIndex(shown[:len(shown)-1], "\r"):]; strings.Contains(last, "loading") {
			t.Errorf("it stays: %q", last)
		}
		spin(streams{err: &out}, "loading m", 0)()
		if out.String() != shown {
			t.Errorf("where there is no terminal: %q", strings.TrimPrefix(out.String(), shown))
		}
	})
}
