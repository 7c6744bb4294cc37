package registry

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// table is what is served at one moment. It is never changed: a change makes another one.
type table struct {
	names  []string // sorted
	models map[string]*versions
	closed bool
}

// versions is what is served under one name: one version at least.
type versions struct {
	byDefault *served
	all       map[string]*served
}

// find returns the version that ref names, or the default one.
func (t *table) find(ref model.Ref) (*served, error) {
	vs, err := t.versions(ref.Name)
	if err != nil {
		return nil, err
	}
	if ref.Version == "" {
		return vs.byDefault, nil
	}
	v, ok := vs.all[ref.Version]
	if !ok {
		return nil, noVersion(ref)
	}
	return v, nil
}

func (t *table) versions(name string) (*versions, error) {
	vs, ok := t.models[name]
	switch {
	case ok:
		return vs, nil
	case t.closed:
		return nil, model.ErrClosed
	}
	return nil, fmt.Errorf("model %q: %w: register it, or ask for one that is served", name, fault.NoModel)
}

func noVersion(ref model.Ref) error {
	return fmt.Errorf("model %q: %w %q: register it, or ask for one that is served", ref.Name, fault.NoVersion, ref.Version)
}

// all yields every version.
func (t *table) all() iter.Seq[*served] {
	return func(yield func(*served) bool) {
		for _, vs := range t.models {
			for _, v := range vs.all {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// with returns a table that has v too.
func (t *table) with(v *served) *table {
	vs := &versions{byDefault: v, all: map[string]*served{}}
	if old := t.models[v.ref.Name]; old != nil {
		vs.byDefault = old.byDefault
		maps.Copy(vs.all, old.all)
	}
	vs.all[v.ref.Version] = v
	return t.replace(v.ref.Name, vs)
}

// without returns a table that has no v, nor its name where v is the last to have it.
func (t *table) without(v *served) *table {
	old := t.models[v.ref.Name]
	vs := &versions{byDefault: old.byDefault, all: maps.Clone(old.all)}
	delete(vs.all, v.ref.Version)
	if len(vs.all) == 0 {
		vs = nil
	}
	return t.replace(v.ref.Name, vs)
}

// preferring returns a table in which v is its name's default version.
func (t *table) preferring(v *served) *table {
	return t.replace(v.ref.Name, &versions{byDefault: v, all: t.models[v.ref.Name].all})
}

func (t *table) replace(name string, vs *versions) *table {
	models := maps.Clone(t.models)
	switch {
	case vs == nil:
		delete(models, name)
	case models == nil:
		models = map[string]*versions{name: vs}
	default:
		models[name] = vs
	}
	return &table{names: slices.Sorted(maps.Keys(models)), models: models}
}
