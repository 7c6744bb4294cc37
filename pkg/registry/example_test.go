package registry_test

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

// A server hands in what loads its models, registers some, and asks them by name.
func ExampleNew() {
	ctx := context.Background()
	models := registry.New(registry.Options{Load: load, Workers: 1})
	out, err := models.Register(ctx, model.Registration{URL: "digits"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Ref, "has", out.Workers, "worker")
	resp, err := models.Predict(ctx, model.Ref{Name: "digits"}, &model.Request{
		Mode: model.ModeExplain, Inputs: []model.Input{{Name: "data", Data: []byte("7")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", resp.Body)
	if err := models.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// digits/1.0 has 1 worker
	// explain 1.0 7
}
