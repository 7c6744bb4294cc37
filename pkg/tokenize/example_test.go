package tokenize_test

import (
	"fmt"
	"os"

	"github.com/tsgo/tsgo/pkg/tokenize"
)

func ExampleParse() {
	data, err := os.ReadFile("testdata/bert.tokenizer.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	tokenizer, err := tokenize.Parse(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	text := "Unforgettable films"
	encoding, err := tokenizer.Encode(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, token := range encoding.Tokens {
		at := encoding.Offsets[i]
		fmt.Printf("%3d %q of %q\n", encoding.IDs[i], token, text[at[0]:at[1]])
	}
	// Output:
	//   2 "[CLS]" of ""
	// 415 "unfor" of "Unfor"
	// 345 "##gett" of "gett"
	// 225 "##able" of "able"
	// 243 "fil" of "fil"
	// 323 "##ms" of "ms"
	//   3 "[SEP]" of ""
}
