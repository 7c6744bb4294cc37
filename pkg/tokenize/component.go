package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// maxDepth bounds how deep sequences of components lie in each other.
const maxDepth = 16

// maker builds one type of component from its part of the file.
type maker[T any] func(raw json.RawMessage, depth int) (T, error)

// build returns the component that raw is, by its type. It returns [fault.Unsupported] for a type that is not in the table.
func build[T any](kind string, table map[string]maker[T], raw json.RawMessage, depth int) (T, error) {
	var none T
	var head struct {
		Type string `json:"type"`
	}
	if err := read(kind, raw, &head); err != nil {
		return none, err
	}
	if depth > maxDepth {
		return none, fmt.Errorf("%w: %s: sequences nested deeper than %d", fault.Invalid, kind, maxDepth)
	}
	maker, ok := table[head.Type]
	if !ok {
		return none, fmt.Errorf("%w: %s %q (known: %s)", fault.Unsupported, kind, head.Type, strings.Join(slices.Sorted(maps.Keys(table)), ", "))
	}
	made, err := maker(raw, depth)
	if err != nil {
		return none, fmt.Errorf("%s %s: %w", kind, head.Type, err)
	}
	return made, nil
}

// buildAll returns the components of a sequence.
func buildAll[T any](one maker[T], list []json.RawMessage, depth int) ([]T, error) {
	all := make([]T, len(list))
	for i, raw := range list {
		var err error
		if all[i], err = one(raw, depth+1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// read decodes a part of the file.
func read(what string, raw json.RawMessage, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %s: %w", fault.Invalid, what, err)
	}
	return nil
}

// absent tells whether a part of the file is missing or null.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }
