package vision

import (
	"image"
	"sync"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// table gives a channel's tensor value for each of the 256 pixel values.
type table[T tensor.Element] [256]T

// tables are those of the tensor's channels; a grey tensor uses the first.
type tables[T tensor.Element] [3]table[T]

// output is a tensor being written, row by row.
type output interface {
	// line writes a row of pixels, of one or three bytes, to row y of the part of the tensor that the picture covers.
	line(y int, pixels []uint8)
	// tensor returns the tensor, once every row is written.
	tensor() (tensor.Tensor, error)
}

// values is an output of elements of type T.
type values[T tensor.Element] struct {
	tables  *tables[T]
	data    []T
	whole   Size            // of the tensor
	part    image.Rectangle // that the picture covers, in the tensor's pixels
	shape   []int64
	source  int // bytes a pixel of the picture
	depth   int // channels of the tensor
	between int // elements from one channel of a pixel to the next
	across  int // elements from one pixel to the next
	first   int // the source byte of channel 0: 2 for BGR
	step    int // from one channel's source byte to the next one's
}

// maker makes outputs of one type of elements.
type maker interface {
	// output returns an output for a picture with source bytes a pixel.
	output(g geometry, source int) output
	// recycle has the memory of a tensor used for another one.
	recycle(t tensor.Tensor)
}

// makerOf is the maker of outputs of elements of type T.
type makerOf[T tensor.Element] struct {
	opts   *Options
	tables *tables[T]
	spare  sync.Pool // of *[]T: the memory of tensors that nobody needs any more
}

// spareElements is how many elements are kept at most. Larger tensors are rare, and should not stay around.
const spareElements = 4 << 20

func (m *makerOf[T]) recycle(t tensor.Tensor) {
	if data, err := tensor.Data[T](t); err == nil && len(data) <= spareElements {
		m.spare.Put(&data)
	}
}

// data returns memory for n elements, whatever they are.
func (m *makerOf[T]) data(n int) []T {
	if spare, ok := m.spare.Get().(*[]T); ok && cap(*spare) >= n {
		return (*spare)[:n]
	}
	return make([]T, n)
}

// output returns an output whose every element is going to be set: what the picture does not cover is filled at once.
func (m *makerOf[T]) output(g geometry, source int) output {
	o := m.opts
	v := &values[T]{
		tables: m.tables, whole: Size{g.out.Dx(), g.out.Dy()}, part: g.inside().Sub(g.out.Min),
		source: source, depth: o.channels(), across: 1,
	}
	area := v.whole.Width * v.whole.Height
	v.data = m.data(area * v.depth)
	w, h, c := int64(v.whole.Width), int64(v.whole.Height), int64(v.depth)
	v.between, v.shape = area, []int64{1, c, h, w}
	if o.Layout == NHWC {
		v.between, v.across, v.shape = 1, v.depth, []int64{1, h, w, c}
	}
	if source == 3 {
		v.step = 1
		if o.ChannelOrder == OrderBGR {
			v.first, v.step = 2, -1
		}
	}
	if v.part.Size() != (image.Point{v.whole.Width, v.whole.Height}) {
		v.fill(o)
	}
	return v
}

// fill paints the whole tensor in the fill colour.
func (v *values[T]) fill(o *Options) {
	colour := [3]uint8{uint8(o.Fill[0]), uint8(o.Fill[1]), uint8(o.Fill[2])}
	if v.depth == 1 {
		colour[0] = luma(colour[0], colour[1], colour[2])
	} else if o.ChannelOrder == OrderBGR {
		colour[0], colour[2] = colour[2], colour[0]
	}
	for c := range v.depth {
		value := v.tables[c][colour[c]]
		for i := c * v.between; i < c*v.between+v.whole.Width*v.whole.Height*v.across; i += v.across {
			v.data[i] = value
		}
	}
}

func (v *values[T]) line(y int, pixels []uint8) {
	n := v.part.Dx()
	at := ((v.part.Min.Y+y)*v.whole.Width + v.part.Min.X) * v.across
	if v.across == 1 && v.depth == 3 && v.source == 3 {
		a, b, c := v.data[at:][:n], v.data[at+v.between:][:n], v.data[at+2*v.between:][:n]
		if v.step < 0 {
			planar(c, b, a, pixels, [3]*table[T]{&v.tables[2], &v.tables[1], &v.tables[0]})
		} else {
			planar(a, b, c, pixels, [3]*table[T]{&v.tables[0], &v.tables[1], &v.tables[2]})
		}
		return
	}
	for c := range v.depth {
		lookUp, dst := &v.tables[c], v.data[at+c*v.between:]
		byteAt := v.first + c*v.step
		for i := range n {
			dst[i*v.across] = lookUp[pixels[byteAt]]
			byteAt += v.source
		}
	}
}

// planar writes a row of RGB pixels to a row of each of three planes.
func planar[T tensor.Element](red, green, blue []T, pixels []uint8, t [3]*table[T]) {
	green, blue = green[:len(red)], blue[:len(red)]
	for i := range red {
		pixel := pixels[3*i : 3*i+3 : 3*i+3]
		red[i], green[i], blue[i] = t[0][pixel[0]], t[1][pixel[1]], t[2][pixel[2]]
	}
}

func (v *values[T]) tensor() (tensor.Tensor, error) { return tensor.New(v.shape, v.data) }

// float32Tables computes the tables of normalised values.
func float32Tables(o *Options) *tables[float32] {
	var t tables[float32]
	for c := range o.channels() {
		for p := range 256 {
			v := float32(p) / 255 // as ToTensor; times 1/255 would round differently
			if o.Scale != 0 {
				v = float32(float32(p) * o.Scale)
			}
			t[c][p] = (v - o.Mean[c]) / o.Std[c]
		}
	}
	return &t
}

func mapTables[T tensor.Element](in *tables[float32], f func(float32) T) *tables[T] {
	var out tables[T]
	for c := range in {
		for p, v := range in[c] {
			out[c][p] = f(v)
		}
	}
	return &out
}

// pixelTables are those of a tensor that holds pixels as they are.
func pixelTables() *tables[uint8] {
	var t tables[uint8]
	for c := range t {
		for p := range 256 {
			t[c][p] = uint8(p)
		}
	}
	return &t
}
