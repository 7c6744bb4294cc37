package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/snapshot"
)

// TestNewest finds snapshots by their names, whoever wrote them, and nothing else.
func TestNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"20200101000000000-startup.cfg", "20260102030405678-snapshot.cfg", "20260102030405679-shutdown.cfg", "20191231235959999-snapshot.cfg",
		"20261301000000000-startup.cfg", "2026-startup.cfg", "x.cfg", "20260102030405679-shutdown.cfg.bak", "config.properties", "20260102030405679-a/b.cfg",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "20990101000000000-startup.cfg"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := snapshot.Newest(dir)
	for i := range got {
		got[i] = filepath.Base(got[i])
	}
	want := []string{"20260102030405679-shutdown.cfg", "20260102030405678-snapshot.cfg", "20200101000000000-startup.cfg", "20191231235959999-snapshot.cfg"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, snapshots (-want +got):\n%s", err, diff)
	}
	if got, err := snapshot.Newest(filepath.Join(dir, "none")); err != nil || len(got) > 0 {
		t.Errorf("without a directory: %v, %v", got, err)
	}
	if _, err := snapshot.Newest(filepath.Join(dir, "x.cfg")); !errors.Is(err, fault.Unavailable) {
		t.Errorf("of a file: %v, want %v", err, fault.Unavailable)
	}
}
