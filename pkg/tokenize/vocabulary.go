package tokenize

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/tsgo/tsgo/pkg/fault"
)

// token is a piece of a word: its number, how it is written, and where it is in the word.
type token struct {
	id       int32
	text     string
	from, to int
}

// model cuts a word into tokens.
type model interface {
	tokens(word string) ([]token, error)
	vocabulary() map[string]int32
}

// checkIDs returns [fault.Invalid] for numbers that cannot be those of tokens.
func checkIDs(vocab map[string]int64) (map[string]int32, error) {
	ids := make(map[string]int32, len(vocab))
	for text, id := range vocab {
		if id < 0 || id > math.MaxInt32 {
			return nil, fmt.Errorf("%w: token %q has id %d", fault.Invalid, text, id)
		}
		ids[text] = int32(id)
	}
	return ids, nil
}

// prefixes finds which of many texts another one begins with.
type prefixes struct {
	texts []string // in order
	ids   []int32
	first [257]int // where those begin that begin with a byte
}

func newPrefixes(vocab map[string]int32) *prefixes {
	p := &prefixes{}
	for text := range vocab {
		if text != "" {
			p.texts = append(p.texts, text)
		}
	}
	slices.Sort(p.texts)
	p.ids = make([]int32, len(p.texts))
	for i, text := range p.texts {
		p.ids[i] = vocab[text]
	}
	for b := range p.first {
		p.first[b] = sort.Search(len(p.texts), func(i int) bool { return int(p.texts[i][0]) >= b })
	}
	return p
}

// each calls found with those that text begins with, the shortest first.
func (p *prefixes) each(text string, found func(length int, id int32)) {
	if text == "" {
		return
	}
	from, to := p.first[text[0]], p.first[int(text[0])+1]
	for n := 1; from < to; n++ {
		if len(p.texts[from]) == n {
			found(n, p.ids[from])
			from++
		}
		if n == len(text) {
			return
		}
		here := p.texts[from:to]
		low := sort.Search(len(here), func(i int) bool { return here[i][n] >= text[n] })
		high := low + sort.Search(len(here)-low, func(i int) bool { return here[low+i][n] > text[n] })
		from, to = from+low, from+high
	}
}

// longest returns the longest one that text begins with.
func (p *prefixes) longest(text string) (length int, id int32) {
	p.each(text, func(n int, i int32) { length, id = n, i })
	return length, id
}
