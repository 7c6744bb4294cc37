package archive

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Limits are what an archive may hold. A field that is zero has its default.
type Limits struct {
	Total int64 // bytes unpacked; 16 GiB
	File  int64 // bytes of one file; 8 GiB
	Files int   // entries, directories included; 10,000
	Ratio int64 // bytes unpacked for each byte of the archive, once 16 MiB are unpacked; 200
	Path  int   // bytes of a path; 512
	Depth int   // elements of a path; 32
}

// freeRatio is what any archive may unpack to, whatever its ratio: small files of zeros are no bomb.
const freeRatio = 16 << 20

// errFound ends a pass that has found what it was for.
var errFound = errors.New("found")

// errTruncated is what archive/zip and archive/tar call an unexpected EOF.
var errTruncated = errors.New("its data ends early: the archive is cut off or damaged")

func (l Limits) withDefaults() Limits {
	return Limits{
		Total: cmp.Or(l.Total, 16<<30), File: cmp.Or(l.File, 8<<30), Files: cmp.Or(l.Files, 10_000),
		Ratio: cmp.Or(l.Ratio, 200), Path: cmp.Or(l.Path, 512), Depth: cmp.Or(l.Depth, 32),
	}
}

// item is one entry of an archive, as the archive declares it.
type item struct {
	name string // as it is in the archive
	dir  bool
	size int64
}

// visitor is shown an entry that has passed the checks: its clean name, and its data where it is a file. A visitor may
// leave the data unread.
type visitor func(name string, it item, open func() (io.ReadCloser, error)) error

// packed is an archive that is open for reading. Every pass over it checks every entry.
type packed struct {
	source string
	limits Limits
	most   int64 // bytes that it may unpack to
	file   *os.File
	walk   func(admit func(it item) (string, error), visit visitor) error // in the archive's order
}

func openPacked(source string, form Form, size int64, limits Limits) (*packed, error) {
	file, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("%w: open %s: %w", fault.BadModel, source, err)
	}
	p := &packed{source: source, limits: limits.withDefaults(), file: file}
	p.most = p.limits.Total
	if size < p.limits.Total/p.limits.Ratio {
		p.most = min(p.most, max(freeRatio, size*p.limits.Ratio))
	}
	p.walk = p.walkTar
	if form == FormMAR {
		if err := p.openZip(size); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return p, nil
}

// close gives the file back. It was only read: there is nothing to lose.
func (p *packed) close() { _ = p.file.Close() }

// list returns what is in the archive without unpacking it.
func (p *packed) list() (contents, error) {
	files := contents{source: p.source, sizes: map[string]int64{}, odd: map[string]string{}, read: p.read}
	err := p.each(func(name string, it item, _ func() (io.ReadCloser, error)) error {
		if !it.dir && !hidden(path.Dir(name)) {
			files.sizes[name] = it.size
		}
		return nil
	})
	return files.within(files.inner()), err
}

// read returns one small file.
func (p *packed) read(name string, limit int64) ([]byte, error) {
	var data []byte
	err := p.each(func(entry string, _ item, open func() (io.ReadCloser, error)) error {
		if entry != name {
			return nil
		}
		r, err := open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		if data, err = readAll(r, limit); err != nil {
			return err
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		return data, nil
	}
	return nil, cmp.Or(err, fs.ErrNotExist)
}

// unpack writes all files below dir, which is ours alone.
func (p *packed) unpack(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return p.notWritten(err)
	}
	defer func() { _ = root.Close() }()
	return p.each(func(name string, it item, open func() (io.ReadCloser, error)) error {
		local := filepath.FromSlash(name)
		dir := local
		if !it.dir {
			dir = filepath.Dir(local)
		}
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return p.notWritten(err)
		}
		if it.dir {
			return nil
		}
		r, err := open()
		if err != nil {
			return p.refuse(it.name, err)
		}
		defer func() { _ = r.Close() }()
		return p.write(ctx, root, local, it, r)
	})
}

// write copies one file, of exactly the size that its entry declares.
func (p *packed) write(ctx context.Context, root *os.Root, local string, it item, r io.Reader) error {
	file, err := root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return p.notWritten(err)
	}
	from := &source{ctx: ctx, from: io.LimitReader(r, it.size+1)}
	n, err := io.Copy(file, from)
	err = errors.Join(err, file.Close())
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("unpack %s: %w", p.source, ctx.Err())
	case from.err != nil:
		return p.refuse(it.name, from.err)
	case err != nil:
		return p.notWritten(err)
	case n != it.size:
		return p.refuse(it.name, fmt.Errorf("it holds more or less than the %d bytes that it declares", it.size))
	}
	return nil
}

// notWritten is an error of the disk that is unpacked to, and not of the archive.
func (p *packed) notWritten(err error) error {
	return fmt.Errorf("unpack %s: %w: %w: make room there, or have another directory with TMPDIR (TMP on Windows)", p.source, fault.Unavailable, err)
}

// source is a reader that ends with its context, and remembers an error: what it says is wrong with the archive and not
// with the disk.
type source struct {
	ctx  context.Context //nolint:containedctx // lives for one copy
	from io.Reader
	err  error
}

// Read reads from the archive.
func (s *source) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// each walks over the archive, checks every entry, and shows it.
func (p *packed) each(visit visitor) error {
	g := guard{limits: p.limits, most: p.most, seen: map[string]place{}}
	return p.walk(func(it item) (string, error) {
		name, err := g.admit(it)
		if err != nil {
			return "", p.refuse(it.name, err)
		}
		return name, nil
	}, visit)
}

// refuse is an error about one entry, or about the archive where entry is empty. What is no [fault.Kind] yet is the
// archive's fault.
func (p *packed) refuse(entry string, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errTruncated
	case errors.Is(err, zip.ErrFormat):
		err = errors.New("its header and its data do not fit: the archive is damaged")
	}
	if _, ok := errors.AsType[fault.Kind](err); !ok {
		err = fmt.Errorf("%w: %w", fault.BadModel, err)
	}
	if entry == "" {
		return fmt.Errorf("read %s: %w", p.source, err)
	}
	return fmt.Errorf("read %s: entry %.80q: %w", p.source, entry, err)
}

// guard checks the entries of one pass against the limits and against each other.
type guard struct {
	limits Limits
	most   int64
	files  int
	total  int64
	seen   map[string]place // by the path in lower case
}

// place is what lies at a path.
type place struct {
	name string
	dir  bool
}

// admit returns the clean path of an entry, "." for the top, or says why it is refused.
func (g *guard) admit(it item) (string, error) {
	g.files++
	if g.files > g.limits.Files {
		return "", fmt.Errorf("%w: the archive holds more than %d entries", fault.TooLarge, g.limits.Files)
	}
	name, err := g.clean(it.name)
	if err != nil || name == "." {
		if err == nil && !it.dir {
			err = errors.New("the name is empty")
		}
		return name, err
	}
	if it.size < 0 || it.size > g.limits.File {
		return "", fmt.Errorf("%w: it is larger than %s", fault.TooLarge, bytesText(g.limits.File))
	}
	if g.total += it.size; g.total > g.most {
		return "", fmt.Errorf("%w: the archive unpacks to more than %s, the most for one of its size", fault.TooLarge, bytesText(g.most))
	}
	return name, g.enter(name, it.dir)
}

// clean checks a name and returns it without "." and empty elements.
func (g *guard) clean(name string) (string, error) {
	switch {
	case len(name) > g.limits.Path:
		return "", fmt.Errorf("%w: the path is longer than %d bytes", fault.TooLarge, g.limits.Path)
	case !utf8.ValidString(name):
		return "", errors.New("the name is not UTF-8")
	case strings.IndexFunc(name, unicode.IsControl) >= 0:
		return "", errors.New("the name holds a control character")
	case strings.Contains(name, `\`):
		return "", errors.New("the name holds a backslash")
	case strings.HasPrefix(name, "/"), len(name) > 1 && name[1] == ':':
		return "", errors.New("the path is absolute")
	}
	elements := strings.Split(name, "/")
	if len(elements) > g.limits.Depth {
		return "", fmt.Errorf("%w: the path is deeper than %d directories", fault.TooLarge, g.limits.Depth)
	}
	for _, element := range elements {
		if element == ".." {
			return "", errors.New("the path leads out of the archive")
		}
		if len(element) > 255 {
			return "", fmt.Errorf("%w: a name is longer than 255 bytes", fault.TooLarge)
		}
	}
	clean := path.Clean(name)
	if !fs.ValidPath(clean) || !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", errors.New("the name is no path on this system")
	}
	return clean, nil
}

// enter remembers the path and the directories above it, and refuses what is there already. Names that differ only in
// case are one file on many systems.
func (g *guard) enter(name string, dir bool) error {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		if err := g.enterDir(above); err != nil {
			return err
		}
	}
	if dir {
		return g.enterDir(name)
	}
	key := strings.ToLower(name)
	if old, ok := g.seen[key]; ok {
		return g.twice(old, name)
	}
	g.seen[key] = place{name: name}
	return nil
}

func (g *guard) enterDir(name string) error {
	key := strings.ToLower(name)
	old, ok := g.seen[key]
	if ok && (!old.dir || old.name != name) {
		return g.twice(old, name)
	}
	g.seen[key] = place{name: name, dir: true}
	return nil
}

func (g *guard) twice(old place, name string) error {
	if old.name == name {
		return errors.New("the path is there twice")
	}
	return fmt.Errorf("the path differs from %.80q in letter case only", old.name)
}
