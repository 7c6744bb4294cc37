package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/store"
)

// maxThreads is the most threads that one run may have: beyond it a machine only loses.
const maxThreads = 256

// local is how a command finds models and the runtime on this machine.
type local struct {
	modelStore string
	library    string
	threads    int
}

func (l *local) localFlags(cmd *cobra.Command) {
	l.storeFlag(cmd)
	cmd.Flags().StringVar(&l.library, "onnxruntime", "", "ONNX Runtime's shared library (default: $TSGO_ONNXRUNTIME, beside tsgo, the cache, the system's)")
	cmd.Flags().IntVar(&l.threads, "threads", 0, "how many threads one run of the network uses (default: the number of cores)")
}

func (l *local) storeFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.modelStore, "model-store", "", "directory of models (default: $TSGO_MODEL_STORE, ./models, the user's data directory)")
}

// store returns the model store: the directories that are searched, in their order.
func (l *local) store(s streams) *store.Store { return store.New(l.dirs(s)...) }

func (l *local) dirs(s streams) []store.Dir {
	var dirs []store.Dir
	if l.modelStore != "" {
		dirs = append(dirs, store.Dir{Path: l.modelStore, Origin: "--model-store", Required: true})
	}
	if path := s.env("TSGO_MODEL_STORE"); path != "" {
		dirs = append(dirs, store.Dir{Path: path, Origin: "TSGO_MODEL_STORE", Required: true})
	}
	dirs = append(dirs, store.Dir{Path: "models", Origin: "in the working directory"})
	if data := dataDir(s); data != "" {
		dirs = append(dirs, store.Dir{Path: filepath.Join(data, "tsgo", "models"), Origin: "the user's data directory"})
	}
	return dirs
}

// pullDir returns the directory that models are pulled into: the one that is named, or else the user's own.
func (l *local) pullDir(s streams) (string, error) {
	for _, dir := range l.dirs(s) {
		if dir.Required {
			return dir.Path, nil
		}
	}
	if data := dataDir(s); data != "" {
		return filepath.Join(data, "tsgo", "models"), nil
	}
	return "", fmt.Errorf("%w: no directory to pull models into: name one with --model-store or TSGO_MODEL_STORE", fault.Invalid)
}

// dataDir returns where the user's data are, by the system's custom; "" when that is not known.
func dataDir(s streams) string {
	if dir := s.env("XDG_DATA_HOME"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(home, "Library", "Application Support")
	case "windows":
		return s.env("LocalAppData")
	}
	return filepath.Join(home, ".local", "share")
}

func (l *local) list(s streams) (entries []store.Entry, broken []error) {
	return l.store(s).List()
}

// names returns the models in the store, for completion.
func (l *local) names(s streams) []string {
	entries, _ := l.list(s)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return slices.Compact(names)
}

// find returns the path of a model: the one in the store, or what the argument itself names.
func (l *local) find(s streams, arg string) (string, error) {
	ref, err := model.ParseRef(arg)
	if err == nil {
		entry, failed := l.store(s).Find(ref.Name, ref.Version)
		if failed == nil {
			return entry.Source, nil
		}
		err = failed
	}
	isPath := isModelFile(arg) || strings.ContainsRune(arg, filepath.Separator) && errors.Is(err, fault.Invalid)
	info, missing := os.Stat(arg)
	switch {
	case missing == nil && (isPath || info.IsDir() || filepath.Ext(arg) != ""):
		return arg, nil // what is wrong with it is for archive to say
	case isPath && errors.Is(missing, fs.ErrNotExist):
		return "", fmt.Errorf("model %s: %w: no such file or directory", arg, fault.NotFound)
	case errors.Is(err, fault.NoModel) && canPull(ref.Name, ref.Version) != "":
		return "", fmt.Errorf("%w: %q is not in the store: %s", fault.NoModel, arg, canPull(ref.Name, ref.Version))
	case errors.Is(err, fault.NoModel):
		return "", fmt.Errorf("%w; 'tsgo models list' lists what there is, 'tsgo models pull' what can be had", err)
	}
	return "", err
}

func isModelFile(path string) bool {
	_, ok := archive.FormOf(path)
	return ok
}

// findLibrary returns the path of ONNX Runtime's library, which is provided under a progress bar where there is none.
func (l *local) findLibrary(ctx context.Context, s streams, log *slog.Logger) (string, error) {
	path := l.library
	if path == "" {
		path = s.env("TSGO_ONNXRUNTIME")
	}
	beside := ""
	if executable, err := os.Executable(); err == nil {
		beside = filepath.Dir(executable)
	}
	bar := newProgress(s, "ONNX Runtime", 0)
	bar.bytes = true
	defer bar.done()
	return library.Find(ctx, library.Options{
		Explicit: path, Executable: beside, LoaderPath: filepath.SplitList(s.env("LD_LIBRARY_PATH")), Progress: bar.set, Logger: log,
	})
}

// start opens the runtime.
func (l *local) start(ctx context.Context, s streams, log *slog.Logger) (*ort.Runtime, error) {
	path, err := l.findLibrary(ctx, s, log)
	if err != nil {
		return nil, err
	}
	return ort.Start(ctx, ort.Options{Library: path, Logger: log})
}

// engineThreads returns how many threads one run may have; 0: as many as there are cores.
func (l *local) engineThreads() (int, error) {
	if l.threads < 0 || l.threads > maxThreads {
		return 0, fmt.Errorf("%w: --threads %d, want from 1 to %d", fault.Invalid, l.threads, maxThreads)
	}
	return l.threads, nil
}

// open makes a model answer in this process.
func (l *local) open(ctx context.Context, s streams, m *archive.Model, log *slog.Logger, opts engine.Options) (*pipeline.Pipeline, error) {
	threads, err := l.engineThreads()
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if threads > 0 {
		opts.IntraOpThreads = threads
	}
	runtime, err := l.start(ctx, s, log)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return pipeline.Load(ctx, m, pipeline.Options{Open: runtime.Open, Engine: opts, Handlers: builtin.Handlers(), Log: log})
}
