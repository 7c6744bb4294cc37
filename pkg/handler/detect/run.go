package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// pictureSize is the name under which Inference adds the size of the network's pictures: nothing that a network calls an
// output.
const pictureSize = "\x00size"

// Inference runs the network, and adds the width and height of its pictures to the outputs. A network that takes one
// picture a run is run for each of them, and every output has one row a picture.
func (d detector) Inference(ctx context.Context, in tensor.Named) (tensor.Named, error) {
	out, err := d.run(ctx, d.Env.Session, in)
	if err != nil {
		return nil, err
	}
	rows, size := d.reader.Size(in)
	sizes := make([]float32, 0, 2*rows)
	for range rows {
		sizes = append(sizes, float32(size.Width), float32(size.Height))
	}
	out[pictureSize], err = tensor.New([]int64{rows, 2}, sizes)
	return out, err
}

func (d detector) run(ctx context.Context, session engine.Session, in tensor.Named) (tensor.Named, error) {
	if !d.reader.Unbatched() && d.settings.Format != torchvision {
		return session.Run(ctx, in, d.roles.wanted()...)
	}
	rows, _ := d.reader.Size(in)
	outs := make([]tensor.Named, rows)
	for i := range rows {
		row, err := d.reader.Row(in, i)
		if err != nil {
			return nil, err
		}
		out, err := session.Run(ctx, row, d.roles.wanted()...)
		if err != nil {
			return nil, err
		}
		if outs[i], err = d.withRow(out); err != nil {
			return nil, err
		}
	}
	if err := pad(outs); err != nil {
		return nil, err
	}
	whole, _, err := tensor.Stack(outs)
	return whole, err
}

// withRow gives the outputs of one picture an axis of rows where they have none, and the type that rows can be padded in.
func (d detector) withRow(out tensor.Named) (tensor.Named, error) {
	const rank = 3 // of boxes, and of yolo's whole, with an axis of rows
	has := d.settings.Format != torchvision && len(out[d.roles.boxes].Shape())+len(out[d.roles.whole].Shape()) == rank
	one := make(tensor.Named, len(out))
	for name, t := range out {
		data, err := tensor.Float32s(t)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w: %w", name, fault.BadModel, err)
		}
		shape := t.Shape()
		if !has {
			shape = append([]int64{1}, shape...)
		}
		if one[name], err = tensor.New(shape, data); err != nil {
			return nil, err
		}
	}
	return one, nil
}

// pad makes the outputs of all rows as long as the longest, along axis 1. What is added is no number, so that it passes no
// threshold.
func pad(outs []tensor.Named) error {
	longest := map[string]int64{}
	for _, out := range outs {
		for name, t := range out {
			if len(t.Shape()) > 1 {
				longest[name] = max(longest[name], t.Shape()[1])
			}
		}
	}
	for _, out := range outs {
		for name, t := range out {
			if len(t.Shape()) < 2 || t.Shape()[1] == longest[name] {
				continue
			}
			padded, err := lengthened(t, longest[name])
			if err != nil {
				return err
			}
			out[name] = padded
		}
	}
	return nil
}

// lengthened returns a tensor of one row with another length of axis 1.
func lengthened(t tensor.Tensor, length int64) (tensor.Tensor, error) {
	shape := append([]int64{1, length}, t.Shape()[2:]...)
	n, err := tensor.Size(shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	data, err := tensor.Data[float32](t)
	if err != nil {
		return tensor.Tensor{}, err
	}
	padded := append(make([]float32, 0, n), data...)
	for int64(len(padded)) < n {
		padded = append(padded, float32(math.NaN()))
	}
	return tensor.New(shape, padded)
}
