// Package text is the handler of text classifiers, text_classifier: a text in, labels and their probabilities out. The
// model's directory has the tokenizer.json of its network. It differs from TorchServe's handler of that name in that any
// number of texts runs as one batch, in the tokenizer, and in that an explanation has as many words as importances.
package text

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/tokenize"
)

// settings are the handler section of a manifest.
type settings struct {
	MaxLength  int               `yaml:"maxLength"`  // tokens of a text, the special ones included; 0: as the tokenizer's files say, else 512
	TooLong    string            `yaml:"tooLong"`    // what becomes of a longer text: truncate (default), or refuse
	PadTo      int               `yaml:"padTo"`      // texts are filled up to a multiple of so many tokens, to run as one batch; 0: 16; 1: never
	TopK       int               `yaml:"topK"`       // how many classes are answered; 0: all, in their own order
	Activation string            `yaml:"activation"` // what makes probabilities of the output: softmax (default), log_softmax, sigmoid, none
	Output     string            `yaml:"output"`     // the network's output to read; empty: the first
	Inputs     map[string]string `yaml:"inputs"`     // the network's names for ids, mask and types, where they tell nothing
	Tokenizer  string            `yaml:"tokenizer"`  // the tokenizer's file; empty: tokenizer.json
}

const (
	defaultMaxLength = 512
	defaultPadTo     = 16
	mostTokens       = 1 << 16
	tokenizerFile    = "tokenizer.json"
	configFile       = "tokenizer_config.json"

	tooLongTruncate = "truncate"
	tooLongRefuse   = "refuse"
)

type classifier struct {
	handler.Base

	settings  settings
	tokenizer *tokenize.Tokenizer // of whole texts, neither cut nor filled up
	sized     *tokenize.Tokenizer // of texts as the network takes them
	inputs    []input
	length    int // tokens that the network takes, exactly; 0: any number
	output    string
	labels    []string
	explain   func(ctx context.Context, q explain.Question) (*explain.Explanation, error)
}

// New builds a text classifier for a network of token numbers. It is a handler.Factory.
func New(env handler.Env) (handler.Handler, error) {
	c := &classifier{Base: handler.Base{Env: env}, labels: handler.Distinct(env.Labels)}
	if err := handler.Configure(env.Config, &c.settings); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	signature := env.Session.Signature()
	var err error
	if c.inputs, c.length, err = assign(signature.Inputs, c.settings.Inputs); err != nil {
		return nil, err
	}
	if c.output, err = c.pickOutput(signature.Outputs); err != nil {
		return nil, err
	}
	if err := c.readTokenizer(env.Files); err != nil {
		return nil, err
	}
	explainer, err := c.explainer(env.Explainer)
	if err != nil {
		return nil, err
	}
	c.Env.Explainer, c.explain = explainer, explainer.Explain
	return c, nil
}

// check returns [fault.BadModel] for settings that cannot be used.
func (c *classifier) check() error {
	for _, s := range []struct {
		name        string
		value, most int
	}{{"maxLength", c.settings.MaxLength, mostTokens}, {"padTo", c.settings.PadTo, mostTokens}, {"topK", c.settings.TopK, mostTokens}} {
		if s.value < 0 || s.value > s.most {
			return fmt.Errorf("%w: handler setting %s is %d, want from 1 to %d", fault.BadModel, s.name, s.value, s.most)
		}
	}
	if err := handler.OneOf("tooLong", c.settings.TooLong, tooLongTruncate, tooLongRefuse); err != nil {
		return err
	}
	return handler.OneOf("activation", c.settings.Activation, handler.Softmax, handler.LogSoftmax, handler.Sigmoid, handler.None)
}

func (c *classifier) pickOutput(outputs []engine.Value) (string, error) {
	names := make([]string, len(outputs))
	for i, v := range outputs {
		names[i] = v.Name
		if v.Name == c.settings.Output || c.settings.Output == "" {
			return v.Name, c.checkOutput(v)
		}
	}
	return "", fmt.Errorf("%w: handler setting output: the network has no output %q%s (it has %v)",
		fault.BadModel, c.settings.Output, nearest.Hint(c.settings.Output, names), names)
}

// checkOutput returns [fault.BadModel] for an output that is not one number a class.
func (c *classifier) checkOutput(v engine.Value) error {
	if len(v.Shape) != 2 {
		return fmt.Errorf("%w: the network's output %v: a text classifier gives one row of classes for a text; name another one with the handler setting output",
			fault.BadModel, v)
	}
	if classes := v.Shape[1].Size; classes > 0 && len(c.labels) > 0 && classes != int64(len(c.labels)) {
		return fmt.Errorf("%w: the network's output %v has %d classes, the model has %d labels", fault.BadModel, v, classes, len(c.labels))
	}
	return nil
}

// readTokenizer reads the tokenizer of the model's directory, and how long a text may be.
func (c *classifier) readTokenizer(files fs.FS) error {
	name := c.settings.Tokenizer
	if name == "" {
		name = tokenizerFile
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("%w: a text classifier needs its network's tokenizer, as %s beside it: %w", fault.BadModel, name, err)
	}
	t, err := tokenize.Parse(data)
	switch {
	case errors.Is(err, fault.Unsupported):
		return fmt.Errorf("%s: %w", name, err)
	case err != nil:
		return fmt.Errorf("%w: %s: %w", fault.BadModel, name, err)
	}
	if c.settings.MaxLength == 0 {
		c.settings.MaxLength = c.longest(files, t)
	}
	if c.length > 0 {
		c.settings.MaxLength = min(c.settings.MaxLength, c.length)
	}
	if c.settings.PadTo == 0 {
		c.settings.PadTo = defaultPadTo
	}
	c.tokenizer = t.Sized(tokenize.Length{Max: tokenize.MaxBytes, Pad: -1})
	c.sized = t.Sized(tokenize.Length{Max: c.settings.MaxLength, Pad: -1})
	return nil
}

// longest returns how many tokens of a text the network takes: what the tokenizer says, what its configuration says, or
// what most networks take.
func (c *classifier) longest(files fs.FS, t *tokenize.Tokenizer) int {
	if most := t.MaxLength(); most > 0 && most <= mostTokens {
		return most
	}
	var config struct {
		MaxLength float64 `json:"model_max_length"` // 1e30 stands for nothing known
	}
	data, err := fs.ReadFile(files, configFile)
	if err == nil && json.Unmarshal(data, &config) == nil && config.MaxLength >= 1 && config.MaxLength <= mostTokens {
		return int(config.MaxLength)
	}
	if c.length > 0 {
		return c.length
	}
	return defaultMaxLength
}

// Preprocess makes the network's inputs of a text, or takes them as they are where the request carries tensors.
func (c *classifier) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	if err := handler.CheckParams(req, handler.ParamTopK); err != nil {
		return nil, err
	}
	if given, ok, err := c.tensors(req); ok || err != nil {
		return given, err
	}
	e, err := c.encode(req)
	if err != nil {
		return nil, err
	}
	return c.fill(e)
}

// encode returns the text of a request as the network's tokens.
func (c *classifier) encode(req *model.Request) (tokenize.Encoding, error) {
	text, err := readText(req)
	if err != nil {
		return tokenize.Encoding{}, err
	}
	e, err := encodeText(c.sized, text)
	if err != nil {
		return e, err
	}
	if e.Len() == 0 {
		return e, fmt.Errorf("%w: the text %q has no tokens", fault.Invalid, text.a)
	}
	if c.settings.TooLong == tooLongRefuse && e.Len() >= c.settings.MaxLength {
		whole, err := encodeText(c.tokenizer, text)
		if err != nil {
			return e, err
		}
		if whole.Len() > c.settings.MaxLength {
			return e, fmt.Errorf("%w: the text has %d tokens, the model takes at most %d", fault.TooLarge, whole.Len(), c.settings.MaxLength)
		}
	}
	return c.sized.Fill(e, c.size(e.Len(), req.Mode)), nil
}

func encodeText(t *tokenize.Tokenizer, text text) (tokenize.Encoding, error) {
	if text.pair {
		return t.EncodePair(text.a, text.b)
	}
	return t.Encode(text.a)
}

// size returns how many tokens a text of n is filled up to. Where the network is told which tokens only fill up, it is a
// multiple, so that texts of about the same length run as one batch; an explanation runs alone.
func (c *classifier) size(n int, mode model.Mode) int {
	masked := slices.ContainsFunc(c.inputs, func(in input) bool { return in.role == roleMask })
	switch {
	case c.length > 0:
		return c.length
	case !masked || mode == model.ModeExplain:
		return n
	}
	multiple := c.settings.PadTo
	return max(n, min(c.settings.MaxLength, (n+multiple-1)/multiple*multiple))
}

// Sample returns a short text.
func (c *classifier) Sample() []model.Input {
	return []model.Input{{ContentType: "text/plain", Data: []byte("a good film")}}
}

// Example returns a text of the filling token alone.
func (c *classifier) Example() (tensor.Named, error) {
	n := c.length
	if n == 0 {
		n = min(c.settings.MaxLength, defaultPadTo)
	}
	id, _ := c.tokenizer.Pad()
	return c.fill(tokenize.Encoding{IDs: slices.Repeat([]int64{id}, n), TypeIDs: make([]int64, n), Mask: slices.Repeat([]int64{1}, n)})
}
