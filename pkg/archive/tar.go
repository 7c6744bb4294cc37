package archive

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/tsgo/tsgo/pkg/fault"
)

// walkTar reads the whole archive, whatever its visitor reads of it, so that its checksum is checked.
func (p *packed) walkTar(admit func(item) (string, error), visit visitor) error {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return p.refuse("", err)
	}
	unzipped, err := gzip.NewReader(p.file)
	if err != nil {
		return p.refuse("", fmt.Errorf("it is not a tar.gz: %w", err))
	}
	// Headers are part of what is unpacked too: a gigabyte of them is as bad as one of data.
	const header, some = 2 << 10, 1 << 20
	stream := &bounded{from: unzipped, left: p.most + int64(p.limits.Files)*header + some, limit: p.most}
	r := tar.NewReader(stream)
	for {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p.refuse("", tarError(err))
		}
		if err := p.showTar(r, head, admit, visit); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return p.refuse("", err)
	}
	return nil
}

func (p *packed) showTar(r *tar.Reader, head *tar.Header, admit func(item) (string, error), visit visitor) error {
	it := item{name: head.Name, size: head.Size}
	switch head.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg:
	case tar.TypeDir:
		it.dir, it.size = true, 0
	case tar.TypeLink, tar.TypeSymlink:
		return p.refuse(it.name, errors.New("it is a link"))
	default:
		return p.refuse(it.name, errors.New("it is neither a file nor a directory"))
	}
	name, err := admit(it)
	if err != nil {
		return err
	}
	return visit(name, it, func() (io.ReadCloser, error) { return io.NopCloser(r), nil })
}

func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return errors.New("it is not a tar, or it is damaged")
	}
	return err
}

// bounded is a reader that may give only so much.
type bounded struct {
	from        io.Reader
	left, limit int64
}

// Read returns [fault.TooLarge] where more than the limit would come.
func (b *bounded) Read(data []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: the archive unpacks to more than %s, the most for one of its size", fault.TooLarge, bytesText(b.limit))
	}
	n, err := b.from.Read(data[:min(int64(len(data)), b.left)])
	b.left -= int64(n)
	return n, err
}
