// Package archive reads a model on disk: a directory, the same files in a .mar or a .tar.gz, or a bare .onnx. All forms
// become one [Model]; nothing above this package knows which one it was.
//
// An archive comes from somewhere else, so it is believed in nothing: names, sizes, counts and kinds of its entries are
// checked before anything is written, and a refused archive leaves nothing on disk. Every refusal is a
// [fault.BadModel], a [fault.TooLarge] or a [fault.Unsupported] that names the archive, the entry and the cause.
//
// The package says what a manifest holds. Whether a handler of that name exists and what its settings mean is for the
// layers above, and so is what the network computes.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// ErrNotModel is in the chain of the error for a directory that holds neither a manifest nor a network: a directory of
// something else, more likely than a broken model.
var ErrNotModel = errors.New("it holds neither a manifest (model-config.yaml, MAR-INF/MANIFEST.json) nor an .onnx file")

// Form is how a model lies on disk.
type Form uint8

// The forms.
const (
	FormDirectory Form = iota // a directory with its files
	FormONNX                  // a network alone
	FormMAR                   // a .mar: a zip, usually with MAR-INF/MANIFEST.json
	FormTar                   // a .tar.gz or .tgz
)

// String returns "directory", "onnx", "mar" or "tar.gz".
func (f Form) String() string {
	switch f {
	case FormDirectory:
		return "directory"
	case FormONNX:
		return "onnx"
	case FormMAR:
		return "mar"
	case FormTar:
		return "tar.gz"
	}
	return "unknown"
}

// Ext returns how a file's name of this form ends, in the case of name, or "" where name ends otherwise or the form has
// no ending.
func (f Form) Ext(name string) string {
	var endings []string
	switch f {
	case FormDirectory:
	case FormONNX:
		endings = []string{".onnx"}
	case FormMAR:
		endings = []string{".mar"}
	case FormTar:
		endings = []string{".tar.gz", ".tgz"}
	}
	for _, ending := range endings {
		if at := len(name) - len(ending); at >= 0 && strings.EqualFold(name[at:], ending) {
			return name[at:]
		}
	}
	return ""
}

// FormOf returns the form that a file of this name has, and false where its name is none of a model. It looks at nothing
// but the name, and so never answers [FormDirectory].
func FormOf(name string) (Form, bool) {
	for _, form := range []Form{FormONNX, FormMAR, FormTar} {
		if form.Ext(name) != "" {
			return form, true
		}
	}
	return FormDirectory, false
}

// Options are how a model is opened.
type Options struct {
	TempDir string // where archives are unpacked; empty is the system's directory for temporary files
	Limits  Limits // what an archive may hold
}

// Info is what a model says of itself, and where it lies.
type Info struct {
	Manifest Manifest
	Source   string // the path that was opened, as it was given
	Form     Form
	Size     int64 // bytes of the file; of a directory, the sum of its files
}

// Model is an open model. Its methods are safe for concurrent use, but for Close.
type Model struct {
	Info

	root    *os.Root // the model's directory; nil for a bare network
	weights string
	count   int    // files
	total   int64  // bytes of all files, unpacked
	temp    string // what Close removes; empty where nothing was unpacked
}

// Open reads the model at path: a directory, an .onnx, a .mar, a .tar.gz or .tgz. An archive is unpacked into a private
// directory, which Close removes; a failed Open leaves nothing. It returns [fault.NotFound] where nothing is at path,
// [fault.BadModel] for a broken model, [fault.TooLarge] for one over the limits, [fault.Unsupported] for one without a
// network in ONNX, [fault.Unavailable] where an archive cannot be unpacked, as on a full disk, and ctx's error where that
// ends first.
func Open(ctx context.Context, path string, opts Options) (*Model, error) {
	form, size, err := look(path)
	if err != nil {
		return nil, about(PartForm, err)
	}
	m := &Model{Info: Info{Source: path, Form: form, Size: size}}
	switch form {
	case FormONNX:
		err = m.openBare()
	case FormDirectory:
		err = m.openDirectory(path)
	case FormMAR, FormTar:
		err = m.openPacked(ctx, opts)
	}
	if err == nil {
		err = about(PartNetwork, checkNetwork(m.Source, m.Manifest.SerializedFile, m.openWeights))
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Contents returns how many files the model has, and how many bytes these are unpacked.
func (m *Model) Contents() (files int, size int64) { return m.count, m.total }

// Files returns the model's directory, for what a handler wants to read beside the labels. No name and no symbolic link
// leads out of it. A bare .onnx has no directory of its own: nothing is in its Files, whatever lies beside it.
func (m *Model) Files() fs.FS {
	if m.root == nil {
		return nothing{}
	}
	return m.root.FS()
}

// Weights returns the absolute path of the network. Tensors that the network keeps in files of their own lie beside it.
func (m *Model) Weights() string { return m.weights }

// Labels returns the names of the classes, by their index: the file that the manifest names, else labels.txt, else
// index_to_name.json. An index that has no label gets itself in digits. A model without any such file has nil.
func (m *Model) Labels() ([]string, error) {
	name := m.Manifest.Labels
	if name == "" || m.root == nil {
		return nil, nil
	}
	data, err := readFile(m.root, name, labelsLimit)
	var labels []string
	if err == nil {
		labels, err = parseLabels(name, data)
	}
	if err != nil {
		return nil, about(PartLabels, fmt.Errorf("%w: %s/%s: %w", fault.BadModel, m.Source, name, err))
	}
	return labels, nil
}

// Close removes what Open unpacked. The paths and the Files of the model are dead then. A second Close does nothing.
func (m *Model) Close() error {
	var err error
	if m.root != nil {
		err = m.root.Close()
	}
	if m.temp != "" {
		err = errors.Join(err, os.RemoveAll(m.temp))
		m.temp = ""
	}
	return err
}

// look tells what is at path.
func look(path string) (Form, int64, error) {
	stat, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, 0, fmt.Errorf("%w: no model at %q: no such file or directory", fault.NotFound, path)
	case err != nil:
		return 0, 0, fmt.Errorf("%w: open model: %w", fault.BadModel, err)
	case stat.IsDir():
		return FormDirectory, 0, nil
	case !stat.Mode().IsRegular():
		return 0, 0, fmt.Errorf("%w: %s is neither a file nor a directory", fault.BadModel, path)
	}
	form, ok := FormOf(path)
	if !ok {
		return 0, 0, notModel(path)
	}
	if stat.Size() == 0 {
		return 0, 0, fmt.Errorf("%w: %s is empty", fault.BadModel, path)
	}
	return form, stat.Size(), nil
}

func (m *Model) openBare() error {
	m.Manifest = bareManifest(m.Source)
	m.count, m.total = 1, m.Size
	var err error
	if m.weights, err = filepath.Abs(m.Source); err != nil {
		return fmt.Errorf("open %s: %w", m.Source, err)
	}
	return nil
}

// openDirectory reads the model whose files are in dir, which is the model's source or what that was unpacked to.
func (m *Model) openDirectory(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%w: open %s: %w", fault.BadModel, m.Source, err)
	}
	m.root = root
	files, inner, err := readDirectory(root, m.Source)
	if err != nil {
		return err
	}
	m.count, m.total = len(files.sizes), files.size()
	if m.Form == FormDirectory {
		m.Size = m.total
	}
	if m.Manifest, err = files.manifest(m.Source); err != nil {
		return err
	}
	if inner != "" {
		if m.root, err = root.OpenRoot(inner); err != nil {
			m.root = root
			return fmt.Errorf("%w: open %s: %w", fault.BadModel, m.Source, err)
		}
		if err := root.Close(); err != nil {
			return fmt.Errorf("open %s: %w", m.Source, err)
		}
	}
	m.weights, err = filepath.Abs(filepath.Join(dir, inner, filepath.FromSlash(m.Manifest.SerializedFile)))
	if err != nil {
		return fmt.Errorf("open %s: %w", m.Source, err)
	}
	return nil
}

func (m *Model) openPacked(ctx context.Context, opts Options) error {
	packed, err := openPacked(m.Source, m.Form, m.Size, opts.Limits)
	if err != nil {
		return about(PartForm, err)
	}
	defer packed.close()
	if m.temp, err = os.MkdirTemp(opts.TempDir, "tsgo-model-"); err != nil {
		return packed.notWritten(err)
	}
	if err := packed.unpack(ctx, m.temp); err != nil {
		return about(PartContents, err)
	}
	return m.openDirectory(m.temp)
}

func (m *Model) openWeights() (fs.File, error) {
	if m.root == nil {
		return os.Open(m.weights)
	}
	return m.root.Open(filepath.FromSlash(m.Manifest.SerializedFile))
}

// checkNetwork finds out early, and in plain words, that a network cannot be read or is none.
func checkNetwork(source, name string, open func() (fs.File, error)) error {
	file, err := open()
	if err != nil {
		return fmt.Errorf("%w: %s: the network %q cannot be read: %w", fault.BadModel, source, name, err)
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, len(pointerHead))
	n, err := io.ReadFull(file, head)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %s: the network %q is empty", fault.BadModel, source, name)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %s: the network %q cannot be read: %w", fault.BadModel, source, name, err)
	case string(head[:n]) == pointerHead:
		return fmt.Errorf("%w: %s: %q is a pointer of Git LFS and not the network: fetch it with git lfs pull",
			fault.BadModel, source, name)
	}
	return checkForeign(source, name, file)
}

// pointerHead is how a pointer of Git LFS begins, which lies in a file's place until git lfs pull.
const pointerHead = "version https://git-lfs.github.com/spec/"

// nothing is an empty file system.
type nothing struct{}

// Open returns [fs.ErrNotExist].
func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// baseName returns the last element of source without the ending of its form.
func baseName(source string) string {
	if abs, err := filepath.Abs(source); err == nil {
		source = abs
	}
	base := path.Base(filepath.ToSlash(source))
	if form, ok := FormOf(base); ok {
		base = strings.TrimSuffix(base, form.Ext(base))
	}
	return base
}
