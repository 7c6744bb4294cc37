package handler

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// ParamTopK is the parameter that says how many classes a classifier answers.
const ParamTopK = "top_k"

// TopK returns how many of the classes a request wants: at most all of them, and byDefault where it does not say. It
// returns [fault.Invalid] for what is not a number from 1.
func TopK(req *model.Request, byDefault, classes int) (int, error) {
	k := byDefault
	if raw, ok := req.Params[ParamTopK]; ok {
		asked, err := strconv.Atoi(raw)
		if err != nil || asked < 1 {
			return 0, fmt.Errorf("%w: parameter %s is %q, want a number from 1", fault.Invalid, ParamTopK, raw)
		}
		k = asked
	}
	return min(k, classes), nil
}

// Top returns the indices of the k greatest values, greatest first, equal ones in their order. A value that is not a
// number goes last.
func Top(values []float64, k int) []int {
	before := func(a, b int) int { return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a, b)) }
	if k > few {
		order := make([]int, len(values))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, before)
		return order[:k]
	}
	top := make([]int, 0, k+1)
	for i := range values {
		if len(top) == k && (k == 0 || before(top[k-1], i) < 0) {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, i, before)
		top = slices.Insert(top, at, i)
		top = top[:min(len(top), k)]
	}
	return top
}

// few is how many values at most are picked one by one. Sorting a thousand takes longer than all that comes after a network.
const few = 64

// Distinct returns the labels with the index behind each that occurred before, as in "crane (517)": as keys of one object
// they would hide each other.
func Distinct(labels []string) []string {
	seen := make(map[string]bool, len(labels))
	all := slices.Clone(labels)
	for i, label := range all {
		for seen[all[i]] {
			all[i] = fmt.Sprintf("%s (%d)", label, i)
			label = all[i]
		}
		seen[all[i]] = true
	}
	return all
}

// Label returns a class's label, or its index where there is none.
func Label(labels []string, class int) string {
	if class < len(labels) {
		return labels[class]
	}
	return strconv.Itoa(class)
}

// OneOf returns [fault.BadModel] for a setting's value that is neither empty nor one of the known ones.
func OneOf(setting, value string, known ...string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%w: handler setting %s is %q%s (known: %s)", fault.BadModel, setting, value, nearest.Hint(value, known), strings.Join(known, ", "))
}
