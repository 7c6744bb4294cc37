// Package builtin lists the handlers that a model's manifest can name. It is a list and nothing else.
package builtin

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/classify"
	"github.com/tsgo/tsgo/pkg/handler/detect"
	"github.com/tsgo/tsgo/pkg/handler/segment"
	"github.com/tsgo/tsgo/pkg/handler/tensors"
	"github.com/tsgo/tsgo/pkg/handler/text"
)

// Handlers returns the built-in handlers by name. The names are TorchServe's.
func Handlers() map[string]handler.Factory {
	return map[string]handler.Factory{
		"base_handler":     tensors.New,
		"image_classifier": classify.New,
		"image_segmenter":  segment.New,
		"object_detector":  detect.New,
		"text_classifier":  text.New,
	}
}

// Params returns the names of the parameters that one or another of the handlers takes, beside those of explanations.
func Params() []string {
	return slices.Concat([]string{handler.ParamTopK}, detect.Params(), tensors.Params())
}
