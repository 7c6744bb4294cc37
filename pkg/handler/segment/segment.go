// Package segment is the handler of networks that tell what each pixel of a picture shows, image_segmenter: a picture in,
// the class and the probability of each pixel out, or a mask as a PNG.
package segment

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/picture"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// settings are the handler section of a manifest.
type settings struct {
	vision.Options `yaml:",inline"`

	Output       string        `yaml:"output"`       // the network's output to read; empty: "out", or else the first of four axes
	OutputLayout vision.Layout `yaml:"outputLayout"` // the order of its axes: nchw or nhwc; empty: as the input's
	Activation   string        `yaml:"activation"`   // what makes probabilities of it: softmax, sigmoid, none; empty: sigmoid of one class, softmax of several
	Answer       string        `yaml:"answer"`       // pairs (default) or mask
}

// The activations.
const (
	softmax = "softmax" // of the classes of a pixel
	sigmoid = "sigmoid" // of each class by itself
	none    = "none"    // the output is probabilities
)

// The answers.
const (
	answerPairs = "pairs" // [class, probability] of each pixel
	answerMask  = "mask"  // a PNG whose palette's indices are the classes
)

// usual is the output of torchvision's segmentation networks.
const usual = "out"

type segmenter struct {
	handler.Base

	settings settings
	reader   *picture.Reader
	output   string
	labels   []string
}

// New builds a segmenter for a network of one input, a picture. It is a handler.Factory.
func New(env handler.Env) (handler.Handler, error) {
	s := segmenter{Base: handler.Base{Env: env}, labels: env.Labels}
	if err := handler.Configure(env.Config, &s.settings); err != nil {
		return nil, err
	}
	for _, err := range []error{
		handler.OneOf("activation", s.settings.Activation, softmax, sigmoid, none),
		handler.OneOf("answer", s.settings.Answer, answerPairs, answerMask),
		handler.OneOf("outputLayout", string(s.settings.OutputLayout), string(vision.NCHW), string(vision.NHWC)),
	} {
		if err != nil {
			return nil, err
		}
	}
	signature := env.Session.Signature()
	s.normaliseAsImageNet()
	var err error
	if s.reader, err = picture.New(signature, s.settings.Options); err != nil {
		return nil, err
	}
	if s.reader.Unbatched() {
		return nil, fmt.Errorf("%w: the network's input %v has no batch axis, a segmenter needs one", fault.BadModel, signature.Inputs[0])
	}
	if s.settings.OutputLayout == "" {
		s.settings.OutputLayout = s.reader.Options().Layout
	}
	output, err := s.pickOutput(signature.Outputs)
	if err != nil {
		return nil, err
	}
	s.output = output.Name
	return s, s.check(output)
}

// normaliseAsImageNet takes ImageNet's mean and standard deviation for colours where a model says nothing of its pixels'
// values, as TorchServe's image_segmenter does for every model. Whoever wants none says mean 0.
func (s *segmenter) normaliseAsImageNet() {
	o := &s.settings.Options
	in := s.Env.Session.Signature().Inputs
	colour := o.Colour == vision.RGB || o.Colour == "" && len(in) == 1 && !single(in[0])
	bytes := o.DType == vision.Uint8 || o.DType == "" && len(in) == 1 && in[0].DType == tensor.Uint8
	if len(o.Mean) == 0 && len(o.Std) == 0 && o.Scale == 0 && colour && !bytes {
		usual := vision.ImageNet()
		o.Mean, o.Std = usual.Mean, usual.Std
	}
}

// single tells whether pictures have one channel.
func single(input engine.Value) bool {
	if len(input.Shape) != 4 {
		return false
	}
	channels := input.Shape[1]
	if picture.Layout(input.Shape) == vision.NHWC {
		channels = input.Shape[3]
	}
	return channels.Size == 1
}

// pickOutput returns the output that has the classes of the pixels.
func (s *segmenter) pickOutput(outputs []engine.Value) (engine.Value, error) {
	all := make([]string, len(outputs))
	shapes := make([]string, len(outputs))
	for i, v := range outputs {
		all[i], shapes[i] = v.Name, v.String()
	}
	find := func(fits func(v engine.Value) bool) int { return slices.IndexFunc(outputs, fits) }
	if s.settings.Output != "" {
		i := slices.Index(all, s.settings.Output)
		if i < 0 {
			return engine.Value{}, fmt.Errorf("%w: handler setting output: the network has no output %q%s (it has %s)",
				fault.BadModel, s.settings.Output, nearest.Hint(s.settings.Output, all), strings.Join(all, ", "))
		}
		return outputs[i], nil
	}
	i := find(func(v engine.Value) bool { return v.Name == usual })
	if i < 0 {
		i = find(func(v engine.Value) bool { return len(v.Shape) == 4 })
	}
	if i < 0 {
		return engine.Value{}, fmt.Errorf("%w: a segmenter has an output [batch,classes,height,width], this network has %s: name one by the handler setting output",
			fault.BadModel, strings.Join(shapes, ", "))
	}
	return outputs[i], nil
}

// check returns [fault.BadModel] for an output that has no classes of pixels, or others than there are labels of.
func (s *segmenter) check(output engine.Value) error {
	if len(output.Shape) != 4 {
		return fmt.Errorf("%w: the network's output %v: a segmenter wants four axes, the scores of each class of each pixel", fault.BadModel, output)
	}
	classes := output.Shape[1].Size
	if s.settings.OutputLayout == vision.NHWC {
		classes = output.Shape[3].Size
	}
	if classes > 1 && len(s.labels) > 0 && classes != int64(len(s.labels)) {
		return fmt.Errorf("%w: the network's output %v has %d classes, the model has %d labels", fault.BadModel, output, classes, len(s.labels))
	}
	return nil
}

// Preprocess makes the network's input of a picture, or takes it as it is where the request carries a tensor or JSON
// lists.
func (s segmenter) Preprocess(ctx context.Context, req *model.Request) (tensor.Named, error) {
	if err := handler.CheckParams(req); err != nil {
		return nil, err
	}
	if req.Mode == model.ModePredict {
		if _, err := s.wantsMask(req); err != nil {
			return nil, err
		}
	}
	return s.reader.Read(ctx, req)
}

// Inference runs the network, for the one output that is read.
func (s segmenter) Inference(ctx context.Context, in tensor.Named) (tensor.Named, error) {
	return s.Env.Session.Run(ctx, in, s.output)
}

// Recycle has the memory of a picture's tensor used for another picture.
func (s segmenter) Recycle(req *model.Request, in tensor.Named) { s.reader.Recycle(req, in) }

// Sample returns a picture.
func (s segmenter) Sample() []model.Input { return picture.Sample() }

// Example returns a picture that is all black, as the network sees it.
func (s segmenter) Example() (tensor.Named, error) { return s.reader.Example() }

// Describe tells what is answered, and what an explanation explains.
func (s segmenter) Describe(context.Context) (map[string]any, error) {
	return map[string]any{
		"kind":        "image_segmenter",
		"answer":      "[class, probability] of each pixel that the network saw; with format=png a mask",
		"explanation": "of the target class's probability, on average over the picture; predicted is the class that fills the most; by methods without a gradient",
	}, nil
}

// Explain answers what the average probability of one class rests on: the target's, or that of the class which fills the
// most of the picture.
func (s segmenter) Explain(ctx context.Context, req *model.Request, in tensor.Named) (handler.Answer, error) {
	score := func(ctx context.Context, session engine.Session, row tensor.Named) ([]float32, error) {
		out, err := session.Run(ctx, row, s.output)
		if err != nil {
			return nil, err
		}
		p, err := s.pixels(out)
		if err != nil {
			return nil, err
		}
		return p.shares(), nil
	}
	classes, err := s.classes(ctx, in)
	if err != nil {
		return handler.Answer{}, err
	}
	e, err := s.reader.Explainer(s.Env.Explainer, s.labels, classes, score)
	if err != nil {
		return handler.Answer{}, err
	}
	return s.reader.Explain(ctx, e, req, in)
}

// classes returns how many classes there are.
func (s segmenter) classes(ctx context.Context, in tensor.Named) (int, error) {
	out, err := s.Env.Explainer.Network().Session.Run(ctx, in, s.output)
	if err != nil {
		return 0, err
	}
	p, err := s.pixels(out)
	return max(2, p.classes), err
}

// wantsMask tells whether a request asks for a mask, or the settings do.
func (s segmenter) wantsMask(req *model.Request) (bool, error) {
	switch format := req.Params["format"]; format {
	case "":
		return s.settings.Answer == answerMask, nil
	case explain.FormatJSON:
		return false, nil
	case explain.FormatPNG:
		return true, nil
	default:
		known := []string{explain.FormatJSON, explain.FormatPNG}
		return false, fmt.Errorf("%w: parameter format is %q%s (a prediction's are %s)", fault.Invalid, format, nearest.Hint(format, known), strings.Join(known, ", "))
	}
}
