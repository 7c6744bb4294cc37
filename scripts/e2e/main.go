// Command e2e starts the real tsgo as an operator would, with TorchServe's config.properties, keys and TLS, and walks it from
// end to end with the clients that people have: curl, grpcurl, Triton's Python client and KServe's Python SDK. Then it starts
// tsgo again from its snapshot, and finds what was served before. It is a step of scripts/check.
//
// What curl and grpcurl are told, and what they must see, are the scripts in walk/, in testscript's language; what the Python
// clients do is in clients/. All share one directory, which is gone afterwards, and ports of this machine alone. grpcurl is
// built from the module that scripts/tools/grpcurl pins; the Python clients live in a virtual environment in the user's cache,
// made at the first run out of requirements.txt.
//
// usage: go run ./scripts/e2e [-python PROGRAM|none]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Limits of time: of the walk as a whole, which takes some five seconds on a machine that has nothing else to do, and of the server to end after a failure.
const (
	walkTimeout = 5 * time.Minute
	stopTimeout = 30 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	python := flags.String("python", "python3", "the Python that makes the clients' virtual environment; none: leave Triton's and KServe's clients out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join("scripts", "e2e", "walk")); err != nil {
		return fmt.Errorf("it is run in the repository's root: %w", err)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		return fmt.Errorf("curl has to be installed: %w", err)
	}
	begun := time.Now()
	p, err := newPlace(ctx, *python)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.tellLog(out)
		}
		err = errors.Join(err, p.clear(context.WithoutCancel(ctx)))
	}()
	if err := say(out, "ok   the programs are built, and the clients there", begun); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	for _, step := range []func(context.Context, io.Writer) error{
		p.script("serve"), p.script("curl"), p.script("grpcurl"), p.client("ask_triton.py"), p.client("ask_kserve.py"), p.script("restart"),
	} {
		if err := errors.Join(ctx.Err(), step(ctx, out)); err != nil {
			return err
		}
	}
	return say(out, "all is well", begun)
}

// say writes a line that ends with the time since then.
func say(out io.Writer, line string, since time.Time) error {
	_, err := fmt.Fprintf(out, "%s (%.3fs)\n", line, time.Since(since).Seconds())
	return err
}
