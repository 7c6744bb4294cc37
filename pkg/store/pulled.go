package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
)

// Pulled is a model that [Pull] brought. It is kept in a hidden file beside the model, and is what tells such a model from
// one that somebody put there: only what was pulled is replaced or removed.
type Pulled struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Path    string            `json:"path"`              // of the model
	URL     string            `json:"url"`               // without credentials and query; file: for one that was brought by hand
	SHA256  string            `json:"sha256"`            // of the file that was fetched, in hex
	Size    int64             `json:"size"`              // of that file, in bytes
	Licence string            `json:"licence,omitempty"` // where it is known
	Time    time.Time         `json:"time"`
	Files   map[string]string `json:"files,omitempty"` // of the model, by their paths from the store's directory with slashes: sha256 in hex
}

const recordSuffix = ".pulled.json"

// recordLimit is how large a record may be, in bytes.
const recordLimit = 1 << 20

// recordPath returns where the record of the model at path is.
func recordPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+recordSuffix)
}

// Pulled returns where the model was pulled from, and false for one that was not.
func (e Entry) Pulled() (Pulled, bool) { return readRecord(e.Source) }

// readRecord reads the record of the model at path. One that cannot be read is none: then nothing is removed.
func readRecord(path string) (Pulled, bool) {
	file, err := os.Open(recordPath(path))
	if err != nil {
		return Pulled{}, false
	}
	defer file.Close() //nolint:errcheck // only read
	var p Pulled
	if err := json.NewDecoder(io.LimitReader(file, recordLimit)).Decode(&p); err != nil || p.Name == "" || len(p.Files) == 0 {
		return Pulled{}, false
	}
	if _, err := os.Lstat(path); err != nil {
		return Pulled{}, false
	}
	p.Path = path
	return p, true
}

// writeRecord puts the record in its place, whole or not at all.
func writeRecord(p Pulled) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(p.Path), "."+filepath.Base(p.Path)+recordSuffix+"-")
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), recordPath(p.Path))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// pulled returns the records of the models in a directory.
func (d Dir) pulled() []Pulled {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return nil
	}
	var all []Pulled
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), recordSuffix)
		if base, hidden := strings.CutPrefix(base, "."); ok && hidden && base != "" {
			if p, ok := readRecord(filepath.Join(d.Path, base)); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

// hashFiles returns the hash of the file at path, or of each file below it, by their paths from path's directory. What is
// neither a file nor a directory has the hash "".
func hashFiles(path string) (map[string]string, error) {
	sums, top := map[string]string{}, filepath.Dir(path)
	err := filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(top, at)
		if err != nil {
			return err
		}
		sum := ""
		if entry.Type().IsRegular() {
			if sum, err = fetch.HashFile(at); err != nil {
				return err
			}
		}
		sums[filepath.ToSlash(name)] = sum
		return nil
	})
	return sums, err
}

// touched returns what is in a pulled model that was not pulled, or was changed since.
func (p Pulled) touched() ([]string, error) {
	sums, err := hashFiles(p.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", fault.Invalid, p.Path, err)
	}
	maps.DeleteFunc(sums, func(name, sum string) bool { return sum != "" && p.Files[name] == sum })
	return slices.Sorted(maps.Keys(sums)), nil
}
