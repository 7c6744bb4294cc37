package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
)

// The flags with which TestFileOnce starts this binary as a second process.
var (
	childTarget = flag.String("child.target", "", "where TestChild fetches to")
	childURL    = flag.String("child.url", "", "what TestChild fetches")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChild is what TestFileOnce runs in other processes.
func TestChild(t *testing.T) {
	t.Parallel()
	if *childTarget == "" {
		return
	}
	if err := fetch.File(t.Context(), *childTarget, fetch.Options{URL: *childURL}); err != nil {
		t.Fatal(err)
	}
}

var content = bytes.Repeat([]byte("0123456789abcdef"), 20_000) // 320 kB: several reads

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// serveContent answers as a file server does, ranges included.
func serveContent(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"one"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// left returns the names in target's directory.
func left(t *testing.T, target string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantContent(t *testing.T, target string) {
	t.Helper()
	got, err := os.ReadFile(target)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("read %s: %d bytes, %v, want the content's %d", target, len(got), err, len(content))
	}
	if names := left(t, target); len(names) != 1 {
		t.Errorf("left %v, want the file alone", names)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	s := server(t, serveContent)
	target := filepath.Join(t.TempDir(), "new", "file")
	var first, last, total int64 = -1, 0, 0
	err := fetch.File(t.Context(), target, fetch.Options{
		URL: s.URL + "/x", SHA256: strings.ToUpper(sumOf(content)), Client: s.Client(),
		Progress: func(d, n int64) {
			if first < 0 {
				first = d
			}
			if d < last {
				t.Errorf("progress went from %d back to %d", last, d)
			}
			last, total = d, n
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, target)
	if size := int64(len(content)); first != 0 || last != size || total != size {
		t.Errorf("progress from %d to %d of %d, want 0 to %d of as many", first, last, total, size)
	}
}

func TestFileThatIsThere(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := server(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); serveContent(w, r) })
	target := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(target, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fetch.File(t.Context(), target, fetch.Options{URL: s.URL}); err != nil || asked.Load() != 0 {
		t.Errorf("without a hash: %v after %d requests, want none", err, asked.Load())
	}
	if err := fetch.File(t.Context(), target, fetch.Options{URL: s.URL, SHA256: sumOf(content)}); err != nil {
		t.Fatal(err)
	}
	wantContent(t, target)
	if err := fetch.File(t.Context(), target, fetch.Options{URL: s.URL, SHA256: sumOf(content)}); err != nil || asked.Load() != 1 {
		t.Errorf("with the hash it has: %v after %d requests, want 1", err, asked.Load())
	}
	if err := fetch.File(t.Context(), filepath.Dir(target), fetch.Options{URL: s.URL}); !errors.Is(err, fault.Download) {
		t.Errorf("a directory as target: %v, want %v", err, fault.Download)
	}
}

func TestFileGoesOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, etag, wantRange string
		wholeAgain            bool // the server forgets ranges, as when the file changed
	}{
		{name: "strong tag", etag: `"one"`, wantRange: "bytes=100000-"},
		{name: "file changed", etag: `"one"`, wantRange: "bytes=100000-", wholeAgain: true},
		{name: "weak tag", etag: `W/"one"`},
		{name: "no tag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var ranges []string
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				ranges = append(ranges, r.Header.Get("Range"))
				if test.etag != "" {
					w.Header().Set("Etag", test.etag)
				}
				if len(ranges) == 1 {
					w.Header().Set("Content-Length", fmt.Sprint(len(content)))
					_, _ = w.Write(content[:100_000])
					return // the server breaks the connection: too little was written
				}
				if test.wholeAgain {
					r.Header.Del("Range")
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			})
			target := filepath.Join(t.TempDir(), "file")
			err := fetch.File(t.Context(), target, fetch.Options{URL: s.URL, SHA256: sumOf(content), Backoff: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, target)
			if len(ranges) != 2 || ranges[0] != "" || ranges[1] != test.wantRange {
				t.Errorf("ranges asked for: %q, want %q second", ranges, test.wantRange)
			}
		})
	}
}

func TestFileGoesOnInAnotherCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ranges []string
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) > 1 {
			serveContent(w, r)
			return
		}
		w.Header().Set("Etag", `"one"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:100_000])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	target := filepath.Join(t.TempDir(), "file")
	opts := fetch.Options{URL: s.URL, Progress: func(done, _ int64) {
		if done == 100_000 {
			cancel()
		}
	}}
	if err := fetch.File(ctx, target, opts); !errors.Is(err, fault.Canceled) {
		t.Fatalf("interrupted: %v, want %v", err, fault.Canceled)
	}
	for _, name := range left(t, target) {
		if !strings.HasPrefix(name, ".file.part") {
			t.Errorf("left %s", name)
		}
	}
	if err := fetch.File(t.Context(), target, opts); err != nil {
		t.Fatal(err)
	}
	wantContent(t, target)
	if ranges[1] != "bytes=100000-" {
		t.Errorf("second call asked for %q", ranges[1])
	}
}

func TestFileFails(t *testing.T) {
	t.Parallel()
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, test := range []struct {
		name     string
		handler  http.HandlerFunc
		opts     fetch.Options
		want     fault.Kind
		says     string
		requests int32
	}{
		{"not found", answer(404), fetch.Options{}, fault.Download, "the server answered 404 Not Found", 1},
		{"forbidden", answer(403), fetch.Options{}, fault.Download, "403 Forbidden", 1},
		{"server error", answer(503), fetch.Options{}, fault.Download, "503 Service Unavailable", 3},
		{"wrong hash", serveContent, fetch.Options{SHA256: sumOf(nil)}, fault.Download, "sha256 is " + sumOf(content), 1},
		{"too large", serveContent, fetch.Options{Limit: 1000}, fault.Download, "320000 bytes are more than the limit of 1000", 1},
		{"too large, size unsaid", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(content)
		}, fetch.Options{Limit: 1000}, fault.Download, "more than the limit of 1000 bytes", 1},
		{"truncated", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "320000")
			_, _ = w.Write(content[:1000])
		}, fetch.Options{}, fault.Download, "unexpected EOF", 3},
		{"no answer", hang, fetch.Options{AnswerTimeout: 20 * time.Millisecond}, fault.Timeout, "no answer in time", 3},
		{"stalled", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(content[:1000])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, fetch.Options{StallTimeout: 20 * time.Millisecond}, fault.Timeout, "the body stalled", 3},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/", http.StatusFound)
		}, fetch.Options{}, fault.Download, "more than 5 redirects", 6},
		{"redirect that is refused", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, fetch.Options{Redirect: func(to *url.URL) error { return errors.New(to.Path + " is out of bounds") }}, fault.Download, "redirected: /elsewhere is out of bounds", 1},
		{"full disk", serveContent, fetch.WithFullDisk(fetch.Options{}, 200_000), fault.Download, "no space left on device", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			s := server(t, test.handler)
			target := filepath.Join(t.TempDir(), "file")
			opts := test.opts
			opts.Client = &http.Client{Transport: counted{&http.Transport{DisableKeepAlives: true}, &requests}}
			opts.URL, opts.Backoff = s.URL+"/name?token=secret", time.Millisecond
			if opts.Attempts == 0 {
				opts.Attempts = 3
			}
			err := fetch.File(t.Context(), target, opts)
			if fault.Of(err) != test.want || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("error %v, want %v and %q", err, test.want, test.says)
			}
			if text := fmt.Sprint(err); !strings.Contains(text, s.URL) || strings.Contains(text, "secret") || strings.Contains(text, "\n") {
				t.Errorf("error %q: want the URL without its query, in one line", text)
			}
			if got := requests.Load(); got != test.requests {
				t.Errorf("%d requests, want %d", got, test.requests)
			}
			if names := left(t, target); len(names) != 0 {
				t.Errorf("left %v", names)
			}
		})
	}
}

// counted counts requests where they are sent: one that is given up soon may never reach the server.
type counted struct {
	http.RoundTripper

	requests *atomic.Int32
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestFileFullDiskNamesThePath(t *testing.T) {
	t.Parallel()
	s := server(t, serveContent)
	target := filepath.Join(t.TempDir(), "file")
	err := fetch.File(t.Context(), target, fetch.WithFullDisk(fetch.Options{URL: s.URL}, 10))
	if !errors.Is(err, syscall.ENOSPC) || !fetch.DiskFull(err) || !strings.Contains(err.Error(), filepath.Dir(target)) {
		t.Errorf("error %v, want ENOSPC and the path", err)
	}
}

func TestFileEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := server(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := fetch.File(ctx, filepath.Join(t.TempDir(), "file"), fetch.Options{URL: s.URL})
	if fault.Of(err) != fault.Timeout {
		t.Errorf("error %v, want %v", err, fault.Timeout)
	}
}

func TestFileTriesAgainAfterAWhile(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 3 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		serveContent(w, r)
	})
	target := filepath.Join(t.TempDir(), "file")
	if err := fetch.File(t.Context(), target, fetch.Options{URL: s.URL, Backoff: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	wantContent(t, target)
}

// A connection that breaks again and again, a good way on each time, brings the file nevertheless.
func TestFileComesInPieces(t *testing.T) {
	t.Parallel()
	const piece = 50_000
	var requests atomic.Int32
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		serveContent(&cut{ResponseWriter: w, left: piece}, r)
	})
	target := filepath.Join(t.TempDir(), "file")
	opts := fetch.WithGoodWay(fetch.Options{URL: s.URL, Backoff: time.Millisecond, Attempts: 2}, piece)
	if err := fetch.File(t.Context(), target, opts); err != nil {
		t.Fatal(err)
	}
	wantContent(t, target)
	if got := requests.Load(); got < 6 {
		t.Errorf("%d requests brought %d bytes in pieces of %d", got, len(content), piece)
	}
}

// cut is an answer that breaks off.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	if c.left -= n; err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}

// What will be the same the next moment is not tried again.
func TestFileGivesUpAtOnce(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(serveContent))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	for name, test := range map[string]struct {
		err  error
		says string
	}{
		"no such host": {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "host", IsNotFound: true}}, "no such host"},
		"untrusted":    {nil, "certificate"},
	} {
		attempts := 0
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			attempts++
			if test.err != nil {
				return nil, test.err
			}
			untrusting := http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
			return untrusting.RoundTrip(r)
		})}
		err := fetch.File(t.Context(), filepath.Join(t.TempDir(), "file"), fetch.Options{URL: s.URL, Client: client, Backoff: time.Millisecond})
		if fault.Of(err) != fault.Download || !strings.Contains(err.Error(), test.says) || attempts != 1 {
			t.Errorf("%s: %v after %d attempts, want %q after one", name, err, attempts, test.says)
		}
	}
}

func TestFileFailureTypes(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
			return
		}
		serveContent(w, r)
	})
	err := fetch.File(t.Context(), filepath.Join(t.TempDir(), "file"), fetch.Options{URL: s.URL + "/gone"})
	if status, ok := errors.AsType[fetch.StatusError](err); !ok || status.Code != http.StatusGone {
		t.Errorf("error %v, want a StatusError of 410", err)
	}
	err = fetch.File(t.Context(), filepath.Join(t.TempDir(), "file"), fetch.Options{URL: s.URL, SHA256: sumOf(nil)})
	if sum, ok := errors.AsType[fetch.SumError](err); !ok || sum.Got != sumOf(content) || sum.Want != sumOf(nil) {
		t.Errorf("error %v, want a SumError", err)
	}
}

func TestFileRefusesToLeaveHTTPS(t *testing.T) {
	t.Parallel()
	plain := server(t, serveContent)
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(secure.Close)
	opts := fetch.Options{URL: secure.URL, Client: secure.Client()}
	err := fetch.File(t.Context(), filepath.Join(t.TempDir(), "file"), opts)
	if fault.Of(err) != fault.Download || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("error %v, want a refused redirect", err)
	}
}

func TestFileInvalid(t *testing.T) {
	t.Parallel()
	for _, opts := range []fetch.Options{
		{},
		{URL: "ftp://host/x"},
		{URL: "file:///etc/passwd"},
		{URL: "https://"},
		{URL: "ftp://me:sesame@host/x"},
		{URL: "https://me:sesame@ho st/x"},
		{URL: "http://h", SHA256: "12"},
		{URL: "http://h", SHA256: strings.Repeat("x", 64)},
	} {
		if err := fetch.File(t.Context(), filepath.Join(t.TempDir(), "f"), opts); fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%+v: %v, want %v, and no password", opts, err, fault.Invalid)
		}
	}
}

// TestFileOnce lets goroutines and processes want one file: one request must do.
func TestFileOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s := server(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); serveContent(w, r) })
	target := filepath.Join(t.TempDir(), "file")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := fetch.File(t.Context(), target, fetch.Options{URL: s.URL}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		all.Go(func() {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$", "-child.target="+target, "-child.url="+s.URL)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	wantContent(t, target)
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "lock")
	var held atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			release, err := fetch.Lock(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if held.Add(1) != 1 {
				t.Error("held twice")
			}
			held.Add(-1)
			release()
		})
	}
	all.Wait()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock is left: %v", err)
	}
	release, err := fetch.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := fetch.Lock(ctx, path); fault.Of(err) != fault.Timeout {
		t.Errorf("a lock that is held: %v, want %v", err, fault.Timeout)
	}
	if _, err := fetch.Lock(t.Context(), filepath.Join(path, "x")); fault.Of(err) != fault.Download {
		t.Errorf("a lock that cannot be: %v, want %v", err, fault.Download)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(206, "bytes 5-9/10", "12345")
	f.Add(206, "bytes 5-9/*", "12345")
	f.Add(206, "bytes 0-9/10", "12345")
	f.Add(200, "", "x")
	f.Add(416, "bytes */3", "")
	f.Fuzz(func(t *testing.T, status int, contentRange, body string) {
		first := true
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Range": {contentRange}}, ContentLength: -1}
			resp.Body = io.NopCloser(strings.NewReader(body))
			if first {
				first = false
				resp.StatusCode, resp.ContentLength = http.StatusOK, 10
				resp.Header = http.Header{"Etag": {`"1"`}}
				resp.Body = io.NopCloser(strings.NewReader("01234"))
			}
			return resp, nil
		})
		target := filepath.Join(t.TempDir(), "file")
		err := fetch.File(t.Context(), target, fetch.Options{
			URL: "http://host/", Client: &http.Client{Transport: transport}, Backoff: 1, Attempts: 3, Limit: 1000,
		})
		if _, statErr := os.Stat(target); (err == nil) != (statErr == nil) {
			t.Errorf("File: %v, but the target: %v", err, statErr)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
