package handler

import (
	"fmt"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Explained makes the answer of an explanation: the bare lists that TorchServe answers, as tensors too, with detail=full all that is
// known, or with format=npy the bytes of such a file. It returns [fault.Unsupported] for the formats that are pictures:
// those need a handler that has a picture.
func Explained(x *explain.Explanation, params explain.Params) (Answer, error) {
	answer := Answer{Header: x.Header()}
	switch params.Format {
	case "", explain.FormatJSON:
		if params.Detail == explain.DetailFull {
			answer.Value = x.Report()
			break
		}
		answer.Value = x.Plain()
		answer.Tensors = attributions(x, answer.Value)
	case explain.FormatNPY:
		file, err := x.NPY()
		if err != nil {
			return Answer{}, err
		}
		answer.Value = file
	default:
		return Answer{}, fmt.Errorf("%w: format %q needs a model of images, this one answers %s and %s",
			fault.Unsupported, params.Format, explain.FormatJSON, explain.FormatNPY)
	}
	return answer, nil
}

// attributions are the bare lists of an explanation by the names of the inputs that they are about.
func attributions(x *explain.Explanation, plain any) tensor.Named {
	if only, ok := plain.(tensor.Tensor); ok {
		return tensor.Named{x.Inputs[0]: only}
	}
	all := tensor.Named{}
	if several, ok := plain.([]tensor.Tensor); ok {
		for i, t := range several {
			all[x.Inputs[i]] = t
		}
	}
	return all
}
