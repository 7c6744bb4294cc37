//go:build !cgo

package ort

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
)

// Runtime cannot be had in this build.
type Runtime struct{}

func unsupported() error {
	return fmt.Errorf("run a network: %w: this program was built without cgo, so it can ask a server (--server URL) but run no model itself: "+
		"take a release, or build it with CGO_ENABLED=1 and a C compiler", fault.Unsupported)
}

// Start returns [fault.Unsupported].
func Start(context.Context, Options) (*Runtime, error) { return nil, unsupported() }

// Open returns [fault.Unsupported].
func (*Runtime) Open(context.Context, engine.Network, engine.Options) (engine.Session, error) {
	return nil, unsupported()
}

// Version returns "".
func (*Runtime) Version() string { return "" }

// Providers returns nothing.
func (*Runtime) Providers() []string { return nil }

// Close does nothing.
func (*Runtime) Close() error { return nil }
