package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Remove takes a model away that [Pull] brought, in the version that is named; an empty one is the only one that was pulled.
// A process that has the model open keeps what it has read.
//
// It returns [fault.NoModel] or [fault.NoVersion] for a model that is not there, [fault.Invalid] for one that was not
// pulled, and where several versions were and none is named, and [fault.Conflict] for one that holds what was not pulled, or
// was changed since, unless force is true; and for one that another process keeps from being removed.
func (s *Store) Remove(ctx context.Context, name, version string, force bool) (Pulled, error) {
	p, err := s.findPulled(name, version)
	if err != nil {
		return Pulled{}, err
	}
	release, err := lockStore(ctx, filepath.Dir(p.Path))
	if err != nil {
		return Pulled{}, err
	}
	defer release()
	if !force {
		if err := p.untouched("take that away, or say --force to lose it"); err != nil {
			return Pulled{}, err
		}
	}
	trash, err := setAside(p.Path)
	if err != nil {
		return Pulled{}, err
	}
	if err := errors.Join(os.Remove(recordPath(p.Path)), os.RemoveAll(trash)); err != nil {
		return Pulled{}, fmt.Errorf("%w: %s is no model of the store any more, but is not all gone: %w", fault.Conflict, p.Path, err)
	}
	return p, nil
}

// findPulled returns the pulled model that is meant.
func (s *Store) findPulled(name, version string) (Pulled, error) {
	var found []Pulled
	for _, dir := range s.dirs {
		for _, p := range dir.pulled() {
			if p.Name == name && (version == "" || p.Version == version) {
				found = append(found, p)
			}
		}
	}
	switch len(found) {
	case 0:
		e, err := s.Find(name, version)
		if err != nil {
			return Pulled{}, err
		}
		return Pulled{}, fmt.Errorf("%w: model %s/%s at %s was not pulled, so it is yours to take away", fault.Invalid, e.Name(), e.Version(), e.Source)
	case 1:
		return found[0], nil
	}
	if version != "" { // in several directories: the first one answers to the name
		return found[0], nil
	}
	slices.SortStableFunc(found, func(a, b Pulled) int { return CompareVersions(a.Version, b.Version) })
	versions := make([]string, len(found))
	for i, p := range found {
		versions[i] = p.Name + "/" + p.Version
	}
	return Pulled{}, fmt.Errorf("%w: several versions of model %q were pulled: say which of %s", fault.Invalid, name, strings.Join(versions, ", "))
}

// untouched returns [fault.Conflict], and the way out, for a model that holds what nobody could fetch again.
func (p Pulled) untouched(wayOut string) error {
	touched, err := p.touched()
	if err != nil {
		return err
	}
	if len(touched) > 0 {
		return fmt.Errorf("%w: model %s/%s in %s holds what was not pulled, or was changed since (%s): %s",
			fault.Conflict, p.Name, p.Version, filepath.Dir(p.Path), strings.Join(touched, ", "), wayOut)
	}
	return nil
}

// setAside makes a model disappear from the store at once. What it returns is to be removed, or to be renamed back.
func setAside(path string) (trash string, err error) {
	trash, err = os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".old-")
	if err != nil {
		return "", inStore(filepath.Dir(path), err)
	}
	if err := os.Rename(path, filepath.Join(trash, filepath.Base(path))); err != nil {
		err = errors.Join(err, os.Remove(trash))
		return "", fmt.Errorf("%w: %s cannot be moved; where a server has it open, unregister it there first: %w", fault.Conflict, path, err)
	}
	return trash, nil
}
