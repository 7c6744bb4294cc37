package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
)

// place is the directory in which everything happens: the working directory of the server and of the clients.
type place struct {
	dir    string
	env    []string // of the server and of the clients
	python string   // that of the virtual environment; "" where the Python clients are left out
}

// logLines are the lines of the server's log that a failure shows.
const logLines = 40

// newPlace makes the place: the programs in bin, the certificates, a network with two outputs, and an environment that
// names the addresses. What takes long is made at the same time.
func newPlace(ctx context.Context, python string) (p *place, err error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	p = &place{}
	if p.dir, err = os.MkdirTemp("", "tsgo-e2e-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(p.dir)
		}
	}()
	for _, name := range []string{"bin", "store", "tmp"} {
		if err := os.Mkdir(filepath.Join(p.dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	if err := p.setEnv(ctx, root); err != nil {
		return nil, err
	}
	var wait sync.WaitGroup
	failures := make([]error, 4)
	wait.Go(func() {
		_, failures[0] = output(ctx, "go", "build", "-o", filepath.Join(p.dir, "bin", "tsgo"), "./cmd/tsgo")
	})
	wait.Go(func() { failures[1] = p.linkGRPCurl(ctx) })
	wait.Go(func() { p.python, failures[2] = providePython(ctx, python) })
	wait.Go(func() { failures[3] = errors.Join(writeCertificates(p.dir), p.writePair()) })
	wait.Wait()
	return p, errors.Join(failures...)
}

// setEnv names the addresses, on ports that nobody has, and keeps what the programs leave behind in the place.
func (p *place) setEnv(ctx context.Context, root string) error {
	names := []string{"INFERENCE", "MANAGEMENT", "METRICS", "GRPC_INFERENCE", "GRPC_MANAGEMENT"}
	ports, err := freePorts(ctx, len(names))
	if err != nil {
		return err
	}
	p.env = append(os.Environ(),
		"PATH="+filepath.Join(p.dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"TMPDIR="+filepath.Join(p.dir, "tmp"), "CURL_HOME="+p.dir, "LOG_LOCATION=", "TS_CONFIG_FILE=", "TSGO_MODEL_STORE=",
		"MODELS="+filepath.Join(root, "models"), "SAMPLES="+filepath.Join(root, "samples"))
	for i, name := range names {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i]))
		if !strings.HasPrefix(name, "GRPC_") {
			address = "https://" + address
		}
		p.env = append(p.env, name+"="+address, name+"_PORT="+strconv.Itoa(ports[i]))
	}
	return nil
}

// freePorts returns ports on which nobody listens.
func freePorts(ctx context.Context, n int) (ports []int, err error) {
	for range n {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() //nolint:errcheck // nobody called
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// linkGRPCurl builds grpcurl into Go's cache, unless it is there, and puts it beside tsgo.
func (p *place) linkGRPCurl(ctx context.Context) error {
	path, err := output(ctx, "go", "tool", "-modfile="+filepath.Join("scripts", "tools", "grpcurl", "go.mod"), "-n", "grpcurl")
	if err != nil {
		return err
	}
	return os.Symlink(strings.TrimSpace(path), filepath.Join(p.dir, "bin", "grpcurl"))
}

// writePair writes pair.onnx, a network of two outputs: rows of four numbers, each of them doubled, and negated.
func (p *place) writePair() error {
	b := zoo.New(1, 4)
	double, negated := b.Node("Add", nil, "x", "x"), b.Node("Neg", nil, "x")
	rows := b.Graph.Inputs[0]
	b.Graph.Outputs = []onnx.Value{{Name: double, Type: rows.Type, Shape: rows.Shape}, {Name: negated, Type: rows.Type, Shape: rows.Shape}}
	return os.WriteFile(filepath.Join(p.dir, "pair.onnx"), b.Graph.Marshal(), 0o600)
}

// tellLog shows the end of the server's log.
func (p *place) tellLog(out io.Writer) {
	log, err := os.ReadFile(filepath.Join(p.dir, "logs", "ts_log.log"))
	if err != nil {
		return // there is none before the server starts
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	_, _ = fmt.Fprintf(out, "\nthe end of the server's log:\n%s\n\n", bytes.Join(lines[max(0, len(lines)-logLines):], []byte("\n")))
}

// clear ends the server, if it runs, and removes the place.
func (p *place) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var err error
	if pid, running := p.serverPID(); running {
		stop := exec.CommandContext(ctx, filepath.Join(p.dir, "bin", "tsgo"), "serve", "--stop")
		stop.Dir, stop.Env = p.dir, p.env
		if text, failure := stop.CombinedOutput(); failure != nil {
			err = fmt.Errorf("tsgo serve --stop: %w: %s", failure, text)
			if process, gone := os.FindProcess(pid); gone == nil {
				_ = process.Kill() // it does not end, or has ended by itself
			}
		}
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// serverPID reads the file in which tsgo serve --start keeps the number of its process.
func (p *place) serverPID() (pid int, running bool) {
	text, err := os.ReadFile(filepath.Join(p.dir, "tmp", ".model_server.pid"))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil && pid > 0
}

// output runs a program in the working directory and returns what it writes; where it fails, with an error that tells.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", cmd, err, out.String(), errs.String())
	}
	return out.String(), nil
}
