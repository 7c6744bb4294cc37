package registry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

// TestServed tells all versions of all models, and that there was a change after each one, when it can be seen.
func TestServed(t *testing.T) {
	t.Parallel()
	var m *registry.Models
	var seen [][]string
	m = start(t, registry.Options{Load: load, Changed: func() {
		var now []string
		for _, v := range m.Served() {
			text := v.Status.Ref.String() + " " + v.Asked.URL
			if v.Status.Default {
				text += " default"
			}
			now = append(now, text)
		}
		seen = append(seen, now)
	}})
	b := register(t, m, model.Registration{URL: "store/b", Name: "b", Version: "1"})
	register(t, m, model.Registration{URL: "store/a", Name: "a", Version: "1"})
	second := register(t, m, model.Registration{URL: "store/a2", Name: "a", Version: "2"})
	if _, err := m.Register(t.Context(), model.Registration{URL: "store/a2", Name: "a", Version: "2"}); err == nil {
		t.Error("registered twice")
	}
	if err := m.SetDefault(t.Context(), second); err != nil {
		t.Error(err)
	}
	if _, err := m.Scale(t.Context(), b, model.Scale{Min: 1, Max: 2}); err != nil {
		t.Error(err)
	}
	if _, err := m.Scale(t.Context(), b, model.Scale{Min: 2, Max: 1}); err == nil {
		t.Error("scaled to at least two and at most one")
	}
	if err := m.Unregister(t.Context(), b); err != nil {
		t.Error(err)
	}
	want := [][]string{
		{"b/1 store/b default"},
		{"a/1 store/a default", "b/1 store/b default"},
		{"a/1 store/a default", "a/2 store/a2", "b/1 store/b default"},
		{"a/1 store/a", "a/2 store/a2 default", "b/1 store/b default"},
		{"a/1 store/a", "a/2 store/a2 default", "b/1 store/b default"},
		{"a/1 store/a", "a/2 store/a2 default"},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("what is served after each change (-want +got):\n%s", diff)
	}
}
