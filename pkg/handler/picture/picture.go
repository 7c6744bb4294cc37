// Package picture is what the handlers of pictures share: a request's picture as the network's input, where the network's
// pixels lie on that picture, and what explaining a network of pictures takes. It knows nothing of what a network answers.
package picture

import (
	"context"
	"fmt"
	"image"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// exampleSide is the side in pixels of an example for a network that takes pictures of any size.
const exampleSide = 256

// Reader makes a network's input of the picture in a request. It is immutable and safe for concurrent use.
type Reader struct {
	transform *vision.Transform
	input     engine.Value // with a batch axis, whether the network has one or not
	unbatched bool
}

// New returns a reader for a network of one input, the picture. What the options leave open of layout, size, colour and
// type is told by the network's signature. It returns [fault.BadModel] when the input cannot be a picture, or when an option
// is wrong.
func New(signature engine.Signature, opts vision.Options) (*Reader, error) {
	if len(signature.Inputs) != 1 {
		return nil, fmt.Errorf("%w: a model of pictures has one input, this network has %d", fault.BadModel, len(signature.Inputs))
	}
	r := &Reader{input: signature.Inputs[0]}
	switch len(r.input.Shape) {
	case 3:
		r.unbatched = true
		r.input.Shape = append([]engine.Dim{{Size: -1, Name: "batch"}}, r.input.Shape...)
	case 4:
	default:
		return nil, fmt.Errorf("%w: the network's input %v is no picture: want four axes, or three for one picture", fault.BadModel, r.input)
	}
	var err error
	if r.transform, err = vision.New(fill(opts, r.input)); err != nil {
		return nil, fmt.Errorf("%w: handler settings: %w", fault.BadModel, err)
	}
	return r, nil
}

// fill sets the options that are open as the network's input tells them.
func fill(o vision.Options, input engine.Value) vision.Options {
	if o.Layout == "" {
		o.Layout = Layout(input.Shape)
	}
	channels, height, width := input.Shape[1], input.Shape[2], input.Shape[3]
	if o.Layout == vision.NHWC {
		height, width, channels = input.Shape[1], input.Shape[2], input.Shape[3]
	}
	if o.Colour == "" && channels.Size == 1 {
		o.Colour = vision.Grey
	}
	if open := o.Crop == vision.CropNone && (o.ResizeRule == vision.ResizeNone || o.ResizeRule == vision.ResizeShorter); o.Size == (vision.Size{}) && !open && height.Size > 0 && width.Size > 0 {
		o.Size = vision.Size{Width: int(width.Size), Height: int(height.Size)}
	}
	if o.DType == "" {
		o.DType = vision.DTypeOf(input.DType)
	}
	return o
}

// Layout tells the order of the axes of a picture with a batch axis: its channels are last when only the last axis can be
// them.
func Layout(shape []engine.Dim) vision.Layout {
	channels := func(axis int) bool { return shape[axis].Size == 1 || shape[axis].Size == 3 }
	if len(shape) == 4 && channels(3) && !channels(1) {
		return vision.NHWC
	}
	return vision.NCHW
}

// FixedSize tells whether the network takes pictures of one size alone. The signature has one input, a picture.
func FixedSize(signature engine.Signature) bool {
	shape := signature.Inputs[0].Shape
	if len(shape) == 3 {
		shape = append([]engine.Dim{{Size: -1}}, shape...)
	}
	if len(shape) != 4 {
		return false
	}
	if Layout(shape) == vision.NHWC {
		return shape[1].Size > 0 && shape[2].Size > 0
	}
	return shape[2].Size > 0 && shape[3].Size > 0
}

// Options returns the options of the transform, with every default filled in.
func (r *Reader) Options() vision.Options { return r.transform.Options() }

// Unbatched tells whether the network takes one picture without a batch axis. The reader's tensors have one nevertheless.
func (r *Reader) Unbatched() bool { return r.unbatched }

// Read makes the network's input of a request's picture, or takes it as it is where the request carries a tensor or JSON
// lists. It returns [fault.Invalid] for what is neither, and for several pictures.
func (r *Reader) Read(ctx context.Context, req *model.Request) (tensor.Named, error) {
	content, err := handler.ReadInput(req, r.input)
	if err != nil {
		return nil, err
	}
	if content.Tensor == nil {
		t, err := r.transform.Tensor(ctx, content.Data)
		if err != nil {
			return nil, err
		}
		content.Tensor = &t
	}
	if err := r.input.Accepts(*content.Tensor); err != nil {
		return nil, err
	}
	if content.Tensor.Shape()[0] != 1 {
		return nil, fmt.Errorf("%w: input %q is %v, want one picture in a request", fault.Invalid, r.input.Name, *content.Tensor)
	}
	return tensor.Named{r.input.Name: *content.Tensor}, nil
}

// Recycle has the memory of what Read made of a request used for another picture. Nobody uses it any more.
func (r *Reader) Recycle(req *model.Request, in tensor.Named) {
	Recycle(r.transform, req, in[r.input.Name])
}

// Recycle has the memory of a request's input used by the transform that made it. A tensor that came with the request is
// not its own.
func Recycle(transform *vision.Transform, req *model.Request, in tensor.Tensor) {
	for _, input := range req.Inputs {
		if input.Tensor != nil {
			return
		}
	}
	transform.Recycle(in)
}

// Row returns the network's own input of row i of a batch that readers made.
func (r *Reader) Row(in tensor.Named, i int64) (tensor.Named, error) {
	row, err := in.Rows(i, i+1)
	if err != nil || !r.unbatched {
		return row, err
	}
	t := row[r.input.Name]
	t, err = t.Reshape(t.Shape()[1:]...)
	return tensor.Named{r.input.Name: t}, err
}

// Size returns the width and height of the pictures in a batch that readers made, and how many there are.
func (r *Reader) Size(in tensor.Named) (rows int64, size vision.Size) {
	shape := in[r.input.Name].Shape()
	if r.Options().Layout == vision.NHWC {
		return shape[0], vision.Size{Width: int(shape[2]), Height: int(shape[1])}
	}
	return shape[0], vision.Size{Width: int(shape[3]), Height: int(shape[2])}
}

// Example returns a picture that is all black, as the network sees it.
func (r *Reader) Example() (tensor.Named, error) {
	size := r.Options().Size
	if size == (vision.Size{}) {
		size = vision.Square(exampleSide)
	}
	t, err := r.transform.Apply(image.NewGray(image.Rect(0, 0, size.Width, size.Height)))
	return tensor.Named{r.input.Name: t}, err
}
