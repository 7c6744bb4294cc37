package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// prices says what a flat costs: {"rooms": 3, "area": 80} in, {"price": 270.0} out.
type prices struct{ handler.Base } // runs the network, and explains it

func newPrices(env handler.Env) (handler.Handler, error) {
	if in := env.Session.Signature().Inputs; len(in) != 1 || in[0].Name != "flat" {
		return nil, fmt.Errorf("%w: want one input, called flat", fault.BadModel)
	}
	return prices{handler.Base{Env: env}}, nil
}

func (prices) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	var flat struct{ Rooms, Area float32 }
	if err := json.Unmarshal(req.Inputs[0].Data, &flat); err != nil {
		return nil, fmt.Errorf(`%w: want {"rooms": 3, "area": 80}: %w`, fault.Invalid, err)
	}
	t, err := tensor.New([]int64{1, 2}, []float32{flat.Rooms, flat.Area})
	return tensor.Named{"flat": t}, err
}

func (prices) Postprocess(_ context.Context, _ *model.Request, out tensor.Named) (handler.Answer, error) {
	price, err := tensor.Data[float32](out["price"])
	if err != nil {
		return handler.Answer{}, err
	}
	return handler.Answer{Value: handler.Object{{Key: "price", Value: price[0]}}}, nil
}
