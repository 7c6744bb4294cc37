package nearest_test

import (
	"testing"

	"github.com/tsgo/tsgo/pkg/nearest"
)

func TestTo(t *testing.T) {
	t.Parallel()
	known := []string{"resnet-18", "resnet-50", "mnist", "batchSize"}
	for name, want := range map[string]string{
		"resnet18": "resnet-18", "resnet": "resnet-18", "net": "", "mnits": "mnist", "MNIST": "mnist", "batchsize": "batchSize", "batch_size": "batchSize",
		"x": "", "": "", "efficientnet": "", "resnet-15": "resnet-18",
	} {
		if got := nearest.To(name, known); got != want {
			t.Errorf("To(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	if got := nearest.Hint("mnits", []string{"mnist"}); got != `, did you mean "mnist"?` {
		t.Errorf("Hint = %q", got)
	}
	if got := nearest.Hint("other", []string{"mnist"}); got != "" {
		t.Errorf("Hint = %q", got)
	}
}
