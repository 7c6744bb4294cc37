package handler

import (
	"fmt"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
)

// Explained makes the answer of an explanation: the bare lists that TorchServe answers, or with detail=full all that is
// known. It returns [fault.Unsupported] for the formats that are pictures: those need a handler that has a picture.
func Explained(x *explain.Explanation, params explain.Params) (Answer, error) {
	if params.Format != "" && params.Format != explain.FormatJSON {
		return Answer{}, fmt.Errorf("%w: format %q needs a model of images, this one answers json", fault.Unsupported, params.Format)
	}
	answer := Answer{Value: x.Plain(), Header: x.Header()}
	if params.Detail == explain.DetailFull {
		answer.Value = x.Report()
	}
	return answer, nil
}
