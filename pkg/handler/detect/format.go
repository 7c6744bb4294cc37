package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// tensorFlowBoxes is what TensorFlow's detectors call their boxes, which are [y1,x1,y2,x2].
const tensorFlowBoxes = "detection_boxes"

// roles are the names of the outputs that make a detection; empty for one that the network does not have.
type roles struct {
	boxes, classes, scores, count string
	whole                         string // of yolo: the one output
}

// wanted returns the outputs that are computed.
func (r roles) wanted() []string {
	return slices.DeleteFunc([]string{r.boxes, r.classes, r.scores, r.count, r.whole}, func(name string) bool { return name == "" })
}

// assign finds the outputs, and the format where the settings do not say it. It returns [fault.BadModel] when that cannot be told.
func assign(s *settings, signature engine.Signature) (roles, error) {
	outputs := signature.Outputs
	for setting, name := range map[string]string{"boxes": s.Boxes, "classes": s.Classes, "scores": s.Scores, "count": s.Count, "output": s.Output} {
		if known := names(outputs); name != "" && !slices.Contains(known, name) {
			return roles{}, fmt.Errorf("%w: handler setting %s: the network has no output %q%s (it has %s)",
				fault.BadModel, setting, name, nearest.Hint(name, known), strings.Join(known, ", "))
		}
	}
	if s.Format == "" {
		s.Format = guess(s, outputs)
	}
	var r roles
	switch s.Format {
	case yolo:
		r.whole = s.Output
		if r.whole == "" && len(outputs) == 1 {
			r.whole = outputs[0].Name
		}
		if r.whole == "" {
			r.whole = only(outputs, func(v engine.Value) bool { return floats(v.DType) && len(v.Shape) == 3 })
		}
		if r.whole == "" {
			return r, fmt.Errorf("%w: format yolo has one output, the network has %s: name it by the handler setting output", fault.BadModel, listed(outputs))
		}
	case torchvision, ssd:
		r = triple(s, outputs)
		if r.boxes == "" || r.scores == "" || s.Format == torchvision && r.classes == "" {
			return r, fmt.Errorf("%w: format %s has outputs of boxes, classes and scores, which cannot be told in %s: name them by the handler settings boxes, classes and scores",
				fault.BadModel, s.Format, listed(outputs))
		}
	default:
		return r, fmt.Errorf("%w: the format of a detector cannot be told by its outputs %s: set the handler's format to %s, %s or %s",
			fault.BadModel, listed(outputs), torchvision, ssd, yolo)
	}
	return r, nil
}

// guess tells the format by the shapes of the outputs: empty when it cannot be told.
func guess(s *settings, outputs []engine.Value) string {
	r := triple(s, outputs)
	rank := 0
	for _, v := range outputs {
		if v.Name == r.boxes {
			rank = len(v.Shape)
		}
	}
	switch {
	case rank == 2 && r.classes != "" && r.scores != "":
		return torchvision
	case rank == 3 && r.scores != "":
		return ssd
	case s.Output != "", len(outputs) == 1 && floats(outputs[0].DType) && len(outputs[0].Shape) == 3:
		return yolo
	}
	return ""
}

// triple finds the outputs of boxes, classes and scores: as the settings name them, else by the names that exporters give
// them, else by shape and type where only one fits.
func triple(s *settings, outputs []engine.Value) roles {
	r := roles{boxes: s.Boxes, classes: s.Classes, scores: s.Scores, count: s.Count}
	named := func(role *string, known ...string) {
		for _, v := range outputs {
			if *role == "" && slices.Contains(known, strings.ToLower(v.Name)) {
				*role = v.Name
			}
		}
	}
	named(&r.boxes, "boxes", tensorFlowBoxes, "bboxes", "pred_boxes")
	named(&r.classes, "labels", "classes", "detection_classes", "class_ids")
	named(&r.scores, "scores", "detection_scores", "confidences", "confidence", "logits")
	named(&r.count, "num_detections", "num_dets")
	shaped := func(role *string, fits func(engine.Value) bool) {
		if *role == "" {
			*role = only(outputs, func(v engine.Value) bool { return !slices.Contains(r.wanted(), v.Name) && fits(v) })
		}
	}
	shaped(&r.boxes, func(v engine.Value) bool {
		rank := len(v.Shape)
		return floats(v.DType) && (rank == 2 || rank == 3) && v.Shape[rank-1].Size == 4
	})
	if r.boxes == "" {
		return r
	}
	rank := len(outputs[slices.IndexFunc(outputs, func(v engine.Value) bool { return v.Name == r.boxes })].Shape)
	shaped(&r.classes, func(v engine.Value) bool { return !floats(v.DType) && len(v.Shape) == rank-1 })
	shaped(&r.scores, func(v engine.Value) bool {
		return floats(v.DType) && (len(v.Shape) == rank-1 || len(v.Shape) == rank && r.classes == "")
	})
	return r
}

// only returns the name of the one output that fits; empty where none does, or several do.
func only(outputs []engine.Value, fits func(engine.Value) bool) string {
	found := ""
	for _, v := range outputs {
		if !fits(v) {
			continue
		}
		if found != "" {
			return ""
		}
		found = v.Name
	}
	return found
}

func floats(d tensor.DType) bool {
	return d == tensor.Float32 || d == tensor.Half || d == tensor.Float64 || d == tensor.Brain
}

func listed(outputs []engine.Value) string {
	texts := make([]string, len(outputs))
	for i, v := range outputs {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}
