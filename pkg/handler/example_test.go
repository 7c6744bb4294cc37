package handler_test

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// prices is a handler of one's own: rooms and square metres in, a price out. What it embeds runs the network, and explains
// its answers.
type prices struct{ handler.Base }

// newPrices is a handler.Factory: pipeline.Options names it for the manifests.
func newPrices(env handler.Env) (handler.Handler, error) { //nolint:unparam // a factory may fail
	return prices{handler.Base{Env: env}}, nil
}

func (p prices) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	t, err := handler.TensorFromJSON(req.Inputs[0].Data, p.Env.Session.Signature().Inputs[0])
	return tensor.Named{"flat": t}, err
}

func (p prices) Postprocess(_ context.Context, _ *model.Request, out tensor.Named) (handler.Answer, error) {
	price, err := tensor.Data[float32](out["price"])
	if err != nil {
		return handler.Answer{}, err
	}
	return handler.Answer{Value: handler.Object{{Key: "price", Value: price[0]}}}, nil
}

func ExampleBase() {
	session := enginetest.New(engine.Signature{
		Inputs:  []engine.Value{{Name: "flat", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 2}}}},
		Outputs: []engine.Value{{Name: "price", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 1}}}},
	}, func(in tensor.Named) (tensor.Named, error) {
		flats, err := tensor.Data[float32](in["flat"])
		if err != nil {
			return nil, err
		}
		cost := make([]float32, len(flats)/2)
		for i := range cost {
			cost[i] = 10*flats[2*i] + 3*flats[2*i+1]
		}
		t, err := tensor.New([]int64{int64(len(cost)), 1}, cost)
		return tensor.Named{"price": t}, err
	})
	explainer, err := explain.New(explain.Options{Session: session})
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := newPrices(handler.Env{Session: session, Explainer: explainer})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: []byte("[3, 80]")}}}
	in, err := h.Preprocess(ctx, req)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := h.Inference(ctx, in)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := h.Postprocess(ctx, req, out)
	fmt.Println(answer.Value, err)
	why, err := h.Explain(ctx, req, in)
	if err != nil {
		fmt.Println(err)
		return
	}
	attributions, err := tensor.Data[float32](why.Value.(tensor.Tensor))
	fmt.Println(attributions, err)
	// Output:
	// [{price 270}] <nil>
	// [30 240] <nil>
}
