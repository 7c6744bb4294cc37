package archive

import "errors"

// Part is a part of a model that can be wrong by itself. [Open] looks at them in this order, but for the first bytes of the
// network, which it looks at last.
type Part uint8

// The parts.
const (
	PartForm     Part = iota // the file or directory as such: whether it is what its name says
	PartContents             // the entries of an archive: names, kinds, sizes, how many
	PartManifest             // MAR-INF/MANIFEST.json
	PartSettings             // model-config.yaml
	PartNetwork              // whether there is a network in ONNX
	PartLabels               // the names of the classes
)

// PartOf returns the part of a model that an error of this package is about, and false for one about none of them.
func PartOf(err error) (Part, bool) {
	if about, ok := errors.AsType[*partError](err); ok {
		return about.part, true
	}
	return 0, false
}

// partError is an error about one part. It says nothing of its own.
type partError struct {
	part Part
	err  error
}

func (e *partError) Error() string { return e.err.Error() }
func (e *partError) Unwrap() error { return e.err }

// about marks an error, if there is one, as being about a part.
func about(part Part, err error) error {
	if err == nil {
		return nil
	}
	return &partError{part, err}
}
