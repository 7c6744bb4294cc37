package handler

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// Configure reads a manifest's handler section into the struct that settings points to, by its yaml tags, over the values
// it has. It returns [fault.BadModel] for a key that the struct lacks, with the nearest one it has, and for a value that
// does not fit. The key "profile" is TorchServe's own and means nothing here.
func Configure(config map[string]any, settings any) error {
	known := keys(reflect.TypeOf(settings).Elem())
	rest := maps.Clone(config)
	delete(rest, "profile")
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("%w: handler has no setting %q%s (it has %s)", fault.BadModel, key, nearest.Hint(key, known), strings.Join(known, ", "))
		}
	}
	text, err := yaml.Marshal(rest)
	if err != nil {
		return fmt.Errorf("%w: handler settings: %w", fault.BadModel, err)
	}
	if err := yaml.Unmarshal(text, settings); err != nil {
		return fmt.Errorf("%w: handler settings: %s", fault.BadModel, yaml.FormatError(err, false, false))
	}
	return nil
}

// keys returns the yaml names of a struct's fields, those of inlined structs too.
func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, rest, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(rest, "inline"):
			names = append(names, keys(field.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// CheckParams returns [fault.Invalid] for a parameter that is neither one of own nor one that explanations take. A request
// without others than its own, as most are, costs nothing.
func CheckParams(req *model.Request, own ...string) error {
	var others []string
	for name := range req.Params {
		if !slices.Contains(own, name) {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	known := slices.Clone(own)
	for _, p := range explain.Table() {
		known = append(known, p.Name)
	}
	slices.Sort(others)
	for _, name := range others {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: no parameter %q%s (known: %s)", fault.Invalid, name, nearest.Hint(name, known), strings.Join(known, ", "))
		}
	}
	return nil
}
