package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
)

// stdin is the file argument that stands for the standard input.
const stdin = "-"

// givenText is the name under which a text that was given on the command line goes.
const givenText = "--text"

// maxInput is the size in bytes of the largest file that is read.
const maxInput = 256 << 20

// askOptions are what predict and explain share: which model is asked about which files.
type askOptions struct {
	*globals
	streams
	local
	remote

	mode   model.Mode
	model  string
	files  []string
	text   string // instead of files
	params map[string]string
	named  []string // --param name=value
}

func (o *askOptions) flags(cmd *cobra.Command) {
	o.localFlags(cmd)
	o.serverFlags(o.streams, cmd)
	cmd.Flags().StringVar(&o.text, "text", "", "ask about this text instead of a file")
	cmd.Flags().StringArrayVar(&o.named, "param", nil, "a parameter of the model's handler, as name=value; may be repeated")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) > 0:
			return nil, cobra.ShellCompDirectiveDefault
		case o.server != "":
			return o.remote.names(cmd.Context(), o.streams), cobra.ShellCompDirectiveNoFileComp
		}
		return o.local.names(o.streams), cobra.ShellCompDirectiveDefault
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		return o.checkFlags(cmd, "model-store", "onnxruntime", "threads")
	}
}

// someFile is what the arguments have to be: a model and files, or the model alone where there is a text.
func (o *askOptions) someFile() cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if o.text == "" && len(args) == 1 {
			return fmt.Errorf("%w: nothing to ask %s about: name a file or a directory, or - for the standard input, or give a --text", fault.Invalid, args[0])
		}
		if o.text == "" {
			return usage(cobra.MinimumNArgs(1))(cmd, args)
		}
		if len(args) > 1 {
			return fmt.Errorf("%w: --text takes the place of files: leave %s out", fault.Invalid, strings.Join(args[1:], " "))
		}
		return usage(cobra.ExactArgs(1))(cmd, args)
	}
}

// about takes the arguments.
func (o *askOptions) about(args []string) {
	o.model, o.files = args[0], args[1:]
	if o.text != "" {
		o.files = []string{givenText}
	}
}

// readParams adds the --param flags to the parameters. A server takes what it does not know for nothing, so that it is
// looked at here.
func (o *askOptions) readParams() error {
	for _, text := range o.named {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fmt.Errorf("%w: --param %q, want name=value", fault.Invalid, text)
		}
		o.set(name, value)
	}
	if o.server != "" {
		return handler.CheckParams(&model.Request{Params: o.params}, builtin.Params()...)
	}
	return nil
}

func (o *askOptions) set(name, value string) {
	if o.params == nil {
		o.params = map[string]string{}
	}
	o.params[name] = value
}

// load returns the model: of a running server where one is named, else opened in this process, made to run several batches
// side by side when concurrent, and one on all cores otherwise.
func (o *askOptions) load(ctx context.Context, log *slog.Logger, concurrent bool) (*asked, error) {
	if o.server != "" {
		return o.onServer()
	}
	path, err := o.find(o.streams, o.model)
	if err != nil {
		return nil, err
	}
	m, err := archive.Open(ctx, path, archive.Options{})
	if err != nil {
		return nil, err
	}
	opts := engine.Options{}
	if concurrent {
		opts.IntraOpThreads = 1
	}
	p, err := o.open(ctx, o.streams, m, log, opts)
	if err != nil {
		return nil, err
	}
	size := p.Settings().BatchSize
	if size <= 1 {
		size = defaultBatch
	}
	return &asked{Predictor: p, ref: p.Ref(), batch: p.Batch, size: size, workers: runtime.GOMAXPROCS(0), close: p.Close}, nil
}

// asked is a model to ask, in this process or in another: from here on it makes no difference which.
type asked struct {
	model.Predictor

	ref     model.Ref
	batch   func(ctx context.Context, reqs []*model.Request) []model.Result // many requests, as they are best asked together
	size    int                                                             // how many make a batch at most
	workers int                                                             // how many batches are asked side by side
	close   func() error
}

// perCore is how many requests for each core of this machine a server has at once: enough that it never waits for the next.
const perCore = 2

// onServer returns a model of the server. The server makes the batches, of what comes together: here each request goes alone.
func (o *askOptions) onServer() (*asked, error) {
	c, ref, err := o.served(o.streams, o.model)
	if err != nil {
		return nil, err
	}
	each := func(ctx context.Context, reqs []*model.Request) []model.Result {
		results := make([]model.Result, len(reqs))
		for i, req := range reqs {
			results[i].Response, results[i].Err = c.Predict(ctx, ref, req)
		}
		return results
	}
	return &asked{
		Predictor: patient{c, o.streams, o.mode.String()}, ref: ref, batch: each, size: 1, workers: perCore * runtime.GOMAXPROCS(0), close: c.Close,
	}, nil
}

// request makes the request about one file.
func (o *askOptions) request(ctx context.Context, file string) (*model.Request, error) {
	if o.text != "" {
		return &model.Request{ID: file, Mode: o.mode, Inputs: []model.Input{{Name: "body", Data: []byte(o.text)}}, Params: o.params}, nil
	}
	data, err := o.read(ctx, file)
	if err != nil {
		return nil, err
	}
	input := model.Input{Name: "body", ContentType: contentType(file), Data: data}
	return &model.Request{ID: file, Mode: o.mode, Inputs: []model.Input{input}, Params: o.params}, nil
}

// read returns what is in a file, or ctx's error once that ends: nobody may ever write to a pipe or type at a terminal, and
// the system's call that waits for them cannot be interrupted. What still reads then ends with the process.
func (o *askOptions) read(ctx context.Context, file string) ([]byte, error) {
	var data []byte
	var err error
	whole := make(chan struct{})
	go func() {
		defer close(whole)
		data, err = o.readAll(file)
	}()
	select {
	case <-whole:
		return data, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (o *askOptions) readAll(file string) ([]byte, error) {
	source := o.in
	var data bytes.Buffer
	if file != stdin {
		f, err := os.Open(file)
		if err != nil {
			return nil, fileError(err)
		}
		defer f.Close() //nolint:errcheck // it is only read
		source = f
		if info, err := f.Stat(); err == nil && info.Size() <= maxInput { // 0 for what is not known
			data.Grow(int(info.Size()) + bytes.MinRead)
		}
	}
	_, err := data.ReadFrom(io.LimitReader(source, maxInput+1))
	switch {
	case err != nil:
		return nil, fileError(err)
	case data.Len() > maxInput:
		return nil, fmt.Errorf("%w: %s has more than %s", fault.TooLarge, file, size(maxInput))
	}
	return data.Bytes(), nil
}

// fileError gives a failure of the file system its kind.
func fileError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", fault.NotFound, err)
	}
	return fmt.Errorf("%w: %w", fault.Invalid, err)
}

// contentType tells what a handler cannot see from the bytes: JSON is an input of its own kind.
func contentType(file string) string {
	if strings.EqualFold(filepath.Ext(file), ".json") {
		return "application/json"
	}
	return ""
}

// inputs are the endings of the files that are taken from a directory.
func inputs() []string {
	return []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".json", ".txt"}
}

// expand returns the files that the arguments name, a directory's in the order of their paths.
func expand(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if arg == stdin || err != nil || !info.IsDir() {
			files = append(files, arg) // a file that is not there gets its own error, as a bad one does
			continue
		}
		inside := walk(arg)
		if len(inside) == 0 {
			return nil, fmt.Errorf("%w: directory %s holds no files that end in %s", fault.NotFound, arg, strings.Join(inputs(), " "))
		}
		files = append(files, inside...)
	}
	return files, nil
}

// walk returns the inputs below a directory, but for what is hidden. A link counts as the file that it leads to; links to
// directories are not followed. A directory that cannot be read is among the files, to get its own error.
func walk(dir string) []string {
	var files []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error { // nothing below ends the walk
		switch {
		case err != nil:
			files = append(files, path)
		case path != dir && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case slices.Contains(inputs(), strings.ToLower(filepath.Ext(path))) && isFile(path, entry):
			files = append(files, path)
		}
		return nil
	})
	return files
}

func isFile(path string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.Type().IsRegular()
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular() // a link that leads nowhere gets its own error
}

// outcome is what became of one file.
type outcome struct {
	file string
	model.Result
}

// askMany asks about all files, side by side, and hands over the outcomes in the order of the files. It returns what failed,
// or ctx's error once that ends.
func (o *askOptions) askMany(ctx context.Context, p *asked, show func(outcome) error) error {
	defer collectLess()()
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type chunk struct {
		files []string
		done  chan []outcome
	}
	work, order := make(chan chunk), make(chan chunk, 2*p.workers)
	group.Go(func() {
		defer close(work)
		defer close(order)
		for left := o.files; len(left) > 0; {
			size := chunkSize(len(left), p.workers, p.size)
			c := chunk{left[:size], make(chan []outcome, 1)}
			left = left[size:]
			select {
			case order <- c:
			case <-ctx.Done():
				return
			}
			work <- c
		}
	})
	for range p.workers {
		group.Go(func() {
			for c := range work {
				c.done <- o.askChunk(ctx, p, c.files)
			}
		})
	}
	bar, shown := newProgress(o.streams, o.model, showAfter), 0
	defer bar.done()
	var failed failures
	for c := range order {
		for _, out := range <-c.done {
			if err := ctx.Err(); err != nil {
				return err
			}
			failed.add(out)
			if err := show(out); err != nil {
				return err
			}
			shown++
			bar.set(int64(shown), int64(len(o.files)))
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return failed.err()
}

// collectLess has Go collect half as often, unless $GOGC says how often, until undo is called. A collection holds up all
// who ask, for longer where another program has one of the cores. What Go has of a few pictures is little beside the network.
func collectLess() (undo func()) {
	const byDefault, less = 100, 200
	before := debug.SetGCPercent(less)
	undo = func() { debug.SetGCPercent(before) }
	if before != byDefault {
		undo()
	}
	return undo
}

// widest returns the width of the column of the files.
func (o *askOptions) widest() int {
	width := 0
	for _, file := range o.files {
		width = max(width, utf8.RuneCountInString(file))
	}
	return width
}

// failures are what failed of many files. Each was told with its file: the end of the run names the first ones and counts
// the rest.
type failures struct {
	first []error
	more  int
}

func (f *failures) add(out outcome) {
	const named = 3
	switch {
	case out.Err == nil:
	case len(f.first) < named:
		f.first = append(f.first, fmt.Errorf("%s: %w", out.file, out.Err))
	default:
		f.more++
	}
}

func (f *failures) err() error {
	all := f.first
	if f.more > 0 {
		all = append(all, fmt.Errorf("and %d more", f.more))
	}
	return errors.Join(all...)
}

// defaultBatch is how many files run as one batch where the manifest says nothing: beyond it, a CPU gains nothing.
const defaultBatch = 8

// chunkSize returns how many of the files that are left run as the next batch: no more than leave work for every worker, so
// that the last batches are small and the workers are done at about the same time.
func chunkSize(left, workers, batch int) int {
	return max(1, min(batch, left/workers))
}

func (o *askOptions) askChunk(ctx context.Context, p *asked, files []string) []outcome {
	outcomes := make([]outcome, len(files))
	var reqs []*model.Request
	var at []int
	for i, file := range files {
		outcomes[i].file = file
		req, err := o.request(ctx, file)
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		reqs, at = append(reqs, req), append(at, i)
	}
	for n, result := range p.batch(ctx, reqs) {
		outcomes[at[n]].Result = result
	}
	return outcomes
}
