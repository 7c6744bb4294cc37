package heatmap

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Weights are how much each of some words counts: positive where it speaks for the answer.
type Weights struct {
	Title  string
	Values []float32 // one a word; a missing one counts as 0, and so does one that is not a finite number
}

// of returns the weight of a word.
func (w Weights) of(i int) float64 {
	if i >= len(w.Values) {
		return 0
	}
	if v := float64(w.Values[i]); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return v
	}
	return 0
}

// top returns the largest magnitude of the weights of n words.
func (w Weights) top(n int) float64 {
	top := 0.0
	for i := range n {
		top = max(top, math.Abs(w.of(i)))
	}
	return top
}

// widestBar is how many cells the bar of the largest weight has.
const widestBar = 24

// Words writes one word a line, and behind it, for each of the weights, the number and a bar. With several weights, their
// titles go in front. What of a word cannot be printed is left out of it. A width of 0 means 80. It returns what writing to
// w returns.
func Words(w io.Writer, words []string, weights []Weights, opts TerminalOptions) error {
	if opts.Width <= 0 {
		opts.Width = wholeWidth
	}
	shown, longest := make([]string, len(words)), 0
	for i, word := range words {
		shown[i] = printable(word)
		longest = max(longest, utf8.RuneCountInString(shown[i]))
	}
	const number, gap = len("-0.000"), 2
	bars := min(widestBar, max(4, (opts.Width-longest)/max(1, len(weights))-number-2*gap))
	column := number + gap + bars
	var out strings.Builder
	line := func(first string, cells func(i int) (text string, used int)) {
		fmt.Fprintf(&out, "%s%s", first, strings.Repeat(" ", longest-utf8.RuneCountInString(first)))
		pad := gap
		for i := range weights {
			text, used := cells(i)
			fmt.Fprintf(&out, "%s%s", strings.Repeat(" ", pad), text)
			pad = gap + column - used
		}
		out.WriteByte('\n')
	}
	if len(weights) > 1 {
		line("", func(i int) (string, int) {
			title := shortened(weights[i].Title, func(s string) bool { return utf8.RuneCountInString(s) <= column })
			return title, utf8.RuneCountInString(title)
		})
	}
	for at, word := range shown {
		line(word, func(i int) (string, int) {
			return weights[i].cell(at, weights[i].top(len(words)), bars, opts.TrueColour)
		})
	}
	return write(w, out.String())
}

// cell returns the number and the bar of a weight, and how many cells they take.
func (w Weights) cell(i int, top float64, bars int, colour bool) (text string, used int) {
	v := w.of(i)
	text = fmt.Sprintf("%+.3f", v)
	n := 0
	if top > 0 {
		n = int(math.Round(math.Abs(v) / top * float64(bars)))
	}
	if n == 0 {
		return text, len(text)
	}
	bar := strings.Repeat("█", n)
	if v < 0 && !colour {
		bar = strings.Repeat("░", n)
	}
	if colour {
		c := night(math.Copysign(0.67, v)).opaque()
		bar = fmt.Sprintf("\x1b[38;2;%d;%d;%dm%s\x1b[0m", c.R, c.G, c.B, bar)
	}
	return text + "  " + bar, len(text) + 2 + n
}

// printable returns a word without what is not to be printed: it comes from whoever asks.
func printable(word string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, word)
}
