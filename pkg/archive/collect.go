package archive

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
)

// Selection says what is packed, and what the archive says of it. Paths are those of the system. Of Source and Network at
// least one is set.
type Selection struct {
	// Source is the model: its directory, of which everything is packed but hidden files and models that are packed
	// already, or its network.
	Source string

	// Network is the network's file, where Source is empty, or holds several, or another one is to be packed.
	Network string

	Config       string   // a file in the place of the model's own model-config.yaml
	Requirements string   // a requirements.txt, which only Python handlers have a use for
	Extra        []string // files, and directories whose contents are packed; may have wildcards

	Name, Version, Handler string // instead of what the model says of itself
	Runtime                string // empty: as the model says, else python, which is what TorchServe's archiver writes

	Archiver string    // the version that packs
	Created  time.Time // of the archive and all in it; zero: 1980, the first year that a zip can tell
}

// Parcel are the files that make up a model, ready to be written.
type Parcel struct {
	Manifest Manifest // as it is read from what Write writes
	LeftOut  []string // files of the directory that are not packed, sorted
	Size     int64    // bytes of all files

	entries []member // MAR-INF/MANIFEST.json, and the others by name
	created time.Time
}

// member is one file to be packed.
type member struct {
	name string // in the archive
	path string // on disk; empty where data is what it holds
	data []byte
	size int64
}

func (e member) open() (io.ReadCloser, error) {
	if e.path == "" {
		return io.NopCloser(bytes.NewReader(e.data)), nil
	}
	return os.Open(e.path)
}

// sniff tells what the file holds, see foreign.
func (e member) sniff() content {
	file, err := os.Open(e.path)
	if err != nil {
		return content{}
	}
	defer func() { _ = file.Close() }()
	return foreign(file, e.size)
}

// Names returns the files, sorted, by their paths in the archive.
func (p *Parcel) Names() []string {
	names := make([]string, len(p.entries))
	for i, e := range p.entries {
		names[i] = e.name
	}
	return slices.Sorted(slices.Values(names))
}

// Collect finds the files that make up a model: those that are selected, and those that the network keeps its tensors in.
// It refuses what [Open] would refuse of the archive, with the same errors, [fault.NotFound] for a file that is not there,
// and [fault.Invalid] for two files of one name. It changes nothing on disk.
func Collect(s Selection) (*Parcel, error) {
	c := collector{source: cmp.Or(s.Source, s.Network), files: map[string]member{}}
	if c.source == "" {
		return nil, fmt.Errorf("%w: pack what? Name the model's directory or its .onnx file", fault.Invalid)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	identity, err := c.take(s)
	if err != nil {
		return nil, err
	}
	created := s.Created
	if first := time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC); created.Before(first) {
		created = first
	}
	created = created.UTC().Truncate(2 * time.Second) // as exact as a zip is
	written := identity.overridden(s, created)
	m, err := c.manifest(written)
	if err != nil {
		return nil, err
	}
	if err := c.takeExternal(m.SerializedFile); err != nil {
		return nil, err
	}
	written.Model.Name, written.Model.Version, written.Model.SerializedFile, written.Model.Handler = m.Name, m.Version, m.SerializedFile, m.Handler
	if m, err = c.manifest(written); err != nil {
		return nil, err
	}
	slices.Sort(c.leftOut)
	p := &Parcel{Manifest: m, LeftOut: c.leftOut, entries: c.entries(), created: created}
	for _, e := range p.entries {
		p.Size += e.size
	}
	return p, p.admit(c.source)
}

// check refuses what cannot stand in a manifest.
func (s Selection) check() error {
	switch {
	case s.Name != "" && !word.MatchString(s.Name):
		return fmt.Errorf("%w: the model's name %q: %s", fault.Invalid, s.Name, wordRule)
	case s.Version != "" && !word.MatchString(s.Version):
		return fmt.Errorf("%w: the model's version %q: %s", fault.Invalid, s.Version, wordRule)
	case !printable(s.Handler):
		return fmt.Errorf("%w: the handler %q: want at most %d printable characters", fault.Invalid, s.Handler, maxText)
	case s.Runtime != "" && !slices.Contains(runtimes(), s.Runtime):
		return fmt.Errorf("%w: the runtime %q: want python, python3 or LSP", fault.Invalid, s.Runtime)
	}
	return nil
}

// admit refuses names that cannot be unpacked everywhere.
func (p *Parcel) admit(source string) error {
	limits := Limits{}.withDefaults()
	g := guard{limits: limits, most: limits.Total, seen: map[string]place{}}
	for _, e := range p.entries {
		if _, err := g.admit(item{name: e.name, size: e.size}); err != nil {
			return (&packed{source: source}).refuse(e.name, err)
		}
	}
	return nil
}

// marWritten is MAR-INF/MANIFEST.json as TorchServe's archiver writes it, key by key.
type marWritten struct {
	CreatedOn string `json:"createdOn"`
	Runtime   string `json:"runtime"`
	Model     struct {
		Name             string `json:"modelName,omitempty"`
		SerializedFile   string `json:"serializedFile,omitempty"`
		Handler          string `json:"handler,omitempty"`
		Version          string `json:"modelVersion,omitempty"`
		RequirementsFile string `json:"requirementsFile,omitempty"`
		ConfigFile       string `json:"configFile,omitempty"`
	} `json:"model"`
	Archiver string `json:"archiverVersion,omitempty"`
}

// identity is what is known of a model before its settings are read: of its own MANIFEST.json, and of the files that were
// selected.
type identity struct {
	Manifest

	config, requirements string
}

// overridden returns the manifest of an archive, as far as the selection says something else than the model, or nobody else
// says it.
func (i identity) overridden(s Selection, created time.Time) marWritten {
	w := marWritten{CreatedOn: created.Format("02/01/2006 15:04:05"), Runtime: cmp.Or(s.Runtime, i.Runtime, "python"), Archiver: s.Archiver}
	w.Model.Name = cmp.Or(s.Name, i.Name)
	w.Model.Version = cmp.Or(s.Version, i.Version)
	w.Model.Handler = cmp.Or(s.Handler, i.Handler)
	w.Model.SerializedFile = i.SerializedFile
	w.Model.RequirementsFile, w.Model.ConfigFile = i.requirements, i.config
	return w
}

// collector gathers files.
type collector struct {
	source  string
	files   map[string]member // by name
	leftOut []string
}

// take gathers what is selected.
func (c *collector) take(s Selection) (i identity, err error) {
	var own Manifest
	if s.Source != "" {
		if own, i.config, err = c.takeSource(s.Source); err != nil {
			return i, err
		}
	}
	i.Manifest = own
	if s.Network != "" {
		if i.SerializedFile, err = c.takeNamed("the network", s.Network); err != nil {
			return i, err
		}
	}
	if s.Config != "" {
		delete(c.files, path.Base(filepath.ToSlash(s.Config))) // it takes the place of the model's own
		if i.config, err = c.takeNamed("the configuration", s.Config); err != nil {
			return i, err
		}
	}
	if s.Requirements != "" {
		if i.requirements, err = c.takeNamed("the requirements", s.Requirements); err != nil {
			return i, err
		}
	}
	for _, pattern := range s.Extra {
		if err := c.takeExtra(strings.TrimSpace(pattern)); err != nil {
			return i, err
		}
	}
	if found := (contents{sizes: c.sizes()}).findConfig(); i.config == "" && c.files[found].size > 0 {
		i.config = found
	}
	return i, nil
}

// takeSource gathers a directory or a network, and returns what a directory's own MANIFEST.json says.
func (c *collector) takeSource(source string) (own Manifest, config string, err error) {
	form, size, err := look(source)
	switch {
	case err != nil:
		return own, "", err
	case form == FormONNX:
		return own, "", c.add(member{name: filepath.Base(source), path: source, size: size})
	case form == FormMAR, form == FormTar:
		return own, "", fmt.Errorf("%w: %s is packed already", fault.Invalid, source)
	}
	root, err := os.OpenRoot(source)
	if err != nil {
		return own, "", fmt.Errorf("%w: open %s: %w", fault.BadModel, source, err)
	}
	defer func() { _ = root.Close() }()
	tree, inner, err := readDirectory(root, source)
	if err != nil {
		return own, "", err
	}
	if err := c.takeTree(tree, filepath.Join(source, inner)); err != nil {
		return own, "", err
	}
	return tree.readMAR()
}

// takeTree gathers the files in a directory.
func (c *collector) takeTree(tree contents, dir string) error {
	if len(tree.sizes) >= maxListed {
		return fmt.Errorf("%w: %s holds %d files or more", fault.TooLarge, dir, maxListed)
	}
	for _, name := range slices.Sorted(maps.Keys(tree.odd)) {
		if !tree.leaves(name) {
			return fmt.Errorf("%w: %s/%s: %s", fault.BadModel, dir, name, tree.odd[name])
		}
	}
	for _, name := range tree.names() {
		switch {
		case name == marManifest: // a new one is written
		case tree.leaves(name):
			c.leftOut = append(c.leftOut, name)
		default:
			if err := c.add(member{name: name, path: filepath.Join(dir, filepath.FromSlash(name)), size: tree.sizes[name]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaves reports whether a file of a directory is left out: a hidden one, what Python and macOS leave behind, and models
// that are packed.
func (c contents) leaves(name string) bool {
	elements := strings.Split(name, "/")
	for i, element := range elements {
		if strings.HasPrefix(element, ".") || element == "__pycache__" || element == "__MACOSX" {
			return true
		}
		if i > 0 && c.has(path.Join(path.Join(elements[:i]...), marManifest)) {
			return true
		}
	}
	form, _ := FormOf(name)
	return form == FormMAR || form == FormTar
}

// takeNamed gathers one file, to lie at the top unless it is gathered already, and returns its name in the archive.
func (c *collector) takeNamed(what, file string) (string, error) {
	stat, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s %q: no such file", fault.NotFound, what, file)
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", fault.Invalid, what, err)
	case !stat.Mode().IsRegular():
		return "", fmt.Errorf("%w: %s %q is no file", fault.Invalid, what, file)
	}
	for _, e := range c.entries() {
		if path.Base(e.name) == filepath.Base(file) && e.is(stat) {
			return e.name, nil
		}
	}
	name := filepath.Base(file)
	return name, c.add(member{name: name, path: file, size: stat.Size()})
}

// is reports whether the member is that file.
func (e member) is(stat fs.FileInfo) bool {
	own, err := os.Stat(e.path)
	return err == nil && os.SameFile(own, stat)
}

// takeExtra gathers the files that a pattern stands for, and the contents of such directories.
func (c *collector) takeExtra(pattern string) error {
	found := []string{pattern}
	if _, err := os.Stat(pattern); err != nil {
		found, err = filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("%w: extra files %q: %w", fault.Invalid, pattern, err)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: extra files %q: no such file", fault.NotFound, pattern)
	}
	for _, file := range found {
		if stat, err := os.Stat(file); err == nil && stat.IsDir() {
			err = c.takeExtraTree(file)
			if err != nil {
				return err
			}
			continue
		}
		if _, err := c.takeNamed("the extra file", file); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) takeExtraTree(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%w: extra files %s: %w", fault.Invalid, dir, err)
	}
	defer func() { _ = root.Close() }()
	tree, err := readTree(root, dir)
	if err != nil {
		return err
	}
	return c.takeTree(tree, dir)
}

// takeExternal gathers the files that the network's tensors stand in, where they are not among the others.
func (c *collector) takeExternal(network string) error {
	file := c.files[network].path
	beside, err := Beside(file)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(beside)) {
		e := member{name: path.Join(path.Dir(network), name), path: filepath.Join(filepath.Dir(file), filepath.FromSlash(name)), size: beside[name]}
		if err := c.add(e); err != nil {
			return err
		}
		c.leftOut = slices.DeleteFunc(c.leftOut, func(left string) bool { return left == e.name })
	}
	return nil
}

// Beside returns the files that the tensors of the network at a path stand in, by their paths with slashes from its
// directory, and their sizes in bytes. It returns what [onnx.Files] does, and [fault.BadModel] for a file that is not there.
func Beside(network string) (map[string]int64, error) {
	names, err := onnx.Files(network)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Dir(network))
	if err != nil {
		return nil, fmt.Errorf("%w: open %s: %w", fault.BadModel, network, err)
	}
	defer func() { _ = root.Close() }()
	sizes := make(map[string]int64, len(names))
	for _, name := range names {
		stat, err := root.Stat(filepath.FromSlash(name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w: tensors of %s are in %q, which is not there: put it beside the network", fault.BadModel, network, name)
		case err != nil:
			return nil, fmt.Errorf("%w: tensors of %s are in %q: %w", fault.BadModel, network, name, err)
		case !stat.Mode().IsRegular():
			return nil, fmt.Errorf("%w: tensors of %s are in %q, which is no file", fault.BadModel, network, name)
		}
		sizes[name] = stat.Size()
	}
	return sizes, nil
}

// add enters a file. The same one may come twice, another one of its name may not.
func (c *collector) add(e member) error {
	old, ok := c.files[e.name]
	if !ok {
		c.files[e.name] = e
		return nil
	}
	if stat, err := os.Stat(e.path); err == nil && old.is(stat) {
		return nil
	}
	return fmt.Errorf("%w: two files would be %q in the archive: %s and %s", fault.Invalid, e.name, old.path, e.path)
}

// manifest reads the manifest that the files have together with this one, which it enters among them.
func (c *collector) manifest(w marWritten) (Manifest, error) {
	data, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return Manifest{}, fmt.Errorf("write %s: %w", marManifest, err)
	}
	data = append(data, '\n')
	c.files[marManifest] = member{name: marManifest, data: data, size: int64(len(data))}
	files := contents{source: c.source, sizes: c.sizes(), read: func(name string, limit int64) ([]byte, error) {
		r, err := c.files[name].open()
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Close() }()
		return readAll(r, limit)
	}, sniff: func(name string) content { return c.files[name].sniff() }}
	return files.manifest(c.source)
}

func (c *collector) sizes() map[string]int64 {
	sizes := make(map[string]int64, len(c.files))
	for name, e := range c.files {
		sizes[name] = e.size
	}
	return sizes
}

// entries returns the files, the manifest first: whoever reads an archive from its beginning has it at once.
func (c *collector) entries() []member {
	return slices.SortedFunc(maps.Values(c.files), func(a, b member) int {
		switch marManifest {
		case a.name:
			return -1
		case b.name:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
}
