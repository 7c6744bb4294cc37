// Package detect is the handler of object detectors, object_detector: a picture in; labels, boxes and scores out, the boxes in
// the pixels of the picture that was sent. It takes the three usual forms of a detector's outputs, and does the suppression
// of overlapping boxes for networks that leave it to others.
package detect

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/picture"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// settings are the handler section of a manifest.
type settings struct {
	vision.Options `yaml:",inline"`

	Format  string `yaml:"format"`  // torchvision, ssd or yolo; empty: told by the network's outputs
	Boxes   string `yaml:"boxes"`   // the output of boxes; empty: told by names and shapes, and so are the others
	Classes string `yaml:"classes"` // the output of the boxes' classes
	Scores  string `yaml:"scores"`  // the output of the boxes' scores
	Count   string `yaml:"count"`   // the output of how many boxes there are
	Output  string `yaml:"output"`  // yolo: the one output

	BoxOrder    string `yaml:"boxOrder"`    // xyxy, yxyx, xywh (the corner and the size) or cxcywh (the centre and the size)
	BoxUnit     string `yaml:"boxUnit"`     // pixels of the network's picture, or fraction of it
	Activation  string `yaml:"activation"`  // what makes scores of a number a class: none (default), softmax, sigmoid
	Objectness  *bool  `yaml:"objectness"`  // yolo: whether a box's own score stands before its classes'; unset: told by the number of labels
	Background  *int   `yaml:"background"`  // ssd: the class that is nothing, where there is a score a class; unset: there is none
	ClassOffset int    `yaml:"classOffset"` // what a class of the network's is added to, to be the index of its label

	Threshold     *float32 `yaml:"threshold"`     // the least score that is answered; unset: 0.5
	NMS           *bool    `yaml:"nms"`           // whether overlapping boxes are suppressed; unset: where there is a score a class
	IoU           *float32 `yaml:"iou"`           // how much boxes may overlap; unset: 0.5
	ClassAgnostic bool     `yaml:"classAgnostic"` // boxes suppress those of other classes too
	MaxDetections int      `yaml:"maxDetections"` // at most so many are answered; 0: 100
}

// The formats.
const (
	torchvision = "torchvision" // boxes [n,4] in pixels, classes [n], scores [n]: of one picture a run
	ssd         = "ssd"         // boxes [batch,n,4] in fractions, classes [batch,n] and scores [batch,n], or scores [batch,n,classes]
	yolo        = "yolo"        // [batch,4+classes,n]: centre and size in pixels, then a score a class
)

// The orders of a box's numbers, and their units.
const (
	xyxy     = "xyxy"
	yxyx     = "yxyx"
	xywh     = "xywh"
	cxcywh   = "cxcywh"
	pixels   = "pixels"
	fraction = "fraction"
)

// The activations.
const (
	none    = "none"
	softmax = "softmax"
	sigmoid = "sigmoid"
)

const (
	defaultThreshold     = 0.5
	defaultIoU           = 0.5
	defaultMaxDetections = 100
	grey                 = 114 // what the margins of a picture are filled with where networks of the format are trained
	yoloSide             = 640
)

type detector struct {
	handler.Base

	settings settings
	reader   *picture.Reader
	roles    roles
	labels   []string
}

// New builds an object detector for a network of one input, a picture. It is a handler.Factory.
func New(env handler.Env) (handler.Handler, error) {
	d := detector{Base: handler.Base{Env: env}, labels: env.Labels}
	if err := handler.Configure(env.Config, &d.settings); err != nil {
		return nil, err
	}
	if err := d.settings.check(); err != nil {
		return nil, err
	}
	signature := env.Session.Signature()
	if len(signature.Inputs) != 1 {
		return nil, fmt.Errorf("%w: an object detector has one input, this network has %d", fault.BadModel, len(signature.Inputs))
	}
	var err error
	if d.roles, err = assign(&d.settings, signature); err != nil {
		return nil, err
	}
	d.settings.complete(d.roles, picture.FixedSize(signature))
	if d.reader, err = picture.New(signature, d.settings.Options); err != nil {
		return nil, err
	}
	if d.settings.Format == yolo {
		if err := d.checkYOLO(signature.Outputs); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// check returns [fault.BadModel] for settings that cannot be.
func (s *settings) check() error {
	for _, choice := range []struct {
		setting, value string
		known          []string
	}{
		{"format", s.Format, []string{torchvision, ssd, yolo}},
		{"boxOrder", s.BoxOrder, []string{xyxy, yxyx, xywh, cxcywh}},
		{"boxUnit", s.BoxUnit, []string{pixels, fraction}},
		{"activation", s.Activation, []string{none, softmax, sigmoid}},
	} {
		if err := handler.OneOf(choice.setting, choice.value, choice.known...); err != nil {
			return err
		}
	}
	for setting, value := range map[string]*float32{"threshold": s.Threshold, "iou": s.IoU} {
		if value != nil && !(*value >= 0 && *value <= 1) { // false for what is not a number
			return fmt.Errorf("%w: handler setting %s is %v, want a number from 0 to 1", fault.BadModel, setting, *value)
		}
	}
	if s.MaxDetections < 0 {
		return fmt.Errorf("%w: handler setting maxDetections is %d, want at least 1", fault.BadModel, s.MaxDetections)
	}
	return nil
}

// complete fills in what the settings leave open, as networks of the format usually are.
func (s *settings) complete(r roles, fixedSize bool) {
	order, unit := xyxy, pixels
	switch s.Format {
	case yolo:
		order = cxcywh
	case ssd:
		unit = fraction
		if r.boxes == tensorFlowBoxes {
			order = yxyx
		}
	}
	fallback(&s.BoxOrder, order)
	fallback(&s.BoxUnit, unit)
	fallback(&s.Activation, none)
	whole := r.classes == ""
	fallback(&s.NMS, &whole)
	threshold, iou := float32(defaultThreshold), float32(defaultIoU)
	fallback(&s.Threshold, &threshold)
	fallback(&s.IoU, &iou)
	fallback(&s.MaxDetections, defaultMaxDetections)
	s.completePicture(fixedSize)
}

// completePicture makes the whole picture the network's, where the settings do not say how it is resized.
func (s *settings) completePicture(fixedSize bool) {
	o := &s.Options
	if o.ResizeRule != "" || o.Resize != 0 || o.Crop != "" {
		return
	}
	open := !fixedSize && o.Size == (vision.Size{})
	o.Crop = vision.CropNone
	switch {
	case s.Format == yolo:
		o.ResizeRule = vision.ResizeFit
		if open {
			o.Size = vision.Square(yoloSide)
		}
		if len(o.Fill) == 0 {
			o.Fill = []int{grey}
		}
	case open:
		o.ResizeRule = vision.ResizeNone
	case s.Format == ssd:
		o.ResizeRule = vision.ResizeStretch
	default:
		o.ResizeRule = vision.ResizeFit
	}
}

func fallback[T comparable](setting *T, value T) {
	var zero T
	if *setting == zero {
		*setting = value
	}
}

// Preprocess makes the network's input of a picture, or takes it as it is where the request carries a tensor or JSON
// lists.
func (d detector) Preprocess(ctx context.Context, req *model.Request) (tensor.Named, error) {
	if err := handler.CheckParams(req, Params()...); err != nil {
		return nil, err
	}
	if _, err := d.limits(req); err != nil {
		return nil, err
	}
	return d.reader.Read(ctx, req)
}

// Recycle has the memory of a picture's tensor used for another picture.
func (d detector) Recycle(req *model.Request, in tensor.Named) { d.reader.Recycle(req, in) }

// Sample returns a picture.
func (d detector) Sample() []model.Input { return picture.Sample() }

// Example returns a picture that is all black, as the network sees it.
func (d detector) Example() (tensor.Named, error) { return d.reader.Example() }

// Describe tells what is answered, and what an explanation explains.
func (d detector) Describe(context.Context) (map[string]any, error) {
	return map[string]any{
		"kind":          "object_detector",
		"format":        d.settings.Format,
		"answer":        "a list of {label: [x1, y1, x2, y2], \"score\": score}, in pixels of the picture",
		"threshold":     *d.settings.Threshold,
		"maxDetections": d.settings.MaxDetections,
		"explanation":   "of the highest score that any box of the target's class has; predicted is the class of the best box; by methods without a gradient",
	}, nil
}

// names returns the names of values, for messages.
func names(values []engine.Value) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.Name
	}
	return all
}
