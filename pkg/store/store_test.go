package store_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/store"
)

func write(tb testing.TB, path, data string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// model writes the directory of a model.
func model(tb testing.TB, dir, name, version string) {
	tb.Helper()
	write(tb, filepath.Join(dir, "net.onnx"), "network")
	write(tb, filepath.Join(dir, "model-config.yaml"), fmt.Sprintf("model: {name: %s, version: %s, handler: image_classifier}", name, version))
}

func mar(tb testing.TB, path, name, version string) {
	tb.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, data := range map[string]string{
		"net.onnx": "network", "MAR-INF/MANIFEST.json": fmt.Sprintf(`{"model":{"modelName":%q,"modelVersion":%q}}`, name, version),
	} {
		entry, err := w.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := entry.Write([]byte(data)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	write(tb, path, buf.String())
}

// listed is what List says, as "name/version file".
func listed(s *store.Store) (entries, wrong []string) {
	found, errs := s.List()
	for _, e := range found {
		entries = append(entries, e.Name()+"/"+e.Version()+" "+filepath.Base(e.Source))
	}
	for _, err := range errs {
		wrong = append(wrong, err.Error())
	}
	return entries, wrong
}

func TestListSeesEveryForm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model(t, filepath.Join(dir, "b"), "b", "1.0")
	mar(t, filepath.Join(dir, "whatever.mar"), "a", "1.10")
	mar(t, filepath.Join(dir, "other.mar"), "a", "1.9")
	write(t, filepath.Join(dir, "bare.onnx"), "network")
	write(t, filepath.Join(dir, "README.md"), "x")
	write(t, filepath.Join(dir, "train", "train.py"), "x")
	model(t, filepath.Join(dir, ".hidden"), "hidden", "1.0")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	model(t, elsewhere, "linked", "1.0")
	for name, to := range map[string]string{"link": elsewhere, "dangling": filepath.Join(dir, "nowhere")} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "broken", "model-config.yaml"), "batchsize: 1")
	write(t, filepath.Join(dir, "cut.mar"), "PK")

	got, wrong := listed(store.New(store.Dir{Path: dir, Required: true}))
	want := []string{"a/1.9 other.mar", "a/1.10 whatever.mar", "b/1.0 b", "bare/1.0 bare.onnx", "linked/1.0 link"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if len(wrong) != 2 || !strings.Contains(wrong[0], "broken/model-config.yaml:1") || !strings.Contains(wrong[1], "cut.mar") {
		t.Errorf("errors: %q", wrong)
	}
}

func TestEntry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.mar")
	mar(t, path, "x", "2")
	got, err := store.New(store.Dir{Path: dir}).Find("x", "")
	stat, statErr := os.Stat(path)
	if err := errors.Join(err, statErr); err != nil {
		t.Fatal(err)
	}
	want := store.Entry{Dir: dir, Info: archive.Info{
		Manifest: archive.Manifest{Name: "x", Version: "2", SerializedFile: "net.onnx", Guessed: true},
		Source:   path, Form: archive.FormMAR, Size: stat.Size(),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}

// shelves is a store of two directories that share a name, with a third that is not there.
func shelves(t *testing.T) (s *store.Store, first, second string) {
	t.Helper()
	top := t.TempDir()
	first, second = filepath.Join(top, "first"), filepath.Join(top, "second")
	model(t, filepath.Join(first, "resnet-18"), "resnet-18", "1.9")
	model(t, filepath.Join(first, "newer"), "resnet-18", "1.10")
	model(t, filepath.Join(second, "resnet-18"), "resnet-18", "2.0")
	model(t, filepath.Join(second, "r"), "resnet-18", "1.9")
	model(t, filepath.Join(second, "mnist"), "mnist", "1.0")
	write(t, filepath.Join(second, "bad", "model-config.yaml"), "x: 1")
	return store.New(store.Dir{Path: first, Origin: "--model-store"}, store.Dir{Path: filepath.Join(top, "gone")},
		store.Dir{Path: second, Origin: "user data directory"}, store.Dir{}, store.Dir{Path: first}), first, second
}

func TestFind(t *testing.T) {
	t.Parallel()
	s, first, second := shelves(t)
	for ref, want := range map[string]string{
		"resnet-18/":     filepath.Join(first, "newer"),
		"resnet-18/1.9":  filepath.Join(first, "resnet-18"),
		"resnet-18/1.10": filepath.Join(first, "newer"),
		"resnet-18/2.0":  filepath.Join(second, "resnet-18"),
		"mnist/":         filepath.Join(second, "mnist"),
		"mnist/1.0":      filepath.Join(second, "mnist"),
	} {
		name, version, _ := strings.Cut(ref, "/")
		got, err := s.Find(name, version)
		if err != nil || got.Source != want || got.Dir != filepath.Dir(want) {
			t.Errorf("Find(%q, %q) = %s, %v, want %s", name, version, got.Source, err, want)
		}
	}
}

func TestListAcrossDirectories(t *testing.T) {
	t.Parallel()
	s, first, _ := shelves(t)
	got, wrong := listed(s)
	want := []string{"mnist/1.0 mnist", "resnet-18/1.9 resnet-18", "resnet-18/1.10 newer", "resnet-18/2.0 resnet-18"}
	if diff := cmp.Diff(want, got); diff != "" || len(wrong) != 1 {
		t.Errorf("errors %q, entries (-want +got):\n%s", wrong, diff)
	}
	entries, _ := s.List()
	if at := slices.IndexFunc(entries, func(e store.Entry) bool { return e.Version() == "1.9" }); at < 0 || entries[at].Dir != first {
		t.Errorf("1.9 is not the first directory's: %+v", entries)
	}
}

func TestFindFails(t *testing.T) {
	t.Parallel()
	s, first, second := shelves(t)
	for _, test := range []struct {
		name, version string
		kind          fault.Kind
		words         []string
	}{
		{"resnt-18", "", fault.NoModel, []string{
			`"resnt-18", did you mean "resnet-18"?`, first + " (--model-store);", "gone, which is not there;", second + " (user data directory))",
		}},
		{"unheard", "", fault.NoModel, []string{`"unheard" (looked in`}},
		{"", "", fault.NoModel, nil},
		{"../second/mnist", "1.0", fault.NoModel, nil},
		{"resnet-18", "3", fault.NoVersion, []string{`"resnet-18" has no version "3", it has 1.9, 1.10, 2.0`}},
		{"bad", "", fault.BadModel, []string{"model-config.yaml:1: unknown key"}},
	} {
		_, err := s.Find(test.name, test.version)
		if fault.Of(err) != test.kind || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("Find(%q, %q): %v, want %v", test.name, test.version, err, test.kind)
		}
		for _, word := range test.words {
			if !strings.Contains(fmt.Sprint(err), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
	}
}

// A broken model is not quietly replaced by one of the same name further down.
func TestBrokenComesFirst(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	write(t, filepath.Join(top, "a", "m", "model-config.yaml"), "x: 1")
	model(t, filepath.Join(top, "b", "m"), "m", "1.0")
	s := store.New(store.Dir{Path: filepath.Join(top, "a")}, store.Dir{Path: filepath.Join(top, "b")})
	for _, version := range []string{"", "1.0"} {
		if got, err := s.Find("m", version); fault.Of(err) != fault.BadModel {
			t.Errorf("Find = %+v, %v, want %v", got, err, fault.BadModel)
		}
	}
}

func TestTwins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mar(t, filepath.Join(dir, "a.mar"), "m", "1.0")
	model(t, filepath.Join(dir, "m"), "m", "1.0")
	mar(t, filepath.Join(dir, "m.mar"), "m", "1.0")
	s := store.New(store.Dir{Path: dir})
	got, wrong := listed(s)
	if diff := cmp.Diff([]string{"m/1.0 m"}, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if len(wrong) != 2 || !strings.Contains(wrong[0], "a.mar holds version 1.0 of model m") || !strings.Contains(wrong[1], "m.mar holds") {
		t.Errorf("errors: %q", wrong)
	}
	for _, version := range []string{"", "1.0"} {
		if e, err := s.Find("m", version); err != nil || e.Source != filepath.Join(dir, "m") {
			t.Errorf("Find(m, %q) = %s, %v", version, e.Source, err)
		}
	}
}

func TestDirectoriesThatAreNone(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	write(t, filepath.Join(top, "file"), "x")
	model(t, filepath.Join(top, "good", "m"), "m", "1.0")
	good := store.Dir{Path: filepath.Join(top, "good")}
	for _, test := range []struct {
		dir  store.Dir
		kind fault.Kind
		word string
	}{
		{store.Dir{Path: filepath.Join(top, "gone"), Origin: "TSGO_MODEL_STORE", Required: true}, fault.NotFound, "gone (TSGO_MODEL_STORE): no such directory"},
		{store.Dir{Path: filepath.Join(top, "file"), Origin: "--model-store", Required: true}, fault.Invalid, "file (--model-store)"},
	} {
		s := store.New(test.dir, good)
		if _, err := s.Find("m", ""); fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.word) {
			t.Errorf("Find: %v, want %v with %q", err, test.kind, test.word)
		}
		entries, wrong := s.List()
		if len(entries) != 1 || len(wrong) != 1 || fault.Of(wrong[0]) != test.kind {
			t.Errorf("List = %v, %v", entries, wrong)
		}
	}
	s := store.New(store.Dir{Path: filepath.Join(top, "gone")}, store.Dir{Path: filepath.Join(top, "file")}, good)
	if _, err := s.Find("m", ""); err != nil {
		t.Errorf("Find past directories that are none: %v", err)
	}
	_, err := s.Find("x", "")
	if fault.Of(err) != fault.NoModel || !strings.Contains(err.Error(), "gone, which is not there;") || !strings.Contains(err.Error(), "file, which cannot be read;") {
		t.Errorf("Find: %v", err)
	}
	if entries, wrong := s.List(); len(entries) != 1 || len(wrong) != 1 {
		t.Errorf("List = %v, %v", entries, wrong)
	}
}

func TestNoDirectories(t *testing.T) {
	t.Parallel()
	_, err := store.New().Find("m", "")
	if fault.Of(err) != fault.NoModel || !strings.Contains(err.Error(), "no model store is set") {
		t.Errorf("Find: %v", err)
	}
}

func TestNothingIsRemembered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := store.New(store.Dir{Path: dir})
	for _, version := range []string{"1.0", "2.0"} {
		model(t, filepath.Join(dir, "m"), "m", version)
		if e, err := s.Find("m", ""); err != nil || e.Version() != version {
			t.Errorf("Find = %s, %v, want %s", e.Version(), err, version)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Find("m", ""); fault.Of(err) != fault.NoModel {
		t.Errorf("Find = %+v, %v", e, err)
	}
}

func BenchmarkStore(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		model(b, filepath.Join(dir, fmt.Sprintf("model-%d", i)), fmt.Sprintf("model-%d", i), "1.0")
	}
	s := store.New(store.Dir{Path: dir})
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if all, wrong := s.List(); len(all) != 1000 || len(wrong) > 0 {
				b.Fatal(len(all), wrong)
			}
		}
	})
	for name, version := range map[string]string{"find": "", "find version": "1.0"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Find("model-500", version); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
