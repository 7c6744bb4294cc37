package detect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// The parameters of a request.
const (
	paramThreshold     = "threshold"
	paramIoU           = "iou"
	paramMaxDetections = "max_detections"
)

// mostDetections is how many detections are answered whatever a request asks for, where the settings do not say more: each
// candidate is compared with each that is answered.
const mostDetections = 1000

// Params are the names of the parameters that a request may carry.
func Params() []string { return []string{paramThreshold, paramIoU, paramMaxDetections} }

// scoreKey is what a detection's score is called in the answer.
const scoreKey = "score"

// limits are which candidates are answered.
type limits struct {
	threshold, iou float32
	most           int
}

// limits returns what a request asks for, and what the settings say where it does not.
func (d detector) limits(req *model.Request) (limits, error) {
	l := limits{threshold: *d.settings.Threshold, iou: *d.settings.IoU, most: d.settings.MaxDetections}
	for name, limit := range map[string]*float32{paramThreshold: &l.threshold, paramIoU: &l.iou} {
		raw, ok := req.Params[name]
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(raw, 32)
		if err != nil || !(v >= 0 && v <= 1) { // false for what is not a number
			return l, fmt.Errorf("%w: parameter %s is %q, want a number from 0 to 1", fault.Invalid, name, raw)
		}
		*limit = float32(v)
	}
	if raw, ok := req.Params[paramMaxDetections]; ok {
		most, err := strconv.Atoi(raw)
		if err != nil || most < 1 {
			return l, fmt.Errorf("%w: parameter %s is %q, want a number from 1", fault.Invalid, paramMaxDetections, raw)
		}
		l.most = min(most, max(mostDetections, d.settings.MaxDetections))
	}
	return l, nil
}

// Postprocess answers a list of {label: [x1, y1, x2, y2], "score": score}, in pixels of the request's picture.
func (d detector) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	l, err := d.limits(req)
	if err != nil {
		return handler.Answer{}, err
	}
	size, err := sizeOf(out)
	if err != nil {
		return handler.Answer{}, err
	}
	found, err := d.candidates(out, size, l.threshold)
	if err != nil {
		return handler.Answer{}, err
	}
	if *d.settings.NMS {
		found = suppress(found, l, d.settings.ClassAgnostic)
	}
	found = found[:min(len(found), l.most)]
	frame, err := d.reader.Frame(req, size)
	if err != nil {
		return handler.Answer{}, err
	}
	boxes := make([][4]float32, len(found))
	for i, c := range found {
		b := &boxes[i]
		b[0], b[1] = frame.Point(c.box.x1, c.box.y1)
		b[2], b[3] = frame.Point(c.box.x2, c.box.y2)
	}
	return d.answer(found, boxes)
}

func sizeOf(out tensor.Named) (vision.Size, error) {
	v, err := row(out, pictureSize, 1)
	if err != nil {
		return vision.Size{}, err
	}
	return vision.Size{Width: int(v.data[0]), Height: int(v.data[1])}, nil
}

// answer returns the detections as TorchServe answers them, and as tensors.
func (d detector) answer(found []candidate, boxes [][4]float32) (handler.Answer, error) {
	list := make([]handler.Object, len(found))
	classes, scores, flat := make([]int64, len(found)), make([]float32, len(found)), make([]float32, 0, 4*len(found))
	for i, c := range found {
		list[i] = handler.Object{{Key: d.label(c.class), Value: boxes[i][:]}, {Key: scoreKey, Value: c.score}}
		classes[i], scores[i] = int64(c.class), c.score
		flat = append(flat, boxes[i][:]...)
	}
	answer := handler.Answer{Value: list, Tensors: tensor.Named{}}
	n := int64(len(found))
	var err error
	add := func(name string, t tensor.Tensor, failed error) { answer.Tensors[name], err = t, cmp.Or(err, failed) }
	t, failed := tensor.New([]int64{1, n, 4}, flat)
	add("boxes", t, failed)
	t, failed = tensor.New([]int64{1, n}, classes)
	add("labels", t, failed)
	t, failed = tensor.New([]int64{1, n}, scores)
	add("scores", t, failed)
	return answer, err
}

// label returns a class's label, or its index where the model has none. A label that is the score's key has its index behind
// it: one of the two would hide the other.
func (d detector) label(class int) string {
	switch {
	case class < 0 || class >= len(d.labels):
		return strconv.Itoa(class)
	case d.labels[class] == scoreKey:
		return fmt.Sprintf("%s (%d)", scoreKey, class)
	}
	return d.labels[class]
}

// suppress returns the best candidates, best first, without those that overlap a better one of their class too much: each
// object keeps one box.
func suppress(found []candidate, l limits, classAgnostic bool) []candidate {
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	var kept []candidate
	for _, c := range found {
		if len(kept) == l.most {
			break
		}
		hidden := slices.ContainsFunc(kept, func(k candidate) bool {
			return (classAgnostic || k.class == c.class) && overlap(k.box, c.box) > float64(l.iou)
		})
		if !hidden {
			kept = append(kept, c)
		}
	}
	return kept
}

// overlap is the area that two boxes share, over that of both together; 0 for empty ones.
func overlap(a, b box) float64 {
	width := min(a.x2, b.x2) - max(a.x1, b.x1)
	height := min(a.y2, b.y2) - max(a.y1, b.y1)
	if !(width > 0 && height > 0) {
		return 0
	}
	shared := width * height
	both := a.area() + b.area() - shared
	return shared / math.Max(both, shared)
}

func (b box) area() float64 { return (b.x2 - b.x1) * (b.y2 - b.y1) }
