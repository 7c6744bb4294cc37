// Package explain answers which parts of an input a network's answer rests on: attribution.
//
// A [Method] sees rows and scores only, through a [Function], so that each can be tried on a Go function. An [Explainer]
// is what a handler asks: it runs the network, finds the target, builds the baseline, chooses the method and says in its
// [Explanation] what it did. The package reads no pictures and paints none, and it knows no runtime.
package explain

import (
	"context"
	"fmt"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Request is what a method is asked.
type Request struct {
	Input    tensor.Named // one row
	Baseline tensor.Named // of the inputs to be attributed: the same type and shape; the other inputs stay as they are
	Target   int          // the score that is explained
	Params   Params
	Layout   Layout // of the inputs with channels; zero: told by their dimensions
	Rows     int    // at most so many rows are scored at once; 0: 8

	// Progress, where not nil, is told how many rows are scored, one call at a time.
	Progress func(done, total int)
}

// Method attributes one score to the inputs that have a baseline. It returns promptly when ctx ends, within one chunk of
// rows. Of the explanation it fills what it computed: Exact, the target's and the baseline's value, Parameters,
// Convergence, Attributions, Warnings, and the evaluations. It returns [fault.Invalid] for a request that does not fit.
type Method func(ctx context.Context, f Function, req Request) (Explanation, error)

// Methods returns the names of the methods, the default one first.
func Methods() []string { return names(func(namedMethod) bool { return true }) }

type namedMethod struct {
	name  string
	run   Method
	needs need
}

// need is what a method needs of a function.
type need uint8

const (
	needScores   need = iota
	needGradient      // or something that only a function with a gradient has
)

// The methods that others than themselves name.
const (
	integratedGradients      = "integrated_gradients"
	layerIntegratedGradients = "layer_integrated_gradients"
	occlusion                = "occlusion"
	leaveOneOut              = "leave_one_out"
)

// methods is the table of methods; the first is the default one.
func methods() []namedMethod {
	return []namedMethod{
		{integratedGradients, IntegratedGradients, needGradient},
		{saliency, Saliency, needGradient},
		{"input_x_gradient", InputXGradient, needGradient},
		{"smoothgrad", SmoothGrad, needGradient},
		{"smoothgrad_sq", SmoothGradSquared, needGradient},
		{"vargrad", VarGrad, needGradient},
		{"gradient_shap", GradientSHAP, needGradient},
		{"grad_cam", GradCAM, needGradient},
		{"grad_cam_pp", GradCAMPP, needGradient},
		{"layer_cam", LayerCAM, needGradient},
		{"guided_backprop", GuidedBackprop, needGradient},
		{"deconvolution", Deconvolution, needGradient},
		{"guided_grad_cam", GuidedGradCAM, needGradient},
		{layerIntegratedGradients, LayerIntegratedGradients, needGradient},
		{occlusion, Occlusion, needScores},
		{"rise", RISE, needScores},
		{"lime", LIME, needScores},
		{"kernel_shap", KernelSHAP, needScores},
		{leaveOneOut, LeaveOneOut, needScores},
	}
}

// names returns the names of some methods.
func names(which func(namedMethod) bool) []string {
	var found []string
	for _, m := range methods() {
		if which(m) {
			found = append(found, m.name)
		}
	}
	return found
}

// evaluating returns the names of the methods that need scores alone.
func evaluating() []string { return names(func(m namedMethod) bool { return m.needs == needScores }) }

// byName returns the method of that name, [fault.Invalid] when there is none.
func byName(name string) (namedMethod, error) {
	for _, m := range methods() {
		if m.name == name {
			return m, nil
		}
	}
	return namedMethod{}, unknown("method", name, Methods())
}

// unknown is the refusal of a value that is none of the known ones.
func unknown(parameter, value string, known []string) error {
	value = short(value)
	return fmt.Errorf("%w: %s %q is not known%s (known: %s)", fault.Invalid, parameter, value, nearest.Hint(value, known), joined(known))
}

// short cuts a foreign value to what a message can hold.
func short(value string) string {
	const most = 64
	if len(value) <= most {
		return value
	}
	return strings.ToValidUTF8(value[:most], "") + "..."
}

func joined(names []string) string { return strings.Join(names, ", ") }
