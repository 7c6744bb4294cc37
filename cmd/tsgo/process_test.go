package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	p := &serving{}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], append([]string{
		"serve", "--model-store", filepath.Join("..", "..", "models"),
		"--inference-address", "127.0.0.1:0", "--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0",
		"--grpc-inference-address", "127.0.0.1:0", "--grpc-management-address", "127.0.0.1:0",
	}, args...)...)
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
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
// way: each of them is answered, and the exit status is 0.
func TestServeProcess(t *testing.T) {
	t.Parallel()
	p := serveProcess(t, "--models", "mnist")
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
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	go func() {
		group.Wait()
		close(answered)
	}()
	for err := range answered { // a request that was taken is answered; a later one finds no server
		if err != nil && !refusedConnection(err) {
			t.Errorf("a request under way was lost: %v", err)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, p.log.String())
	}
}

// refusedConnection tells whether a request found no server: none that listens, or one that had closed the connection, still
// in its queue, or kept and idle, before it read anything from it.
func refusedConnection(err error) bool {
	text := err.Error()
	return strings.Contains(text, "connection refused") || strings.Contains(text, "server closed idle connection") ||
		strings.Contains(text, "connection reset by peer")
}
