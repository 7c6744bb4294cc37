// Package ort runs networks with ONNX Runtime. It keeps the contract of package engine; what it adds is how the runtime is
// started: with which library, with its log lines on the program's logger, and with its telemetry off.
//
// The binding, yalue/onnxruntime_go, loads the library and owns its environment; its constants are used throughout. A
// shim in C beside it does what the binding cannot: log lines to Go, error codes, a signature without a second session,
// float16, bfloat16 and scalar outputs, inputs used in place, and runs and loads that can be cancelled. Both talk to the
// one copy of the library that a process has.
//
// Without cgo, [Start] says that this build has no engine.
package ort

import "log/slog"

// Options say how the runtime is started.
type Options struct {
	Library string       // path of ONNX Runtime's library, as package library finds it
	Logger  *slog.Logger // of the runtime's own lines; nil: silent
}
