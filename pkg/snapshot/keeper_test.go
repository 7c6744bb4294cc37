package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is what the clock of a test says.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600)) }

func stop(t *testing.T, k *snapshot.Keeper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := k.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// names returns what lies in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestKeeper writes when it starts, when something changes, and when it stops: files that are whole, for their owner alone,
// in the order of their names although the clock stands still.
func TestKeeper(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs", "config")
	wrote := make(chan string)
	k := snapshot.Start(snapshot.Options{Dir: dir, Now: noon, Encode: func(name string) ([]byte, error) {
		wrote <- name
		return []byte("name=" + name + "\n"), nil
	}})
	want := []string{"20260102120000000-startup.cfg", "20260102120000001-snapshot.cfg", "20260102120000002-shutdown.cfg"}
	for i, name := range want {
		switch i {
		case 1:
			k.Changed()
		case 2:
			go stop(t, k)
		}
		if got := <-wrote; got != name {
			t.Errorf("%s is written, want %s", got, name)
		}
	}
	stop(t, k)
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, name := range want {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(text) != "#Saving snapshot of tsgo\nname="+name+"\n" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", name, info.Mode(), err)
		}
	}
}

// TestCoalesced writes once what changed many times while the disk was slow.
func TestCoalesced(t *testing.T) {
	t.Parallel()
	entered, proceed := make(chan struct{}), make(chan struct{})
	var writes, state, last atomic.Int64
	k := snapshot.Start(snapshot.Options{Dir: t.TempDir(), Encode: func(string) ([]byte, error) {
		if writes.Add(1) == 1 {
			close(entered)
			<-proceed
		}
		last.Store(state.Load())
		return nil, nil
	}})
	<-entered
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				state.Add(1)
				k.Changed()
			}
		})
	}
	group.Wait() // none of them waited for the disk
	close(proceed)
	stop(t, k)
	if n := writes.Load(); n > 3 || last.Load() != 8000 {
		t.Errorf("%d writes, the last one of change %d, want three at most and the last of 8000", n, last.Load())
	}
}

// TestPrune leaves the newest of a Keeper's own files, and those of others.
func TestPrune(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * snapshot.Keep {
		write(fmt.Sprintf("202001010000000%02d-snapshot.cfg", i), "#Saving snapshot of tsgo\n")
	}
	write("20190101000000000-startup.cfg", "#Saving snapshot\n")
	write("20500101000000000-startup.cfg", "")
	write(".snapshot-1", "of a server that writes now")
	write(".snapshot-2", "of one that was killed")
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, ".snapshot-2"), long, long); err != nil {
		t.Fatal(err)
	}
	k := snapshot.Start(snapshot.Options{Dir: dir, Now: noon, Encode: func(string) ([]byte, error) { return nil, nil }})
	stop(t, k)
	want := []string{".snapshot-1", "20190101000000000-startup.cfg"}
	for i := range snapshot.Keep - 2 {
		want = append(want, fmt.Sprintf("202001010000000%02d-snapshot.cfg", snapshot.Keep+2+i))
	}
	want = append(want, "20500101000000000-startup.cfg", "20500101000000001-startup.cfg", "20500101000000002-shutdown.cfg")
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestPruneFails goes on where an old file cannot be taken away: it does not write again and again for that.
func TestPruneFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log strings.Builder
	wrote := make(chan string)
	k := snapshot.Start(snapshot.Options{
		Dir: dir, Now: noon, Retry: time.Nanosecond, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Encode: func(name string) ([]byte, error) { wrote <- name; return nil, nil },
	})
	first := filepath.Join(dir, <-wrote)
	for range snapshot.Keep - 1 {
		k.Changed()
		<-wrote
	}
	if err := errors.Join(os.Remove(first), os.MkdirAll(filepath.Join(first, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		k.Changed()
		<-wrote
	}
	go stop(t, k)
	if last := <-wrote; !strings.HasSuffix(last, "-shutdown.cfg") {
		t.Errorf("%s is written, and nothing has changed", last)
	}
	stop(t, k)
	if got := names(t, dir); len(got) != snapshot.Keep+1 || log.Len() > 0 {
		t.Errorf("%d files, want %d: %v; log %s", len(got), snapshot.Keep+1, got, log.String())
	}
}

// lines is a log that hands on each line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestDisk tells once that nothing can be written, again when the cause is another one and when it goes, and writes then
// what was not written, without anyone who asks.
func TestDisk(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	blocked := filepath.Join(top, "logs")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log, tries := make(lines), make(chan struct{})
	var broken atomic.Pointer[error]
	k := snapshot.Start(snapshot.Options{
		Dir: filepath.Join(blocked, "config"), Retry: time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil)),
		Encode: func(string) ([]byte, error) {
			if err := broken.Load(); err != nil {
				tries <- struct{}{}
				return nil, *err
			}
			return []byte("a=1\n"), nil
		},
	})
	expect := func(text string) {
		t.Helper()
		if line := <-log; !strings.Contains(line, "level=WARN") || !strings.Contains(line, text) {
			t.Errorf("%s, want a warning of %q", line, text)
		}
	}
	expect("snapshots cannot be written: what changes is lost when the server ends")
	k.Changed()
	other := errors.New("another cause")
	broken.Store(&other)
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	<-tries // by itself
	expect("another cause")
	for range 3 { // silently
		<-tries
	}
	broken.Store(nil)
	for over := false; !over; {
		select {
		case <-tries: // one that was under way
		case line := <-log:
			over = true
			if !strings.Contains(line, "snapshots are written again") {
				t.Errorf("%s, want that they are written again", line)
			}
		}
	}
	if err := os.RemoveAll(blocked); err != nil { // the directory is made anew
		t.Fatal(err)
	}
	stop(t, k)
	found, err := snapshot.Newest(filepath.Join(blocked, "config"))
	if err != nil || len(found) != 1 || !strings.HasSuffix(found[0], "-shutdown.cfg") {
		t.Errorf("%v, %v, want the last one", found, err)
	}
}

// TestStopWaits gives up waiting for a disk that does not answer.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	k := snapshot.Start(snapshot.Options{Dir: t.TempDir(), Encode: func(string) ([]byte, error) {
		<-proceed
		return nil, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := k.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	close(proceed)
	stop(t, k)
	var none *snapshot.Keeper
	none.Changed()
	stop(t, none)
}
