package detect

import (
	"fmt"
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// box is a rectangle in fractions of the network's picture.
type box struct{ x1, y1, x2, y2 float64 }

// candidate is a box that the network gives.
type candidate struct {
	box   box
	class int // the index of its label
	score float32
}

// candidates returns the boxes of the one row of the outputs that have at least a score.
func (d detector) candidates(out tensor.Named, size vision.Size, least float32) ([]candidate, error) {
	if d.settings.Format == yolo {
		return d.fromYOLO(out, size, least)
	}
	boxes, err := row(out, d.roles.boxes, 2)
	if err != nil {
		return nil, err
	}
	if boxes.shape[1] != 4 {
		return nil, fmt.Errorf("%w: output %q has boxes of %d numbers, want 4", fault.BadModel, d.roles.boxes, boxes.shape[1])
	}
	n := boxes.shape[0]
	class, err := d.classes(out, n)
	if err != nil {
		return nil, err
	}
	if d.roles.count != "" {
		if n, err = d.count(out, n); err != nil {
			return nil, err
		}
	}
	var found []candidate
	for i := range n {
		if c, score := class(i); score >= least {
			found = append(found, candidate{d.box([4]float32(boxes.data[4*i:]), size), c + d.settings.ClassOffset, score})
		}
	}
	return found, nil
}

// values are the numbers of an output's one row.
type values struct {
	shape []int
	data  []float32
}

// row returns the one row of an output, which has so many axes beside that of the rows.
func row(out tensor.Named, name string, axes ...int) (values, error) {
	t := out[name]
	shape := t.Shape()
	if len(shape) == 0 || shape[0] != 1 || !slices.Contains(axes, len(shape)-1) {
		return values{}, fmt.Errorf("%w: output %q is %v, want one row with %v axes: is the handler's format right?", fault.BadModel, name, t, axes)
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return values{}, fmt.Errorf("output %q: %w: %w", name, fault.BadModel, err)
	}
	v := values{data: data}
	for _, size := range shape[1:] {
		v.shape = append(v.shape, int(size))
	}
	return v, nil
}

// count returns how many of the n boxes count.
func (d detector) count(out tensor.Named, n int) (int, error) {
	counts, err := tensor.Float32s(out[d.roles.count])
	if err != nil || len(counts) != 1 || !(counts[0] >= 0) {
		return 0, fmt.Errorf("%w: output %q is %v, want the number of boxes", fault.BadModel, d.roles.count, out[d.roles.count])
	}
	return int(min(counts[0], float32(n))), nil
}

// classes returns what tells the class and the score of the i-th of n boxes.
func (d detector) classes(out tensor.Named, n int) (func(i int) (class int, score float32), error) {
	scores, err := row(out, d.roles.scores, 1, 2)
	if err != nil {
		return nil, err
	}
	if scores.shape[0] != n {
		return nil, fmt.Errorf("%w: there are %d boxes in output %q and %d scores in %q", fault.BadModel, n, d.roles.boxes, scores.shape[0], d.roles.scores)
	}
	if len(scores.shape) == 2 {
		width := scores.shape[1]
		if width == 0 {
			return nil, fmt.Errorf("%w: output %q has no classes", fault.BadModel, d.roles.scores)
		}
		return func(i int) (int, float32) { return d.best(scores.data[i*width : (i+1)*width]) }, nil
	}
	if d.roles.classes == "" {
		return func(i int) (int, float32) { return 0, scores.data[i] }, nil
	}
	ids, err := row(out, d.roles.classes, 1)
	if err != nil {
		return nil, err
	}
	if ids.shape[0] != n {
		return nil, fmt.Errorf("%w: there are %d boxes in output %q and %d classes in %q", fault.BadModel, n, d.roles.boxes, ids.shape[0], d.roles.classes)
	}
	return func(i int) (int, float32) {
		id := ids.data[i]
		if !(id >= -1<<24 && id <= 1<<24) { // not of a box
			return 0, float32(math.NaN())
		}
		return int(id), scores.data[i]
	}, nil
}

// best returns the class of the highest of one box's scores, and that score. It is no number where the background is best.
func (d detector) best(scores []float32) (class int, score float32) {
	for i, s := range scores {
		if s > scores[class] || scores[class] != scores[class] {
			class = i
		}
	}
	if d.settings.Background != nil && class == *d.settings.Background {
		return class, float32(math.NaN())
	}
	switch d.settings.Activation {
	case sigmoid:
		return class, logistic(scores[class])
	case softmax:
		sum := 0.0
		for _, s := range scores {
			sum += math.Exp(float64(s - scores[class]))
		}
		return class, float32(1 / sum)
	}
	return class, scores[class]
}

func logistic(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }

// box returns a box of the network's in fractions of its picture.
func (d detector) box(v [4]float32, size vision.Size) box {
	a, b, c, e := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
	if d.settings.BoxOrder == yxyx {
		a, b, c, e = b, a, e, c
	}
	var r box
	switch d.settings.BoxOrder {
	case xywh:
		r = box{a, b, a + c, b + e}
	case cxcywh:
		r = box{a - c/2, b - e/2, a + c/2, b + e/2}
	default:
		r = box{a, b, c, e}
	}
	if d.settings.BoxUnit == fraction {
		return r
	}
	w, h := float64(size.Width), float64(size.Height)
	return box{r.x1 / w, r.y1 / h, r.x2 / w, r.y2 / h}
}

// plan is how the one output of a yolo network is read.
type plan struct {
	classes    int
	objectness bool
	transposed bool // a box's numbers stand beside each other
}

// before returns how many numbers of a box stand before the scores of its classes.
func (p plan) before() int {
	if p.objectness {
		return 5
	}
	return 4
}

// planned tells which axis of a yolo network's output is a box's: the one whose length the labels tell, and else the
// shorter one.
func (d detector) planned(first, second int) (plan, error) {
	fits := func(length int) (plan, bool) {
		for _, objectness := range []bool{false, true} {
			if d.settings.Objectness != nil && objectness != *d.settings.Objectness {
				continue
			}
			p := plan{objectness: objectness}
			p.classes = length - p.before()
			if labels := len(d.labels) - d.settings.ClassOffset; p.classes > 0 && (len(d.labels) == 0 || p.classes == labels) {
				return p, true
			}
		}
		return plan{}, false
	}
	of := map[bool]int{false: first, true: second}
	for _, transposed := range []bool{second < first, second >= first} {
		if p, ok := fits(of[transposed]); ok {
			p.transposed = transposed
			return p, nil
		}
	}
	want := "4 and a score a class"
	if len(d.labels) > 0 {
		want = fmt.Sprintf("4 or 5 and a score for each of the %d labels", len(d.labels))
	}
	return plan{}, fmt.Errorf("%w: output %q is [%d,%d] beside its batch: neither axis is %s", fault.BadModel, d.roles.whole, first, second, want)
}

// checkYOLO returns [fault.BadModel] for a fixed shape that is none of yolo's.
func (d detector) checkYOLO(outputs []engine.Value) error {
	for _, v := range outputs {
		if v.Name != d.roles.whole {
			continue
		}
		axes := v.Shape
		if len(axes) != 3 && (len(axes) != 2 || !d.reader.Unbatched()) {
			return fmt.Errorf("%w: output %v: format yolo has [batch,4+classes,boxes]", fault.BadModel, v)
		}
		first, second := axes[len(axes)-2].Size, axes[len(axes)-1].Size
		if first > 0 && second > 0 {
			_, err := d.planned(int(first), int(second))
			return err
		}
	}
	return nil
}

// fromYOLO returns the candidates of a yolo network.
func (d detector) fromYOLO(out tensor.Named, size vision.Size, least float32) ([]candidate, error) {
	whole, err := row(out, d.roles.whole, 2)
	if err != nil {
		return nil, err
	}
	p, err := d.planned(whole.shape[0], whole.shape[1])
	if err != nil {
		return nil, err
	}
	n, width := whole.shape[1], whole.shape[0]
	if p.transposed {
		n, width = width, n
	}
	numbers := make([]float32, width)
	var found []candidate
	for i := range n {
		if p.transposed {
			numbers = whole.data[i*width : (i+1)*width]
		} else {
			for k := range numbers {
				numbers[k] = whole.data[k*n+i]
			}
		}
		class, score := d.best(numbers[p.before():])
		if p.objectness {
			own := numbers[4]
			if d.settings.Activation == sigmoid {
				own = logistic(own)
			}
			score *= own
		}
		if score >= least {
			found = append(found, candidate{d.box([4]float32(numbers), size), class + d.settings.ClassOffset, score})
		}
	}
	return found, nil
}
