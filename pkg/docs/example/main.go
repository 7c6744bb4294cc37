// Command example is tsgo with a handler of one's own, as the manual's page handlers.md shows it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := serve(ctx, server.Options{
		Inference: "127.0.0.1:8080", Management: "127.0.0.1:8081", Metrics: "127.0.0.1:8082", MetricsAPI: true,
		Store: store.New(store.Dir{Path: "models"}), All: true, Queue: 100, Drain: 30 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve adds the engine and the handlers, and serves until ctx ends.
func serve(ctx context.Context, opts server.Options) error {
	path, err := library.Find(ctx, library.Options{}) // found, or provided once into the cache
	if err != nil {
		return err
	}
	runtime, err := ort.Start(ctx, ort.Options{Library: path})
	if err != nil {
		return err
	}
	defer runtime.Close() //nolint:errcheck // nothing is lost
	opts.Open = runtime.Open
	opts.Handlers = builtin.Handlers()
	opts.Handlers["prices"] = newPrices
	for _, p := range explain.Table() {
		opts.Params = append(opts.Params, p.Name) // what a URL may say to explain: ?method=occlusion
	}
	return server.Run(ctx, opts)
}
