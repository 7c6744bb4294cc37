package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/store"
)

// TestInside goes from a path to where it is in the store, and back.
func TestInside(t *testing.T) {
	t.Parallel()
	s, top := place(t)
	for path, want := range map[string]string{
		"store/mnist": "mnist", "store/file.mar": "file.mar", "store/sub/deep": "sub/deep", "second/other": "other",
		"store/linked.mar": "linked.mar", "store/out/secret": "out/secret",
		"second/file.mar": "", // the first directory has another one
		"outside/secret":  "", "alias/mnist": "", "store": "", "store/gone": "", "store/.hidden.mar": "", "gone/x": "",
	} {
		got, ok := s.Inside(filepath.Join(top, filepath.FromSlash(path)))
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, ok, want)
		}
		if !ok {
			continue
		}
		at, err := s.At(got)
		back, wrong := os.Stat(at)
		from, gone := os.Stat(filepath.Join(top, filepath.FromSlash(path)))
		if err != nil || wrong != nil || gone != nil || !os.SameFile(back, from) {
			t.Errorf("%s leads to %s, %v", got, at, err)
		}
	}
	for _, name := range []string{"", "gone", "../outside/secret", "/etc", filepath.Join(top, "store", "mnist"), "labels.txt", "sub/../../outside/secret"} {
		if at, err := s.At(name); fault.Of(err) != fault.NoModel || !errors.Is(err, store.ErrNothing) {
			t.Errorf("%q: %s, %v, want %v", name, at, err, store.ErrNothing)
		}
	}
}

// TestLabel leaves out what may be secret.
func TestLabel(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"mnist": "mnist", "a/b?c": "a/b?c", `C:\m.mar`: `C:\m.mar`, "": "",
		"https://me:pass@h:8443/a%20b.mar?sig=x#y": "https://h:8443/a%20b.mar", "FILE:///a/b.mar": "file:///a/b.mar", "s3://b/m.mar?X=1": "s3://b/m.mar",
		"https://h/%zz?sig=x": "",
	} {
		if got := store.Label(location); got != want {
			t.Errorf("%s: %q, want %q", location, got, want)
		}
	}
}
