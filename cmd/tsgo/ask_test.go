package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Ctrl-C ends a command that waits for its standard input.
func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	in, typist := io.Pipe()
	defer typist.Close() //nolint:errcheck // it cannot fail
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := askOptions{streams: streams{in: in}}
	if _, err := o.read(ctx, stdin); !errors.Is(err, context.Canceled) {
		t.Errorf("read = %v, want %v", err, context.Canceled)
	}
}

// A directory that cannot be read costs none of the others.
func TestWalkGoesOn(t *testing.T) {
	t.Parallel()
	if os.Getuid() <= 0 {
		t.Skip("no directory can be locked: root may read everything, and Windows has no such right")
	}
	dir := t.TempDir()
	locked := filepath.Join(dir, "locked")
	picture := filepath.Join(dir, "picture.png")
	for _, err := range []error{os.Mkdir(locked, 0o000), os.WriteFile(picture, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := walk(dir), []string{locked, picture}; !slices.Equal(got, want) {
		t.Errorf("walk = %q, want %q", got, want)
	}
}
