package explain

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// Params say how to explain. In each of them the zero value is the default.
type Params struct {
	Target          string  // a label, an index or "predicted", which "" means too
	Method          string  // "": the default one
	Baseline        string  // one of the kinds in the table, or a number; "": zeros
	Steps           int     // of an integral; 0: 15 for pictures, 50 otherwise
	Rule            string  // of an integral; "": gausslegendre
	Layer           string  // the tensor that is looked at; "": chosen by the network
	Samples         int     // of what is random; 0: 50 for noise, 500 for lime and kernel_shap, 2000 for rise
	Sigma           float64 // of noise; 0: 0.15 of the input's range, for gradient_shap none
	Abs             string  // of saliency: "true" or "false"; "": true, and false where it is smoothed
	Of              string  // the method that is smoothed; "": saliency
	StraightThrough string  // of the methods with a gradient: "true" or "false"; "": false
	Relu            string  // of grad_cam: "true" or "false"; "": true
	P               float64 // of rise: the part of the input that a mask keeps; 0: a half
	Width           float64 // of lime: of the kernel; 0: 0.25
	Segments        int     // of lime and kernel_shap: of each input, at most; 0: 49
	Window          int     // of occlusion: cells along each axis; 0: a seventh of the axis
	Stride          int     // of occlusion: cells from window to window; 0: half of the window
	Seed            uint64  // of whatever is random
	Output          string  // logits or probabilities: which scores are explained; "": those that the network gives
	Format          string  // json, png, overlay or npy; "": json
	Detail          string  // plain or full; "": plain
}

// straightThrough is the parameter by which what rounds is taken for the identity, and the name of that approximation.
const straightThrough = "straight_through"

// The values of [Params] that others than this package look at.
const (
	TargetPredicted = "predicted"

	OutputLogits        = "logits"
	OutputProbabilities = "probabilities"

	FormatJSON    = "json"
	FormatPNG     = "png"
	FormatOverlay = "overlay"
	FormatNPY     = "npy"

	DetailPlain = "plain"
	DetailFull  = "full"
)

// Kind is what a parameter's value may be.
type Kind uint8

// The kinds.
const (
	Text    Kind = iota // anything; the choices, where there are some, are words with a meaning of their own
	Integer             // a whole number, not negative
	Number              // a finite number
	Choice              // one of the choices
)

// Parameter is one row of the table of parameters.
type Parameter struct {
	Name    string
	Kind    Kind
	Choices []string
	Default string // what is used when nothing is given, in words where it depends on the input
	Help    string
	Methods []string // that it means something to, which Help begins with; nil: all of them

	set   func(p *Params, value string) error
	given func(p Params) bool // of the parameters of some methods alone
}

// belongs tells whether the parameter means something to a method, or to the one that it smooths.
func (p Parameter) belongs(method string, given Params) bool {
	return slices.Contains(p.Methods, method) ||
		slices.Contains(smoothing(), method) && given.Of != "" && slices.Contains(p.Methods, given.Of)
}

// Table returns the parameters that mean something to the methods there are, in the order in which help shows them. The
// command line makes its flags from it, and the API its list of names.
func Table() []Parameter {
	return slices.Concat(general(), differentiating(), sampling(), occluding(), answering())
}

// smoothing returns the methods that smooth another one.
func smoothing() []string { return []string{"smoothgrad", "smoothgrad_sq", "vargrad"} }

// of makes a parameter one of some methods alone.
func (p Parameter) of(methods ...string) Parameter {
	p.Methods, p.Help = methods, joined(methods)+": "+p.Help
	return p
}

func general() []Parameter {
	return []Parameter{
		{
			Name: "target", Kind: Text, Choices: []string{TargetPredicted}, Default: TargetPredicted,
			Help: "what is explained: a label, an index of the output, or the highest score",
			set:  func(p *Params, value string) error { p.Target = value; return nil },
		},
		choice("method", Methods(), "how the parts of the input are weighed", func(p *Params) *string { return &p.Method }),
		{
			Name: "baseline", Kind: Text, Choices: baselineKinds(), Default: baselineZeros,
			Help: "what a part of the input is compared with: a kind, or a number at the network's input",
			set:  setBaseline,
		},
	}
}

// differentiating returns the parameters of the methods that need a gradient.
func differentiating() []Parameter {
	layer := Parameter{
		Name: "layer", Kind: Text, Default: "the network's last with two axes, or its embedding", Help: "the tensor that is looked at, by its name in the network",
		set:   func(p *Params, value string) error { p.Layer = value; return nil },
		given: func(p Params) bool { return p.Layer != "" },
	}
	return []Parameter{
		integer("steps", "15 for pictures, 50 otherwise", "how many gradients the integral is made of", 5000,
			func(p *Params) *int { return &p.Steps }).of(integratedGradients, layerIntegratedGradients),
		choice("rule", rules(), "where on the way the gradients are taken",
			func(p *Params) *string { return &p.Rule }).of(integratedGradients, layerIntegratedGradients),
		choice(straightThrough, []string{"false", "true"}, "whether the gradient passes what rounds, as in a quantized network, as if it did not: it is an approximation then",
			func(p *Params) *string { return &p.StraightThrough }).of(names(func(m namedMethod) bool { return m.needs == needGradient })...),
		layer.of("grad_cam", "grad_cam_pp", "layer_cam", "guided_grad_cam", layerIntegratedGradients),
		choice("relu", []string{"true", "false"}, "whether the map loses what is below zero",
			func(p *Params) *string { return &p.Relu }).of("grad_cam"),
		choice("abs", []string{"true", "false"}, "whether the gradient loses its sign",
			func(p *Params) *string { return &p.Abs }).of(saliency),
		choice("of", smoothed(), "the method that is smoothed",
			func(p *Params) *string { return &p.Of }).of(smoothing()...),
	}
}

// sampling returns the parameters of the methods that draw samples.
func sampling() []Parameter {
	noisy := append(smoothing(), "gradient_shap")
	return []Parameter{
		integer("samples", "50; 500 for lime and kernel_shap, 2000 for rise", "how many samples are drawn", 1_000_000,
			func(p *Params) *int { return &p.Samples }).of(append(noisy, "rise", "lime", "kernel_shap")...),
		number("sigma", "0.15 of the input's range; none for gradient_shap", "the deviation of the noise", math.MaxFloat32,
			func(p *Params) *float64 { return &p.Sigma }).of(noisy...),
		number("p", "0.5", "how much of the input a mask keeps", 1,
			func(p *Params) *float64 { return &p.P }).of("rise"),
		number("width", "0.25", "how far from the whole input a sample still counts", math.MaxFloat32,
			func(p *Params) *float64 { return &p.Width }).of("lime"),
		integer("segments", "49", "into how many segments an input is cut, at most", 1000,
			func(p *Params) *int { return &p.Segments }).of("lime", "kernel_shap"),
	}
}

// occluding returns the parameters of occlusion.
func occluding() []Parameter {
	return []Parameter{
		integer("window", "a seventh of each axis", "how many cells along each axis are hidden at once", math.MaxInt32,
			func(p *Params) *int { return &p.Window }).of(occlusion),
		integer("stride", "half of the window", "how many cells lie from one window to the next", math.MaxInt32,
			func(p *Params) *int { return &p.Stride }).of(occlusion),
	}
}

// answering returns the parameters of the answer.
func answering() []Parameter {
	return []Parameter{
		{
			Name: "seed", Kind: Integer, Default: "0",
			Help: "the seed of whatever is random; the same seed gives the same answer",
			set:  setSeed,
		},
		outputs(),
		choice("format", []string{FormatJSON, FormatPNG, FormatOverlay, FormatNPY},
			"the form of the answer: numbers, a heat map, one on the picture, or numbers as NumPy keeps them",
			func(p *Params) *string { return &p.Format }),
		choice("detail", []string{DetailPlain, DetailFull}, "the attributions alone, or with everything known about them",
			func(p *Params) *string { return &p.Detail }),
	}
}

// ParseParams reads the parameters of the table from raw, and no others. An empty value counts as not given. It returns
// [fault.Invalid], naming the parameter, the value and what is known, for a value that cannot be used.
func ParseParams(raw map[string]string) (Params, error) {
	var p Params
	for _, parameter := range Table() {
		if value := raw[parameter.Name]; value != "" {
			if err := parameter.set(&p, value); err != nil {
				return Params{}, err
			}
		}
	}
	return p, nil
}

func choice(name string, choices []string, help string, field func(*Params) *string) Parameter {
	return Parameter{
		Name: name, Kind: Choice, Choices: choices, Default: choices[0], Help: help,
		set: func(p *Params, value string) error {
			if !slices.Contains(choices, value) {
				return unknown(name, value, choices)
			}
			*field(p) = value
			return nil
		},
		given: func(p Params) bool { return *field(&p) != "" },
	}
}

func outputs() Parameter {
	p := choice("output", []string{OutputLogits, OutputProbabilities}, "which scores are explained: before or after the softmax",
		func(p *Params) *string { return &p.Output })
	p.Default = "as the network gives them"
	return p
}

// integer is a parameter from one to as high as most.
func integer(name, byDefault, help string, most int, field func(*Params) *int) Parameter {
	return Parameter{
		Name: name, Kind: Integer, Default: byDefault, Help: help,
		set: func(p *Params, value string) error {
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 1 || int(n) > most {
				return fmt.Errorf("%w: %s %q: want a whole number from 1 to %d", fault.Invalid, name, short(value), most)
			}
			*field(p) = int(n)
			return nil
		},
		given: func(p Params) bool { return *field(&p) != 0 },
	}
}

// number is a parameter above zero and at most as high as most.
func number(name, byDefault, help string, most float64, field func(*Params) *float64) Parameter {
	return Parameter{
		Name: name, Kind: Number, Default: byDefault, Help: help,
		set: func(p *Params, value string) error {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || !(n > 0 && n <= most) { // false for what is not a number
				return fmt.Errorf("%w: %s %q: want a number above 0, at most %.3g", fault.Invalid, name, short(value), most)
			}
			*field(p) = n
			return nil
		},
		given: func(p Params) bool { return *field(&p) != 0 },
	}
}

func setSeed(p *Params, value string) error {
	seed, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: seed %q: want a whole number from 0 to %d", fault.Invalid, short(value), uint64(math.MaxUint64))
	}
	p.Seed = seed
	return nil
}

func setBaseline(p *Params, value string) error {
	if _, err := parseBaseline(value); err != nil {
		return err
	}
	p.Baseline = value
	return nil
}

// parseBaseline returns the number that value is; 0 for the kinds, and for "".
func parseBaseline(value string) (float64, error) {
	if value == "" || slices.Contains(baselineKinds(), value) {
		return 0, nil
	}
	number, err := strconv.ParseFloat(value, 32)
	if err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
		value = short(value)
		return 0, fmt.Errorf("%w: baseline %q is neither a finite number nor a known kind%s (known: %s)",
			fault.Invalid, value, nearest.Hint(value, baselineKinds()), joined(baselineKinds()))
	}
	return number, nil
}
