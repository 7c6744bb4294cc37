//go:build cgo

package ort

// #cgo CFLAGS: -std=gnu11 -O2
// #cgo linux LDFLAGS: -ldl
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/cgo"
	"slices"
	"sync"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"

	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/fault"
)

// apiVersion is the version of the library's interface that the binding asks for.
const apiVersion = 24

// Runtime is ONNX Runtime, started. A process has at most one. It is safe for concurrent use.
type Runtime struct {
	api       C.tsgo_api
	env       *C.OrtEnv
	logger    cgo.Handle
	providers []string

	mu       sync.Mutex // guards what follows
	sessions int        // open, or being opened
	closed   bool
}

// Start opens the library and makes it ready. The library's telemetry is off before any of its code runs. Start returns
// [fault.Conflict] while another Runtime lives, [fault.NotFound] and [fault.Invalid] for a file that is no library, and
// [fault.Unsupported] for a library that is too old, for another machine, or lacks something that it needs.
func Start(ctx context.Context, opts Options) (*Runtime, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := library.Check(opts.Library); err != nil {
		return nil, err
	}
	if !C.tsgo_claim() {
		return nil, fmt.Errorf("start ONNX Runtime, of which a process has one: %w", fault.Conflict)
	}
	r := &Runtime{logger: cgo.NewHandle(loggerOf(opts))}
	if err := r.start(opts); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func loggerOf(opts Options) *slog.Logger {
	if opts.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return opts.Logger
}

func (r *Runtime) start(opts Options) error {
	C.tsgo_tune(C.int(runtime.GOMAXPROCS(0)))
	path := systemPath(opts.Library)
	opened := C.tsgo_open((*C.char)(unsafe.Pointer(unsafe.SliceData(path))))
	if opened.base == nil {
		defer C.free(unsafe.Pointer(opened.error))
		return library.Explain(opts.Library, C.GoString(opened.error))
	}
	version := C.GoString(C.tsgo_version(opened.base))
	if err := library.CheckVersion(opts.Library, version); err != nil {
		return err
	}
	r.api = C.tsgo_get_api(opened.base, apiVersion)
	if r.api == nil {
		return fmt.Errorf("ONNX Runtime library %s: %w: version %s lacks interface %d: name %s or newer with --onnxruntime",
			opts.Library, fault.Unsupported, version, apiVersion, library.MinVersion)
	}
	severity := severityOf(r.logger.Value().(*slog.Logger))
	if err := r.failure(C.tsgo_create_env(r.api, C.uintptr_t(r.logger), severity, &r.env)); err != nil {
		return fmt.Errorf("start ONNX Runtime: %w", err.as(stageStart))
	}
	return r.join(opts.Library)
}

// join has the binding open the same library and share the environment, of which there is one a process.
func (r *Runtime) join(path string) error {
	binding.SetSharedLibraryPath(path)
	if err := binding.InitializeEnvironment(); err != nil {
		return fmt.Errorf("start ONNX Runtime: %w: %w", fault.Internal, err)
	}
	if err := binding.DisableTelemetry(); err != nil { // what the environment variable does not reach: events of Windows
		return fmt.Errorf("switch telemetry of ONNX Runtime off: %w: %w", fault.Internal, err)
	}
	var names **C.char
	var count C.int
	if err := r.failure(C.tsgo_providers(r.api, &names, &count)); err != nil {
		return fmt.Errorf("ask ONNX Runtime for its providers: %w", err.as(stageStart))
	}
	defer C.tsgo_release_providers(r.api, names, count)
	for _, name := range unsafe.Slice(names, int(count)) {
		r.providers = append(r.providers, C.GoString(name))
	}
	return nil
}

// stop undoes whatever start did.
func (r *Runtime) stop() {
	if binding.IsInitialized() {
		_ = binding.DestroyEnvironment() // closes its own handle of the library: nothing that could fail is left
	}
	if r.env != nil {
		C.tsgo_release_env(r.api, r.env)
	}
	r.logger.Delete()
	C.tsgo_unclaim()
}

// Version returns the library's version, such as "1.28.0".
func (r *Runtime) Version() string { return binding.GetVersion() }

// Providers returns the names of the execution providers that the library has, such as "CPUExecutionProvider".
func (r *Runtime) Providers() []string { return slices.Clone(r.providers) }

// Close ends the runtime, so that another may be started. It returns [fault.Internal] while sessions are open. Closing
// again does nothing.
func (r *Runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	if r.sessions > 0 {
		return fmt.Errorf("close ONNX Runtime while %d sessions are open: %w", r.sessions, fault.Internal)
	}
	r.closed = true
	r.stop()
	return nil
}

// enter counts a session in.
func (r *Runtime) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("ONNX Runtime is closed: %w", fault.Unavailable)
	}
	r.sessions++
	return nil
}

func (r *Runtime) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions--
}
