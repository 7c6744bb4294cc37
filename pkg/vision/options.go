package vision

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Options says how pictures become tensors. The zero value works: RGB, shorter side to 256, the middle 224x224, values
// from 0 to 1. The yaml keys are those of a model's manifest.
type Options struct {
	// Size is the tensor's width and height. Zero is 224x224, but for Crop none without a rule that gives every picture
	// the same size: then it must be zero, and the tensor is as large as the picture.
	Size Size `yaml:"size"`
	// Resize is the shorter side after resizing, for ResizeRule shorter. Zero is 256/224 of Size's longer side, as in
	// ImageNet's usual evaluation: 256 for 224, 342 for 299.
	Resize int `yaml:"resize"`
	// ResizeRule is how the picture is resized. Zero is shorter.
	ResizeRule ResizeRule `yaml:"resizeRule"`
	// Crop is which part of the resized picture is taken. Zero is center.
	Crop Crop `yaml:"crop"`
	// Interpolation is the filter to resize with. Zero is bilinear.
	Interpolation Interpolation `yaml:"interpolation"`
	// Mean and Std are subtracted and divided by after Scale, one for each channel in the tensor's order, or one for all.
	// Empty is 0 and 1.
	Mean []float32 `yaml:"mean"`
	Std  []float32 `yaml:"std"`
	// Scale is what pixels from 0 to 255 are multiplied by first. Zero is 1/255.
	Scale float32 `yaml:"scale"`
	// Colour is what pictures are converted to. Zero is rgb.
	Colour Colour `yaml:"colour"`
	// ChannelOrder is the order of the colours in the tensor. Zero is rgb.
	ChannelOrder ChannelOrder `yaml:"channelOrder"`
	// Layout is the order of the tensor's axes. Zero is nchw.
	Layout Layout `yaml:"layout"`
	// DType is the type of the tensor's elements. Zero is float32. A uint8 tensor holds the pixels as they are: Mean, Std
	// and Scale must be empty.
	DType DType `yaml:"dtype"`
	// MaxPixels is the most pixels that a picture may have. Zero is [DefaultMaxPixels].
	MaxPixels int64 `yaml:"maxPixels"`
	// Fill is the colour, 0 to 255, of what lies outside the picture: red, green and blue (whatever ChannelOrder is), or
	// one grey for all. Empty is black.
	Fill []int `yaml:"fill"`
}

// ImageNet returns the options that most classifiers trained on ImageNet take: the zero options with ImageNet's mean and
// standard deviation.
func ImageNet() Options {
	return Options{Mean: []float32{0.485, 0.456, 0.406}, Std: []float32{0.229, 0.224, 0.225}}
}

// DefaultMaxPixels is the limit where Options sets none: the size from which Pillow warns of a decompression bomb. Most
// pictures take 2 to 8 bytes a pixel while they are decoded. In the default build a progressive JPEG takes up to 25, which
// is 2.2 GB at this limit: set a lower one where many pictures come from strangers at once.
const DefaultMaxPixels = 89_478_485

// MaxSide is the longest side that a picture may have, whatever the number of pixels: JPEG's own limit.
const MaxSide = 65535

// ResizeRule is how a picture is resized.
type ResizeRule string

// The resize rules.
const (
	ResizeShorter ResizeRule = "shorter" // shorter side to Options.Resize, aspect kept
	ResizeStretch ResizeRule = "stretch" // to Options.Size exactly, aspect lost
	ResizeFit     ResizeRule = "fit"     // the whole picture into Options.Size, aspect kept, the rest filled
	ResizeNone    ResizeRule = "none"
)

// Crop is which part of a resized picture is taken.
type Crop string

// The crops.
const (
	CropCenter Crop = "center" // Options.Size around the centre, filled where the picture is smaller
	CropNone   Crop = "none"
)

// Interpolation is a filter to resize with. All but nearest are antialiased: when a picture shrinks, every pixel counts.
type Interpolation string

// The filters, as Pillow defines them.
const (
	Bilinear Interpolation = "bilinear"
	Bicubic  Interpolation = "bicubic" // with a = -0.5
	Nearest  Interpolation = "nearest"
	Box      Interpolation = "box"
	Lanczos  Interpolation = "lanczos" // with a = 3
)

// Colour is what pictures are converted to.
type Colour string

// The colours. Grey is ITU-R 601-2 luma, rounded as Pillow does.
const (
	RGB  Colour = "rgb"
	Grey Colour = "grey"
)

// ChannelOrder is the order of the colours in a tensor.
type ChannelOrder string

// The channel orders.
const (
	OrderRGB ChannelOrder = "rgb"
	OrderBGR ChannelOrder = "bgr"
)

// Layout is the order of a tensor's axes: batch, channels, height, width.
type Layout string

// The layouts.
const (
	NCHW Layout = "nchw"
	NHWC Layout = "nhwc"
)

// DType is the type of a tensor's elements.
type DType string

// DTypeOf returns the type for a network whose input has this one: float32 where there is none for it.
func DTypeOf(input tensor.DType) DType {
	switch input {
	case tensor.Uint8:
		return Uint8
	case tensor.Half:
		return Float16
	default:
		return Float32
	}
}

// The element types.
const (
	Float32 DType = "float32"
	Float16 DType = "float16"
	Uint8   DType = "uint8"
)

// Size is a width and a height in pixels. In YAML it is one number for a square, or [height, width] as torchvision has
// it.
type Size struct{ Width, Height int }

// Square returns a size of equal sides.
func Square(side int) Size { return Size{side, side} }

// UnmarshalYAML reads a number or [height, width].
func (s *Size) UnmarshalYAML(unmarshal func(any) error) error {
	var side int
	if unmarshal(&side) == nil {
		*s = Square(side)
		return nil
	}
	var sides []int
	if err := unmarshal(&sides); err != nil || len(sides) != 2 {
		return fmt.Errorf("size is one number, or [height, width]: %w", fault.Invalid)
	}
	*s = Size{Width: sides[1], Height: sides[0]}
	return nil
}

// String returns width and height, as in "224x224".
func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// resolve returns the options with every default filled in, or says which setting is wrong.
func (o Options) resolve() (Options, error) {
	for _, step := range []func(*Options) error{
		(*Options).resolveNames, (*Options).resolveSize, (*Options).resolveValues, (*Options).resolveFill,
	} {
		if err := step(&o); err != nil {
			return Options{}, err
		}
	}
	return o, nil
}

func (o *Options) resolveNames() error {
	if o.Colour == "gray" {
		o.Colour = Grey
	}
	if o.Crop == "centre" {
		o.Crop = CropCenter
	}
	for _, err := range []error{
		choose("resizeRule", &o.ResizeRule, ResizeShorter, ResizeStretch, ResizeFit, ResizeNone),
		choose("crop", &o.Crop, CropCenter, CropNone),
		choose("interpolation", &o.Interpolation, Bilinear, Bicubic, Nearest, Box, Lanczos),
		choose("colour", &o.Colour, RGB, Grey),
		choose("channelOrder", &o.ChannelOrder, OrderRGB, OrderBGR),
		choose("layout", &o.Layout, NCHW, NHWC),
		choose("dtype", &o.DType, Float32, Float16, Uint8),
	} {
		if err != nil {
			return err
		}
	}
	if o.Colour == Grey && o.ChannelOrder == OrderBGR {
		return invalid("channelOrder", "bgr has no meaning for colour grey")
	}
	return nil
}

// choose sets value to the first of known when it is empty, and makes sure that it is one of them.
func choose[T ~string](setting string, value *T, known ...T) error {
	if *value == "" {
		*value = known[0]
	}
	if slices.Contains(known, *value) {
		return nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	return invalid(setting, fmt.Sprintf("%q is unknown%s; it is one of %s",
		*value, nearest.Hint(string(*value), names), strings.Join(names, ", ")))
}

func (o *Options) resolveSize() error {
	if err := o.checkSize(); err != nil {
		return err
	}
	if o.Resize != 0 && o.ResizeRule != ResizeShorter {
		return invalid("resize", fmt.Sprintf("it has no meaning for resizeRule %s", o.ResizeRule))
	}
	if o.Crop == CropNone && (o.ResizeRule == ResizeShorter || o.ResizeRule == ResizeNone) {
		if o.Size != (Size{}) {
			return invalid("size", fmt.Sprintf("it has no meaning for resizeRule %s without a crop", o.ResizeRule))
		}
		if o.ResizeRule == ResizeShorter && o.Resize == 0 {
			return invalid("resize", "it has to be set when there is no crop")
		}
		return nil
	}
	if o.Size == (Size{}) {
		o.Size = Square(224)
	}
	if o.ResizeRule == ResizeShorter && o.Resize == 0 {
		o.Resize = min((max(o.Size.Width, o.Size.Height)*256+112)/224, MaxSide)
	}
	return nil
}

// checkSize makes sure that lengths and limits are possible ones.
func (o *Options) checkSize() error {
	if o.MaxPixels == 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	if o.MaxPixels < 0 {
		return invalid("maxPixels", "it is less than zero")
	}
	w, h := o.Size.Width, o.Size.Height
	if w < 0 || h < 0 || (w == 0) != (h == 0) {
		return invalid("size", fmt.Sprintf("%v has a side of no length", o.Size))
	}
	if w > MaxSide || h > MaxSide || int64(w)*int64(h) > o.MaxPixels {
		return invalid("size", fmt.Sprintf("%v is more than maxPixels %d, or a side more than %d", o.Size, o.MaxPixels, MaxSide))
	}
	if o.Resize < 0 || o.Resize > MaxSide {
		return invalid("resize", fmt.Sprintf("%d is not from 0 to %d", o.Resize, MaxSide))
	}
	return nil
}

func (o *Options) resolveValues() error {
	if o.DType == Uint8 {
		if len(o.Mean) > 0 || len(o.Std) > 0 || o.Scale != 0 {
			return invalid("dtype", "uint8 holds pixels as they are; mean, std and scale have no meaning")
		}
		return nil
	}
	var err error
	if o.Mean, err = o.perChannel("mean", o.Mean, 0); err != nil {
		return err
	}
	if o.Std, err = o.perChannel("std", o.Std, 1); err != nil {
		return err
	}
	if slices.Contains(o.Std, 0) {
		return invalid("std", "it is divided by, and cannot be 0")
	}
	if !finite(o.Scale) {
		return invalid("scale", "it is not a finite number")
	}
	return nil
}

// perChannel returns one value a channel.
func (o *Options) perChannel(setting string, values []float32, zero float32) ([]float32, error) {
	channels := o.channels()
	for _, v := range values {
		if !finite(v) {
			return nil, invalid(setting, "it holds what is not a finite number")
		}
	}
	switch len(values) {
	case 0:
		return slices.Repeat([]float32{zero}, channels), nil
	case 1:
		return slices.Repeat(values, channels), nil
	case channels:
		return slices.Clone(values), nil
	}
	return nil, invalid(setting, fmt.Sprintf("it has %d values; give one, or one for each of the %d channels of colour %s",
		len(values), channels, o.Colour))
}

func (o *Options) resolveFill() error {
	for _, v := range o.Fill {
		if v < 0 || v > 255 {
			return invalid("fill", fmt.Sprintf("%d is not from 0 to 255", v))
		}
	}
	switch len(o.Fill) {
	case 0:
		o.Fill = []int{0, 0, 0}
	case 1:
		o.Fill = slices.Repeat(o.Fill, 3)
	case 3:
		o.Fill = slices.Clone(o.Fill)
	default:
		return invalid("fill", fmt.Sprintf("it has %d values; give one, or red, green and blue", len(o.Fill)))
	}
	return nil
}

func (o *Options) channels() int {
	if o.Colour == Grey {
		return 1
	}
	return 3
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

func invalid(setting, why string) error { return fmt.Errorf("%s: %s: %w", setting, why, fault.Invalid) }
