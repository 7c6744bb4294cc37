package handler

import (
	"fmt"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
)

// Explained makes the answer of an explanation: the bare lists that TorchServe answers, with detail=full all that is
// known, or with format=npy the bytes of such a file. It returns [fault.Unsupported] for the formats that are pictures:
// those need a handler that has a picture.
func Explained(x *explain.Explanation, params explain.Params) (Answer, error) {
	answer := Answer{Header: x.Header()}
	switch params.Format {
	case "", explain.FormatJSON:
		answer.Value = x.Plain()
		if params.Detail == explain.DetailFull {
			answer.Value = x.Report()
		}
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
