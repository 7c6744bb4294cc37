// Package builtin lists the handlers that a model's manifest can name. It is a list and nothing else.
package builtin

import (
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/classify"
	"github.com/tsgo/tsgo/pkg/handler/text"
)

// Handlers returns the built-in handlers by name. The names are TorchServe's.
func Handlers() map[string]handler.Factory {
	return map[string]handler.Factory{
		"image_classifier": classify.New,
		"text_classifier":  text.New,
	}
}
