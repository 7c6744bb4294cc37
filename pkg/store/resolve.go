package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Why a location leads to no model.
var (
	ErrRelative   = errors.New("relative paths that lead upwards are not allowed")
	ErrNotAllowed = errors.New("it is neither in the model store nor at an allowed URL")
	ErrNothing    = errors.New("nothing is there")
)

// Resolve returns the path of the model that a registration names: a model's name, with or without a version, a file's or
// directory's name in the store, a path inside the store, or a file:// URL that one of allowed matches whole. It returns
// [fault.NoModel], with the cause in the chain, for everything else, and [fault.Unsupported] for other URLs that are
// allowed: nothing is fetched.
func (s *Store) Resolve(location string, allowed []*regexp.Regexp) (string, error) {
	if location == "" {
		return "", fmt.Errorf("%w: empty url", fault.NoModel)
	}
	if strings.Contains(location, "..") {
		return "", fmt.Errorf("%s: %w: %w", location, fault.NoModel, ErrRelative)
	}
	if u, err := url.Parse(location); err == nil && len(u.Scheme) > 1 {
		return resolveURL(u, location, allowed)
	}
	if name, version, _ := strings.Cut(location, "/"); !strings.Contains(version, "/") {
		if entry, err := s.Find(name, version); err == nil {
			return entry.Source, nil
		}
	}
	for _, dir := range s.dirs {
		path := location
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir.Path, location)
		}
		if inside(dir.Path, path) {
			return path, nil
		}
	}
	if filepath.IsAbs(location) {
		return "", fmt.Errorf("%s: %w: %w", location, fault.NoModel, ErrNotAllowed)
	}
	return "", fmt.Errorf("%s: %w: %w; looked at %s", location, fault.NoModel, ErrNothing, s.Looked())
}

func resolveURL(u *url.URL, location string, allowed []*regexp.Regexp) (string, error) {
	ok := false
	for _, pattern := range allowed {
		ok = ok || pattern.MatchString(location)
	}
	switch {
	case !ok:
		return "", fmt.Errorf("%s: %w: %w", location, fault.NoModel, ErrNotAllowed)
	case u.Scheme != "file":
		return "", fmt.Errorf("%s: registering from %s URLs: %w; put the file into the model store and register it by its name", location, u.Scheme, fault.Unsupported)
	}
	if _, err := os.Stat(u.Path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w: %w", location, fault.NoModel, ErrNothing)
	}
	return u.Path, nil
}

// inside tells whether path is there, and in dir, links followed.
func inside(dir, path string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	actual, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false
	}
	actual, err = filepath.Abs(actual)
	return err == nil && strings.HasPrefix(actual, dir+string(filepath.Separator))
}
