package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// errHeld is what tryLock returns while another holds the lock.
var errHeld = errors.New("held by another")

// lockPoll is how often a lock that another holds is tried. The system's call that waits cannot be interrupted.
const lockPoll = 50 * time.Millisecond

// Lock takes the lock that the file at path stands for, waiting while another, in this process or in any, holds it. It
// returns the function that gives it back, to be called once, which removes the file; a process that ends gives back what
// it holds. It returns [fault.Canceled] or [fault.Timeout] when ctx ends, and [fault.Download] when the file cannot be made.
func Lock(ctx context.Context, path string) (release func(), err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s, which another process holds: %w: %w", path, fault.Of(ctx.Err()), context.Cause(ctx))
		case <-timer.C:
		}
		release, err := lockOnce(path)
		switch {
		case err == nil:
			return release, nil
		case !errors.Is(err, errHeld):
			return nil, fmt.Errorf("lock %s: %w: %w", path, fault.Download, err)
		}
		timer.Reset(lockPoll)
	}
}

func lockOnce(path string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	// The holder before may have removed the file between the open and the lock: then others lock a new one.
	mine, err := f.Stat()
	if err == nil {
		var current os.FileInfo
		if current, err = os.Stat(path); err == nil && !os.SameFile(mine, current) || errors.Is(err, os.ErrNotExist) {
			err = errHeld
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() {
		_ = os.Remove(path) // while it is held; fails harmlessly on Windows
		_ = f.Close()       // gives the lock back
	}, nil
}
