// Command tsgo serves ONNX models and asks them: a drop-in successor of TorchServe in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/tsgo/tsgo/pkg/fault"
)

// What the release build sets.
var (
	version = "" // of the release
	commit  = "" //nolint:gochecknoglobals // the linker sets it
	date    = "" //nolint:gochecknoglobals // the linker sets it
)

func main() {
	s := streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, environ: os.Environ,
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())), errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if columns, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		s.columns = columns
	}
	os.Exit(run(s, os.Args[1:]))
}

// streams are the process as the commands see it.
type streams struct {
	in          io.Reader
	out, err    io.Writer // results, and everything else
	env         func(name string) string
	environ     func() []string // all variables, NAME=VALUE
	outTerminal bool            // out is a terminal
	errTerminal bool            // err is a terminal
	columns     int             // how wide out is; 0: as wide as need be
}

// run runs one command line and returns its exit status. The first signal cancels the command, the second one ends the
// process.
func run(s streams, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRoot(s)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		kind, message := fault.Of(err), oneLine(err)
		if kind == fault.Canceled && ctx.Err() != nil {
			message = "interrupted" + afterwards(err) // whatever was being done then
		}
		fmt.Fprintf(s.err, "tsgo: %s\n", message) //nolint:errcheck // there is nowhere left to say it
		return exitStatus(kind)
	}
	return 0
}

// resumable is an interruption after which something goes on where it was.
type resumable struct {
	error
	how string
}

func (r resumable) Unwrap() error { return r.error }

// afterwards says how what was interrupted goes on.
func afterwards(err error) string {
	if r, ok := errors.AsType[resumable](err); ok {
		return "; " + r.how
	}
	return ""
}

// oneLine writes joined errors on one line.
func oneLine(err error) string {
	return strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; ")
}

// exitStatus is the command line's table of failures.
func exitStatus(kind fault.Kind) int {
	switch kind {
	case fault.Internal:
		return 1
	case fault.Invalid, fault.TooLarge, fault.Unsupported, fault.BadModel, fault.NotAllowed:
		return 2
	case fault.NotFound, fault.NoModel, fault.NoVersion:
		return 3
	case fault.DefaultVersion, fault.Unauthorized, fault.Conflict:
		return 4
	case fault.Download, fault.Unavailable, fault.Timeout:
		return 5
	case fault.Canceled:
		return 130
	}
	return 1
}

// buildVersion returns the release's version, or what the Go tool knows of the build.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
