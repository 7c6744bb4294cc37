package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Keep is how many snapshots a [Keeper] leaves in its directory. It takes away those alone that a Keeper has written: those
// of TorchServe stay.
const Keep = 10

// Options say what a [Keeper] writes, and where.
type Options struct {
	Dir    string                            // made where it is not there
	Encode func(name string) ([]byte, error) // returns what the file of this name is to hold now; called in one goroutine
	Retry  time.Duration                     // after what could not be written; 0: 30 s
	Now    func() time.Time                  // nil: time.Now
	Log    *slog.Logger                      // nil: silent
}

// Keeper writes snapshots: one when it starts, one after each change, or several that come together, and one when it stops.
// It does so in a goroutine of its own, so that whoever changes something never waits for the disk. A disk that cannot be
// written to is told once, and is tried again; what is served does not depend on it.
//
// A file is visible only when it is whole and on the disk, and its owner alone can read it. The zero Keeper is not ready;
// a nil one does nothing.
type Keeper struct {
	opts    Options
	changed chan struct{} // of capacity 1: something has changed that is not written yet
	stop    chan struct{} // closed when the last snapshot is to be written
	stopped sync.Once
	done    chan struct{} // closed when it is

	// The goroutine's own.
	last    string   // the greatest name in the directory
	own     []string // the names of those that a Keeper has written, the oldest one first
	looked  bool     // the two are known
	failing string   // why the last snapshot could not be written; "": it could
}

const defaultRetry = 30 * time.Second

// Start returns a Keeper that has begun to write. Stop ends it.
func Start(opts Options) *Keeper {
	opts.Retry = cmp.Or(opts.Retry, defaultRetry)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{opts: opts, changed: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go k.run()
	return k
}

// Changed has a snapshot written soon. It does not wait, and may be called by anyone at any time.
func (k *Keeper) Changed() {
	if k == nil {
		return
	}
	select {
	case k.changed <- struct{}{}:
	default: // it will be
	}
}

// Stop writes the last snapshot, and returns when it is on the disk, or ctx's error when that ends first: then the disk
// does not answer, and the goroutine goes on waiting for it. Stopping again waits again.
func (k *Keeper) Stop(ctx context.Context) error {
	if k == nil {
		return nil
	}
	k.stopped.Do(func() { close(k.stop) })
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the last snapshot is not on the disk yet: %w", ctx.Err())
	}
}

func (k *Keeper) run() {
	defer close(k.done)
	k.write(Startup)
	again := time.NewTicker(k.opts.Retry)
	defer again.Stop()
	for {
		retry := again.C
		if k.failing == "" {
			retry = nil
		}
		select {
		case <-k.stop:
			k.write(Shutdown)
			return
		case <-k.changed:
			k.write(Change)
		case <-retry:
			k.write(Change)
		}
	}
}

// write writes a snapshot, and tells of a failure where the one before did not fail so.
func (k *Keeper) write(kind Kind) {
	err := k.save(kind)
	cause := causeOf(err)
	switch {
	case cause == k.failing:
	case err == nil:
		k.opts.Log.Warn("snapshots are written again", "dir", k.opts.Dir)
	default:
		k.opts.Log.Warn("snapshots cannot be written: what changes is lost when the server ends", "dir", k.opts.Dir, "err", err)
	}
	k.failing = cause
}

// causeOf returns what is the same in errors of one cause: not the name of a file.
func causeOf(err error) string {
	var system syscall.Errno
	switch {
	case err == nil:
		return ""
	case errors.As(err, &system):
		return system.Error()
	}
	return err.Error()
}

func (k *Keeper) save(kind Kind) error {
	if err := k.look(); err != nil {
		return err
	}
	name := nameAt(k.opts.Now(), kind, k.last)
	content, err := k.opts.Encode(name)
	if err != nil {
		return fmt.Errorf("encode a snapshot: %w", err)
	}
	if err := k.place(name, append([]byte(mark), content...)); err != nil {
		return err
	}
	k.last, k.own = name, append(k.own, name)
	k.prune()
	return nil
}

// mark is the line by which the files of a Keeper begin.
const mark = "#Saving snapshot of tsgo\n"

// look makes the directory, also where it was taken away, and finds what is there. Until it succeeds, nothing is written.
func (k *Keeper) look() error {
	if err := os.MkdirAll(filepath.Dir(k.opts.Dir), 0o755); err != nil { // others look for logs there
		return fmt.Errorf("make the directory of snapshots: %w", err)
	}
	if err := os.Mkdir(k.opts.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the directory of snapshots: %w", err)
	}
	if k.looked {
		return nil
	}
	names, err := list(k.opts.Dir)
	if err != nil {
		return fmt.Errorf("look for snapshots: %w", err)
	}
	k.own = nil
	for _, name := range names {
		if marked(filepath.Join(k.opts.Dir, name)) {
			k.own = append(k.own, name)
		}
		k.last = name
	}
	k.sweep()
	k.looked = true
	return nil
}

// marked tells whether a file was written by a Keeper. One that cannot be read was not.
func marked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // it was only read
	head := make([]byte, len(mark))
	_, err = io.ReadFull(file, head)
	return err == nil && bytes.Equal(head, []byte(mark))
}

// half is how the name of a file begins that is not whole yet.
const half = ".snapshot-"

// abandoned is the age from which a file that is not whole is nobody's any more: it takes no time to write one.
const abandoned = time.Hour

// sweep takes away what was left half written by a server that was killed.
func (k *Keeper) sweep() {
	entries, err := os.ReadDir(k.opts.Dir)
	if err != nil {
		return // it was just read: the next write says why not
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), half) && time.Since(info.ModTime()) > abandoned {
			_ = os.Remove(filepath.Join(k.opts.Dir, e.Name())) // it does no harm
		}
	}
}

// place writes a file that is there as a whole or not at all.
func (k *Keeper) place(name string, content []byte) error {
	file, err := os.CreateTemp(k.opts.Dir, half+"*") // of mode 0600
	if err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(k.opts.Dir, name))
	}
	if err != nil {
		return fmt.Errorf("write a snapshot: %w", errors.Join(err, os.Remove(file.Name())))
	}
	if dir, err := os.Open(k.opts.Dir); err == nil { // where directories can be synchronized, so that the name is on the disk too
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// prune takes away the oldest of a Keeper's own files. What cannot be taken away is left to the Keeper that comes next: a
// snapshot was written, and to write another one would only make one more.
func (k *Keeper) prune() {
	for len(k.own) > Keep {
		_ = os.Remove(filepath.Join(k.opts.Dir, k.own[0]))
		k.own = k.own[1:]
	}
}
