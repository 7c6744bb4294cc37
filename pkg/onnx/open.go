package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Open reads the network in a file. Elements of constants that stand in other files are read from the file's directory and
// those below it, and from nowhere else.
//
// The files are mapped into memory where the system can, so nothing is copied: the graph and all that is made of it by
// [Graph.Clone] and the like may be used until the closer is closed. A file that is replaced by another does no harm; one
// that is cut short in place meanwhile does, see [Guard].
//
// It returns [fault.NotFound] when there is no such file, [fault.Invalid] for elements in a file outside of the directory,
// and otherwise what [Unmarshal] does.
func Open(path string) (*Graph, io.Closer, error) { return openWith(path, Unmarshal) }

// openWith is [Open] with what reads the mapped file.
func openWith(path string, read func(data []byte, external External) (*Graph, error)) (_ *Graph, _ io.Closer, err error) {
	var files opened
	kept := false
	defer func() {
		if !kept { // whatever the reason: a file that is cut short meanwhile makes read panic
			err = errors.Join(err, files.Close())
		}
	}()
	g, err := files.network(path, read)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	kept = true
	return g, &files, nil
}

// Guard calls do, and returns [fault.BadModel] when a file of an opened network was cut short while do read constants: the
// program would end otherwise. Other panics go on.
func Guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("%w: its file was cut short while it was read", fault.BadModel)
		default:
			panic(cause)
		}
	}()
	return do()
}

// opened are the files of a network.
type opened struct {
	dir  string
	root *os.Root          // of dir; nil as long as no other file is asked for
	maps map[string][]byte // by location; the network itself is ""
}

// Close gives the memory back.
func (o *opened) Close() error {
	var failed []error
	for _, data := range o.maps {
		failed = append(failed, unmapFile(data))
	}
	o.maps = nil
	if o.root != nil {
		failed = append(failed, o.root.Close())
		o.root = nil
	}
	return errors.Join(failed...)
}

func (o *opened) network(path string, read func(data []byte, external External) (*Graph, error)) (*Graph, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.NotFound
	case err != nil:
		return nil, fmt.Errorf("%w: %w", fault.BadModel, err)
	}
	defer f.Close() //nolint:errcheck // only read
	o.dir, o.maps = filepath.Dir(path), map[string][]byte{}
	data, err := o.mapped("", f)
	if err != nil {
		return nil, err
	}
	return read(data, o.external)
}

// mapped returns the contents of a file.
func (o *opened) mapped(location string, f *os.File) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", fault.BadModel, err)
	case !info.Mode().IsRegular() || info.Size() > math.MaxInt:
		return nil, fmt.Errorf("%w: it is no file that can be read", fault.BadModel)
	case info.Size() == 0:
		return nil, nil
	}
	data, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.BadModel, err)
	}
	o.maps[location] = data
	return data, nil
}

// external is an [External]. A location is refused before it is opened when its name leads out of the directory, and by
// the system when a link does.
func (o *opened) external(location string, offset, size int64) ([]byte, error) {
	data, ok := o.maps[location]
	if !ok {
		var err error
		if data, err = o.beside(location); err != nil {
			return nil, fmt.Errorf("its elements are in %q: %w", location, err)
		}
	}
	length := int64(len(data))
	if size < 0 {
		size = max(0, length-offset)
	}
	if offset < 0 || offset > length || size > length-offset {
		return nil, fmt.Errorf("%w: its elements are %d bytes at %d of %q, which has %d", fault.BadModel, size, offset, location, length)
	}
	return data[offset : offset+size : offset+size], nil
}

// beside returns the contents of a file in the network's directory.
func (o *opened) beside(location string) ([]byte, error) {
	name := filepath.FromSlash(location)
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%w: only files in the model's directory are read", fault.Invalid)
	}
	if o.root == nil {
		root, err := os.OpenRoot(o.dir)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fault.BadModel, err)
		}
		o.root = root
	}
	info, err := o.root.Stat(name) // opening what is no file may wait for ever
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: it is not there: %w", fault.BadModel, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("%w: only files in the model's directory are read: %w", fault.Invalid, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: it is no file", fault.BadModel)
	}
	f, err := o.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	defer f.Close() //nolint:errcheck // only read
	return o.mapped(location, f)
}
