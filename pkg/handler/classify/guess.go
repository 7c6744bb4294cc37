package classify

import (
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/vision"
)

// guessedSide is the side in pixels of pictures whose size the network leaves open.
const guessedSide = 224

// guess fills the settings of a network that comes without a manifest: sizes, layout, colour and type from its signature,
// the rest as most networks trained on ImageNet have it. It says so in the log, because it may be wrong. A network whose input
// can be no picture is [fault.BadModel].
func (c *classifier) guess() error {
	if rank := len(c.input.Shape); rank != 0 && rank != 4 {
		return fmt.Errorf("%w: the model names no handler, and its input %v is no picture: name one, as base_handler for tensors", fault.BadModel, c.input)
	}
	c.settings.Options = guessed(c.input)
	c.settings.Activation = detect
	o := c.settings.Options
	c.Env.Log.Warn("the model has no manifest: its preprocessing is guessed; write a model-config.yaml to be sure",
		"input", c.input.String(), "size", o.Size.String(), "colour", o.Colour, "layout", o.Layout, "mean", o.Mean, "std", o.Std)
	return nil
}

func guessed(input engine.Value) vision.Options {
	o := vision.ImageNet()
	o.Layout, o.Colour = vision.NCHW, vision.RGB
	channels, height, width := axes(input.Shape)
	if isChannels(input.Shape, 3) && !isChannels(input.Shape, 1) {
		o.Layout = vision.NHWC
		height, width, channels = axes(input.Shape)
	}
	o.Size = vision.Size{Width: side(width), Height: side(height)}
	if channels.Size == 1 {
		o.Colour, o.Mean, o.Std = vision.Grey, nil, nil
	}
	if o.DType = vision.DTypeOf(input.DType); o.DType == vision.Uint8 {
		o.Mean, o.Std = nil, nil
	}
	return o
}

// axes returns the three axes behind the batch; unknown ones for another rank.
func axes(shape []engine.Dim) (a, b, c engine.Dim) {
	if len(shape) != 4 {
		unknown := engine.Dim{Size: -1}
		return unknown, unknown, unknown
	}
	return shape[1], shape[2], shape[3]
}

func isChannels(shape []engine.Dim, axis int) bool {
	return len(shape) == 4 && slices.Contains([]int64{1, 3}, shape[axis].Size)
}

func side(d engine.Dim) int {
	if d.Size > 0 {
		return int(d.Size)
	}
	return guessedSide
}
