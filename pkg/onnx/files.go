package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Files returns the files that elements of the network's tensors stand in, apart from the network's own: paths with slashes
// from its directory, sorted, each once. None of them leads out of the directory by its name; whether a file is there, and
// whether it is a link, is for the caller to see. Networks that [Open] does not read to the end are read here too, as far
// as tensors are in them.
//
// It returns [fault.NotFound] when there is no network, [fault.BadModel] for what is none, and [fault.Invalid] for elements
// in a file outside of the directory.
func Files(path string) (names []string, err error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s: %w", path, fault.NotFound)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w: %w", path, fault.BadModel, err)
	}
	defer f.Close() //nolint:errcheck // only read
	files := opened{maps: map[string][]byte{}}
	defer func() { err = errors.Join(err, files.Close()) }()
	data, err := files.mapped("", f)
	if err == nil {
		err = Guard(func() error {
			names, err = locations(data)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return names, nil
}

// locations returns the files that a network refers to.
func locations(data []byte) ([]string, error) {
	l := locator{found: map[string]bool{}}
	if err := l.walk(data, modelMessage); err != nil {
		return nil, err
	}
	if !l.graph {
		return nil, fmt.Errorf("%w: no ONNX network: it has no graph", fault.BadModel)
	}
	return slices.Sorted(maps.Keys(l.found)), nil
}

// kind is a kind of message that tensors may be in.
type kind uint8

const (
	otherMessage kind = iota
	modelMessage
	functionMessage
	graphMessage
	nodeMessage
	attributeMessage
	sparseMessage
	tensorMessage
)

// step is a field of a kind of message.
type step struct {
	in    kind
	field int
}

// leads returns the kind of the messages in the field, as far as tensors are in them.
func (s step) leads() kind {
	switch s {
	case step{modelMessage, 7}, step{attributeMessage, 6}, step{attributeMessage, 11}:
		return graphMessage
	case step{modelMessage, 25}:
		return functionMessage
	case step{graphMessage, 1}, step{functionMessage, 7}:
		return nodeMessage
	case step{nodeMessage, 5}, step{functionMessage, 11}:
		return attributeMessage
	case step{graphMessage, 15}, step{attributeMessage, 22}, step{attributeMessage, 23}:
		return sparseMessage
	case step{graphMessage, 5}, step{attributeMessage, 5}, step{attributeMessage, 10}, step{sparseMessage, 1}, step{sparseMessage, 2}:
		return tensorMessage
	}
	return otherMessage
}

// locator finds where tensors stand.
type locator struct {
	reader

	graph bool // was there one
	found map[string]bool
}

// walk reads a message of this kind.
func (l *locator) walk(data []byte, k kind) error {
	switch k {
	case tensorMessage:
		return l.tensor(data)
	case graphMessage:
		if l.depth++; l.depth > maxDepth {
			return fmt.Errorf("%w: more than %d graphs inside of each other", fault.BadModel, maxDepth)
		}
		defer func() { l.depth-- }()
		l.graph = true
	case otherMessage:
		return nil
	case modelMessage, functionMessage, nodeMessage, attributeMessage, sparseMessage:
	}
	return l.message(data, func(n int, f field) error { return l.walk(f.bytes, step{k, n}.leads()) })
}

// tensor enters the file of one tensor, where it is in one.
func (l *locator) tensor(data []byte) error {
	where, outside := map[string]string{}, false
	err := l.message(data, func(n int, f field) error {
		switch n {
		case 13:
			return l.entry(f.bytes, &where)
		case 14:
			outside = f.int() == 1
		}
		return nil
	})
	if err != nil || !outside {
		return err
	}
	name := path.Clean(filepath.ToSlash(where["location"]))
	if where["location"] == "" || name == "." || !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("%w: its elements are in %q: only files in the model's directory are read", fault.Invalid, where["location"])
	}
	l.found[name] = true
	return nil
}
