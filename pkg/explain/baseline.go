package explain

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// The kinds of baseline.
const (
	baselineZeros = "zeros" // zeros at the network's input
	baselineBlack = "black" // black pixels
	baselineWhite = "white" // white pixels
	baselineMean  = "mean"  // each channel's mean over this input
	baselineBlur  = "blur"  // this input, blurred
	baselineNoise = "noise" // uniformly random pixels

	baselineReference = "reference" // what the handler gave; not to be asked for
)

// baselineKinds returns the kinds that have a name; a number is one too.
func baselineKinds() []string {
	return []string{baselineZeros, baselineBlack, baselineWhite, baselineMean, baselineBlur, baselineNoise}
}

// white is the brightest pixel.
const white = 255

// Pixels tells how pixels from 0 to 255 become numbers at the network's input: (pixel · Scale - Mean) / Std, channel by
// channel in the network's order. One number stands for all channels.
type Pixels struct {
	Scale float64   // 0: 1
	Mean  []float64 // nil: 0
	Std   []float64 // nil: 1
}

// check returns [fault.Invalid] for numbers that cannot be used.
func (p Pixels) check() error {
	for _, v := range append(slices.Concat(p.Mean, p.Std), p.Scale) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: pixels: scale, mean and std must be finite, got %v", fault.Invalid, p)
		}
	}
	if slices.Contains(p.Std, 0) {
		return fmt.Errorf("%w: pixels: std %v has a zero", fault.Invalid, p.Std)
	}
	return nil
}

// fits returns [fault.Invalid] when p is not about that many channels.
func (p Pixels) fits(channels int) error {
	for _, n := range []int{len(p.Mean), len(p.Std)} {
		if n > 1 && n != channels {
			return fmt.Errorf("%w: the input has %d channels, its pixels are described for %d", fault.Invalid, channels, n)
		}
	}
	return nil
}

// at returns what a pixel is at the network's input.
func (p Pixels) at(pixel float64, channel int) float64 {
	scale := p.Scale
	if scale == 0 {
		scale = 1
	}
	return (pixel*scale - channelOr(p.Mean, channel, 0)) / channelOr(p.Std, channel, 1)
}

func channelOr(values []float64, channel int, otherwise float64) float64 {
	switch len(values) {
	case 0:
		return otherwise
	case 1:
		return values[0]
	}
	return values[channel]
}

// background makes baselines of one kind.
type background struct {
	kind   string
	number float64
	pixels *Pixels
	random *rand.Rand
}

// newBackground returns the maker of the baselines that p asks for. It returns [fault.Invalid] for an unknown kind and
// [fault.Unsupported] for one that needs pixels when nothing is known of them.
func newBackground(p Params, pixels *Pixels) (background, error) {
	number, err := parseBaseline(p.Baseline)
	if err != nil {
		return background{}, err
	}
	b := background{kind: p.Baseline, number: number, pixels: pixels, random: rand.New(rand.NewPCG(p.Seed, 0))}
	if b.kind == "" {
		b.kind = baselineZeros
	}
	if pixels == nil && slices.Contains([]string{baselineBlack, baselineWhite, baselineNoise}, b.kind) {
		return background{}, fmt.Errorf("%w: baseline %q: how pixels become this network's input is not known; ask for %s, %s, %s or a number",
			fault.Unsupported, b.kind, baselineZeros, baselineMean, baselineBlur)
	}
	return b, nil
}

// of returns the baseline of one row: of its type and shape.
func (b background) of(row tensor.Tensor, g grid) (tensor.Tensor, error) {
	if identifies(row.DType()) {
		return b.identifier(row)
	}
	x, err := tensor.Float32s(row)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if b.pixels != nil {
		if err := b.pixels.fits(g.channels); err != nil {
			return tensor.Tensor{}, err
		}
	}
	values := make([]float32, len(x))
	switch b.kind {
	case baselineBlur:
		copy(values, x)
		blur(values, g)
	case baselineMean:
		b.fill(values, g, func(c int) float64 { return mean(x, g, c) })
	case baselineBlack:
		b.fill(values, g, func(c int) float64 { return b.pixels.at(0, c) })
	case baselineWhite:
		b.fill(values, g, func(c int) float64 { return b.pixels.at(white, c) })
	case baselineNoise:
		for c := range g.channels {
			for cell := range g.cells() {
				values[g.index(c, cell)] = float32(b.pixels.at(white*b.random.Float64(), c))
			}
		}
	default:
		b.fill(values, g, func(int) float64 { return b.number })
	}
	return as(row.DType(), row.Shape(), values)
}

// identifier returns the baseline of a row of identifiers: one of them, everywhere.
func (b background) identifier(row tensor.Tensor) (tensor.Tensor, error) {
	if b.kind != baselineZeros && b.kind != strconv.FormatFloat(b.number, 'f', 0, 64) {
		return tensor.Tensor{}, fmt.Errorf("%w: baseline %q of identifiers: want %s or a whole number", fault.Unsupported, b.kind, baselineZeros)
	}
	if row.DType() == tensor.Int32 {
		return tensor.New(row.Shape(), slices.Repeat([]int32{int32(b.number)}, row.Len()))
	}
	return tensor.New(row.Shape(), slices.Repeat([]int64{int64(b.number)}, row.Len()))
}

// fill gives every cell its channel's value.
func (b background) fill(values []float32, g grid, channel func(c int) float64) {
	for c := range g.channels {
		value := float32(channel(c))
		for cell := range g.cells() {
			values[g.index(c, cell)] = value
		}
	}
}

func mean(x []float32, g grid, channel int) float64 {
	sum := 0.0
	for cell := range g.cells() {
		sum += float64(x[g.index(channel, cell)])
	}
	return sum / float64(g.cells())
}

// blur smooths each channel with a Gaussian whose deviation is a tenth of the axis, along each axis; cells beyond the
// border count as the border's.
func blur(values []float32, g grid) {
	cells := g.cells()
	stride := cells
	for _, dim := range g.dims {
		stride /= dim
		kernel := gaussian(float64(dim) / 10)
		line, smooth := make([]float64, dim), make([]float32, dim)
		for c := range g.channels {
			for start := range cells {
				if start/stride%dim != 0 {
					continue
				}
				for i := range line {
					line[i] = float64(values[g.index(c, start+i*stride)])
				}
				convolve(smooth, line, kernel)
				for i, v := range smooth {
					values[g.index(c, start+i*stride)] = v
				}
			}
		}
	}
}

// gaussian returns a kernel of odd length that sums to one, three deviations to each side.
func gaussian(sigma float64) []float64 {
	radius := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		d := float64(i-radius) / sigma
		kernel[i] = math.Exp(-d * d / 2)
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	return kernel
}

func convolve(out []float32, in, kernel []float64) {
	radius := len(kernel) / 2
	for i := range out {
		sum := 0.0
		for k, weight := range kernel {
			sum += weight * in[min(max(i+k-radius, 0), len(in)-1)]
		}
		out[i] = float32(sum)
	}
}

// attributable tells whether inputs of a type can be attributed: what is measured, not what is counted or named.
func attributable(d tensor.DType) bool {
	return slices.Contains([]tensor.DType{tensor.Float32, tensor.Float64, tensor.Half, tensor.Brain, tensor.Uint8}, d)
}

// identifies tells whether inputs of a type are identifiers, as those of tokens, which can be replaced by another.
func identifies(d tensor.DType) bool { return d == tensor.Int64 || d == tensor.Int32 }

// as returns values as a tensor of an attributable type, rounded to what it can hold; other types are [fault.Invalid].
func as(d tensor.DType, shape []int64, values []float32) (tensor.Tensor, error) {
	switch d {
	case tensor.Float64:
		return tensor.New(shape, converted(values, func(v float32) float64 { return float64(v) }))
	case tensor.Half:
		return tensor.New(shape, converted(values, tensor.ToFloat16))
	case tensor.Brain:
		return tensor.New(shape, converted(values, tensor.ToBFloat16))
	case tensor.Uint8:
		return tensor.New(shape, converted(values, func(v float32) uint8 {
			return uint8(math.Round(float64(min(max(v, 0), white))))
		}))
	case tensor.Float32:
		return tensor.New(shape, values)
	case tensor.Undefined, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint16, tensor.Uint32,
		tensor.Uint64, tensor.Bool, tensor.String:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: no baseline of type %v", fault.Invalid, d)
}

func converted[S, T any](values []S, f func(S) T) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}
