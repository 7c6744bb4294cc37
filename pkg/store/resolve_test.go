package store_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/store"
)

// realDir is a temporary directory by its path without links.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Skipf("no links here: %v", err)
	}
}

func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func allowing(patterns ...string) store.Sources {
	var from store.Sources
	for _, p := range patterns {
		from.Allowed = append(from.Allowed, regexp.MustCompile("(?i)"+p))
	}
	return from
}

// place is a store of two directories, and what lies around it:
//
//	top/store/mnist, mnist-2 (mnist 2.0), file.mar, sub/deep, labels.txt, .hidden.mar
//	top/store/out -> top/outside, top/store/in -> mnist, top/store/linked.mar -> outside/secret.mar
//	top/second/other, file.mar
//	top/outside/secret, secret.mar, deeper/a.mar, leak -> top/private
//	top/private/p.mar
//	top/alias -> top/store
func place(t *testing.T) (s *store.Store, top string) {
	t.Helper()
	top = realDir(t)
	in := func(parts ...string) string { return filepath.Join(append([]string{top}, parts...)...) }
	model(t, in("store", "mnist"), "mnist", "1.0")
	model(t, in("store", "mnist-2"), "mnist", "2.0")
	mar(t, in("store", "file.mar"), "named", "3")
	model(t, in("store", "sub", "deep"), "deep", "1.0")
	write(t, in("store", "labels.txt"), "x")
	mar(t, in("store", ".hidden.mar"), "hidden", "1")
	write(t, in("store", "cut.mar"), "PK")
	model(t, in("second", "other"), "other", "1.0")
	mar(t, in("second", "file.mar"), "second", "1")
	model(t, in("outside", "secret"), "secret", "1.0")
	mar(t, in("outside", "secret.mar"), "secret", "2")
	mar(t, in("outside", "deeper", "a.mar"), "a", "2")
	mar(t, in("private", "p.mar"), "p", "2")
	link(t, in("outside"), in("store", "out"))
	link(t, in("store", "mnist"), in("store", "in"))
	link(t, in("outside", "secret.mar"), in("store", "linked.mar"))
	link(t, in("private"), in("outside", "leak"))
	link(t, in("store"), in("alias"))
	return store.New(store.Dir{Path: in("store"), Required: true}, store.Dir{Path: in("second")}), top
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s, top := place(t)
	outside := fileURL(filepath.Join(top, "outside"))
	allowed := allowing(regexp.QuoteMeta(outside) + "/.*")
	for _, test := range []struct {
		name, location, want string
		from                 store.Sources
	}{
		{"a model, highest version", "mnist", "store/mnist-2", store.Sources{}},
		{"a model and a version", "mnist/1.0", "store/mnist", store.Sources{}},
		{"a file's name", "file.mar", "store/file.mar", store.Sources{}},
		{"the name inside a file", "named", "store/file.mar", store.Sources{}},
		{"of the second directory", "other", "second/other", store.Sources{}},
		{"a directory's name", "mnist-2", "store/mnist-2", store.Sources{}},
		{"a name that the operator linked", "linked.mar", "store/linked.mar", store.Sources{}},
		{"path below a directory of the store", "sub/deep", "store/sub/deep", store.Sources{}},
		{"the same with a dot", "./sub//deep/", "store/sub/deep", store.Sources{}},
		{"a path that a link inside leads to", "in/", "store/mnist", store.Sources{}},
		{"absolute path", "{top}/store/file.mar", "store/file.mar", store.Sources{}},
		{"absolute path into the second directory", "{top}/second/file.mar", "second/file.mar", store.Sources{}},
		{"absolute path by another name of the store", "{top}/alias/mnist", "store/mnist", store.Sources{}},
		{"absolute path that is allowed as a URL", "{top}/outside/secret", "outside/secret", allowed},
		{"file URL", "{file}/outside/secret.mar", "outside/secret.mar", allowed},
		{"file URL with a host", "file://localhost{top}/outside/secret.mar", "outside/secret.mar", allowing("file://localhost/.*", "file:///.*/outside/.*")},
		{"file URL in capitals", "FILE://{top}/outside/secret.mar", "outside/secret.mar", allowed},
		{"file URL into the store by a link", "{file}/alias/file.mar", "store/file.mar", allowing("file:///.*/alias/.*")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			location := strings.NewReplacer("{top}", top, "{file}", fileURL(top)).Replace(test.location)
			got, err := s.Resolve(t.Context(), location, test.from)
			if want := filepath.Join(top, filepath.FromSlash(test.want)); err != nil || got != want {
				t.Errorf("Resolve(%q) = %q, %v, want %q", location, got, err, want)
			}
		})
	}
}

func TestResolveFails(t *testing.T) {
	t.Parallel()
	s, top := place(t)
	all := allowing("file://.*", "https?://.*", "s3://.*")
	outside := allowing(regexp.QuoteMeta(fileURL(filepath.Join(top, "outside"))) + "/.*")
	none := store.Sources{}
	for _, test := range []struct {
		name, location string
		from           store.Sources
		kind           fault.Kind
		cause          error
		says           string
	}{
		{"nothing", "", none, fault.NoModel, store.ErrNothing, "is empty"},
		{"unknown name", "mnits", none, fault.NoModel, store.ErrNothing, `did you mean "mnist"?`},
		{"unknown file", "gone.mar", none, fault.NoModel, store.ErrNothing, "looked in"},
		{"unknown version", "mnist/9", none, fault.NoModel, store.ErrNothing, "looked in"},
		{"broken file", "cut", none, fault.BadModel, nil, "cut.mar"},
		{"hidden file", ".hidden.mar", none, fault.NoModel, store.ErrNothing, ""},
		{"no model's file", "labels.txt", none, fault.NoModel, store.ErrNothing, ""},
		{"no model's file, by path", "{top}/store/labels.txt", none, fault.NoModel, store.ErrNothing, ""},
		{"not there, in the store", "{top}/store/gone.mar", none, fault.NoModel, store.ErrNothing, ""},
		{"the store itself", "{top}/store", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"hidden file, by path", "{top}/store/.hidden.mar", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"a byte of zero", "sub/\x00", none, fault.NoModel, store.ErrNothing, ""},

		{"upwards", "../outside/secret", none, fault.NoModel, store.ErrRelative, ""},
		{"upwards, allowed or not", "../outside/secret", all, fault.NoModel, store.ErrRelative, ""},
		{"upwards in the middle", "sub/../mnist", none, fault.NoModel, store.ErrRelative, ""},
		{"upwards by backslashes", `sub\..\..\outside`, none, fault.NoModel, store.ErrRelative, ""},
		{"upwards, absolute", "{top}/store/../outside/secret", none, fault.NoModel, store.ErrRelative, ""},
		{"upwards in a URL", "{file}/outside/../private/p.mar", outside, fault.NoModel, store.ErrRelative, ""},
		{"upwards in a URL, escaped", "{file}/outside/%2e%2e/private/p.mar", outside, fault.NoModel, store.ErrRelative, ""},
		{"upwards in a URL, half escaped", "{file}/outside/x%2f.%2E/private/p.mar", outside, fault.NoModel, store.ErrRelative, ""},
		{"upwards in a web URL", "https://host/a/%2e%2e/b.mar", all, fault.NoModel, store.ErrRelative, ""},

		{"outside", "{top}/outside/secret", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"outside, and not there", "{top}/outside/gone", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"beside the store, with its name in front", "{top}/store-2/x", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"out by a link", "out/secret", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"out by a link, absolute", "{top}/store/out/secret.mar", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"out by a link, to what is not there", "out/gone", none, fault.NoModel, store.ErrNothing, ""},
		{"allowed, out by a link", "{top}/outside/leak/p.mar", outside, fault.NoModel, store.ErrNotAllowed, ""},

		{"file URL, nothing allowed", "{file}/outside/secret.mar", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"file URL into the store, not allowed", "{file}/store/file.mar", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"file URL that is allowed in part", "{file}/private/p.mar", allowing("file://"), fault.NoModel, store.ErrNotAllowed, ""},
		{"file URL that ends as is allowed", "{file}/private/p.mar", allowing(`p\.mar`), fault.NoModel, store.ErrNotAllowed, ""},
		{"file URL, out by a link", "{file}/outside/leak/p.mar", outside, fault.NoModel, store.ErrNotAllowed, "private"},
		{"file URL, not there", "{file}/outside/gone.mar", outside, fault.NoModel, store.ErrNothing, ""},
		{"file URL of another machine", "file://elsewhere/x.mar", all, fault.Invalid, nil, "on this machine"},
		{"file URL without a path", "file://", all, fault.Invalid, nil, "absolute path"},
		{"file URL that is relative", "file:x.mar", allowing(".*"), fault.Invalid, nil, "absolute path"},

		{"web URL, nothing allowed", "https://host/x.mar", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"web URL of another host", "https://host.evil/x.mar", allowing(`https://host/.*`), fault.NoModel, store.ErrNotAllowed, ""},
		{"web URL, allowed in its fragment", "https://evil/x.mar#https://host/", allowing(`https://host/.*`), fault.NoModel, store.ErrNotAllowed, ""},
		{"one of two alternatives", "https://evil/x/a", allowing(`https://host/.*|a`), fault.NoModel, store.ErrNotAllowed, ""},
		{"web URL with credentials", "https://me:secret@host/x.mar", all, fault.Invalid, nil, "credentials"},
		{"web URL with credentials, not allowed", "https://me:secret@host/x.mar", none, fault.NoModel, store.ErrNotAllowed, "https://host/x.mar"},
		{"malformed, with credentials", "https://me:secret@host:port/x.mar", all, fault.Download, nil, "port"},
		{"web URL without a host", "https:///x.mar", all, fault.Invalid, nil, "host"},
		{"malformed", "https://host:port/x.mar", all, fault.Download, nil, "port"},
		{"malformed, not allowed", "https://host:port/x.mar", none, fault.NoModel, store.ErrNotAllowed, ""},
		{"web URL of no model", "https://host/x.zip", all, fault.Invalid, nil, ".tar.gz"},
		{"web URL of a directory", "https://host/", all, fault.Invalid, nil, ".tar.gz"},
		{"web URL of a hidden file", "https://host/.x.mar", all, fault.Invalid, nil, ".tar.gz"},
		{"web URL with a backslash", `https://host/a%5Cb.mar`, all, fault.Invalid, nil, ".tar.gz"},
		{"web URL of a file in the store", "https://host/file.mar", all, fault.Conflict, nil, "file.mar is in the model store"},
		{"web URL of a linked file in the store", "https://host/linked.mar", all, fault.Conflict, nil, "linked.mar"},
		{"another scheme", "s3://bucket/x.mar", all, fault.Unsupported, nil, "s3"},
		{"another scheme, not allowed", "gs://bucket/x.mar", all, fault.NoModel, store.ErrNotAllowed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			location := strings.NewReplacer("{top}", top, "{file}", fileURL(top)).Replace(test.location)
			got, err := s.Resolve(t.Context(), location, test.from)
			if err == nil {
				t.Fatalf("Resolve(%q) = %q, want an error", location, got)
			}
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v (%v), want %v and %q", err, fault.Of(err), test.kind, test.says)
			}
			for _, cause := range []error{store.ErrNothing, store.ErrNotAllowed, store.ErrRelative} {
				if errors.Is(err, cause) != errors.Is(test.cause, cause) {
					t.Errorf("error %v: want cause %v", err, test.cause)
				}
			}
			if strings.Contains(err.Error(), ":secret@") {
				t.Errorf("error %v shows a password", err)
			}
		})
	}
}

func TestResolveRelativeToTheWorkingDirectory(t *testing.T) {
	top := realDir(t)
	t.Chdir(top)
	model(t, filepath.Join(top, "models", "mnist"), "mnist", "1.0")
	model(t, filepath.Join(top, "elsewhere", "x"), "x", "1.0")
	s := store.New(store.Dir{Path: "models"})
	want := filepath.Join(top, "models", "mnist")
	if got, err := s.Resolve(t.Context(), "models/mnist", store.Sources{}); err != nil || got != want {
		t.Errorf("models/mnist: %q, %v, want %q", got, err, want)
	}
	if got, err := s.Resolve(t.Context(), "elsewhere/x", store.Sources{}); !errors.Is(err, store.ErrNothing) {
		t.Errorf("elsewhere/x: %q, %v, want %v", got, err, store.ErrNothing)
	}
}

// web is a server that hands out models, and counts how often it is asked.
func web(t *testing.T) (host *httptest.Server, asked *atomic.Int32) {
	t.Helper()
	dir := t.TempDir()
	mar(t, filepath.Join(dir, "a.mar"), "a", "1.0")
	write(t, filepath.Join(dir, "broken.mar"), "no zip at all")
	asked = &atomic.Int32{}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.Handle("/to/a.mar", http.RedirectHandler("/a.mar", http.StatusFound))
	mux.Handle("/away/a.mar", http.RedirectHandler("/private/a.mar?token=t", http.StatusTemporaryRedirect))
	mux.Handle("/private/", http.StripPrefix("/private", http.FileServer(http.Dir(dir))))
	host = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); mux.ServeHTTP(w, r) }))
	t.Cleanup(host.Close)
	return host, asked
}

func TestResolveFetches(t *testing.T) {
	t.Parallel()
	host, asked := web(t)
	dir := filepath.Join(t.TempDir(), "made")
	s := store.New(store.Dir{Path: dir})
	from := allowing(regexp.QuoteMeta(host.URL) + "/.*")
	from.Client = host.Client()

	path, err := s.Resolve(t.Context(), host.URL+"/to/a.mar", from)
	if want := filepath.Join(dir, "a.mar"); err != nil || path != want {
		t.Fatalf("%q, %v, want %q", path, err, want)
	}
	if e, err := s.Find("a", "1.0"); err != nil || e.Source != path {
		t.Errorf("it is not in the store: %+v, %v", e, err)
	}
	before := asked.Load()
	if _, err := s.Resolve(t.Context(), host.URL+"/a.mar", from); fault.Of(err) != fault.Conflict {
		t.Errorf("again: %v, want %v", err, fault.Conflict)
	}
	if got := asked.Load(); got != before {
		t.Errorf("asked %d times for what is there", got-before)
	}
	if got, err := s.Resolve(t.Context(), "a.mar", store.Sources{}); err != nil || got != path {
		t.Errorf("by its name: %q, %v", got, err)
	}
}

func TestResolveFetchesNothing(t *testing.T) {
	t.Parallel()
	host, asked := web(t)
	here := regexp.QuoteMeta(host.URL)
	for _, test := range []struct {
		name, path string
		allowed    []string
		limit      int64
		kind       fault.Kind
		cause      error
		says       string
		asked      int32
	}{
		{"not there", "/gone.mar", []string{here + "/.*"}, 0, fault.Download, nil, "404 Not Found", 1},
		{"no model", "/broken.mar", []string{here + "/.*"}, 0, fault.BadModel, nil, "broken.mar", 1},
		{"too large", "/a.mar", []string{here + "/.*"}, 10, fault.Download, nil, "more than the limit of 10", 1},
		{"redirected out of bounds", "/away/a.mar", []string{here + "/away/.*"}, 0, fault.Download, store.ErrNotAllowed, "/private/a.mar", 1},
		{"not allowed", "/a.mar", []string{here + "/away/.*"}, 0, fault.NoModel, store.ErrNotAllowed, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) { //nolint:paralleltest // what the host was asked is counted
			dir := t.TempDir()
			from := allowing(test.allowed...)
			from.Client, from.Limit = host.Client(), test.limit
			before := asked.Load()
			path, err := store.New(store.Dir{Path: dir}).Resolve(t.Context(), host.URL+test.path, from)
			if path != "" || fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q, %v, want %v and %q", path, err, test.kind, test.says)
			}
			if got := errors.Is(err, store.ErrNotAllowed); got != (test.cause != nil) {
				t.Errorf("error %v: is ErrNotAllowed: %v", err, got)
			}
			if strings.Contains(err.Error(), "token") {
				t.Errorf("error %v shows a query", err)
			}
			if got := asked.Load() - before; got != test.asked {
				t.Errorf("asked %d times, want %d", got, test.asked)
			}
			entries, failed := os.ReadDir(dir)
			if failed != nil || len(entries) != 0 {
				t.Errorf("left %v, %v", entries, failed)
			}
		})
	}
	if _, err := store.New().Resolve(t.Context(), "https://host/a.mar", allowing(".*")); !errors.Is(err, store.ErrNothing) {
		t.Errorf("without a directory: %v", err)
	}
}

// TestResolveFetchesOnce lets many ask for one file at once: nobody may see a part of it.
func TestResolveFetchesOnce(t *testing.T) {
	t.Parallel()
	host, _ := web(t)
	from := allowing(regexp.QuoteMeta(host.URL) + "/.*")
	from.Client = host.Client()
	s := store.New(store.Dir{Path: t.TempDir()})
	var wg sync.WaitGroup
	var fetched atomic.Int32
	for range 8 {
		wg.Go(func() {
			switch _, err := s.Resolve(t.Context(), host.URL+"/a.mar", from); {
			case err == nil:
				fetched.Add(1)
			case fault.Of(err) != fault.Conflict:
				t.Errorf("%v, want a file or %v", err, fault.Conflict)
			}
		})
	}
	wg.Wait()
	entries, wrong := listed(s)
	if diff := cmp.Diff([]string{"a/1.0 a.mar"}, entries); diff != "" || len(wrong) != 0 || fetched.Load() == 0 {
		t.Errorf("%d fetched, errors %v, entries (-want +got):\n%s", fetched.Load(), wrong, diff)
	}
}

// FuzzResolve looks for a location that leads out of a store where nothing is allowed.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"mnist", "mnist/1.0", "../x", "a/../../x", "/etc/passwd", "file:///etc/passwd", "FILE:///x", "file:x", "out/secret", "./in", "//in", "%2e%2e/x",
		`..\x`, "http://h/x.mar", "\x00", "a\x00/b", "C:\\x", ".", "/", "in//", "out",
	} {
		f.Add(seed)
	}
	top, err := filepath.EvalSymlinks(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	dir := filepath.Join(top, "store")
	model(f, filepath.Join(dir, "mnist"), "mnist", "1.0")
	model(f, filepath.Join(top, "outside", "secret"), "secret", "1.0")
	if err := os.Symlink(filepath.Join(top, "outside"), filepath.Join(dir, "out")); err != nil {
		f.Skip(err)
	}
	s := store.New(store.Dir{Path: dir})
	f.Fuzz(func(t *testing.T, location string) {
		path, err := s.Resolve(t.Context(), location, store.Sources{})
		if err != nil {
			if fault.Of(err) == fault.Internal {
				t.Errorf("%q: %v", location, err)
			}
			return
		}
		inner, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(inner) {
			t.Errorf("%q leads to %s", location, path)
		}
		actual, err := filepath.EvalSymlinks(path)
		if location != "out" && (err != nil || !strings.HasPrefix(actual, dir)) { // the operator linked out
			t.Errorf("%q leads to %s, %v", location, actual, err)
		}
	})
}
