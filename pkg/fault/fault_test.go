package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
)

func TestOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"nil", nil, fault.Internal},
		{"plain", io.EOF, fault.Internal},
		{"bare kind", fault.NoModel, fault.NoModel},
		{"wrapped", fmt.Errorf("model %q: %w", "x", fault.NoModel), fault.NoModel},
		{"two causes", fmt.Errorf("%w: %w", fault.Invalid, io.EOF), fault.Invalid},
		{"first of a chain", fmt.Errorf("%w: %w", fault.BadModel, fmt.Errorf("%w", fault.Invalid)), fault.BadModel},
		{"joined", errors.Join(io.EOF, fault.Timeout), fault.Timeout},
		{"canceled context", fmt.Errorf("run: %w", context.Canceled), fault.Canceled},
		{"deadline", fmt.Errorf("run: %w", context.DeadlineExceeded), fault.Timeout},
		{"kind before context", fmt.Errorf("%w: %w", fault.Unavailable, context.Canceled), fault.Unavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := fault.Of(test.err); got != test.want {
				t.Errorf("Of(%v) = %v, want %v", test.err, got, test.want)
			}
		})
	}
}

func TestKindsHaveDifferentWords(t *testing.T) {
	t.Parallel()
	seen := map[string]fault.Kind{}
	for k := fault.Internal; k <= fault.Canceled; k++ {
		text := k.Error()
		if other, ok := seen[text]; ok || text == "unknown failure" {
			t.Errorf("kind %d says %q, as kind %d does", k, text, other)
		}
		seen[text] = k
	}
}
