// Package store answers which models lie in a list of directories. It reads what models say of themselves and opens
// none of them.
//
// The directories have an order. All of them are searched, and the first one that has a model of the wanted name answers
// for it; the same model further down is not seen. Within a directory a model is a sub-directory, a .mar, a .onnx, a
// .tar.gz or a .tgz. Its name and version come from its manifest and not from the file's name.
package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// Dir is a directory that models may lie in.
type Dir struct {
	Path     string
	Origin   string // where the path was said, for messages: "--model-store", "TSGO_MODEL_STORE", "user data directory"
	Required bool   // a directory that somebody asked for: it has to exist
}

// Entry is a model in the store.
type Entry struct {
	archive.Info        // Source is the model's path
	Dir          string // the directory of the store that it is in
}

// Name returns the model's name.
func (e Entry) Name() string { return e.Manifest.Name }

// Version returns the model's version.
func (e Entry) Version() string { return e.Manifest.Version }

// Store is a list of directories. It remembers nothing of what was in them: each call looks again. It is safe for
// concurrent use.
type Store struct{ dirs []Dir }

// New returns the store of these directories, the first of which comes first. A directory that is named twice counts
// where it is named first; an empty path does not count.
func New(dirs ...Dir) *Store {
	s := &Store{}
	seen := map[string]bool{}
	for _, dir := range dirs {
		path, err := filepath.Abs(dir.Path)
		if err != nil {
			path = filepath.Clean(dir.Path)
		}
		if dir.Path != "" && !seen[path] {
			s.dirs = append(s.dirs, dir)
		}
		seen[path] = true
	}
	return s
}

// List returns the models of all directories, sorted by name and version, each name and version once. What is broken is
// reported beside, one error for each file, and hides nothing.
func (s *Store) List() ([]Entry, []error) {
	var all []Entry
	var wrong []error
	seen := map[identity]bool{}
	for _, dir := range s.dirs {
		found, errs := dir.scan()
		for _, b := range errs {
			wrong = append(wrong, b.err)
		}
		for _, e := range found {
			if !seen[e.identity()] {
				all = append(all, e)
			}
			seen[e.identity()] = true
		}
	}
	slices.SortStableFunc(all, compareEntries)
	return all, wrong
}

// Check returns [fault.NotFound], or [fault.Invalid], where a directory that somebody asked for is not there or cannot be read.
func (s *Store) Check() error {
	for _, dir := range s.dirs {
		if err := dir.check(); dir.Required && err != nil {
			return err
		}
	}
	return nil
}

// Find returns the model of this name, in this version. An empty version is the highest one, in natural order (1.10 is
// above 1.9), of the first directory that has the model. It returns [fault.NoModel] or [fault.NoVersion], or, where a
// file that has the model's name is broken, what is wrong with it: a model further down does not stand in for it.
func (s *Store) Find(name, version string) (Entry, error) {
	if err := s.Check(); err != nil {
		return Entry{}, err
	}
	var all []Entry
	for _, dir := range s.dirs {
		if e, ok := dir.shortcut(name, version); ok {
			return e, nil
		}
		found, errs := dir.scan()
		if e, ok := highest(found, name, version); ok {
			return e, nil
		}
		if err := named(errs, name); err != nil {
			return Entry{}, err
		}
		all = append(all, found...)
	}
	return Entry{}, s.missing(name, version, all)
}

// highest returns the highest of the versions of a model, or the wanted one.
func highest(all []Entry, name, version string) (best Entry, ok bool) {
	for _, e := range all {
		if e.Name() != name || (version != "" && e.Version() != version) {
			continue
		}
		if !ok || CompareVersions(best.Version(), e.Version()) < 0 {
			best, ok = e, true
		}
	}
	return best, ok
}

// Looked says which directories were looked at, and which of them are not there, for messages.
func (s *Store) Looked() string {
	if len(s.dirs) == 0 {
		return "nowhere: no model store is set"
	}
	looked := make([]string, len(s.dirs))
	for i, dir := range s.dirs {
		looked[i] = dir.String()
		switch err := dir.check(); {
		case errors.Is(err, fault.NotFound):
			looked[i] += ", which is not there"
		case err != nil:
			looked[i] += ", which cannot be read"
		}
	}
	return strings.Join(looked, "; ")
}

// Inside returns the path of a model as it is below the first directory that has one there, with slashes, and whether it is in
// the store at all: [Store.At] leads back.
func (s *Store) Inside(path string) (name string, ok bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", false
	}
	for _, dir := range s.dirs {
		for _, root := range dir.roots() {
			if !below(root, path) {
				continue
			}
			if name, err = filepath.Rel(root, path); err != nil {
				continue
			}
			name = filepath.ToSlash(name)
			at, err := s.At(name)
			return name, err == nil && sameFile(at, path)
		}
	}
	return "", false
}

// At returns the path of the model that lies at a path below one of the directories, the first that has one. It returns
// [fault.NoModel] with [ErrNothing] in the chain where none has.
func (s *Store) At(name string) (path string, err error) {
	if local := filepath.FromSlash(name); filepath.IsLocal(local) {
		for _, dir := range s.dirs {
			if at := filepath.Join(dir.Path, local); likeModel(at) {
				return at, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w: %w (looked in %s)", name, fault.NoModel, ErrNothing, s.Looked())
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, wrong := os.Stat(b)
	return err == nil && wrong == nil && os.SameFile(one, other)
}

// String returns the path and where it was said.
func (d Dir) String() string {
	if d.Origin == "" {
		return d.Path
	}
	return fmt.Sprintf("%s (%s)", d.Path, d.Origin)
}

// roots returns the directory's absolute path, as it is said and with links followed.
func (d Dir) roots() []string {
	root, err := filepath.Abs(d.Path)
	if err != nil {
		return nil
	}
	if actual, err := filepath.EvalSymlinks(root); err == nil {
		return []string{root, actual}
	}
	return []string{root}
}

// check returns an error where there is no such directory, or it cannot be read.
func (d Dir) check() error {
	file, err := os.Open(d.Path)
	if err == nil {
		if _, err = file.Readdirnames(1); errors.Is(err, io.EOF) {
			err = nil
		}
		_ = file.Close()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: model store %s: no such directory", fault.NotFound, d)
	case err != nil:
		return fmt.Errorf("%w: model store %s: %w", fault.Invalid, d, err)
	}
	return nil
}

// missing explains that no model answers to name and version.
func (s *Store) missing(name, version string, all []Entry) error {
	var versions, names []string
	for _, e := range all {
		names = append(names, e.Name())
		if e.Name() == name {
			versions = append(versions, e.Version())
		}
	}
	if len(versions) > 0 {
		slices.SortFunc(versions, CompareVersions)
		return fmt.Errorf("%w: model %q has no version %q, it has %s",
			fault.NoVersion, name, version, strings.Join(slices.Compact(versions), ", "))
	}
	hint := nearest.Hint(name, names)
	return fmt.Errorf("%w: %q%s (looked in %s)", fault.NoModel, name, hint, s.Looked())
}

// broken is a file that looks like a model and cannot be read as one.
type broken struct {
	path string
	err  error
}

// named returns the error of the file that has a model's name.
func named(all []broken, name string) error {
	for _, b := range all {
		if b.path != "" && isFileOf(b.path, name) {
			return b.err
		}
	}
	return nil
}

// isFileOf reports whether the file or directory at path is called what a model of this name is.
func isFileOf(path, name string) bool {
	base := filepath.Base(path)
	form, _ := archive.FormOf(base)
	return base == name || strings.TrimSuffix(base, form.Ext(base)) == name
}

// scan reads all models in a directory. A missing one has none, unless it has to exist.
func (d Dir) scan() (found []Entry, wrong []broken) {
	if err := d.check(); errors.Is(err, fault.NotFound) && !d.Required {
		return nil, nil
	} else if err != nil {
		return nil, []broken{{err: err}}
	}
	files, err := os.ReadDir(d.Path)
	if err != nil {
		return nil, []broken{{err: fmt.Errorf("%w: model store %s: %w", fault.Invalid, d, err)}}
	}
	at := map[identity]int{}
	for _, file := range files {
		if !d.mayBeModel(file) {
			continue
		}
		path := filepath.Join(d.Path, file.Name())
		info, err := archive.Inspect(path)
		if errors.Is(err, archive.ErrNotModel) {
			continue
		}
		if err != nil {
			wrong = append(wrong, broken{path, err})
			continue
		}
		e := Entry{Info: info, Dir: d.Path}
		twin, ok := at[e.identity()]
		if !ok {
			at[e.identity()] = len(found)
			found = append(found, e)
			continue
		}
		if e.named() && !found[twin].named() {
			found[twin], e = e, found[twin]
		}
		wrong = append(wrong, broken{path, fmt.Errorf("%w: %s holds version %s of model %s, as %s does: it is not used",
			fault.Conflict, e.Source, e.Version(), e.Name(), found[twin].Source)})
	}
	return found, wrong
}

// mayBeModel looks at nothing but the name and the kind of a file. A link counts as what it leads to.
func (d Dir) mayBeModel(file fs.DirEntry) bool {
	if strings.HasPrefix(file.Name(), ".") {
		return false
	}
	if _, ok := archive.FormOf(file.Name()); ok || file.IsDir() {
		return true
	}
	if file.Type()&fs.ModeSymlink == 0 {
		return false
	}
	stat, err := os.Stat(filepath.Join(d.Path, file.Name()))
	return err == nil && stat.IsDir()
}

// shortcut finds a model whose version is wanted and whose file has its name, without reading the others.
func (d Dir) shortcut(name, version string) (Entry, bool) {
	if version == "" || name == "" || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return Entry{}, false
	}
	for _, ending := range []string{"", ".mar", ".onnx", ".tar.gz", ".tgz"} {
		info, err := archive.Inspect(filepath.Join(d.Path, name+ending))
		if err == nil && info.Manifest.Name == name && info.Manifest.Version == version {
			return Entry{Info: info, Dir: d.Path}, true
		}
	}
	return Entry{}, false
}

// named reports whether the model's file has the model's name.
func (e Entry) named() bool { return isFileOf(e.Source, e.Name()) }

// identity is what no two models of a store share.
type identity struct{ name, version string }

func (e Entry) identity() identity { return identity{e.Name(), e.Version()} }

func compareEntries(a, b Entry) int {
	return cmp.Or(strings.Compare(a.Name(), b.Name()), CompareVersions(a.Version(), b.Version()))
}
