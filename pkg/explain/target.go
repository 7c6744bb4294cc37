package explain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// resolve returns the index of the target that text names among scores: "predicted" or "" is the highest score; a number
// is an index; anything else is a label, letter for letter or else letter case aside.
func resolve(text string, scores []float64, labels []string) (int, error) {
	if text == "" || text == TargetPredicted {
		return argmax(scores), nil
	}
	if index, err := strconv.Atoi(text); err == nil && index >= 0 && index < len(scores) {
		return index, nil
	}
	labels = labels[:min(len(labels), len(scores))]
	found := all(labels, func(label string) bool { return label == text })
	if len(found) == 0 {
		found = all(labels, func(label string) bool { return strings.EqualFold(label, text) })
	}
	switch len(found) {
	case 0:
		return 0, unknownTarget(text, len(scores), labels)
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("%w: target %q is the label of several indices, %d and %d among them: give an index",
		fault.Invalid, text, found[0], found[1])
}

// argmax returns the first index of the highest score; numbers that are not numbers lose.
func argmax(scores []float64) int {
	best := 0
	for i, score := range scores {
		if score > scores[best] || scores[best] != scores[best] && score == score {
			best = i
		}
	}
	return best
}

func all(labels []string, match func(string) bool) []int {
	var found []int
	for i, label := range labels {
		if match(label) {
			found = append(found, i)
		}
	}
	return found
}

func unknownTarget(text string, n int, labels []string) error {
	text = short(text)
	if len(labels) == 0 {
		return fmt.Errorf("%w: target %q: this model has no labels, want %q or an index from 0 to %d",
			fault.Invalid, text, TargetPredicted, n-1)
	}
	hint := ""
	if _, err := strconv.Atoi(text); err != nil { // an index that is too high is no misspelt label
		if hint = nearest.Hint(text, labels); hint == "" {
			hint = alike(text, labels)
		}
	}
	return fmt.Errorf("%w: target %q is neither a label nor an index from 0 to %d%s", fault.Invalid, text, n-1, hint)
}

// alike names some labels that have text in them, as "tiger cat" has "cat".
func alike(text string, labels []string) string {
	const most = 3
	var found []string
	for _, label := range labels {
		if strings.Contains(strings.ToLower(label), strings.ToLower(text)) {
			found = append(found, strconv.Quote(label))
		}
		if len(found) == most {
			break
		}
	}
	if len(found) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(found, " or ") + "?"
}
