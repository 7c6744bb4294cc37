package tokenize_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tokenize"
)

// with returns a file with a word-level model and the given parts.
func with(parts string) string {
	if parts != "" {
		parts += ","
	}
	return `{` + parts + `"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"[PAD]":2,"?":3},"unk_token":"?"}}`
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	model := func(text string) string { return `{"model":` + text + `}` }
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 20) + strings.Repeat(`]}`, 20)
	tests := []struct {
		name, file string
		kind       fault.Kind
		want       string
	}{
		{"nothing", "", fault.Invalid, "tokenizer: "},
		{"not JSON", "<html>", fault.Invalid, "file: invalid character"},
		{"not a tokenizer", "{}", fault.Invalid, "it has no model"},
		{"a model without a type", model(`{"vocab":{}}`), fault.Invalid, "the model has no type"},
		{"model", model(`{"type":"Neural"}`), fault.Unsupported, `model "Neural" (known: BPE, Unigram, WordLevel, WordPiece)`},
		{"normalizer", with(`"normalizer":{"type":"Magic"}`), fault.Unsupported, `normalizer "Magic"`},
		{"normalizer in a sequence", with(`"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Magic"}]}`), fault.Unsupported, `normalizer "Magic"`},
		{"deep sequence", with(`"normalizer":` + deep), fault.Invalid, "nested deeper than 16"},
		{"pre-tokenizer", with(`"pre_tokenizer":{"type":"Magic"}`), fault.Unsupported, `pre_tokenizer "Magic"`},
		{"post-processor", with(`"post_processor":{"type":"Magic"}`), fault.Unsupported, `post_processor "Magic"`},
		{"behavior", with(`"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Magic"}`), fault.Unsupported, `behavior "Magic"`},
		{"pattern", with(`"pre_tokenizer":{"type":"Split","pattern":{},"behavior":"Isolated"}`), fault.Invalid, "either a String or a Regex"},
		{"regular expression", with(`"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("}}`), fault.Unsupported, `regular expression "("`},
		{"posix class", with(`"pre_tokenizer":{"type":"Split","pattern":{"Regex":"[[:alpha:]]"}}`), fault.Unsupported, `"[:" is not known here`},
		{"metaspace", with(`"pre_tokenizer":{"type":"Metaspace","replacement":"__"}`), fault.Invalid, `replacement is "__"`},
		{"prepend scheme", with(`"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"last"}`), fault.Unsupported, `prepend_scheme "last"`},
		{"delimiter", with(`"pre_tokenizer":{"type":"CharDelimiterSplit","delimiter":""}`), fault.Invalid, `delimiter is ""`},
		{"fixed length", with(`"pre_tokenizer":{"type":"FixedLength","length":0}`), fault.Invalid, "length is 0"},
		{"charsmap", with(`"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="}`), fault.Invalid, "said to have 4294967295 bytes, 0 follow"},
		{"no charsmap", with(`"normalizer":{"type":"Precompiled"}`), fault.Invalid, "0 bytes, want a table"},
		{"truncation", with(`"truncation":{"max_length":-1}`), fault.Invalid, "max_length is -1"},
		{"strategy", with(`"truncation":{"max_length":1,"strategy":"Middle"}`), fault.Unsupported, `strategy "Middle"`},
		{"direction", with(`"truncation":{"max_length":1,"direction":"Up"}`), fault.Unsupported, `direction "Up"`},
		{"padding", with(`"padding":{"strategy":"Full"}`), fault.Unsupported, `strategy "Full"`},
		{"padding without end", with(`"padding":{"strategy":{"Fixed":1000000000}}`), fault.Invalid, "padding to 1000000000 tokens"},
		{"template", with(`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"X"}}],"pair":[]}`), fault.Invalid, `single: invalid: special token "X"`},
		{"pair in single", with(`"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}],"pair":[]}`), fault.Invalid, "piece 0 is neither"},
		{"special token", with(`"post_processor":{"type":"BertProcessing","sep":["x"],"cls":["y",1]}`), fault.Invalid, "want a list of its text and its id"},
		{"id", model(`{"type":"WordLevel","vocab":{"a":-1}}`), fault.Invalid, `token "a" has id -1`},
		{"added id", with(`"added_tokens":[{"id":-5,"content":"x"}]`), fault.Invalid, `added token "x" has id -5`},
		{"word piece without unknown", model(`{"type":"WordPiece","vocab":{"a":1}}`), fault.Invalid, `unk_token "[UNK]" is not in the vocabulary`},
		{"bpe without unknown", model(`{"type":"BPE","vocab":{"a":1},"merges":[],"unk_token":"u"}`), fault.Invalid, `unk_token "u"`},
		{"dropout", model(`{"type":"BPE","vocab":{},"merges":[],"dropout":0.1}`), fault.Unsupported, "dropout 0.1"},
		{"merge of one", model(`{"type":"BPE","vocab":{},"merges":["ab"]}`), fault.Invalid, "want two tokens"},
		{"merge of nothing known", model(`{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}`), fault.Invalid, `merge 0 of "a" and "b" to "ab"`},
		{"unigram piece", model(`{"type":"Unigram","vocab":[["a"]]}`), fault.Invalid, "want a list of its text and its score"},
		{"unigram unknown", model(`{"type":"Unigram","unk_id":3,"vocab":[["a",0]]}`), fault.Invalid, "unk_id is 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := tokenize.Parse([]byte(test.file))
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse = %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}

func parse(t *testing.T, file string) *tokenize.Tokenizer {
	t.Helper()
	tokenizer, err := tokenize.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

// Files from before the model's type was written, and merges as lists.
func TestOldAndNewForms(t *testing.T) {
	t.Parallel()
	for name, model := range map[string]string{
		"bpe of lines":    `{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`,
		"bpe of lists":    `{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}`,
		"unigram":         `{"unk_id":0,"vocab":[["?",0],["a",-1],["ab",-1]]}`,
		"word piece":      `{"vocab":{"[UNK]":0,"a":1,"ab":2},"unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100}`,
		"ignoring merges": `{"type":"BPE","ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2},"merges":[]}`,
	} {
		got, err := parse(t, `{"model":`+model+`}`).Encode("ab")
		if diff := cmp.Diff([]int64{2}, got.IDs); err != nil || diff != "" {
			t.Errorf("%s: %v, tokens (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	got, err := load(t, "gpt2").Encode("a\xff\xe6\x9d b")
	if err != nil {
		t.Fatal(err)
	}
	want, err := load(t, "gpt2").Encode("a\ufffd\ufffd\ufffd b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.IDs, got.IDs); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if last := got.Offsets[len(got.Offsets)-1]; last != [2]int{4, 6} {
		t.Errorf("the last token is at %v, want [4 6]", last)
	}
}

func TestSized(t *testing.T) {
	t.Parallel()
	const text = "The kettle began to sing and the films were wonderful, tsgo"
	tests := []struct {
		file   string
		length tokenize.Length
		max    int
		want   int // tokens
		last   string
	}{
		{"bert", tokenize.Length{}, 0, 18, "[SEP]"},
		{"bert", tokenize.Length{Max: 6}, 6, 6, "[SEP]"},
		{"bert", tokenize.Length{Max: 1}, 1, 2, "[SEP]"},
		{"bert", tokenize.Length{Pad: 40}, 0, 40, "[PAD]"},
		{"bert", tokenize.Length{Max: 6, Pad: 8}, 6, 8, "[PAD]"},
		{"bert_cased_16", tokenize.Length{}, 16, 16, "[SEP]"},
		{"bert_cased_16", tokenize.Length{Max: 5}, 5, 16, "[PAD]"},
		{"bert_cased_16", tokenize.Length{Max: 5, Pad: -1}, 5, 5, "[SEP]"},
		{"roberta", tokenize.Length{Max: 7}, 7, 8, "</s>"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.file, test.length), func(t *testing.T) {
			t.Parallel()
			sized := load(t, test.file).Sized(test.length)
			got, err := sized.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			if sized.MaxLength() != test.max || got.Len() != test.want || got.Tokens[got.Len()-1] != test.last {
				t.Errorf("at most %d, got %d: %q, want at most %d, %d with %q last", sized.MaxLength(), got.Len(), got.Tokens, test.max, test.want, test.last)
			}
		})
	}
}

// Padding on the left is as the file has it, whoever says how long.
func TestSizedKeepsTheSide(t *testing.T) {
	t.Parallel()
	got, err := load(t, "roberta").Sized(tokenize.Length{Pad: 5}).Encode("a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"<pad>", "<pad>", "<s>", "Ġa", "</s>"}, got.Tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	tokenizer := load(t, "bert")
	e, err := tokenizer.Encode("the")
	if err != nil {
		t.Fatal(err)
	}
	got := tokenizer.Fill(e, 5)
	want := tokenize.Encoding{
		IDs: append(e.IDs[:3:3], 0, 0), TypeIDs: make([]int64, 5), Mask: []int64{1, 1, 1, 0, 0}, Special: []bool{true, false, true, true, true},
		Tokens: append(e.Tokens[:3:3], "[PAD]", "[PAD]"), Offsets: [][2]int{{}, {0, 3}, {}, {}, {}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("filled up (-want +got):\n%s", diff)
	}
	if same := tokenizer.Fill(e, 2); same.Len() != 3 {
		t.Errorf("a longer one became %+v", same)
	}
}

func TestVocabulary(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		id    int64
		token string
	}{"bert": {0, "[PAD]"}, "roberta": {1, "<pad>"}, "xlmr": {1, "<pad>"}, "gpt2": {0, ""}} {
		if id, token := load(t, name).Pad(); id != want.id || token != want.token {
			t.Errorf("%s: fills up with %d %q, want %d %q", name, id, token, want.id, want.token)
		}
	}
	bert := load(t, "bert")
	for token, want := range map[string]int64{"[SEP]": 3, "tsgo": 420} {
		if id, ok := bert.ID(token); !ok || id != want {
			t.Errorf("ID(%q) = %d, %v, want %d", token, id, ok, want)
		}
	}
	if id, ok := bert.ID("there is none such"); ok {
		t.Errorf("an unknown token has id %d", id)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	second := with(`"truncation":{"max_length":2,"strategy":"OnlySecond"}, "pre_tokenizer":{"type":"WhitespaceSplit"}`)
	tests := []struct {
		name, file, text string
		kind             fault.Kind
		want             string
	}{
		{"too large", with(""), strings.Repeat("a", tokenize.MaxBytes+1), fault.TooLarge, "the text has 67108865 bytes"},
		{"unknown word", `{"model":{"type":"WordLevel","vocab":{"a":0}}}`, "b", fault.Invalid, `the word "b" is not in the vocabulary`},
		{"unknown character", `{"model":{"type":"Unigram","vocab":[["a",0]]}}`, "ab", fault.Invalid, `the character 'b' is not in the vocabulary`},
		{"no second text", second, "a b a", fault.Invalid, "only a second text may be cut"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, test.file).Encode(test.text)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Encode = %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
	if _, err := parse(t, second).EncodePair("a b a", "b"); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "cutting one of them is not enough") {
		t.Errorf("EncodePair = %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bert", "llama3", "xlmr"} {
		tokenizer := load(t, name)
		want, err := tokenizer.Encode("The kettle began to sing, café 東京.")
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				got, err := tokenizer.Encode("The kettle began to sing, café 東京.")
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
				}
			})
		}
		group.Wait()
	}
}

// FuzzParse checks that no file is taken that cannot be used, and that encodings keep what they promise.
func FuzzParse(f *testing.F) {
	for _, parts := range []string{
		"", `"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"lowercase":true}`,
		`"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Strip","strip_left":true},{"type":"Prepend","prepend":"_"}]}`,
		`"normalizer":{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAAAAYQA="}`,
		`"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},"post_processor":{"type":"ByteLevel","trim_offsets":true}`,
		`"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"}`,
		`"truncation":{"max_length":4,"strategy":"LongestFirst"},"padding":{"strategy":{"Fixed":6},"pad_id":2,"pad_token":"[PAD]"}`,
		`"post_processor":{"type":"BertProcessing","sep":["a",0],"cls":["b",1]}`,
	} {
		f.Add(with(parts), "The  café's 東京\t[SEP]\xff tsgo")
	}
	f.Add(`{"model":{"type":"BPE","unk_token":"a","fuse_unk":true,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`, "abcab")
	f.Add(`{"model":{"type":"Unigram","unk_id":0,"vocab":[["?",0],["a",-1],["ab",-1.5]]}}`, "abcab")
	f.Add(`{"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0,"##b":1}}}`, "abcab")
	f.Add(with(`"added_tokens":[{"id":4,"content":" ","lstrip":true,"rstrip":true,"normalized":true}]`), " a  b ")
	f.Fuzz(func(t *testing.T, file, text string) {
		if strings.Contains(file, `"Regex"`) || len(text) > 1000 {
			return // a regular expression of a file may be as slow as it likes
		}
		tokenizer, err := tokenize.Parse([]byte(file))
		if err != nil {
			checkKind(t, err)
			return
		}
		checkEncoding(t, tokenizer, text)
	})
}

// FuzzEncode checks encodings of any text, with each kind of tokenizer.
func FuzzEncode(f *testing.F) {
	var tokenizers []*tokenize.Tokenizer
	for _, name := range []string{"bert", "roberta", "llama", "llama3", "xlmr", "albert", "unigram_bytes", "bpe_suffix", "wl_delimiter"} {
		tokenizers = append(tokenizers, load(f, name))
	}
	for _, text := range []string{"", "The café's 東京\t[SEP]\xff tsgo", "각\u1100\u1161", "\u0301e\u0301\u0323", "👩‍👩‍👧", " ▁ "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tokenizer := range tokenizers {
			checkEncoding(t, tokenizer, text)
		}
	})
}

func checkKind(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Unsupported) {
		t.Errorf("%v, want %v or %v", err, fault.Invalid, fault.Unsupported)
	}
}

func checkEncoding(t *testing.T, tokenizer *tokenize.Tokenizer, text string) {
	t.Helper()
	got, err := tokenizer.Encode(text)
	if err != nil {
		checkKind(t, err)
		return
	}
	n := got.Len()
	for _, other := range []int{len(got.TypeIDs), len(got.Mask), len(got.Special), len(got.Tokens), len(got.Offsets)} {
		if other != n {
			t.Fatalf("%q: fields of different lengths: %+v", text, got)
		}
	}
	for i, at := range got.Offsets {
		if at[0] < 0 || at[1] < at[0] || at[1] > len(text) {
			t.Errorf("%q: token %d %q is at %v of %d bytes", text, i, got.Tokens[i], at, len(text))
		}
	}
	again, err := tokenizer.Encode(text)
	if err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("%q: %+v, another time %+v, %v", text, got, again, err)
	}
}

func BenchmarkEncode(b *testing.B) {
	sentence := "The kettle began to sing before anyone had woken, and the café's kitchen (12.50 €) filled with steam. "
	for _, name := range []string{"bert", "gpt2", "llama", "llama3", "xlmr"} {
		tokenizer := load(b, name)
		for _, times := range []int{1, 100} {
			text := strings.Repeat(sentence, times)
			b.Run(fmt.Sprintf("%s/%d", name, len(text)), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if _, err := tokenizer.Encode(text); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/llama.tokenizer.json")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokenize.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
