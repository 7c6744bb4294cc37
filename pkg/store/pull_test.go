package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
	"github.com/tsgo/tsgo/pkg/store"
)

var network = bytes.Repeat([]byte("0123456789abcdef"), 10_000)

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func serveNetwork(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"one"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(network))
}

func secure(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

// order is one of a network that is called net.onnx.
func order(s *httptest.Server) store.Order {
	return store.Order{
		URLs: []string{s.URL + "/net.onnx?token=secret"}, Client: s.Client(), Name: "net", Version: "1.0", Licence: "MIT", Backoff: time.Millisecond,
		Beside: manifest("1.0"),
	}
}

func manifest(version string) store.Beside {
	return func(string) (map[string]string, error) {
		text := "model: {name: net, version: " + version + ", serializedFile: net.onnx, handler: image_classifier}"
		return map[string]string{"model-config.yaml": text}, nil
	}
}

// inside returns what is in a directory, but for what is hidden; and what is hidden.
func inside(t *testing.T, dir string) (seen, hidden []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			hidden = append(hidden, e.Name())
		} else {
			seen = append(seen, e.Name())
		}
	}
	return seen, hidden
}

func TestPull(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s := secure(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); serveNetwork(w, r) })
	dir := filepath.Join(t.TempDir(), "new", "store")
	o := order(s)
	o.SHA256 = strings.ToUpper(sumOf(network))
	checked := 0
	o.Beside = func(network string) (map[string]string, error) {
		if seen, _ := inside(t, dir); len(seen) > 0 && checked == 0 {
			t.Errorf("%v is seen before it is checked", seen)
		}
		checked++
		return manifest("1.0")(network)
	}
	got, already, err := store.Pull(t.Context(), dir, o)
	if err != nil || already || checked != 1 {
		t.Fatalf("Pull = %v, %v; checked %d", already, err, checked)
	}
	if got.Time.IsZero() || len(got.Files) != 2 {
		t.Errorf("record %+v, want a time and two files", got)
	}
	want := store.Pulled{
		Name: "net", Version: "1.0", Path: filepath.Join(dir, "net"), URL: s.URL + "/net.onnx", SHA256: sumOf(network), Size: int64(len(network)),
		Licence: "MIT", Time: got.Time, Files: got.Files,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	seen, hidden := inside(t, dir)
	if diff := cmp.Diff([][]string{{"net"}, {".net.pulled.json"}}, [][]string{seen, hidden}); diff != "" {
		t.Errorf("in the store (-want +got):\n%s", diff)
	}
	entry, err := store.New(store.Dir{Path: dir}).Find("net", "1.0")
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := entry.Pulled(); !ok || !cmp.Equal(p, got) {
		t.Errorf("the entry was pulled: %+v, %v, want %+v", p, ok, got)
	}
	if again, already, err := store.Pull(t.Context(), dir, o); err != nil || !already || !cmp.Equal(again, got) || requests.Load() != 1 {
		t.Errorf("a second Pull = %+v, %v, %v, after %d requests", again, already, err, requests.Load())
	}
	o.Force = true
	if _, already, err := store.Pull(t.Context(), dir, o); err != nil || already || requests.Load() != 2 {
		t.Errorf("Pull with force = %v, %v, after %d requests", already, err, requests.Load())
	}
	if seen, hidden := inside(t, dir); len(seen) != 1 || len(hidden) != 1 {
		t.Errorf("left after a replacement: %v, %v", seen, hidden)
	}
}

// An interrupted pull goes on where it was, but not where the file has become another.
func TestPullGoesOn(t *testing.T) {
	t.Parallel()
	for name, changed := range map[string]bool{"same file": false, "file changed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var ranges, validators []string
			s := secure(t, func(w http.ResponseWriter, r *http.Request) {
				ranges, validators = append(ranges, r.Header.Get("Range")), append(validators, r.Header.Get("If-Range"))
				if len(ranges) > 1 && changed {
					w.Header().Set("Etag", `"two"`)
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(network))
					return
				}
				if len(ranges) > 1 {
					serveNetwork(w, r)
					return
				}
				w.Header().Set("Etag", `"one"`)
				w.Header().Set("Content-Length", fmt.Sprint(len(network)))
				_, _ = w.Write(bytes.Repeat([]byte("0123456789abcdef"), 5_000))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
			dir, o := t.TempDir(), order(s)
			o.SHA256 = sumOf(network)
			o.Progress = func(done, _ int64) {
				if done == 80_000 {
					cancel()
				}
			}
			if _, _, err := store.Pull(ctx, dir, o); !errors.Is(err, fault.Canceled) {
				t.Fatalf("interrupted: %v", err)
			}
			if seen, _ := inside(t, dir); len(seen) > 0 || store.Kept(dir, o) != 80_000 {
				t.Errorf("seen %v, kept %d, want nothing and 80000", seen, store.Kept(dir, o))
			}
			if _, _, err := store.Pull(t.Context(), dir, o); err != nil {
				t.Fatal(err)
			}
			if ranges[1] != "bytes=80000-" || validators[1] != `"one"` {
				t.Errorf("asked to go on with %q of %q", ranges[1], validators[1])
			}
			if got, err := os.ReadFile(filepath.Join(dir, "net", "net.onnx")); err != nil || !bytes.Equal(got, network) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestPullFails(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(serveNetwork))
	t.Cleanup(plain.Close)
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		change  func(o *store.Order)
		want    fault.Kind
		says    string
	}{
		{
			"wrong hash", serveNetwork, func(o *store.Order) { o.SHA256 = sumOf(nil) },
			fault.Download, "sha256 is " + sumOf(network) + ", want " + sumOf(nil),
		},
		{"not there", http.NotFound, nil, fault.Download, "404 Not Found"},
		{
			"leads to http", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, plain.URL+"/net.onnx", http.StatusFound)
			}, nil, fault.Download, "redirected from https to http",
		},
		{"too large", serveNetwork, func(o *store.Order) { o.Limit = 1000 }, fault.Download, "160000 bytes are more than the limit of 1000 bytes"},
		{
			"too large, and it does not say so", func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).Flush()
				_, _ = w.Write(network)
			}, func(o *store.Order) { o.Limit = 1000 }, fault.Download, "more than the limit of 1000 bytes",
		},
		{
			"says less than it sends", func(w http.ResponseWriter, _ *http.Request) {
				lie(w, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n"+string(network))
			}, func(o *store.Order) { o.SHA256 = sumOf(network) }, fault.Download, "sha256 is " + sumOf(network[:10]) + ", want " + sumOf(network),
		},
		{
			"stands still", func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(network[:100])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}, func(o *store.Order) { o.StallTimeout = 10 * time.Millisecond }, fault.Timeout, "the body stalled",
		},
		{"no network", serveNetwork, func(o *store.Order) {
			o.Beside = func(string) (map[string]string, error) { return nil, fmt.Errorf("%w: a picture", fault.BadModel) }
		}, fault.BadModel, "a picture"},
		{"no model", serveNetwork, func(o *store.Order) {
			o.Beside = func(string) (map[string]string, error) {
				return map[string]string{"model-config.yaml": "modell: {}"}, nil
			}
		}, fault.BadModel, `did you mean "model"?`},
		{"no name", serveNetwork, func(o *store.Order) { o.Name = "" }, fault.Invalid, `model ""`},
		{"a name that leads out", serveNetwork, func(o *store.Order) { o.Name = "../net" }, fault.Invalid, `"../net"`},
		{"http", serveNetwork, func(o *store.Order) { o.URLs[0] = plain.URL + "/net.onnx" }, fault.Invalid, "begins with https://"},
		{"credentials", serveNetwork, func(o *store.Order) { o.URLs[0] = "https://me:secret@host/net.onnx" }, fault.Invalid, "credentials"},
		{"malformed", serveNetwork, func(o *store.Order) { o.URLs[0] = "https://me:secret@ho st/net.onnx" }, fault.Invalid, "malformed"},
		{"no model's name", serveNetwork, func(o *store.Order) { o.URLs[0] = "https://host/net.txt" }, fault.Invalid, "net.txt"},
		{"a name for an archive", serveNetwork, func(o *store.Order) { o.URLs[0] = "https://host/net.mar" }, fault.Invalid, "an archive says itself"},
		{"an archive that is none", serveNetwork, func(o *store.Order) {
			o.URLs[0] = strings.Replace(o.URLs[0], ".onnx", ".mar", 1)
			o.Name, o.Version, o.Beside = "", "", nil
		}, fault.BadModel, "net.mar brought"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := secure(t, test.handler)
			dir, o := t.TempDir(), order(s)
			if test.change != nil {
				test.change(&o)
			}
			_, _, err := store.Pull(t.Context(), dir, o)
			if fault.Of(err) != test.want || !strings.Contains(fmt.Sprint(err), test.says) || strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("error %v, want %v and %q, and no secret", err, test.want, test.says)
			}
			if seen, hidden := inside(t, dir); len(seen)+len(hidden) > 0 {
				t.Errorf("left %v, %v", seen, hidden)
			}
		})
	}
}

// lie answers with bytes as they are.
func lie(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(text))
	_ = conn.Close()
}

// The second address is asked where the first has nothing; what was kept of the first stays.
func TestPullFromTheSecondAddress(t *testing.T) {
	t.Parallel()
	s := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/gone/") {
			http.NotFound(w, r)
			return
		}
		serveNetwork(w, r)
	})
	dir, o := t.TempDir(), order(s)
	o.URLs = []string{s.URL + "/gone/net.onnx", s.URL + "/there/net.onnx"}
	o.SHA256 = sumOf(network)
	p, _, err := store.Pull(t.Context(), dir, o)
	if err != nil || p.URL != o.URLs[1] {
		t.Fatalf("Pull = %+v, %v", p, err)
	}
	o.URLs[1] = s.URL + "/gone/too/net.onnx"
	_, _, err = store.Pull(t.Context(), t.TempDir(), o)
	if fault.Of(err) != fault.Download || !strings.Contains(err.Error(), "/gone/net.onnx") || !strings.Contains(err.Error(), "/gone/too/net.onnx") {
		t.Errorf("error %v, want both addresses", err)
	}
}

func TestPullByHand(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	file := filepath.Join(top, "brought")
	write(t, file, string(network))
	dir := filepath.Join(top, "store")
	o := order(httptest.NewUnstartedServer(nil))
	o.URLs, o.Client = []string{"https://nowhere.invalid/net.onnx"}, nil
	for _, test := range []struct {
		name string
		with func(o store.Order) store.Order
		want fault.Kind
		says string
	}{
		{"missing", func(o store.Order) store.Order { o.Local = file + "x"; return o }, fault.NotFound, "broughtx"},
		{"a directory", func(o store.Order) store.Order { o.Local = top; return o }, fault.Invalid, "no regular file"},
		{"wrong hash", func(o store.Order) store.Order { o.SHA256 = sumOf(nil); return o }, fault.Invalid, "sha256 is " + sumOf(network)},
		{"too large", func(o store.Order) store.Order { o.Limit = 10; return o }, fault.TooLarge, "limit of 10 bytes"},
	} {
		o := o
		o.Local = file
		if _, _, err := store.Pull(t.Context(), dir, test.with(o)); fault.Of(err) != test.want || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v and %q", test.name, err, test.want, test.says)
		}
		if seen, hidden := inside(t, dir); len(seen)+len(hidden) > 0 {
			t.Errorf("%s: left %v, %v", test.name, seen, hidden)
		}
	}
	o.Local, o.SHA256 = file, sumOf(network)
	p, _, err := store.Pull(t.Context(), dir, o)
	if err != nil || p.URL != fileURL(file) {
		t.Errorf("Pull = %+v, %v", p, err)
	}
}

func TestPullArchives(t *testing.T) {
	t.Parallel()
	packed := filepath.Join(t.TempDir(), "x.mar")
	mar(t, packed, "inner", "2.0")
	s := secure(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, packed) })
	for _, ending := range []string{"mar", "zip", "ZIP"} {
		dir := t.TempDir()
		o := store.Order{URLs: []string{s.URL + "/called." + ending}, Client: s.Client()}
		p, _, err := store.Pull(t.Context(), dir, o)
		if err != nil || p.Path != filepath.Join(dir, "inner-2.0.mar") || p.Name != "inner" || p.Version != "2.0" {
			t.Errorf("%s: Pull = %+v, %v", ending, p, err)
		}
		if _, already, err := store.Pull(t.Context(), dir, o); err != nil || !already {
			t.Errorf("%s: a second Pull = %v, %v", ending, already, err)
		}
		if _, err := store.New(store.Dir{Path: dir}).Remove(t.Context(), "inner", "", false); err != nil {
			t.Error(err)
		}
	}
}

// What was not pulled is never replaced, and neither is what was pulled from elsewhere, unless that is asked for.
func TestPullInTheWay(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s := secure(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); serveNetwork(w, r) })
	dir := t.TempDir()
	model(t, filepath.Join(dir, "net"), "net", "1.0")
	mar(t, filepath.Join(dir, "other.mar"), "twin", "1.0")
	for _, force := range []bool{false, true} {
		for _, name := range []string{"net", "twin"} {
			o := order(s)
			o.Name, o.Force = name, force
			if _, _, err := store.Pull(t.Context(), dir, o); fault.Of(err) != fault.Conflict {
				t.Errorf("%s, force %v: %v, want %v", name, force, err, fault.Conflict)
			}
		}
	}
	if requests.Load() > 0 {
		t.Errorf("%d requests for what cannot be put into the store", requests.Load())
	}
	o := order(s)
	o.Version, o.Beside = "2", manifest("2")
	if p, _, err := store.Pull(t.Context(), dir, o); err != nil || p.Path != filepath.Join(dir, "net-2") {
		t.Errorf("another version: %+v, %v", p, err)
	}
	o.URLs = []string{s.URL + "/elsewhere/net.onnx"}
	if _, _, err := store.Pull(t.Context(), dir, o); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "--force") {
		t.Errorf("from elsewhere: %v", err)
	}
	o.Force = true
	if p, _, err := store.Pull(t.Context(), dir, o); err != nil || p.URL != o.URLs[0] {
		t.Errorf("from elsewhere by force: %+v, %v", p, err)
	}
}

// Force replaces neither what was changed since it was pulled, nor what has come into its place, nor another model.
func TestPullByForce(t *testing.T) {
	t.Parallel()
	s := secure(t, serveNetwork)
	for name, change := range map[string]func(dir string, o *store.Order){
		"changed": func(dir string, _ *store.Order) {
			write(t, filepath.Join(dir, "net-2", "model-config.yaml"), "model: {name: net, version: 2, handler: base_handler}")
		},
		"grown": func(dir string, _ *store.Order) { write(t, filepath.Join(dir, "net-2", "notes.txt"), "mine") },
		"another in its place": func(dir string, _ *store.Order) {
			if err := os.RemoveAll(filepath.Join(dir, "net-2")); err != nil {
				t.Fatal(err)
			}
			model(t, filepath.Join(dir, "net-2"), "net", "2")
		},
		"another name, same path": func(_ string, o *store.Order) { o.Name, o.Version = "net-2", "1.0" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, o := t.TempDir(), order(s)
			o.Version, o.Beside, o.Force = "2", manifest("2"), true
			for range 2 {
				if _, already, err := store.Pull(t.Context(), dir, o); err != nil || already {
					t.Fatalf("as it was pulled: %v, %v", already, err)
				}
			}
			change(dir, &o)
			before, err := os.ReadDir(filepath.Join(dir, "net-2"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := store.Pull(t.Context(), dir, o); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "first") {
				t.Errorf("error %v, want %v and a way out", err, fault.Conflict)
			}
			if after, err := os.ReadDir(filepath.Join(dir, "net-2")); err != nil || len(after) != len(before) {
				t.Errorf("%v, %v, want what was there: %v", after, err, before)
			}
		})
	}
}

// A model that cannot take its place leaves what was there, with its record, and nothing else.
func TestInstallFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := store.Pulled{Name: "net", Version: "1.0", Path: filepath.Join(dir, "net"), Files: map[string]string{"net/a": ""}}
	install := func() {
		t.Helper()
		if err := store.Install(dir, filepath.Join(dir, "gone"), p); fault.Of(err) != fault.Invalid {
			t.Errorf("error %v, want %v", err, fault.Invalid)
		}
	}
	install()
	if seen, hidden := inside(t, dir); len(seen)+len(hidden) > 0 {
		t.Errorf("left %v, %v", seen, hidden)
	}
	s := secure(t, serveNetwork)
	want, _, err := store.Pull(t.Context(), dir, order(s))
	if err != nil {
		t.Fatal(err)
	}
	install()
	entry, err := store.New(store.Dir{Path: dir}).Find("net", "")
	if got, _ := entry.Pulled(); err != nil || !cmp.Equal(got, want) {
		t.Errorf("after a failed replacement: %+v, %v, want %+v", got, err, want)
	}
	if seen, hidden := inside(t, dir); len(seen) != 1 || len(hidden) != 1 {
		t.Errorf("left %v, %v", seen, hidden)
	}
}

// Many pulls of one model at once fetch it once.
func TestPullOnce(t *testing.T) {
	t.Parallel()
	var requests, fresh atomic.Int32
	s := secure(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); serveNetwork(w, r) })
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, already, err := store.Pull(t.Context(), dir, order(s))
			if err != nil {
				t.Error(err)
			}
			if !already {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	if requests.Load() != 1 || fresh.Load() != 1 {
		t.Errorf("%d requests, %d fresh pulls, want 1", requests.Load(), fresh.Load())
	}
	if seen, hidden := inside(t, dir); len(seen) != 1 || len(hidden) != 1 {
		t.Errorf("left %v, %v", seen, hidden)
	}
}

func TestPullIntoWhatIsNoDirectory(t *testing.T) {
	t.Parallel()
	s := secure(t, serveNetwork)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	if _, _, err := store.Pull(t.Context(), filepath.Join(file, "store"), order(s)); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want %v and the path", err, fault.Invalid)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	s := secure(t, serveNetwork)
	dir := t.TempDir()
	at := store.New(store.Dir{Path: dir})
	model(t, filepath.Join(dir, "mine"), "mine", "1.0")
	pull := func(version string) {
		t.Helper()
		o := order(s)
		o.Version, o.Beside = version, manifest(version)
		if _, _, err := store.Pull(t.Context(), dir, o); err != nil {
			t.Fatal(err)
		}
	}
	pull("1.0")
	pull("2.0")
	write(t, filepath.Join(dir, "net", "notes.txt"), "mine")
	write(t, filepath.Join(dir, "net", "model-config.yaml"), "model: {name: net, version: 1.0, handler: base_handler}")
	for _, test := range []struct {
		name, version string
		want          fault.Kind
		says          string
	}{
		{"mine", "", fault.Invalid, "was not pulled"},
		{"unheard", "", fault.NoModel, "unheard"},
		{"net", "3.0", fault.NoVersion, "it has 1.0, 2.0"},
		{"net", "", fault.Invalid, "say which of net/1.0, net/2.0"},
		{"net", "1.0", fault.Conflict, "net/model-config.yaml, net/notes.txt"},
	} {
		if _, err := at.Remove(t.Context(), test.name, test.version, false); fault.Of(err) != test.want || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Remove(%q, %q): %v, want %v and %q", test.name, test.version, err, test.want, test.says)
		}
	}
	if p, err := at.Remove(t.Context(), "net", "2.0", false); err != nil || p.Path != filepath.Join(dir, "net-2.0") {
		t.Errorf("Remove = %+v, %v", p, err)
	}
	if _, err := at.Remove(t.Context(), "net", "", true); err != nil {
		t.Error(err)
	}
	seen, hidden := inside(t, dir)
	if diff := cmp.Diff([]string{"mine"}, seen); diff != "" || len(hidden) > 0 {
		t.Errorf("hidden %v, left (-want +got):\n%s", hidden, diff)
	}
}

// A record without its model, or one that cannot be read, is none: whatever takes the model's place is its owner's.
func TestRemoveWithoutARecord(t *testing.T) {
	t.Parallel()
	s := secure(t, serveNetwork)
	dir := t.TempDir()
	if _, _, err := store.Pull(t.Context(), dir, order(s)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "net")); err != nil {
		t.Fatal(err)
	}
	at := store.New(store.Dir{Path: dir})
	if _, err := at.Remove(t.Context(), "net", "", false); fault.Of(err) != fault.NoModel {
		t.Errorf("a model that has gone: %v", err)
	}
	model(t, filepath.Join(dir, "net"), "net", "1.0")
	if _, err := at.Remove(t.Context(), "net", "", false); fault.Of(err) != fault.Conflict {
		t.Errorf("another model in its place: %v", err)
	}
	write(t, filepath.Join(dir, ".net.pulled.json"), "{")
	if _, err := at.Remove(t.Context(), "net", "", true); fault.Of(err) != fault.Invalid {
		t.Errorf("a broken record: %v", err)
	}
}

func TestKeptOfNothing(t *testing.T) {
	t.Parallel()
	if got := store.Kept(t.TempDir(), store.Order{URLs: []string{"x"}}); got != 0 {
		t.Errorf("kept %d", got)
	}
	if got := fetch.Kept(t.TempDir()); got != 0 {
		t.Errorf("kept %d", got)
	}
}
