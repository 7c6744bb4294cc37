// Command library copies the pinned ONNX Runtime library of a platform, this one's or another's, into a directory. It is a
// step of scripts/release/bundle; tsgo itself provides the library for its own platform alone.
//
// usage: go run ./scripts/release/library [-os GOOS] [-arch GOARCH] [-version] DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/tsgo/tsgo/pkg/engine/ort/library"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "library:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("library", flag.ContinueOnError)
	goos := flags.String("os", runtime.GOOS, "the operating system, as Go names it")
	arch := flags.String("arch", runtime.GOARCH, "the processor, as Go names it")
	version := flags.Bool("version", false, "print the version of ONNX Runtime that is pinned, and do nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version {
		_, err := fmt.Fprintln(stdout, library.Version)
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("%d arguments, want one: the directory to copy to", flags.NArg())
	}
	path, err := library.Provide(ctx, library.Options{OS: *goos, Arch: *arch})
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(flags.Arg(0), filepath.Base(path)), data, 0o755)
}
