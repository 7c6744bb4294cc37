//go:build cgo

package ort

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
)

// Open opens a network: it is an [engine.Opener]. The session runs on its own threads, is to be shared by all who run the
// network, and is to be closed. Loading ends early when ctx does.
func (r *Runtime) Open(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
	name, err := nameOf(net)
	if err != nil {
		return nil, err
	}
	if opts.IntraOpThreads < 0 || opts.InterOpThreads < 0 {
		return nil, fmt.Errorf("load %s: %w: a number of threads is negative", name, fault.Invalid)
	}
	if err := r.enter(); err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	s := &session{runtime: r, name: name, c: (*C.tsgo_session)(C.calloc(1, C.sizeof_tsgo_session))}
	if err := s.load(ctx, net, opts); err != nil {
		s.release()
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	return s, nil
}

// nameOf returns what a network is called in messages. It looks at the file first, as the system says better than the
// library what is wrong with one.
func nameOf(net engine.Network) (string, error) {
	switch {
	case (net.Path == "") == (len(net.Bytes) == 0):
		return "", fmt.Errorf("load a network: %w: want either a path or bytes", fault.Invalid)
	case net.Path == "":
		return fmt.Sprintf("a network of %d bytes", len(net.Bytes)), nil
	}
	f, err := os.Open(net.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("load network %s: %w", net.Path, fault.NotFound)
	}
	if err != nil {
		return "", fmt.Errorf("load network: %w: %w", fault.BadModel, err)
	}
	defer f.Close() //nolint:errcheck // only looked at
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return "", fmt.Errorf("load network %s: %w: it is empty, or no file", net.Path, fault.BadModel)
	}
	return net.Path, nil
}

func (s *session) load(ctx context.Context, net engine.Network, opts engine.Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var options *C.OrtSessionOptions
	if err := s.runtime.failure(C.tsgo_create_options(s.runtime.api, optionsOf(opts), &options)); err != nil {
		return err.as(stageStart)
	}
	defer C.tsgo_release_options(s.runtime.api, options)
	settle := watch(ctx, func() { C.tsgo_cancel_load(s.runtime.api, options) })
	err := s.create(net, options)
	settle()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err.as(stageOpen)
	}
	return s.describe()
}

func (s *session) create(net engine.Network, options *C.OrtSessionOptions) *failure {
	r := s.runtime
	if net.Path != "" {
		path := systemPath(net.Path)
		return r.failure(C.tsgo_create_session(r.api, r.env, (*C.char)(unsafe.Pointer(&path[0])), nil, 0, options, s.c))
	}
	return r.failure(C.tsgo_create_session(r.api, r.env, nil, unsafe.Pointer(&net.Bytes[0]), C.size_t(len(net.Bytes)), options, s.c))
}

// optionsOf spells out every default: with none given, the library would bind its threads to cores that others use too.
func optionsOf(opts engine.Options) C.tsgo_options {
	o := C.tsgo_options{
		intra_threads:  C.int(opts.IntraOpThreads),
		inter_threads:  C.int(max(1, opts.InterOpThreads)),
		execution_mode: binding.ExecutionModeSequential,
		optimization:   binding.GraphOptimizationLevelEnableAll,
		deterministic:  C.bool(opts.Deterministic),
	}
	if opts.IntraOpThreads == 0 {
		o.intra_threads = C.int(runtime.GOMAXPROCS(0))
	}
	if opts.InterOpThreads > 1 {
		o.execution_mode = binding.ExecutionModeParallel
	}
	if opts.Optimization == engine.OptimizeNone {
		o.optimization = binding.GraphOptimizationLevelDisableAll
	}
	return o
}

// watch calls stop once when ctx ends. The function that it returns must be called before what stop touches is released:
// after it, stop has run to its end or never will.
func watch(ctx context.Context, stop func()) (settle func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	ran := make(chan struct{})
	withdraw := context.AfterFunc(ctx, func() {
		defer close(ran)
		stop()
	})
	return func() {
		if !withdraw() {
			<-ran
		}
	}
}
