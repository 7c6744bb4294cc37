package text

import (
	"context"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler"
)

// WithExplain returns a handler of New that asks f for its explanations.
func WithExplain(h handler.Handler, f func(context.Context, explain.Question) (*explain.Explanation, error)) handler.Handler {
	c := *h.(*classifier)
	c.explain = f
	return &c
}
