//go:build cgo

package ort

// #include "shim.h"
import "C"

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// code is the library's OrtErrorCode.
type code C.unsigned

const (
	codeFail             code = 1
	codeInvalidArgument  code = 2
	codeNoSuchFile       code = 3
	codeNoModel          code = 4
	codeRuntimeException code = 6
	codeInvalidProtobuf  code = 7
	codeNotImplemented   code = 9
	codeInvalidGraph     code = 10
	codeLoadCanceled     code = 12
	codeNeedsCompilation code = 13
)

// stage is what was being done: the same code means another thing while a network is opened than while it runs.
type stage uint8

const (
	stageStart stage = iota
	stageOpen
	stageRun
)

// failure is a status of the library's.
type failure struct {
	code    code
	message string
}

// What the library puts into its messages and a reader has no use for.
var (
	sourcePlace = regexp.MustCompile(`\S+\.(cc|h):\d+ `)
	loadPrefix  = regexp.MustCompile(`^Load model from .* failed: ?`) // the path is in front already
)

// failure reads and releases a status. It returns nil for success.
func (r *Runtime) failure(status *C.OrtStatus) *failure {
	if status == nil {
		return nil
	}
	defer C.tsgo_release_status(r.api, status)
	var message *C.char
	c := C.tsgo_status(r.api, status, &message)
	text := sourcePlace.ReplaceAllString(oneLine(C.GoString(message)), "")
	return &failure{code: code(c), message: loadPrefix.ReplaceAllString(text, "")}
}

// as returns the failure as an error with the kind that it has at a stage.
func (f *failure) as(s stage) error { return fmt.Errorf("%w: %s", f.kind(s), f.message) }

func (f *failure) kind(s stage) fault.Kind {
	if s == stageRun && strings.Contains(f.message, "Failed to allocate memory") { // the library has no code for it
		return fault.TooLarge
	}
	switch f.code {
	case codeNoSuchFile:
		return fault.NotFound
	case codeNotImplemented, codeNeedsCompilation:
		return fault.Unsupported
	case codeInvalidProtobuf, codeInvalidGraph, codeNoModel:
		return fault.BadModel
	case codeLoadCanceled:
		return fault.Canceled
	case codeFail, codeInvalidArgument, codeRuntimeException:
		switch s {
		case stageOpen:
			return fault.BadModel
		case stageRun: // a node that cannot compute what it was given
			return fault.Invalid
		case stageStart:
		}
	}
	return fault.Internal
}

// oneLine joins the lines of a message of the library's.
func oneLine(message string) string { return strings.Join(strings.Fields(message), " ") }
