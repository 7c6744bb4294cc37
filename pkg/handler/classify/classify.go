// Package classify is the handler of image classifiers, image_classifier: a picture in, labels and their probabilities
// out. It differs from TorchServe's handler of that name in what that one gets wrong: any kind of picture is taken, any
// number of classes, and labels that occur twice are told apart.
package classify

import (
	"context"
	"fmt"
	"image"

	"github.com/tsgo/tsgo/pkg/engine"
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

	TopK       int    `yaml:"topK"`       // how many classes are answered; 0: 5
	Activation string `yaml:"activation"` // what makes probabilities of the output: softmax (default), log_softmax, sigmoid, none
	Answer     string `yaml:"answer"`     // probabilities (default), or class: the bare label of the best one
	Output     string `yaml:"output"`     // the network's output to read; empty: the first
}

const (
	defaultTopK   = 5
	answerClass   = "class"
	answerDefault = "probabilities"
)

type classifier struct {
	handler.Base

	settings  settings
	transform *vision.Transform
	input     engine.Value
	output    string
	labels    []string
}

// New builds an image classifier for a network of one image input. It is a handler.Factory.
func New(env handler.Env) (handler.Handler, error) {
	signature := env.Session.Signature()
	if len(signature.Inputs) != 1 {
		return nil, fmt.Errorf("%w: an image classifier has one input, this network has %d", fault.BadModel, len(signature.Inputs))
	}
	c := classifier{Base: handler.Base{Env: env}, input: signature.Inputs[0]}
	if err := handler.Configure(env.Config, &c.settings); err != nil {
		return nil, err
	}
	if env.Guessed {
		if err := c.guess(); err != nil {
			return nil, err
		}
	}
	if c.settings.DType == "" {
		c.settings.DType = vision.DTypeOf(c.input.DType)
	}
	c.normaliseAsImageNet()
	var err error
	if c.transform, err = vision.New(c.settings.Options); err != nil {
		return nil, fmt.Errorf("%w: handler settings: %w", fault.BadModel, err)
	}
	if c.output, err = c.pickOutput(signature.Outputs); err != nil {
		return nil, err
	}
	c.labels = handler.Distinct(env.Labels)
	if err := c.check(signature.Outputs); err != nil {
		return nil, err
	}
	c.Env.Explainer, err = c.explainer(env.Explainer)
	return c, err
}

// normaliseAsImageNet takes ImageNet's mean and standard deviation for colours where a model says nothing of its pixels'
// values, as TorchServe's image_classifier does for every model. Whoever wants none says mean 0.
func (c *classifier) normaliseAsImageNet() {
	o := &c.settings.Options
	if len(o.Mean) == 0 && len(o.Std) == 0 && o.Scale == 0 && (o.Colour == "" || o.Colour == vision.RGB) && o.DType != vision.Uint8 {
		usual := vision.ImageNet()
		o.Mean, o.Std = usual.Mean, usual.Std
	}
}

// check returns [fault.BadModel] for settings that do not go together.
func (c *classifier) check(outputs []engine.Value) error {
	for _, v := range outputs {
		if last := len(v.Shape) - 1; v.Name == c.output && last > 0 && v.Shape[last].Size > 1 && len(c.labels) > 0 && v.Shape[last].Size != int64(len(c.labels)) {
			return fmt.Errorf("%w: the network's output %v has %d classes, the model has %d labels", fault.BadModel, v, v.Shape[last].Size, len(c.labels))
		}
	}
	if c.settings.TopK < 0 {
		return fmt.Errorf("%w: handler setting topK is %d, want at least 1", fault.BadModel, c.settings.TopK)
	}
	if err := handler.OneOf("answer", c.settings.Answer, answerDefault, answerClass); err != nil {
		return err
	}
	return handler.OneOf("activation", c.settings.Activation, handler.Softmax, handler.LogSoftmax, handler.Sigmoid, handler.None, detect)
}

func (c *classifier) pickOutput(outputs []engine.Value) (string, error) {
	names := make([]string, len(outputs))
	for i, v := range outputs {
		names[i] = v.Name
		if v.Name == c.settings.Output || c.settings.Output == "" {
			return v.Name, nil
		}
	}
	return "", fmt.Errorf("%w: handler setting output: the network has no output %q%s (it has %v)",
		fault.BadModel, c.settings.Output, nearest.Hint(c.settings.Output, names), names)
}

// Preprocess makes the network's input of a picture, or takes it as it is where the request carries a tensor or JSON
// lists.
func (c classifier) Preprocess(ctx context.Context, req *model.Request) (tensor.Named, error) {
	if err := handler.CheckParams(req, handler.ParamTopK); err != nil {
		return nil, err
	}
	content, err := handler.ReadInput(req, c.input)
	if err != nil {
		return nil, err
	}
	if content.Tensor == nil {
		t, err := c.transform.Tensor(ctx, content.Data)
		if err != nil {
			return nil, err
		}
		content.Tensor = &t
	}
	if err := c.input.Accepts(*content.Tensor); err != nil {
		return nil, err
	}
	if shape := content.Tensor.Shape(); len(shape) > 0 && shape[0] != 1 {
		return nil, fmt.Errorf("%w: input %q is %v, want one picture in a request", fault.Invalid, c.input.Name, *content.Tensor)
	}
	return tensor.Named{c.input.Name: *content.Tensor}, nil
}

// Recycle has the memory of a picture's tensor used for another picture.
func (c classifier) Recycle(req *model.Request, in tensor.Named) {
	picture.Recycle(c.transform, req, in[c.input.Name])
}

// Sample returns a picture.
func (c classifier) Sample() []model.Input { return picture.Sample() }

// Example returns a picture that is all black, as the network sees it.
func (c classifier) Example() (tensor.Named, error) {
	size := c.transform.Options().Size
	t, err := c.transform.Apply(image.NewGray(image.Rect(0, 0, max(1, size.Width), max(1, size.Height))))
	return tensor.Named{c.input.Name: t}, err
}
