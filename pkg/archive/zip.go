package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

// encrypted is the bit of an entry's flags that says that a password is needed.
const encrypted = 1

func (p *packed) openZip(size int64) error {
	r, err := zip.NewReader(p.file, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		if errors.Is(err, zip.ErrFormat) {
			err = p.noZip()
		}
		return p.refuse("", err)
	}
	p.walk = func(admit func(item) (string, error), visit visitor) error { return p.walkZip(r, admit, visit) }
	return nil
}

// noZip says why the file is no zip: only one that is whole has the table of contents at its end.
func (p *packed) noZip() error {
	head := make([]byte, 2)
	if _, err := p.file.ReadAt(head, 0); err == nil && string(head) == "PK" {
		return errors.New("it is cut off: the end of the zip is missing")
	}
	return errors.New("it is not a zip")
}

// walkZip checks the whole table of contents before it shows the first entry.
func (p *packed) walkZip(r *zip.Reader, admit func(item) (string, error), visit visitor) error {
	items := make([]item, 0, min(len(r.File), p.limits.Files))
	names := make([]string, 0, cap(items))
	for _, file := range r.File {
		it, err := zipItem(file)
		if err != nil {
			return p.refuse(file.Name, err)
		}
		name, err := admit(it)
		if err != nil {
			return err
		}
		items, names = append(items, it), append(names, name)
	}
	for i, file := range r.File {
		open := func() (io.ReadCloser, error) {
			return file.Open()
		}
		if err := visit(names[i], items[i], open); err != nil {
			return err
		}
	}
	return nil
}

func zipItem(file *zip.File) (item, error) {
	it := item{name: file.Name, dir: strings.HasSuffix(file.Name, "/")}
	kind := file.Mode().Type()
	switch {
	case kind == fs.ModeSymlink:
		return it, errors.New("it is a link")
	case it.dir && kind != fs.ModeDir, !it.dir && kind != 0:
		return it, errors.New("it is neither a file nor a directory")
	case file.Flags&encrypted != 0:
		return it, errors.New("it is encrypted")
	case file.Method != zip.Store && file.Method != zip.Deflate:
		return it, fmt.Errorf("it is compressed with method %d: want stored or deflated", file.Method)
	case it.dir && file.UncompressedSize64 > 0:
		return it, errors.New("it is a directory with data")
	case file.UncompressedSize64 > math.MaxInt64-1:
		it.size = -1 // refused by its size
		return it, nil
	}
	it.size = int64(file.UncompressedSize64)
	return it, nil
}
