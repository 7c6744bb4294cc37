package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// served is the server under test.
type served struct {
	address string // http://HOST:PORT of the inference API
	process *exec.Cmd
}

// serve builds tsgo and starts it on free ports.
func (b *bench) serve(ctx context.Context) (*served, error) {
	binary := filepath.Join(b.work, "tsgo")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/tsgo")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build tsgo: %w", err)
	}
	s := &served{process: exec.CommandContext(context.WithoutCancel(ctx), binary, "serve", "--models", "efficientnet-lite0,mnist", "--model-store", "models",
		"--inference-address", "127.0.0.1:0", "--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0",
		"--access-log=false")} // it is stopped by a signal
	s.process.Stderr = io.Discard
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("start tsgo: %w", err)
	}
	inference := regexp.MustCompile(`inference +(http://\S+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := inference.FindStringSubmatch(lines.Text()); found != nil {
			s.address = found[1]
		}
		if lines.Text() == "Model server started." {
			go io.Copy(io.Discard, out) //nolint:errcheck // until the process ends
			return s, nil
		}
	}
	s.stop()
	return nil, errors.New("tsgo serve ended before it had started")
}

func (s *served) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	_ = s.process.Wait()
}

// connections is how many connections keep the server busy.
const connections = 16

func (b *bench) throughput(ctx context.Context, model, file string) (float64, error) {
	out, err := b.wrk(ctx, 2, connections, model, file)
	if err != nil {
		return 0, err
	}
	return figure(out, `Requests/sec: +([\d.]+)()`)
}

// latency returns the median latency of one connection in milliseconds.
func (b *bench) latency(ctx context.Context, model, file string) (float64, error) {
	out, err := b.wrk(ctx, 1, 1, model, file)
	if err != nil {
		return 0, err
	}
	return figure(out, `50% +([\d.]+)(us|ms|s)`)
}

// figure finds a number in wrk's report; times become milliseconds.
func figure(out, pattern string) (float64, error) {
	found := regexp.MustCompile(pattern).FindStringSubmatch(out)
	if found == nil || regexp.MustCompile(`Non-2xx|Socket errors`).MatchString(out) {
		return 0, fmt.Errorf("wrk reports errors, or nothing:\n%s", out)
	}
	number, err := strconv.ParseFloat(found[1], 64)
	return number * map[string]float64{"": 1, "us": 1e-3, "ms": 1, "s": 1e3}[found[2]], err
}

// wrk posts a file over and over.
func (b *bench) wrk(ctx context.Context, threads, connections int, model, file string) (string, error) {
	script := filepath.Join(b.work, "post.lua")
	text := fmt.Sprintf("wrk.method = \"POST\"\nlocal f = assert(io.open(%q, \"rb\"))\nwrk.body = f:read(\"*all\")\nf:close()\n", file)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t", strconv.Itoa(threads), "-c", strconv.Itoa(connections),
		"-d", fmt.Sprintf("%ds", max(1, int(b.duration/time.Second))), "--latency", "-s", script, b.server.address+"/predictions/"+model).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("wrk: %w: %s", err, out)
	}
	return string(out), nil
}
