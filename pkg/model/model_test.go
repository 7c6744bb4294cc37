package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestParseRef(t *testing.T) {
	t.Parallel()
	good := map[string]model.Ref{
		"resnet-18":     {Name: "resnet-18"},
		"resnet-18/1.0": {Name: "resnet-18", Version: "1.0"},
		"_x/2024+build": {Name: "_x", Version: "2024+build"},
	}
	for in, want := range good {
		got, err := model.ParseRef(in)
		if err != nil || got != want {
			t.Errorf("ParseRef(%q) = %v, %v, want %v", in, got, err, want)
		}
		if got.String() != in {
			t.Errorf("%q became %q", in, got)
		}
	}
	for _, in := range []string{
		"", "/", "a/", "/1.0", "a/b/c", "..", "../x", "a/..", ".hidden", "-flag", "a b", " a", "a\x00", "ä", strings.Repeat("a", 129),
	} {
		if got, err := model.ParseRef(in); !errors.Is(err, fault.Invalid) {
			t.Errorf("ParseRef(%q) = %v, %v, want %v", in, got, err, fault.Invalid)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("resnet-18/1.0")
	f.Add("../..")
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := model.ParseRef(s)
		if err != nil {
			return
		}
		again, err := model.ParseRef(ref.String())
		if err != nil || again != ref || strings.Contains(ref.Name+ref.Version, "/") {
			t.Errorf("%q: %v, then %v, %v", s, ref, again, err)
		}
	})
}

func TestModeString(t *testing.T) {
	t.Parallel()
	if got := model.ModePredict.String() + " " + model.ModeExplain.String(); got != "predict explain" {
		t.Errorf("modes = %q", got)
	}
}
