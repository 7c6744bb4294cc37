package archive

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Packing is how a parcel is written.
type Packing uint8

// The packings, by the names that TorchServe's archiver has for them.
const (
	PackDefault   Packing = iota // default: a .mar, deflated
	PackZipStore                 // zip-store: a .mar, not compressed
	PackTGZ                      // tgz: a .tar.gz, all in a directory of the model's name
	PackNoArchive                // no-archive: a directory of the model's name
)

// Packings returns the names of the packings.
func Packings() []string { return []string{"default", "zip-store", "tgz", "no-archive"} }

// ParsePacking returns the packing of a name, or [fault.Invalid].
func ParsePacking(name string) (Packing, error) {
	for i, known := range Packings() {
		if name == known {
			return Packing(i), nil
		}
	}
	return 0, fmt.Errorf("%w: archive format %q: want %s", fault.Invalid, name, strings.Join(Packings(), ", "))
}

func (p Packing) ending() string {
	switch p {
	case PackDefault, PackZipStore:
		return ".mar"
	case PackTGZ:
		return ".tar.gz"
	case PackNoArchive:
	}
	return ""
}

// WriteOptions say where a parcel goes.
type WriteOptions struct {
	Dir     string // is made where it is not there; empty is the current directory
	Packing Packing
	Force   bool // replaces an archive of that name, and a directory when it is a packed model
}

// Write writes the parcel and returns the path: the model's name in the directory, with the packing's ending. The path
// appears when all is written, and the same files make the same bytes. It returns [fault.Conflict] where something is
// there already, [fault.TooLarge] for an archive that [Open] would take for a bomb, [fault.BadModel] for a file that has
// changed since it was collected, [fault.Unavailable] where the directory cannot be written to, and ctx's error where
// that ends first; nothing is left then.
func (p *Parcel) Write(ctx context.Context, opts WriteOptions) (string, error) {
	to := filepath.Join(opts.Dir, p.Manifest.Name+opts.Packing.ending())
	if err := p.mayWrite(to, opts); err != nil {
		return "", err
	}
	if opts.Dir != "" {
		if err := os.MkdirAll(opts.Dir, 0o777); err != nil {
			return "", notPacked(to, err)
		}
	}
	temp := filepath.Join(opts.Dir, ".tsgo-pack-"+rand.Text())
	var err error
	if opts.Packing == PackNoArchive {
		err = p.writeDirectory(ctx, temp)
	} else {
		err = p.writeFile(ctx, temp, opts.Packing)
	}
	if err == nil {
		err = publish(temp, to, opts.Force)
	}
	if err == nil {
		return to, nil
	}
	if _, known := errors.AsType[fault.Kind](err); !known && ctx.Err() == nil {
		err = notPacked(to, err)
	}
	return "", errors.Join(err, os.RemoveAll(temp))
}

func notPacked(to string, err error) error {
	return fmt.Errorf("write %s: %w: %w", to, fault.Unavailable, err)
}

func conflict(to string) error {
	return fmt.Errorf("%s %w: take --force to replace it", to, fault.Conflict)
}

// mayWrite finds out before any work whether the parcel may go there.
func (p *Parcel) mayWrite(to string, opts WriteOptions) error {
	stat, err := os.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return notPacked(to, err)
	case opts.Packing != PackNoArchive && stat.IsDir():
		return fmt.Errorf("%s %w, as a directory", to, fault.Conflict)
	case opts.Packing != PackNoArchive && opts.Force:
		return nil
	case opts.Packing != PackNoArchive || !opts.Force:
		return conflict(to)
	case !stat.IsDir():
		return fmt.Errorf("%s %w, as something else than a directory: it is not replaced by one", to, fault.Conflict)
	}
	if manifest, err := os.Lstat(filepath.Join(to, filepath.FromSlash(marManifest))); err != nil || !manifest.Mode().IsRegular() {
		return fmt.Errorf("%s %w, as a directory without %s: it is no packed model, and not replaced", to, fault.Conflict, marManifest)
	}
	for _, e := range p.entries {
		if within(to, e.path) {
			return fmt.Errorf("%s %w, and holds %s, which is to be packed: have another directory with --export-path", to, fault.Conflict, e.path)
		}
	}
	return nil
}

// within reports whether a file is in the directory, by whatever names.
func within(dir, file string) bool {
	if file == "" {
		return false
	}
	stat, err := os.Stat(dir)
	if err != nil {
		return false
	}
	file, err = filepath.EvalSymlinks(file)
	if err != nil {
		return false
	}
	if file, err = filepath.Abs(file); err != nil {
		return false
	}
	for above := filepath.Dir(file); above != file; file, above = above, filepath.Dir(above) {
		if own, err := os.Stat(above); err == nil && os.SameFile(own, stat) {
			return true
		}
	}
	return false
}

// publish gives what is written its name.
func publish(temp, to string, force bool) error {
	stat, err := os.Lstat(temp)
	switch {
	case err != nil:
		return err
	case stat.IsDir():
		return publishDirectory(temp, to, force)
	case force:
		return os.Rename(temp, to)
	}
	if err := os.Link(temp, to); err == nil { // a link replaces nothing
		return os.Remove(temp)
	}
	if _, err := os.Lstat(to); err == nil {
		return conflict(to)
	}
	return os.Rename(temp, to) // a file system without links
}

func publishDirectory(temp, to string, force bool) error {
	old := temp + "-old"
	if force {
		if err := os.Rename(to, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := os.Lstat(to); err == nil {
		return conflict(to)
	}
	if err := os.Rename(temp, to); err != nil {
		back := os.Rename(old, to)
		if errors.Is(back, fs.ErrNotExist) {
			back = nil // nothing was there
		}
		return errors.Join(err, back)
	}
	return os.RemoveAll(old)
}

// writeFile writes an archive, and reads it again: what is written here has to be taken for a model elsewhere.
func (p *Parcel) writeFile(ctx context.Context, temp string, packing Packing) error {
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	form := FormMAR
	if packing == PackTGZ {
		form = FormTar
		err = p.writeTar(ctx, file)
	} else {
		err = p.writeZip(ctx, file, packing == PackDefault)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	stat, err := os.Stat(temp)
	if err != nil {
		return err
	}
	return p.readAgain(temp, form, stat.Size())
}

func (p *Parcel) readAgain(temp string, form Form, size int64) error {
	again, err := openPacked(temp, form, size, Limits{})
	if err != nil {
		return err
	}
	defer again.close()
	_, err = again.list()
	if errors.Is(err, fault.TooLarge) {
		return fmt.Errorf("%w: its files can be compressed so well that the archive would be refused as a bomb: "+
			"take --archive-format zip-store or no-archive", fault.TooLarge)
	}
	return err
}

func (p *Parcel) writeZip(ctx context.Context, to io.Writer, deflate bool) error {
	w := zip.NewWriter(to)
	for _, e := range p.entries {
		head := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: p.created}
		head.SetMode(0o644)
		create := w.CreateHeader
		if !deflate {
			// Sizes stand before the data then: readers that do not know where a stored file ends need them there.
			sum, err := e.sum(ctx)
			if err != nil {
				return err
			}
			head.Method, head.CRC32 = zip.Store, sum
			head.CompressedSize64, head.UncompressedSize64 = uint64(e.size), uint64(e.size)
			create = w.CreateRaw
		}
		into, err := create(head)
		if err != nil {
			return fmt.Errorf("write entry %q: %w", e.name, err)
		}
		if err := e.copy(ctx, into); err != nil {
			return err
		}
	}
	return w.Close()
}

func (p *Parcel) writeTar(ctx context.Context, to io.Writer) error {
	packer := gzip.NewWriter(to)
	w := tar.NewWriter(packer)
	for _, e := range p.entries {
		head := &tar.Header{
			Name: path.Join(p.Manifest.Name, e.name), Typeflag: tar.TypeReg, Mode: 0o644, Size: e.size, ModTime: p.created,
		}
		if err := w.WriteHeader(head); err != nil {
			return fmt.Errorf("write entry %q: %w", e.name, err)
		}
		if err := e.copy(ctx, w); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), packer.Close())
}

func (p *Parcel) writeDirectory(ctx context.Context, dir string) error {
	for _, e := range p.entries {
		to := filepath.Join(dir, filepath.FromSlash(e.name))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		if err := errors.Join(e.copy(ctx, file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// copy writes the file's data, of exactly the size that it had when it was collected.
func (e member) copy(ctx context.Context, to io.Writer) error {
	r, err := e.open()
	if err != nil {
		return fmt.Errorf("%w: %w", fault.BadModel, err)
	}
	defer func() { _ = r.Close() }()
	from := &source{ctx: ctx, from: r}
	n, err := io.CopyN(to, from, e.size)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("pack %s: %w", e.path, ctx.Err())
	case from.err != nil:
		return fmt.Errorf("%w: %w", fault.BadModel, from.err)
	case n < e.size && errors.Is(err, io.EOF):
		return e.changed()
	case err != nil:
		return err
	}
	if n, err := io.CopyN(io.Discard, from, 1); n > 0 || !errors.Is(err, io.EOF) {
		return e.changed()
	}
	return nil
}

func (e member) changed() error {
	return fmt.Errorf("%w: %s has changed while it was packed", fault.BadModel, e.path)
}

// sum returns the checksum of the file's data.
func (e member) sum(ctx context.Context) (uint32, error) {
	sum := crc32.NewIEEE()
	err := e.copy(ctx, sum)
	return sum.Sum32(), err
}
