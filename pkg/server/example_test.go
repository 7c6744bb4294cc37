package server_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// A program that serves its own models, with a handler of its own, until its context ends.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "models-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of the system's temporary files
	if err := writeSums(filepath.Join(dir, "sums")); err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // or signal.NotifyContext
	err = server.Run(ctx, server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", // any free ports
		Store: store.New(store.Dir{Path: dir}), All: true,
		Open:     openSums, // or the Open of an ort.Runtime
		Handlers: map[string]handler.Factory{"lists": newLists},
		Drain:    10 * time.Second,
		Started: func(r server.Report) {
			defer cancel()
			ask(ctx, r.Addrs.Inference)
		},
	})
	fmt.Println("stopped:", err)
	// Output:
	// {"sums":[[10.0,20.0]]}
	// stopped: <nil>
}

// writeSums writes a model's directory.
func writeSums(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	manifest := "model:\n  name: sums\n  version: '1.0'\n  serializedFile: net.onnx\n  handler: lists\n"
	if err := os.WriteFile(filepath.Join(dir, "model-config.yaml"), []byte(manifest), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "net.onnx"), []byte("not read by the fake engine"), 0o600)
}

// ask asks the server for a sum.
func ask(ctx context.Context, address string) {
	c, err := client.New(client.Options{Server: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() //nolint:errcheck // the answer is there
	resp, err := c.Predict(ctx, model.Ref{Name: "sums"}, &model.Request{
		Inputs: []model.Input{{Name: "body", ContentType: "application/json", Data: []byte("[1, 2, 3, 4]")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(compact(resp.Body))
}
