//go:build linux || darwin

package server_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/server"
)

// counter is a log handler that counts its lines.
type counter struct {
	slog.Handler

	lines *atomic.Int64
}

func (c counter) Enabled(context.Context, slog.Level) bool { return true }

func (c counter) Handle(context.Context, slog.Record) error {
	c.lines.Add(1)
	return nil
}

// TestFireUntilSIGTERM fires from 32 connections at a server that a SIGTERM ends meanwhile: what it has taken is answered,
// each rightly and to its caller, what comes later finds no server, and nothing is left behind.
func TestFireUntilSIGTERM(t *testing.T) {
	defer goleak.VerifyNone(t)
	files := openFiles(t)
	ctx, cancel := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer cancel()
	var taken, answered atomic.Int64
	started, ended := make(chan server.Addrs, 1), make(chan error, 1)
	opts := options(t)
	opts.Drain = 20 * time.Second
	opts.Access = slog.New(counter{lines: &taken})
	opts.Started = func(r server.Report) { started <- r.Addrs }
	go func() { ended <- server.Run(ctx, opts) }()
	var address string
	select {
	case addrs := <-started:
		address = addrs.Inference
	case err := <-ended:
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var group sync.WaitGroup
	seed := rand.Uint64()
	for worker := range 32 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for i := worker + 1; ; i += 32 {
				err := newShot(i, random).fire(client, address)
				if unreached := (*url.Error)(nil); errors.As(err, &unreached) {
					if ctx.Err() == nil {
						t.Errorf("no server before it was stopped: %v", err)
					}
					return
				}
				if err != nil {
					t.Errorf("seed %d, shot %d: %v", seed, i, err)
					return
				}
				if answered.Add(1) == 2000 {
					if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	transport.CloseIdleConnections()
	if taken, answered := taken.Load(), answered.Load(); taken != answered || answered < 2000 {
		t.Errorf("%d requests were taken and %d answered, want the same and 2000 at least", taken, answered)
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d files are open, %d were before", now, files)
	}
}
