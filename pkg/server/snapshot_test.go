package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/snapshot"
	"github.com/tsgo/tsgo/pkg/store"
)

// diary is where a server keeps what it serves, and how a test reads it.
type diary struct{ server.Snapshots }

func keepDiary(t *testing.T) diary {
	t.Helper()
	return diary{server.Snapshots{
		Dir:    filepath.Join(t.TempDir(), "logs", "config"),
		Encode: func(_ string, _ time.Time, served []server.Kept) ([]byte, error) { return json.Marshal(served) },
	}}
}

// last returns what the newest snapshot says, and its kind.
func (d diary) last(t *testing.T) (served []server.Kept, kind snapshot.Kind) {
	t.Helper()
	paths, err := snapshot.Newest(d.Dir)
	if err != nil || len(paths) == 0 {
		t.Fatalf("snapshots %q, %v", paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	_, content, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(content, &served); err != nil {
		t.Fatalf("%s: %v in %s", paths[0], err, text)
	}
	_, name, _ := strings.Cut(filepath.Base(paths[0]), "-")
	return served, snapshot.Kind(strings.TrimSuffix(name, ".cfg"))
}

// rearrange sends requests to the management API, one "METHOD target" each, which are all to succeed.
func rearrange(t *testing.T, s *server.Server, requests ...string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, request := range requests {
		method, target, _ := strings.Cut(request, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addrs().Management+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s, %v", request, resp.StatusCode, body, err)
		}
	}
}

// state is what is told of all versions, but for when their workers began.
func state(t *testing.T, s *server.Server) []model.Status {
	t.Helper()
	var all []model.Status
	for _, v := range s.Models().Served() {
		for i := range v.Status.Workers {
			v.Status.Workers[i].Started = time.Time{}
			v.Status.Workers[i].ID = ""
		}
		all = append(all, v.Status)
	}
	return all
}

// TestRestore changes what a server serves in every way, ends it, and has another one go on: everything is told as before,
// of models in the store, outside of it, and from a URL that there is no more.
func TestRestore(t *testing.T) {
	t.Parallel()
	web, outside, d := t.TempDir(), filepath.Join(t.TempDir(), "outside"), keepDiary(t)
	writeArchive(t, filepath.Join(web, "sums-3.mar"), "3.0")
	writeModel(t, outside, "4.0")
	host := httptest.NewServer(http.FileServer(http.Dir(web)))
	t.Cleanup(host.Close)
	opts := options(t)
	opts.Snapshots = d.Snapshots
	opts.Models = append(opts.Models, server.Startup{Name: "other", Location: outside})
	opts.AllowedURLs = []*regexp.Regexp{regexp.MustCompile(regexp.QuoteMeta(host.URL) + "/.*")}
	s := begin(t, opts)
	rearrange(
		t, s,
		"POST /models?url=two&batch_size=3&max_batch_delay=7&response_timeout=11&startup_timeout=13&initial_workers=0&handler=lists&runtime=python3",
		"POST /models?initial_workers=1&url="+url.QueryEscape(host.URL+"/sums-3.mar?sig=secret"),
		"POST /models?url=one&model_name=gone", "DELETE /models/gone",
		"PUT /models/sums/3.0?min_worker=1&max_worker=4&synchronous=true",
		"PUT /models/sums/2.0/set-default",
	)
	before := state(t, s)
	stop(t, s)
	host.Close()
	kept, kind := d.last(t)
	if text, err := json.Marshal(kept); err != nil || kind != snapshot.Shutdown || bytes.Contains(text, []byte("secret")) {
		t.Errorf("%s, %v: %s", kind, err, text)
	}
	var archives []string
	for _, k := range kept {
		archives = append(archives, k.Ref.String()+" "+k.Archive)
	}
	if diff := cmp.Diff([]string{"other/4.0 " + outside, "sums/1.0 one", "sums/2.0 two", "sums/3.0 sums-3.mar"}, archives); diff != "" {
		t.Errorf("archives (-want +got):\n%s", diff)
	}

	opts.Restore, opts.All, opts.AllowedURLs, opts.Workers = kept, true, nil, 7
	s = begin(t, opts)
	after := state(t, s)
	for i := range before {
		before[i].URL = store.Label(before[i].URL)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what is served (-before +after):\n%s", diff)
	}
	stop(t, s)
	if again, _ := d.last(t); !cmp.Equal(kept, again) {
		t.Errorf("what is kept (-before +after):\n%s", cmp.Diff(kept, again))
	}
}

// begin is start with options of the test's own.
func begin(t *testing.T, opts server.Options) *server.Server {
	t.Helper()
	s, err := server.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s
}

// TestRestoreInPart reports each model that cannot be restored by its name, serves the others, and does not forget it: it
// comes back with its archive.
func TestRestoreInPart(t *testing.T) {
	t.Parallel()
	d := keepDiary(t)
	opts := options(t)
	var report server.Report
	var log bytes.Buffer
	opts.Log, opts.Snapshots, opts.Started = slog.New(slog.NewTextHandler(&log, nil)), d.Snapshots, func(r server.Report) { report = r }
	kept := func(version, archive string, isDefault bool) server.Kept {
		return server.Kept{Ref: model.Ref{Name: "sums", Version: version}, Archive: archive, Default: isDefault, Workers: &model.Scale{Min: 1, Max: 1}, Handler: "lists"}
	}
	late := kept("2.0", "late/model", true)
	opts.Restore = []server.Kept{
		kept("1.0", "one", false), late, kept("3.0", "../upwards", false), kept("4.0", filepath.Join(t.TempDir(), "gone"), false),
		{Ref: model.Ref{Name: "a/b", Version: "5"}, Archive: "one"},
		kept("6.0", "two", false),
	}
	s := begin(t, opts)
	var told []string
	for _, m := range report.Models {
		told = append(told, fmt.Sprintf("%s/%s %d %v", m.Name, m.Version, m.Workers, m.Err != nil))
	}
	if diff := cmp.Diff([]string{"sums/1.0 1 false", "sums/2.0 0 true", "sums/3.0 0 true", "sums/4.0 0 true", "a/b/5 0 true", "sums/6.0 1 false"}, told); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for _, want := range []string{"its archive is gone: late/model: ", "version=4.0", "model=a/b"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("nothing of %q in %s", want, log.String())
		}
	}
	dir := strings.SplitN(opts.Store.Looked(), " (", 2)[0]
	writeModel(t, filepath.Join(dir, "late", "model"), "2.0")
	stop(t, s)
	opts.Restore, _ = d.last(t)
	if len(opts.Restore) != 6 {
		t.Errorf("%d versions are kept, want all six: %+v", len(opts.Restore), opts.Restore)
	}
	s = begin(t, opts)
	defer stop(t, s)
	if _, err := s.Models().Describe(t.Context(), late.Ref, model.Description{}); err != nil {
		t.Errorf("a model whose archive is there again: %v", err)
	}
}

// TestSnapshotsWhileChanging changes what is served from many sides at once: none waits for the disk, which stands still, and
// the last snapshot says what is served in the end.
func TestSnapshotsWhileChanging(t *testing.T) {
	t.Parallel()
	d := keepDiary(t)
	encode, proceed := d.Encode, make(chan struct{})
	d.Encode = func(name string, at time.Time, served []server.Kept) ([]byte, error) {
		<-proceed
		return encode(name, at, served)
	}
	s := start(t, func(o *server.Options) { o.Snapshots = d.Snapshots })
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			name := fmt.Sprintf("m%d", i)
			rearrange(t, s, "POST /models?url=two&initial_workers=1&model_name="+name)
			for n := range 5 {
				rearrange(t, s, fmt.Sprintf("PUT /models/%s?min_worker=%d&synchronous=true", name, n+1), "PUT /models/sums/1.0/set-default")
			}
			if i%2 == 0 {
				rearrange(t, s, "DELETE /models/"+name)
			}
		})
	}
	group.Wait()
	close(proceed)
	stop(t, s)
	served, kind := d.last(t)
	var got []string
	for _, k := range served {
		got = append(got, fmt.Sprintf("%s %v %d", k.Ref, k.Default, k.Workers.Min))
	}
	if diff := cmp.Diff([]string{"m1/2.0 true 5", "m3/2.0 true 5", "sums/1.0 true 2"}, got); diff != "" || kind != snapshot.Shutdown {
		t.Errorf("%s, what is kept (-want +got):\n%s", kind, diff)
	}
}

// TestSnapshotsOnABrokenDisk serves on, and tells once.
func TestSnapshotsOnABrokenDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]server.Snapshots{
		"no directory": {Dir: filepath.Join(file, "config"), Encode: keepDiary(t).Encode},
		"too large":    {Dir: t.TempDir(), Encode: func(string, time.Time, []server.Kept) ([]byte, error) { return nil, errors.New("too large") }},
	} {
		var log bytes.Buffer
		s := start(t, func(o *server.Options) {
			o.Snapshots, o.Log = broken, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		})
		for n := range 3 {
			rearrange(t, s, fmt.Sprintf("PUT /models/sums?min_worker=%d&synchronous=true", n+1))
		}
		stop(t, s)
		if n := strings.Count(log.String(), "snapshots cannot be written"); n != 1 {
			t.Errorf("%s: %d warnings, want one: %s", name, n, log.String())
		}
	}
}

// TestNoSnapshots writes nothing where nothing is kept, and none of a server that has not started.
func TestNoSnapshots(t *testing.T) {
	t.Parallel()
	d := keepDiary(t)
	opts := options(t)
	opts.Snapshots.Encode = d.Encode
	s := begin(t, opts)
	rearrange(t, s, "PUT /models/sums?min_worker=1&synchronous=true")
	stop(t, s)
	opts.Snapshots = d.Snapshots
	s, err := server.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	if _, err := os.Stat(d.Dir); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want none", d.Dir, err)
	}
}
