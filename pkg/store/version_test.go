package store_test

import (
	"testing"

	"github.com/tsgo/tsgo/pkg/store"
)

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	ordered := []string{
		"0.9", "1-alpha", "1", "1+x", "1.0-rc1", "1.0-rc2", "1.0-rc10", "1.0", "1.0.1", "1.1", "1.9", "1.09b", "1.10", "2.0", "2.0a", "10",
		"99999999999999999999", "100000000000000000000", "a", "a2", "a10", "b",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			}
			if i > j {
				want = 1
			}
			if got := store.CompareVersions(a, b); got != want {
				t.Errorf("CompareVersions(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1.10", "1.9", "1.09")
	f.Add("1-a", "1", "1+x")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba, bc, ac := store.CompareVersions(a, b), store.CompareVersions(b, a), store.CompareVersions(b, c), store.CompareVersions(a, c)
		if ab != -ba || (ab == 0) != (a == b) {
			t.Errorf("%q, %q: %d and %d", a, b, ab, ba)
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Errorf("%q <= %q <= %q, but not the ends", a, b, c)
		}
	})
}
