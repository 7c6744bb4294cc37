//go:build cgo

package ort

// #include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"runtime/cgo"

	binding "github.com/yalue/onnxruntime_go"
)

// severityOf returns the least severe lines that the library needs to write for logger.
func severityOf(logger *slog.Logger) C.unsigned {
	ctx := context.Background()
	switch {
	case logger.Enabled(ctx, slog.LevelDebug):
		return binding.LoggingLevelInfo
	case logger.Enabled(ctx, slog.LevelWarn):
		return binding.LoggingLevelWarning
	case logger.Enabled(ctx, slog.LevelError):
		return binding.LoggingLevelError
	}
	return binding.LoggingLevelFatal
}

func levelOf(severity C.unsigned) slog.Level {
	switch severity {
	case binding.LoggingLevelVerbose, binding.LoggingLevelInfo:
		return slog.LevelDebug
	case binding.LoggingLevelWarning:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// tsgoORTLog is called by the library, from any of its threads, for every line that it logs.
//
//export tsgoORTLog
func tsgoORTLog(logger C.uintptr_t, severity C.unsigned, category, place, message *C.char) {
	cgo.Handle(logger).Value().(*slog.Logger).LogAttrs(context.Background(), levelOf(severity), oneLine(C.GoString(message)),
		slog.String("engine", "onnxruntime"), slog.String("category", C.GoString(category)), slog.String("place", C.GoString(place)))
}
