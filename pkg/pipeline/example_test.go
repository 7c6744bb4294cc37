package pipeline_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
)

// A program of one's own asks a shipped model about a picture.
func ExampleLoad() {
	answer := func(ctx context.Context) (string, error) {
		path, err := library.Find(ctx, library.Options{})
		if err != nil {
			return "", err
		}
		runtime, err := ort.Start(ctx, ort.Options{Library: path})
		if err != nil {
			return "", err
		}
		defer runtime.Close() //nolint:errcheck // nothing is lost
		m, err := archive.Open(ctx, "../../models/mnist", archive.Options{})
		if err != nil {
			return "", err
		}
		p, err := pipeline.Load(ctx, m, pipeline.Options{Open: runtime.Open, Handlers: builtin.Handlers()})
		if err != nil {
			return "", err
		}
		defer p.Close() //nolint:errcheck // nothing is lost
		picture, err := os.ReadFile("../../samples/digits/7.png")
		if err != nil {
			return "", err
		}
		resp, err := p.Predict(ctx, p.Ref(), &model.Request{Inputs: []model.Input{{Name: "body", Data: picture}}})
		if err != nil {
			return "", err
		}
		return string(resp.Body), nil
	}
	fmt.Println(answer(context.Background()))
	// Output: 7 <nil>
}
