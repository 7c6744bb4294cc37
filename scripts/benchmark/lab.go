package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
	"github.com/tsgo/tsgo/pkg/vision"
)

// lab is where the measurements are made.
type lab struct {
	runs     int
	duration time.Duration
	quick    bool
	python   string

	dir    string         // everything that is built and written
	built  map[string]any // by what: the path, or why it cannot be had
	number map[string]int // the arrangement in which a bare loop is fastest, by network
}

// The builds. The decoder of JPEG is libjpeg-turbo's, or the standard library's.
const (
	turbo = "turbojpeg"
	plain = ""
)

// The model of most rows, and what it is asked about.
const (
	resNet      = "resnet-18-224"
	resNetShape = "1,3,224,224"
	mnist       = "mnist"
	mnistShape  = "1,1,28,28"
)

func (l *lab) open() (err error) {
	l.built, l.number = map[string]any{}, map[string]int{}
	if l.dir, err = os.MkdirTemp("", "tsgo-benchmark"); err != nil {
		return err
	}
	return l.write()
}

func (l *lab) close() { _ = os.RemoveAll(l.dir) }

func (l *lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

func (l *lab) store() string   { return l.path("models") }
func (l *lab) picture() string { return l.path("picture.jpg") }
func (l *lab) digit() string   { return filepath.Join("samples", "digits", "3.png") }

// network returns the file of one of the models.
func (l *lab) network(name string) string { return l.path("models", name, name+".onnx") }

// The bare loop is free to choose its batch. The model says a small one: on two cores a larger one is hardly faster, and
// takes more memory.
const manifest = `model:
  name: ` + resNet + `
  version: 1.0
  serializedFile: ` + resNet + `.onnx
  handler: image_classifier
handler:
  resize: 256
  size: 224
  interpolation: bilinear
  mean: [0.485, 0.456, 0.406]
  std: [0.229, 0.224, 0.225]
  topK: 5
batchSize: 2
maxBatchDelay: 5
`

// write makes the models and the picture: 500 by 375 pixels of a photograph.
func (l *lab) write() error {
	if err := os.CopyFS(l.path("models", mnist), os.DirFS(filepath.Join("models", mnist))); err != nil {
		return fmt.Errorf("run it from the root of the repository: %w", err)
	}
	if err := os.MkdirAll(l.path("models", resNet), 0o755); err != nil {
		return err
	}
	pictures, err := photographs(1)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(l.path("models", resNet, "model-config.yaml"), []byte(manifest), 0o644),
		os.WriteFile(l.network(resNet), zoo.ResNet18(1).Marshal(), 0o644),
		os.WriteFile(l.picture(), pictures[0], 0o644),
	)
}

// photographs cuts pictures of 500 by 375 pixels out of a photograph, each from elsewhere.
func photographs(n int) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join("samples", "coffee.jpg"))
	if err != nil {
		return nil, err
	}
	img, err := vision.Decode(data, 0)
	if err != nil {
		return nil, err
	}
	const width, height = 500, 375
	room := image.Pt(img.Bounds().Dx()-width, img.Bounds().Dy()-height)
	all := make([][]byte, n)
	for i := range all {
		cut := image.NewRGBA(image.Rect(0, 0, width, height))
		draw.Draw(cut, cut.Bounds(), img, image.Pt((50+7*i)%room.X, (20+3*i)%room.Y), draw.Src)
		var out bytes.Buffer
		if err := jpeg.Encode(&out, cut, &jpeg.Options{Quality: 90}); err != nil {
			return nil, err
		}
		all[i] = out.Bytes()
	}
	return all, nil
}

// build builds a program of this module with a tag, once, and returns its path. It is [skipped] where libjpeg-turbo is missing.
func (l *lab) build(ctx context.Context, program, tag string) (string, error) {
	key := program + " " + tag
	if known, ok := l.built[key]; ok {
		path, _ := known.(string)
		err, _ := known.(error)
		return path, err
	}
	path := l.path(filepath.Base(program) + tag)
	out, err := exec.CommandContext(ctx, "go", "build", "-tags", tag, "-o", path, program).CombinedOutput()
	switch {
	case err == nil:
		l.built[key] = path
		return path, nil
	case tag == turbo && bytes.Contains(out, []byte("jpeglib.h")):
		err = skipped("libjpeg-turbo's headers are not installed (libturbojpeg0-dev on Debian)")
	default:
		err = fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	l.built[key] = err
	return "", err
}

// limit is a process that is asked to measure.
type limit struct {
	process *exec.Cmd
	in      io.WriteCloser
	lines   *bufio.Scanner
	unit    func(d time.Duration) string // how a duration is written to it
}

// startLimit starts this program, built with libjpeg-turbo where that is to be had, as a limit.
func (l *lab) startLimit(ctx context.Context, tag string, args ...string) (*limit, error) {
	program, err := l.build(ctx, "./scripts/benchmark", tag)
	if err != nil {
		return nil, err
	}
	return begin(exec.CommandContext(ctx, program, append([]string{asLimit}, args...)...), time.Duration.String)
}

// startPillow starts Python's way to do the same.
func (l *lab) startPillow(ctx context.Context) (*limit, error) {
	if l.python == "" {
		return nil, skipped("no -python")
	}
	return begin(exec.CommandContext(ctx, l.python, filepath.Join("scripts", "benchmark", "pillow.py"), l.picture()),
		func(d time.Duration) string { return fmt.Sprint(d.Seconds()) })
}

func begin(cmd *exec.Cmd, unit func(time.Duration) string) (*limit, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &limit{cmd, in, bufio.NewScanner(out), unit}, cmd.Start()
}

// measure has the process measure for a while.
func (m *limit) measure(d time.Duration) (float64, error) {
	if _, err := fmt.Fprintln(m.in, m.unit(d)); err != nil {
		return 0, err
	}
	if !m.lines.Scan() {
		return 0, fmt.Errorf("%s ended: %w", strings.Join(m.process.Args, " "), errors.Join(m.lines.Err(), m.process.Wait()))
	}
	return strconv.ParseFloat(m.lines.Text(), 64)
}

func (m *limit) close() error {
	_ = m.in.Close()
	return m.process.Wait()
}

// startSession starts the bare loop over a network in the arrangement that is fastest here.
func (l *lab) startSession(ctx context.Context, name, shape string, largest int) (*limit, error) {
	args := []string{l.network(name), shape, strconv.Itoa(largest)}
	if _, known := l.number[name]; !known {
		find, err := l.startLimit(ctx, plain, append([]string{"find"}, args...)...)
		if err != nil {
			return nil, err
		}
		number, err := find.measure(l.duration / 4)
		if err := errors.Join(err, find.close()); err != nil {
			return nil, err
		}
		l.number[name] = int(number)
		fmt.Fprintf(os.Stderr, "bare loop over %s: %+v\n", name, arrangements(largest)[int(number)])
	}
	return l.startLimit(ctx, plain, append([]string{"session"}, append(args, strconv.Itoa(l.number[name]))...)...)
}

// served is a server under test.
type served struct {
	process *exec.Cmd
	client  *client.Client
	wires   []*bench.Wire
}

// serve starts tsgo, built with a tag, over one of the models, or none, on free ports.
func (l *lab) serve(ctx context.Context, tag, models string) (*served, error) {
	program, err := l.build(ctx, "./cmd/tsgo", tag)
	if err != nil {
		return nil, err
	}
	s := &served{process: exec.CommandContext(context.WithoutCancel(ctx), program, "serve", "--models", models, "--model-store", l.store(), // it is stopped by a signal
		"--inference-address", "127.0.0.1:0", "--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0",
		"--grpc-inference-address", "none", "--grpc-management-address", "none", "--access-log=false")}
	var log bytes.Buffer
	s.process.Stderr = &log
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	var opts client.Options
	address := regexp.MustCompile(`^(inference|management|metrics) +(http://[^/ ]+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			*map[string]*string{"inference": &opts.Inference, "management": &opts.Management, "metrics": &opts.Metrics}[found[1]] = found[2]
		}
		if lines.Text() == "Model server started." {
			go drain(out)
			s.client, err = client.New(opts)
			return s, err
		}
	}
	return nil, fmt.Errorf("tsgo serve ended before it had started: %w\n%s", s.process.Wait(), log.Bytes())
}

func (s *served) close() error {
	for _, w := range s.wires {
		_ = w.Close()
	}
	_ = s.client.Close()
	_ = s.process.Process.Signal(syscall.SIGTERM)
	return s.process.Wait()
}

// wire returns what posts a file to a model.
func (s *served) wire(ctx context.Context, name, file string) (*bench.Wire, error) {
	at, err := s.client.Endpoint(ctx, model.Ref{Name: name})
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	w, err := bench.NewWire(bench.WireOptions{URL: at.URL, Header: at.Header, TLS: at.TLS, Inputs: []model.Input{{Data: data}}})
	s.wires = append(s.wires, w)
	return w, err
}

// load makes load, of which no request may fail.
func load(ctx context.Context, w *bench.Wire, opts bench.Options) (*bench.Result, error) {
	r, err := bench.Run(ctx, w.Ask, opts)
	switch {
	case err != nil:
		return nil, err
	case r.Interrupted:
		return nil, ctx.Err()
	case r.Failed()+r.Refused+r.Unanswered > 0 || r.Answered == 0:
		return nil, fmt.Errorf("%d answered, %d refused, %d unanswered, failed: %v", r.Answered, r.Refused, r.Unanswered, r.Failures)
	}
	return r, nil
}

// resident returns the memory of a process in bytes.
func resident(ctx context.Context, cmd *exec.Cmd) (float64, error) {
	p, err := process.NewProcessWithContext(ctx, int32(cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	info, err := p.MemoryInfoWithContext(ctx)
	if err != nil {
		return 0, err
	}
	return float64(info.RSS), nil
}

// residentDuring returns the median of a process's memory while work goes on.
func residentDuring(ctx context.Context, cmd *exec.Cmd, work func() error) (float64, error) {
	over := make(chan error, 1)
	go func() { over <- work() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var seen []float64
	for {
		select {
		case err := <-over:
			if err != nil || len(seen) == 0 {
				return 0, errors.Join(err, errors.New("it ended before its memory was looked at"))
			}
			return median(seen), nil
		case <-tick.C:
			bytes, err := resident(ctx, cmd)
			if err != nil {
				return 0, errors.Join(err, <-over)
			}
			seen = append(seen, bytes)
		}
	}
}
