//go:build cgo

package ort

// #include <stdlib.h>
// #include "shim.h"
// #cgo noescape tsgo_run
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// session is one network, open.
type session struct {
	runtime   *Runtime
	name      string
	c         *C.tsgo_session // in C memory
	signature engine.Signature
	unranked  []int // inputs without a number of dimensions

	mu      sync.Mutex // guards closed and idle, and entering running
	closed  bool
	idle    []*call // not in use by a run
	running sync.WaitGroup
}

// call is what one run needs, kept for the next one.
type call struct {
	options *C.OrtRunOptions
	in      []C.tsgo_in
	out     []C.tsgo_out
	pins    runtime.Pinner
}

// Signature returns the network's inputs and outputs.
func (s *session) Signature() engine.Signature { return s.signature }

// Run computes the wanted outputs. A cancelled run ends at the next node of the graph.
func (s *session) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.checkInputs(in); err != nil {
		return nil, err
	}
	c, err := s.enter()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", s.name, err)
	}
	defer s.leave(c)
	if err := c.prepare(s, in, want); err != nil {
		return nil, fmt.Errorf("run %s: %w", s.name, err)
	}
	if err := s.run(ctx, c); err != nil {
		return nil, fmt.Errorf("run %s: %w", s.name, err)
	}
	defer C.tsgo_release_outputs(s.runtime.api, unsafe.SliceData(c.out), C.size_t(len(c.out)))
	named := make(tensor.Named, len(c.out))
	for i := range c.out {
		name := s.signature.Outputs[c.out[i].index].Name
		if named[name], err = s.fromC(&c.out[i]); err != nil {
			return nil, fmt.Errorf("run %s: output %q: %w", s.name, name, err)
		}
	}
	return named, nil
}

func (s *session) run(ctx context.Context, c *call) error {
	api := s.runtime.api
	settle := watch(ctx, func() { C.tsgo_terminate_run(api, c.options) })
	err := s.runtime.failure(C.tsgo_run(api, s.c, c.options, unsafe.SliceData(c.in), unsafe.SliceData(c.out), C.size_t(len(c.out))))
	settle()
	if ctx.Err() != nil { // options that say "terminate" serve no other run
		C.tsgo_release_run(api, c.options)
		c.options = nil
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err.as(stageRun)
}

// enter counts a run in and gives it a call.
func (s *session) enter() (*call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("session is closed: %w", fault.Unavailable)
	}
	s.running.Add(1)
	if n := len(s.idle); n > 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return c, nil
	}
	return &call{in: make([]C.tsgo_in, len(s.signature.Inputs))}, nil
}

func (s *session) leave(c *call) {
	c.pins.Unpin()
	clear(c.in) // so that no input is kept
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, c)
	s.running.Done()
}

// prepare points c at the inputs, and says which outputs are wanted.
func (c *call) prepare(s *session, in tensor.Named, want []string) error {
	if c.options == nil {
		if err := s.runtime.failure(C.tsgo_create_run(s.runtime.api, &c.options)); err != nil {
			return err.as(stageStart)
		}
	}
	c.out = c.out[:0]
	for i := range s.signature.Outputs {
		if len(want) == 0 || slices.Contains(want, s.signature.Outputs[i].Name) {
			c.out = append(c.out, C.tsgo_out{index: C.size_t(i)})
		}
	}
	for _, name := range want {
		if !slices.ContainsFunc(s.signature.Outputs, func(v engine.Value) bool { return v.Name == name }) {
			return fmt.Errorf("%w: the network has no output %q%s", fault.Invalid, name, nearest.Hint(name, s.outputNames()))
		}
	}
	for i := range c.in {
		if err := c.pin(&c.in[i], in[s.signature.Inputs[i].Name]); err != nil {
			return fmt.Errorf("input %q: %w", s.signature.Inputs[i].Name, err)
		}
	}
	return nil
}

func (s *session) outputNames() []string {
	names := make([]string, len(s.signature.Outputs))
	for i, v := range s.signature.Outputs {
		names[i] = v.Name
	}
	return names
}

// Close waits for the runs under way and gives the memory back, to the system too.
func (s *session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	s.release()
	return nil
}

// release gives back all that C holds. No run is under way.
func (s *session) release() {
	for _, c := range s.idle {
		if c.options != nil {
			C.tsgo_release_run(s.runtime.api, c.options)
		}
	}
	s.idle = nil
	C.tsgo_release_session(s.runtime.api, s.c)
	C.free(unsafe.Pointer(s.c))
	s.runtime.leave()
}
