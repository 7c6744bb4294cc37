// Package nearest finds the known name that a wrong one was probably meant to be, for "did you mean" in messages.
package nearest

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// begun is how many letters of a name tell which one is meant.
const begun = 3

// To returns the known name nearest to name, letter case aside, or "" when none is near: at most one edit for three
// letters, one more for every three after that, or else one that begins with name. The first of several equally near ones
// wins.
func To(name string, known []string) string {
	best, distance := "", 1+(len(name)+2)/3
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	if best != "" || len(name) < begun {
		return best
	}
	for _, candidate := range known {
		if strings.HasPrefix(strings.ToLower(candidate), strings.ToLower(name)) {
			return candidate
		}
	}
	return ""
}

// Hint returns `, did you mean "x"?`, or "" when no known name is near.
func Hint(name string, known []string) string {
	if best := To(name, known); best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return ""
}
