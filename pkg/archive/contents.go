package archive

import (
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

	"github.com/tsgo/tsgo/pkg/fault"
)

// contents are the files of a model, packed or not.
type contents struct {
	source string            // where they are, for messages
	sizes  map[string]int64  // by the file's path, with slashes
	odd    map[string]string // what is neither file nor directory, and why it is not read
	read   func(name string, limit int64) ([]byte, error)
	sniff  func(name string) content // see foreign; nil where that would cost more than it tells
}

// maxListed is how many files of a directory are looked at. A directory that holds more is no model.
const maxListed = 10_000

func (c contents) has(name string) bool {
	_, ok := c.sizes[name]
	return ok
}

func (c contents) names() []string { return slices.Sorted(maps.Keys(c.sizes)) }

func (c contents) size() int64 {
	var total int64
	for _, size := range c.sizes {
		total += size
	}
	return total
}

// top returns the files at the top whose names end in one of the endings.
func (c contents) top(endings ...string) []string {
	var found []string
	for _, name := range c.names() {
		if !strings.Contains(name, "/") && slices.Contains(endings, strings.ToLower(path.Ext(name))) {
			found = append(found, name)
		}
	}
	return found
}

// inner returns the one directory that everything else is in, or "". Hidden files do not count.
func (c contents) inner() string {
	var first string
	for _, name := range slices.AppendSeq(c.names(), maps.Keys(c.odd)) {
		head, _, nested := strings.Cut(name, "/")
		switch {
		case strings.HasPrefix(head, "."):
		case !nested, first != "" && head != first:
			return ""
		default:
			first = head
		}
	}
	if first == path.Dir(marManifest) {
		return ""
	}
	return first
}

// within returns the contents of the directory dir.
func (c contents) within(dir string) contents {
	if dir == "" {
		return c
	}
	inside := contents{source: c.source, sizes: below(dir, c.sizes), odd: below(dir, c.odd)}
	inside.read = func(name string, limit int64) ([]byte, error) { return c.read(dir+"/"+name, limit) }
	if c.sniff != nil {
		inside.sniff = func(name string) content { return c.sniff(dir + "/" + name) }
	}
	return inside
}

// below returns what is under dir, by the paths from there.
func below[V any](dir string, all map[string]V) map[string]V {
	under := map[string]V{}
	for name, value := range all {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			under[rest] = value
		}
	}
	return under
}

// readDirectory lists the directory root. Where everything in it is in one directory, that is the model's: inner is its
// name then.
func readDirectory(root *os.Root, source string) (files contents, inner string, err error) {
	files, err = readTree(root, source)
	if err != nil {
		return files, "", err
	}
	inner = files.inner()
	return files.within(inner), inner, nil
}

// readTree lists the directory root.
func readTree(root *os.Root, source string) (contents, error) {
	files := contents{source: source, sizes: map[string]int64{}, odd: map[string]string{}}
	files.read = func(name string, limit int64) ([]byte, error) { return readFile(root, name, limit) }
	files.sniff = func(name string) content { return sniff(root, name) }
	dirs := []string{"."}
	for len(dirs) > 0 && len(files.sizes)+len(files.odd) < maxListed {
		entries, err := fs.ReadDir(root.FS(), dirs[0])
		if err != nil {
			return files, fmt.Errorf("%w: list %s: %w", fault.BadModel, source, err)
		}
		for _, entry := range entries {
			name := path.Join(dirs[0], entry.Name())
			switch {
			case !entry.IsDir():
				files.add(root, name, entry)
			case !hidden(entry.Name()):
				dirs = append(dirs, name)
			}
		}
		dirs = dirs[1:]
	}
	return files, nil
}

// hidden reports whether a directory, or one above it, is hidden: a tool's, and not the model's.
func hidden(dir string) bool {
	return dir != "." && (strings.HasPrefix(dir, ".") || strings.Contains(dir, "/."))
}

// add enters what is not a directory. A link counts as the file it leads to, as long as that is in the directory; links
// to directories are not followed.
func (c contents) add(root *os.Root, name string, entry fs.DirEntry) {
	stat, err := entry.Info()
	if err == nil && stat.Mode()&fs.ModeSymlink != 0 {
		stat, err = root.Stat(filepath.FromSlash(name))
	}
	switch {
	case err != nil && entry.Type()&fs.ModeSymlink != 0:
		c.odd[name] = "it is a link that leads nowhere or out of the model's directory: put the file itself there"
	case err != nil:
		c.odd[name] = err.Error()
	case stat.Mode().IsRegular():
		c.sizes[name] = stat.Size()
	case !stat.IsDir():
		c.odd[name] = "it is not a file"
	}
}

// readFile reads a file that may not be larger than limit.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return readAll(file, limit)
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is larger than %s", bytesText(limit))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errTruncated
	}
	return data, err
}

// bytesText returns a size as people write it: "64 KiB", "1.5 GiB".
func bytesText(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n)/step, 0
	for value >= step && unit < 5 {
		value, unit = value/step, unit+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[unit]
}
