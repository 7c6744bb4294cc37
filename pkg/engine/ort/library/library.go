// Package library answers one question: where is a usable ONNX Runtime library for this machine? It looks where the user
// says, beside the executable, in the cache and where the system keeps libraries, and else provides the pinned one into
// the cache, verified. It opens no library, and tells what is wrong with one in words that name the way out.
package library

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Options say where to look. The zero value looks in the user's cache and where the system keeps libraries.
type Options struct {
	Explicit   string   // a library, or the directory it is in: then nothing else is looked at
	Executable string   // the directory of the program: looked at, and its ../lib; empty: not
	LoaderPath []string // where the loader was told to look besides its own directories, as LD_LIBRARY_PATH does
	Cache      string   // where the library is provided; empty: tsgo in the user's cache directory

	OS, Arch string                  // as Go names them; empty: this machine's
	Progress func(done, total int64) // told how far a download has come, in bytes; total is negative when it is not known; may be nil
	Logger   *slog.Logger            // nil: silent

	Releases string   // where release archives are; empty: ONNX Runtime's GitHub releases
	pips     []string // nil: the ways pip is known to be there
	system   []string // nil: the directories of the system's loader
	pin      *pin     // nil: that of the platform
	create   createFunc
}

// Find returns the path of a library that [Check] accepts. A library that is found but unusable is an error where it was
// asked for by Explicit, and is logged and passed over elsewhere. Where none is found, it is provided, as by [Provide].
func Find(ctx context.Context, opts Options) (string, error) {
	opts = opts.complete()
	if opts.Explicit != "" {
		return opts.explicit()
	}
	if path := opts.search(opts.beside()); path != "" {
		return path, nil
	}
	if path, ok := opts.cached(); ok {
		return path, nil
	}
	if path := opts.search(opts.loaderDirs()); path != "" {
		return path, nil
	}
	return opts.provide(ctx)
}

func (o Options) complete() Options {
	o.OS = cmp.Or(o.OS, runtime.GOOS)
	o.Arch = cmp.Or(o.Arch, runtime.GOARCH)
	o.Releases = cmp.Or(o.Releases, "https://github.com/microsoft/onnxruntime/releases/download")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.create == nil {
		o.create = createFile
	}
	if dir, err := os.UserCacheDir(); o.Cache == "" && err == nil {
		o.Cache = filepath.Join(dir, "tsgo")
	}
	return o // without a cache where the user has none, as a service may: whatever lies elsewhere is found all the same
}

// explicit returns the library that was asked for by name.
func (o Options) explicit() (string, error) {
	path, err := filepath.Abs(o.Explicit)
	if err != nil {
		return "", fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		names := o.in(path)
		if len(names) == 0 {
			return "", fmt.Errorf("directory %s has no ONNX Runtime library (%s): %w", path, o.names()[0], fault.NotFound)
		}
		path = names[0]
	}
	if err := check(path, o.OS, o.Arch); err != nil {
		return "", err
	}
	return path, nil
}

// search returns the first usable library in dirs, or "".
func (o Options) search(dirs []string) string {
	for _, dir := range dirs {
		for _, path := range o.in(dir) {
			err := check(path, o.OS, o.Arch)
			if err == nil {
				o.Logger.Debug("onnxruntime found", "path", path)
				return path
			}
			o.Logger.Warn("onnxruntime library passed over", "path", path, "err", err)
		}
	}
	return ""
}

// in returns the files in dir that have a library's name, plain names first, then newest version first.
func (o Options) in(dir string) []string {
	var found []string
	for _, pattern := range o.names() {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well-formed
		slices.SortFunc(paths, func(a, b string) int { return compareVersions(versionIn(b), versionIn(a)) })
		for _, path := range paths {
			if abs, err := filepath.Abs(path); err == nil && !slices.Contains(found, abs) {
				found = append(found, abs)
			}
		}
	}
	return found
}

// names returns patterns of the names a library has, the most general first.
func (o Options) names() []string {
	switch o.OS {
	case "windows":
		return []string{"onnxruntime.dll"}
	case "darwin":
		return []string{"libonnxruntime.dylib", "libonnxruntime.1.*.dylib"}
	}
	return []string{"libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so.1.*"}
}

func (o Options) beside() []string {
	if o.Executable == "" {
		return nil
	}
	return []string{o.Executable, filepath.Join(o.Executable, "..", "lib")}
}

func (o Options) loaderDirs() []string {
	dirs := slices.DeleteFunc(slices.Clone(o.LoaderPath), func(dir string) bool { return !filepath.IsAbs(dir) })
	if o.system != nil {
		return append(dirs, o.system...)
	}
	switch o.OS {
	case "windows": // System32 carries an old one that belongs to Windows
		return dirs
	case "darwin":
		return append(dirs, "/usr/local/lib", "/opt/homebrew/lib", "/usr/lib")
	}
	dirs = append(dirs, configuredDirs("/etc/ld.so.conf", 0)...)
	return append(dirs, "/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
}

// readable turns the failure to open a library into one that says what to do.
func readable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ONNX Runtime library %s: %w", path, fault.NotFound)
	}
	return fmt.Errorf("ONNX Runtime library %s: %w: %w", path, fault.Invalid, err)
}
