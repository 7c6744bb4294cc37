package vision

import (
	"context"
	"image"
	"math"
	"sync"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// Transform turns pictures into tensors. It is immutable and safe for concurrent use; each call uses one goroutine.
type Transform struct {
	opts    Options // resolved
	filter  filter
	maker   maker
	scratch *sync.Pool // of *scratch
}

// New returns a transform. It returns [fault.Invalid], with the setting's name, when an option is wrong.
func New(opts Options) (*Transform, error) {
	opts, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	t := &Transform{
		opts:    opts,
		filter:  filterOf(opts.Interpolation),
		scratch: &sync.Pool{New: func() any { return new(scratch) }},
	}
	t.maker = makerFor(&t.opts)
	return t, nil
}

// makerFor returns what makes outputs of the type that the options ask for.
func makerFor(o *Options) maker {
	switch o.DType {
	case Uint8:
		return &makerOf[uint8]{opts: o, tables: pixelTables()}
	case Float16:
		return &makerOf[tensor.Float16]{opts: o, tables: mapTables(float32Tables(o), tensor.ToFloat16)}
	case Float32:
	}
	return &makerOf[float32]{opts: o, tables: float32Tables(o)}
}

// Options returns the options with every default filled in. Their slices must not be changed.
func (t *Transform) Options() Options { return t.opts }

// Tensor decodes an image and returns its tensor, of batch size 1. It returns [fault.Invalid] when data is no image or a
// damaged one, [fault.TooLarge] when it has too many pixels, and [fault.Unsupported] for a kind of image that cannot be
// read. It looks at ctx before and after decoding, which is most of the work.
func (t *Transform) Tensor(ctx context.Context, data []byte) (tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	s := t.scratch.Get().(*scratch)
	defer t.keep(s)
	src, err := open(data, t.opts.MaxPixels, &s.memory, t.columns)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	return t.apply(s, src)
}

// keepAtMost is how large a picture may be whose memory is kept for others, in bytes.
const keepAtMost = 16 << 20

// keep has memory used again.
func (t *Transform) keep(s *scratch) {
	if cap(s.jpeg) > keepAtMost {
		s.jpeg = nil
	}
	t.scratch.Put(s)
}

// columns returns the columns of a picture of a given size that are needed, and some more.
func (t *Transform) columns(width, height int) columns {
	g := t.opts.geometry(width, height)
	part := g.inside()
	if part.Empty() || g.width < 1 {
		return columns{0, width}
	}
	scale := float64(width) / float64(g.width)
	reach := t.filter.support*max(scale, 1) + 2 // more than a pixel is made of, on either side
	from := int(math.Floor(float64(part.Min.X)*scale - reach))
	to := int(math.Ceil(float64(part.Max.X)*scale + reach))
	return columns{max(0, from), min(width, to)}
}

// Apply returns the tensor of a decoded picture, of batch size 1. It is quick for the types that package image has, and
// slow for others.
func (t *Transform) Apply(img image.Image) (tensor.Tensor, error) {
	size := img.Bounds().Size()
	if err := checkSize("picture", size.X, size.Y, t.opts.MaxPixels); err != nil {
		return tensor.Tensor{}, err
	}
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	return t.apply(s, read(img))
}

// Recycle takes back a tensor that t made and that nobody uses any more: its memory becomes that of another one.
func (t *Transform) Recycle(made tensor.Tensor) { t.maker.recycle(made) }

// Crop returns the rectangle that the tensor covers on an upright picture of a given size, in that picture's pixels. It
// reaches beyond the picture where the tensor is filled. It is empty when a side is less than 1.
func (t *Transform) Crop(width, height int) image.Rectangle {
	if width < 1 || height < 1 {
		return image.Rectangle{}
	}
	return t.opts.geometry(width, height).original(width, height)
}

func (t *Transform) apply(s *scratch, src pixels) (tensor.Tensor, error) {
	width, height := src.size()
	g := t.opts.geometry(width, height)
	if err := t.opts.check(g); err != nil {
		return tensor.Tensor{}, err
	}
	if t.opts.Colour == Grey && src.channels() == 3 {
		src = &greyed{pixels: src}
	}
	out := t.maker.output(g, src.channels())
	s.resample(src, g, t.filter, out.line)
	return out.tensor()
}
