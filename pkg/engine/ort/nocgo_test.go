//go:build !cgo

package ort_test

import (
	"errors"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/fault"
)

func TestWithoutCgo(t *testing.T) {
	t.Parallel()
	r, err := ort.Start(t.Context(), ort.Options{})
	if r != nil || !errors.Is(err, fault.Unsupported) {
		t.Errorf("Start = %v, %v, want %v", r, err, fault.Unsupported)
	}
	if _, err := r.Open(t.Context(), engine.Network{Path: "x"}, engine.Options{}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("Open: %v, want %v", err, fault.Unsupported)
	}
	if r.Version() != "" || r.Providers() != nil || r.Close() != nil {
		t.Error("a runtime that cannot be had says something")
	}
}
