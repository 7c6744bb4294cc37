package store

import (
	"cmp"
	"strings"
)

// CompareVersions orders versions as people do: digits are numbers, so that 1.10 is above 1.9, and what follows a
// version after "-" comes before it, so that 2.0-rc1 is below 2.0. It returns -1, 0 or 1, and 0 for equal texts only.
func CompareVersions(a, b string) int {
	restA, restB := a, b
	for restA != "" && restB != "" {
		var partA, partB string
		partA, restA = part(restA)
		partB, restB = part(restB)
		if c := compareParts(partA, partB); c != 0 {
			return c
		}
	}
	switch {
	case strings.HasPrefix(restA, "-"):
		return -1
	case strings.HasPrefix(restB, "-"):
		return 1
	}
	return cmp.Or(cmp.Compare(len(restA), len(restB)), strings.Compare(a, b))
}

// part cuts the digits off that s begins with, or one byte that is no digit.
func part(s string) (first, rest string) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	n = max(n, 1)
	return s[:n], s[n:]
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func compareParts(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "-":
		return -1
	case b == "-":
		return 1
	case !isDigit(a[0]), !isDigit(b[0]):
		return strings.Compare(a, b)
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
