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
	Target   string // a label, an index or "predicted", which "" means too
	Method   string // "": the default one
	Baseline string // one of the kinds in the table, or a number; "": zeros
	Window   int    // of occlusion: cells along each axis; 0: a seventh of the axis
	Stride   int    // of occlusion: cells from window to window; 0: half of the window
	Seed     uint64 // of whatever is random
	Output   string // logits or probabilities: which scores are explained; "": those that the network gives
	Format   string // json, png or overlay; "": json
	Detail   string // plain or full; "": plain
}

// The values of [Params] that others than this package look at.
const (
	TargetPredicted = "predicted"

	OutputLogits        = "logits"
	OutputProbabilities = "probabilities"

	FormatJSON    = "json"
	FormatPNG     = "png"
	FormatOverlay = "overlay"

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

	set func(p *Params, value string) error
}

// Table returns the parameters that mean something to the methods there are, in the order in which help shows them. The
// command line makes its flags from it, and the API its list of names.
func Table() []Parameter {
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
		integer("window", "a seventh of each axis", "occlusion: how many cells along each axis are hidden at once",
			func(p *Params) *int { return &p.Window }),
		integer("stride", "half of the window", "occlusion: how many cells lie from one window to the next",
			func(p *Params) *int { return &p.Stride }),
		{
			Name: "seed", Kind: Integer, Default: "0",
			Help: "the seed of whatever is random; the same seed gives the same answer",
			set:  setSeed,
		},
		outputs(),
		choice("format", []string{FormatJSON, FormatPNG, FormatOverlay}, "the form of the answer: numbers, a heat map, or one on the picture",
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
	}
}

func outputs() Parameter {
	p := choice("output", []string{OutputLogits, OutputProbabilities}, "which scores are explained: before or after the softmax",
		func(p *Params) *string { return &p.Output })
	p.Default = "as the network gives them"
	return p
}

func integer(name, byDefault, help string, field func(*Params) *int) Parameter {
	return Parameter{
		Name: name, Kind: Integer, Default: byDefault, Help: help,
		set: func(p *Params, value string) error {
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 1 {
				return fmt.Errorf("%w: %s %q: want a whole number from 1 to %d", fault.Invalid, name, short(value), math.MaxInt32)
			}
			*field(p) = int(n)
			return nil
		},
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
