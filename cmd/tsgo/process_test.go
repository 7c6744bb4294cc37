package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// serving is the real program, serving on free ports.
type serving struct {
	cmd                            *exec.Cmd
	inference, management, metrics string
	calls                          []string // the addresses of gRPC
	log                            bytes.Buffer
}

// serveProcess starts tsgo serve and waits until it says that it has started.
func serveProcess(t *testing.T, args ...string) *serving {
	t.Helper()
	return serveProcessIn(t, nil, args...)
}

// serveProcessIn is serveProcess with more variables in the environment.
func serveProcessIn(t *testing.T, env []string, args ...string) *serving {
	t.Helper()
	p := &serving{}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], append([]string{
		"serve", "--model-store", filepath.Join("..", "..", "models"),
		"--inference-address", "127.0.0.1:0", "--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0",
		"--grpc-inference-address", "127.0.0.1:0", "--grpc-management-address", "127.0.0.1:0",
	}, args...)...)
	p.cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	address := regexp.MustCompile(`^(inference|management|metrics) +(http://[^ /]+)`)
	calls := regexp.MustCompile(`^gRPC (?:inference|management) +([0-9.]+:[0-9]+) `)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			*map[string]*string{"inference": &p.inference, "management": &p.management, "metrics": &p.metrics}[found[1]] = found[2]
		}
		if found := calls.FindStringSubmatch(lines.Text()); found != nil {
			p.calls = append(p.calls, found[1])
		}
		if lines.Text() == "Model server started." {
			return p
		}
	}
	_ = p.cmd.Wait()
	t.Fatalf("tsgo serve did not start: %s", p.log.String())
	return nil
}

// TestServeProcess starts the real program, asks it on all of its ports, and ends it by SIGTERM while requests are under
// way: each that it took is answered, and the exit status is 0.
func TestServeProcess(t *testing.T) {
	t.Parallel()
	p := serveProcess(t, "--verbose", "--models", "mnist")
	client := &http.Client{Timeout: 30 * time.Second}
	digit, err := os.ReadFile(filepath.Join("..", "..", "samples", "digits", "3.png"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		resp, err := client.Post(p.inference+"/predictions/mnist", "image/png", bytes.NewReader(digit))
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // it is read to its end
		body, err := io.ReadAll(resp.Body)
		if err == nil && string(body) != "3" {
			err = fmt.Errorf("answer %d %s, want 3", resp.StatusCode, body)
		}
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	answers := 1
	for url, want := range map[string]string{
		p.inference + "/ping":            "Healthy",
		p.management + "/models":         `"modelName": "mnist"`,
		p.management + "/models/mnist":   `"status": "READY"`,
		p.metrics + "/metrics":           `ts_inference_requests_total{hostname=`,
		p.inference + "/api-description": p.metrics,
	} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, want %q in %.300s", url, err, want, body)
		}
	}
	if len(p.calls) != 2 {
		t.Errorf("gRPC at %q, want two addresses", p.calls)
	}
	for _, address := range p.calls {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("gRPC at %s: %v, %v", address, health, err)
		}
		_ = conn.Close()
	}
	answered := make(chan error, 1000)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				err := ask()
				answered <- err
				if err != nil {
					return
				}
			}
		})
	}
	for range 100 {
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		answers++
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	go func() {
		group.Wait()
		close(answered)
	}()
	for err := range answered { // a request that was taken is answered; a later one finds no server
		switch {
		case err == nil:
			answers++
		case !refusedConnection(err):
			t.Errorf("a request under way was lost: %v", err)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, p.log.String())
	}
	if taken := strings.Count(p.log.String(), "POST /predictions/mnist"); taken != answers {
		t.Errorf("%d requests were taken, and %d answered", taken, answers)
	}
}

// refusedConnection tells whether a request found no server: none that listens, or one that had closed the connection, still
// in its queue, or kept and idle. Whether it had read anything of the request before is for its log to tell.
func refusedConnection(err error) bool {
	text := err.Error()
	return errors.Is(err, io.EOF) || strings.Contains(text, "connection refused") || strings.Contains(text, "server closed idle connection") ||
		strings.Contains(text, "connection reset by peer")
}

// TestSnapshotSurvives kills a server that keeps what it serves, at once and without leave: the next one goes on with what was
// on the disk.
func TestSnapshotSurvives(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	env := []string{"LOG_LOCATION=" + logs}
	p := serveProcessIn(t, env, "--config-snapshots", "--models", "mnist")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	resp, err := client.Post(p.management+"/models?url=mnist&model_name=second&initial_workers=2&batch_size=3", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	written := func() bool {
		paths, err := filepath.Glob(filepath.Join(logs, "config", "*.cfg"))
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(paths, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && bytes.Contains(text, []byte(`"second"`))
		})
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	limit := time.After(30 * time.Second)
	for !written() {
		select {
		case <-look.C:
		case <-limit:
			t.Fatal("nothing is written after 30 s")
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
	p = serveProcessIn(t, env, "--config-snapshots")
	resp, err = client.Get(p.management + "/models/second")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !bytes.Contains(body, []byte(`"minWorkers": 2`)) || !bytes.Contains(body, []byte(`"batchSize": 3`)) {
		t.Errorf("%d %s, %v, want the model with its workers and its batch", resp.StatusCode, body, err)
	}
	if err := errors.Join(p.cmd.Process.Signal(syscall.SIGTERM), p.cmd.Wait()); err != nil {
		t.Errorf("exit: %v\n%s", err, p.log.String())
	}
}
