package library

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// maxIncludes bounds how deep the loader's configuration may include itself.
const maxIncludes = 4

// configuredDirs returns the directories that a configuration of the ELF loader names, in order.
func configuredDirs(path string, depth int) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	var dirs []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimSpace(line)
		if rest, included := strings.CutPrefix(line, "include "); included && depth < maxIncludes {
			pattern := strings.TrimSpace(rest)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(path), pattern)
			}
			files, _ := filepath.Glob(pattern) // a malformed pattern names nothing
			for _, file := range files {
				dirs = append(dirs, configuredDirs(file, depth+1)...)
			}
		} else if filepath.IsAbs(line) {
			dirs = append(dirs, line)
		}
	}
	return dirs
}
