// Package heatmap paints attributions: as a picture of their own, over the picture that they explain, and in a terminal.
//
// What speaks for the answer is red and what speaks against it blue, two hues that every kind of colour vision tells
// apart. The package draws numbers that it is given and knows nothing of how they came about.
package heatmap

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Map is one number for each cell of a picture: positive where it speaks for the answer. It is immutable and safe for
// concurrent use.
type Map struct {
	width, height int
	values        []float64 // line by line, all finite
}

// New makes a map of attributions [C,H,W], [H,W] or [W]: the sum over the channels. Numbers that are not finite count as
// 0. It returns [fault.Invalid] for any other shape, an empty one, and for what holds no numbers.
func New(t tensor.Tensor) (Map, error) {
	shape := t.Shape()
	if len(shape) < 1 || len(shape) > 3 || t.Len() == 0 {
		return Map{}, fmt.Errorf("%w: heat map of shape %v: want [C,H,W], [H,W] or [W], not empty", fault.Invalid, shape)
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return Map{}, fmt.Errorf("heat map: %w", err)
	}
	m := Map{width: int(shape[len(shape)-1]), height: 1}
	if len(shape) > 1 {
		m.height = int(shape[len(shape)-2])
	}
	m.values = make([]float64, m.width*m.height)
	for i, v := range data {
		if v := float64(v); !math.IsNaN(v) && !math.IsInf(v, 0) {
			m.values[i%len(m.values)] += v
		}
	}
	return m, nil
}

// Size returns the number of columns and lines.
func (m Map) Size() (width, height int) { return m.width, m.height }

// Signed tells whether something speaks against the answer.
func (m Map) Signed() bool {
	return slices.ContainsFunc(m.values, func(v float64) bool { return v < 0 })
}

// scaled returns the map with values from -1 to 1, where 1 stands for the 99th percentile of their magnitudes and all
// above it. A map of zeros stays one.
func (m Map) scaled() Map {
	magnitudes := make([]float64, len(m.values))
	for i, v := range m.values {
		magnitudes[i] = math.Abs(v)
	}
	slices.Sort(magnitudes)
	last := len(magnitudes) - 1
	top := magnitudes[int(math.Round(0.99*float64(last)))]
	if top == 0 { // a few cells among zeros
		top = magnitudes[last]
	}
	values := make([]float64, len(m.values))
	if top > 0 {
		for i, v := range m.values {
			values[i] = min(max(v/top, -1), 1)
		}
	}
	return Map{m.width, m.height, values}
}

// PNG returns a picture as the bytes of a PNG file.
func PNG(picture image.Image) ([]byte, error) {
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("encode PNG: %w: %w", fault.Invalid, err)
	}
	return out.Bytes(), nil
}
