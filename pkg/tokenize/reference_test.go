package tokenize_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/tokenize"
)

// expected is what Hugging Face's tokenizers 0.23 answers to a text, or to two.
type expected struct {
	A       string   `json:"a"`
	B       *string  `json:"b"`
	Error   string   `json:"error"`
	IDs     []int64  `json:"ids"`
	Types   []int64  `json:"types"`
	Mask    []int64  `json:"mask"`
	Special []int64  `json:"special"`
	Tokens  []string `json:"tokens"`
	Offsets [][2]int `json:"offsets"`
}

func (e expected) encoding() tokenize.Encoding {
	special := make([]bool, len(e.Special))
	for i, s := range e.Special {
		special[i] = s == 1
	}
	return tokenize.Encoding{IDs: e.IDs, TypeIDs: e.Types, Mask: e.Mask, Special: special, Tokens: e.Tokens, Offsets: e.Offsets}
}

func load(tb testing.TB, name string) *tokenize.Tokenizer {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".tokenizer.json"))
	if err != nil {
		tb.Fatal(err)
	}
	t, err := tokenize.Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// TestReference compares encodings with those of Hugging Face's tokenizers, whole: numbers, types, masks, tokens, offsets.
func TestReference(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.expected.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no reference", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".expected.jsonl")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokenizer := load(t, name)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(bytes.NewReader(data))
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				var want expected
				if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
					t.Fatal(err)
				}
				compare(t, tokenizer, want)
			}
		})
	}
}

func compare(t *testing.T, tokenizer *tokenize.Tokenizer, want expected) {
	t.Helper()
	var got tokenize.Encoding
	var err error
	text := want.A
	if want.B == nil {
		got, err = tokenizer.Encode(want.A)
	} else {
		got, err = tokenizer.EncodePair(want.A, *want.B)
		text += " | " + *want.B
	}
	if (err != nil) != (want.Error != "") {
		t.Errorf("%q: %v, want error %q", text, err, want.Error)
		return
	}
	if got.IDs == nil {
		got = tokenize.Encoding{IDs: []int64{}, TypeIDs: []int64{}, Mask: []int64{}, Special: []bool{}, Tokens: []string{}, Offsets: [][2]int{}}
	}
	if err == nil {
		if diff := cmp.Diff(want.encoding(), got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
