package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
)

// Why a location leads to no model.
var (
	ErrRelative   = errors.New("paths that lead upwards are not allowed")
	ErrNotAllowed = errors.New("it is neither in the model store nor at an allowed URL")
	ErrNothing    = errors.New("nothing is there")
)

// Sources are the places outside of the store that a location may name, and how models are brought from there.
type Sources struct {
	Allowed []*regexp.Regexp // of URLs; each has to match a URL from its first to its last character. None: the store alone
	Client  *http.Client     // for what is fetched; nil: fetch's own
	Limit   int64            // of what is fetched, in bytes; 0: fetch's default
}

// Resolve returns the path of the model that a location names. A location comes from afar and is not trusted. It is
//
//   - the name of a model in the store, or "name/version": what [Store.Find] finds;
//   - the name of a file or directory that lies in one of the store's directories;
//   - a path, absolute or relative to one of those directories or to the working directory. What it leads to, links
//     followed, lies in one of those directories, or is allowed as a file:// URL;
//   - a file:// URL that is allowed, and that leads, links followed, to where one is allowed too, or into the store;
//   - a http:// or https:// URL that is allowed. Its file is fetched into the store's first directory, where there must be
//     none of its name. Every redirect on the way has to lead to an allowed URL.
//
// It returns [fault.NoModel], with one of the causes above in the chain, for a location that leads nowhere or is out of
// bounds; [fault.Download] and [fault.Timeout] for what cannot be fetched, the former with [ErrNotAllowed] in its chain
// where a redirect is out of bounds; [fault.Conflict] for a file that is in the store already; [fault.BadModel] for
// a fetched file that is no model, and for a broken one that has the wanted name; [fault.Invalid] for a URL that cannot be
// and [fault.Unsupported] for one of another scheme.
func (s *Store) Resolve(ctx context.Context, location string, from Sources) (string, error) {
	switch {
	case location == "":
		return "", fmt.Errorf("%w: the location is empty: %w", fault.NoModel, ErrNothing)
	case upwards(location):
		return "", refuse(location, ErrRelative)
	case hasScheme.MatchString(location):
		return s.resolveURL(ctx, location, from)
	case strings.ContainsAny(location, `/`+string(filepath.Separator)):
		return s.resolvePath(location, from)
	}
	return s.resolveName(location)
}

// hasScheme matches a URL. A single letter in front of the colon is a drive.
var hasScheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]+://|(?i)file:)`)

// upwards tells whether one of the parts of a path is "..".
func upwards(path string) bool {
	return slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), "..")
}

func refuse(location string, cause error) error {
	return fmt.Errorf("%s: %w: %w", location, fault.NoModel, cause)
}

// allow tells whether a URL is allowed. A pattern that only matches a part of it does not count.
func (f Sources) allow(location string) bool {
	return slices.ContainsFunc(f.Allowed, func(pattern *regexp.Regexp) bool {
		whole, err := regexp.Compile(`\A(?:` + pattern.String() + `)\z`)
		return err == nil && whole.MatchString(location)
	})
}

// allowFile is allow for a path.
func (f Sources) allowFile(path string) bool { return f.allow(fileURL(path)) }

// fileURL returns an absolute path as a URL.
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive's letter comes first
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// resolveName finds what has no separator. A name that ends like a model's file is first of all one.
func (s *Store) resolveName(name string) (string, error) {
	at, there := s.child(name)
	if _, file := archive.FormOf(name); there && file {
		return at, nil
	}
	entry, err := s.Find(name, "")
	switch {
	case err == nil:
		return entry.Source, nil
	case fault.Of(err) != fault.NoModel:
		return "", err
	case there:
		return at, nil
	}
	return "", fmt.Errorf("%w: %w", ErrNothing, err)
}

// child returns the path of the first file or directory of this name that lies in one of the directories. As for
// [Store.List], a link there counts as what it leads to.
func (s *Store) child(name string) (string, bool) {
	if strings.HasPrefix(name, ".") || !filepath.IsLocal(name) {
		return "", false
	}
	for _, dir := range s.dirs {
		if at := filepath.Join(dir.Path, name); likeModel(at) {
			return at, true
		}
	}
	return "", false
}

// likeModel tells whether there is a directory, or a file that is called like a model's.
func likeModel(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	_, named := archive.FormOf(path)
	return info.IsDir() || named && info.Mode().IsRegular()
}

// resolvePath finds what a path names.
func (s *Store) resolvePath(location string, from Sources) (string, error) {
	outside := false
	for _, at := range s.candidates(location) {
		actual, err := filepath.EvalSymlinks(at)
		switch {
		case err == nil && s.holds(actual), err == nil && from.allowFile(at) && from.allowFile(actual):
			if likeModel(actual) {
				return actual, nil
			}
		case filepath.IsAbs(location) && !s.holds(at): // the same whether it is there or not: that is nobody's business
			outside = true
		case err == nil && s.holds(at): // a link leads out of the store
			outside = true
		}
	}
	name, version, _ := strings.Cut(location, "/")
	if version != "" && !strings.Contains(version, "/") {
		if entry, err := s.Find(name, version); err == nil {
			return entry.Source, nil
		}
	}
	if outside {
		return "", refuse(location, ErrNotAllowed)
	}
	return "", fmt.Errorf("%s: %w: %w (looked in %s)", location, fault.NoModel, ErrNothing, s.Looked())
}

// candidates are the absolute paths that a path may mean.
func (s *Store) candidates(location string) []string {
	if filepath.IsAbs(location) {
		return []string{filepath.Clean(location)}
	}
	var all []string
	for _, dir := range s.dirs {
		all = append(all, filepath.Join(dir.Path, location))
	}
	all = append(all, location)
	for i, relative := range all {
		if absolute, err := filepath.Abs(relative); err == nil {
			all[i] = absolute
		}
	}
	return all
}

// holds tells whether an absolute path leads below one of the directories, by its words alone: no link of its own is
// followed. What is hidden does not count.
func (s *Store) holds(path string) bool {
	return slices.ContainsFunc(s.dirs, func(dir Dir) bool {
		return slices.ContainsFunc(dir.roots(), func(root string) bool { return below(root, path) })
	})
}

func below(root, path string) bool {
	inner, err := filepath.Rel(root, path)
	if err != nil || inner == "." || !filepath.IsLocal(inner) {
		return false
	}
	return !slices.ContainsFunc(strings.Split(inner, string(filepath.Separator)), func(part string) bool {
		return strings.HasPrefix(part, ".")
	})
}

// resolveURL finds or fetches what a URL names. What it names is looked at only after it is found to be allowed.
func (s *Store) resolveURL(ctx context.Context, location string, from Sources) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", malformed(location, from, err)
	}
	switch {
	case upwards(u.Path):
		return "", refuse(label(u), ErrRelative)
	case !from.allow(location):
		return "", refuse(label(u), ErrNotAllowed)
	case u.User != nil:
		return "", fmt.Errorf("%w: %s: credentials in a URL would be shown to everybody who asks for the model; leave them out", fault.Invalid, label(u))
	}
	switch u.Scheme {
	case "file":
		return s.resolveFile(u, from)
	case "http", "https":
		return s.download(ctx, u, from)
	}
	return "", fmt.Errorf("%s: models from %s URLs: %w; put the file into the model store and register it by its name", label(u), u.Scheme, fault.Unsupported)
}

// malformed is what a URL that cannot be read comes to. It is not shown: it may hold a password.
func malformed(location string, from Sources, err error) error {
	var outer *url.Error // it repeats the URL
	if errors.As(err, &outer) {
		err = outer.Err
	}
	if !from.allow(location) {
		return fmt.Errorf("%w: a malformed URL: %w: %w", fault.NoModel, err, ErrNotAllowed)
	}
	return fmt.Errorf("%w: a malformed URL: %w", fault.Download, err)
}

// Label returns a location as it may be shown and kept: a URL without credentials and query, which may be secret, and what is
// no URL as it is. A URL that cannot be read is "".
func Label(location string) string {
	if !hasScheme.MatchString(location) {
		return location
	}
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return label(u)
}

// label is a URL as it may be shown: without credentials and query.
func label(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func (s *Store) resolveFile(u *url.URL, from Sources) (string, error) {
	at := filepath.FromSlash(u.Path)
	if drive := strings.TrimPrefix(at, string(filepath.Separator)); filepath.VolumeName(drive) != "" {
		at = drive
	}
	if !filepath.IsAbs(at) || u.Host != "" && u.Host != "localhost" {
		return "", fmt.Errorf("%w: %s: want file:// and an absolute path on this machine", fault.Invalid, label(u))
	}
	actual, err := filepath.EvalSymlinks(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", refuse(label(u), ErrNothing)
	case err != nil:
		return "", fmt.Errorf("%w: %w: %w", fault.NoModel, ErrNothing, err)
	case !s.holds(actual) && !from.allowFile(actual):
		return "", fmt.Errorf("%s leads to %s: %w: %w", label(u), actual, fault.NoModel, ErrNotAllowed)
	}
	return actual, nil
}

// attempts is how often a download is tried: whoever registers a model waits.
const attempts = 3

// download fetches the file of a URL into the first directory. What turns out to be no model does not stay.
func (s *Store) download(ctx context.Context, u *url.URL, from Sources) (string, error) {
	name := path.Base(u.Path)
	if _, ok := archive.FormOf(name); !ok || !fileName.MatchString(name) {
		return "", fmt.Errorf("%w: %s: want a URL whose last part is the name of a .mar, .onnx, .tar.gz or .tgz file", fault.Invalid, label(u))
	}
	if len(s.dirs) == 0 {
		return "", fmt.Errorf("%s: %w: %w: there is no model store to fetch it into", label(u), fault.NoModel, ErrNothing)
	}
	target := filepath.Join(s.dirs[0].Path, name)
	if _, err := os.Lstat(target); err == nil {
		return "", fmt.Errorf("%w: model file %s is in the model store; register it by that name, or take it away first", fault.Conflict, name)
	}
	err := fetch.File(ctx, target, fetch.Options{
		URL: u.String(), Limit: from.Limit, Client: from.Client, Attempts: attempts,
		Redirect: func(to *url.URL) error {
			if !from.allow(to.String()) {
				return fmt.Errorf("%s: %w", label(to), ErrNotAllowed)
			}
			return nil
		},
	})
	if err != nil {
		return "", err
	}
	if _, err := archive.Inspect(target); err != nil {
		if kept := os.Remove(target); kept != nil && !errors.Is(kept, fs.ErrNotExist) {
			return "", fmt.Errorf("%w; and it is left there: %w", err, kept)
		}
		return "", err
	}
	return target, nil
}

// fileName is what a fetched file may be called.
var fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+ ()-]{0,200}$`)
