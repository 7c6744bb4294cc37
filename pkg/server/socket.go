package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/tsgo/tsgo/pkg/fault"
)

// socketScheme stands before the path of a Unix socket, in the place of HOST:PORT.
const socketScheme = "unix:"

// longestSocket is how long the path of a socket may be on every system that has them.
const longestSocket = 103

// listenSocket listens on a Unix socket, whose file goes when the listener is closed. One that a server has left behind that
// ended in a hurry is taken over; one that answers is [fault.Unavailable], and a file that is no socket is left alone.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("%w: the path of the socket %s has %d bytes, at most %d are sure to work; choose a shorter one", fault.Invalid, path, len(path), longestSocket)
	}
	if err := clearSocket(ctx, path); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; choose a path in a directory where this user may write", fault.Unavailable, err)
	}
	return l, nil
}

// clearSocket takes away a socket that nobody answers on.
func clearSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", fault.Unavailable, err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%w: %s is there and is no socket; choose another path, or take the file away", fault.Invalid, path)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("%w: another process answers on the socket %s; stop it, or choose another path", fault.Unavailable, path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: %w", fault.Unavailable, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("%w: a socket that nobody answers on: %w", fault.Unavailable, err)
	}
	return nil
}
