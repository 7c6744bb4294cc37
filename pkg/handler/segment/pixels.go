package segment

import (
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// pixels are the scores of the classes of one picture's pixels.
type pixels struct {
	width, height, classes int
	scores                 []float32
	pixel, class           int // how far apart the scores of neighbours are
	activation             string
}

// pixels returns the scores of the one row of the outputs.
func (s segmenter) pixels(out tensor.Named) (pixels, error) {
	t := out[s.output]
	shape := t.Shape()
	if len(shape) != 4 || shape[0] != 1 || t.Len() == 0 {
		return pixels{}, fmt.Errorf("%w: output %q is %v, want one row of classes of pixels", fault.BadModel, s.output, t)
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return pixels{}, fmt.Errorf("output %q: %w: %w", s.output, fault.BadModel, err)
	}
	p := pixels{scores: data, activation: s.settings.Activation}
	if s.settings.OutputLayout == vision.NHWC {
		p.height, p.width, p.classes = int(shape[1]), int(shape[2]), int(shape[3])
		p.pixel, p.class = p.classes, 1
	} else {
		p.classes, p.height, p.width = int(shape[1]), int(shape[2]), int(shape[3])
		p.pixel, p.class = 1, p.height*p.width
	}
	if p.activation == "" {
		p.activation = softmax
		if p.classes == 1 {
			p.activation = sigmoid
		}
	}
	if p.classes > 1 && len(s.labels) > 0 && p.classes != len(s.labels) {
		return pixels{}, fmt.Errorf("%w: output %q has %d classes, the model has %d labels", fault.BadModel, s.output, p.classes, len(s.labels))
	}
	return p, nil
}

func (p pixels) len() int { return p.width * p.height }

func (p pixels) at(pixel, class int) float64 { return float64(p.scores[pixel*p.pixel+class*p.class]) }

// probabilities fills in those of a pixel's classes. A network of one class has two: it, and that there is nothing.
func (p pixels) probabilities(pixel int, into []float64) {
	if p.classes == 1 {
		into[1] = p.activate(p.at(pixel, 0))
		into[0] = 1 - into[1]
		return
	}
	if p.activation != softmax {
		for class := range into {
			into[class] = p.activate(p.at(pixel, class))
		}
		return
	}
	greatest, sum := math.Inf(-1), 0.0
	for class := range into {
		greatest = max(greatest, p.at(pixel, class))
	}
	for class := range into {
		into[class] = math.Exp(p.at(pixel, class) - greatest)
		sum += into[class]
	}
	for class := range into {
		into[class] /= sum
	}
}

func (p pixels) activate(score float64) float64 {
	if p.activation == none {
		return score
	}
	return 1 / (1 + math.Exp(-score))
}

// best calls do with the most probable class of each pixel, the first of equals.
func (p pixels) best(do func(pixel, class int, probability float64)) {
	all := make([]float64, max(2, p.classes))
	for pixel := range p.len() {
		p.probabilities(pixel, all)
		best := 0
		for class, v := range all {
			if v > all[best] || all[best] != all[best] {
				best = class
			}
		}
		do(pixel, best, all[best])
	}
}

// shares returns each class's probability on average over the picture: about how much of it the class fills.
func (p pixels) shares() []float32 {
	all := make([]float64, max(2, p.classes))
	sums := make([]float64, len(all))
	for pixel := range p.len() {
		p.probabilities(pixel, all)
		for class, v := range all {
			sums[class] += v
		}
	}
	shares := make([]float32, len(sums))
	for class, sum := range sums {
		shares[class] = float32(sum / float64(p.len()))
	}
	return shares
}
