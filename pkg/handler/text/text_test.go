package text_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/handlertest"
	"github.com/tsgo/tsgo/pkg/handler/text"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// vocabulary is of words that say how good something is, behind the special tokens.
const vocabulary = `{
	"added_tokens": [{"id": 0, "content": "[PAD]", "special": true}],
	"pre_tokenizer": {"type": "Whitespace"},
	"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
	"model": {"type": "WordLevel", "unk_token": "[UNK]",
		"vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "bad": 4, "fair": 5, "good": 6}}
}`

// value is a row of tokens.
func value(name string, d tensor.DType, tokens int64) engine.Value {
	return engine.Value{Name: name, DType: d, Shape: []engine.Dim{{Size: -1}, {Size: tokens}}}
}

// signature is that of a network with the given inputs and one class a word that is not special.
func signature(inputs ...engine.Value) engine.Signature {
	return engine.Signature{Inputs: inputs, Outputs: []engine.Value{value("logits", tensor.Float32, 3)}}
}

func bert() engine.Signature {
	return signature(value("input_ids", tensor.Int64, -1), value("attention_mask", tensor.Int64, -1), value("token_type_ids", tensor.Int64, -1))
}

// count counts the words of each kind in the first text, and half of those in the second.
func count(in tensor.Named) (tensor.Named, error) {
	ids, err := tensor.Data[int64](in["input_ids"])
	if err != nil {
		return nil, err
	}
	types := make([]int64, len(ids))
	if t, ok := in["token_type_ids"]; ok {
		if types, err = tensor.Data[int64](t); err != nil {
			return nil, err
		}
	}
	rows := in["input_ids"].Shape()[0]
	out := make([]float32, 3*rows)
	for i, id := range ids {
		if id >= 4 {
			out[int64(i)*rows/int64(len(ids))*3+id-4] += 1 / float32(1+types[i])
		}
	}
	t, err := tensor.New([]int64{rows, 3}, out)
	return tensor.Named{"logits": t}, err
}

func env(t *testing.T, s engine.Signature, files map[string]string, config map[string]any) handler.Env {
	t.Helper()
	session := enginetest.New(s, count)
	labels := []string{"bad", "fair", "good"}
	explainer, err := explain.New(explain.Options{Session: session, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{}
	for name, data := range files {
		all[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return handler.Env{Session: session, Explainer: explainer, Files: all, Labels: labels, Config: config, Log: slog.New(slog.DiscardHandler)}
}

func build(t *testing.T, s engine.Signature, config map[string]any) handler.Handler {
	t.Helper()
	h, err := text.New(env(t, s, map[string]string{"tokenizer.json": vocabulary}, config))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func body(s string) model.Input { return model.Input{Name: "body", Data: []byte(s)} }

func inJSON(s string) model.Input {
	return model.Input{Name: "body", ContentType: "application/json", Data: []byte(s)}
}

// half explains half: each token counts its number, but for the special ones.
func half(_ context.Context, q explain.Question) (*explain.Explanation, error) {
	ids, err := tensor.Data[int64](q.Input["input_ids"])
	if err != nil {
		return nil, err
	}
	base, err := tensor.Data[int64](q.Baseline["input_ids"])
	if err != nil {
		return nil, err
	}
	attributions := make([]float32, 2*len(ids))
	for i := range ids {
		attributions[2*i] = float32(ids[i] - base[i])
		attributions[2*i+1] = -1
		if ids[i] == base[i] {
			attributions[2*i+1] = 0
		}
	}
	a, err := tensor.New([]int64{int64(len(ids)), 2}, attributions)
	return &explain.Explanation{
		Method: "fake", Inputs: []string{"input_ids"}, Attributions: tensor.Named{"input_ids": a}, Convergence: &explain.Convergence{Delta: 0.5},
	}, err
}

func ask(t *testing.T, h handler.Handler, params map[string]string, inputs ...model.Input) (any, error) {
	t.Helper()
	req := &model.Request{Inputs: inputs, Params: params}
	in, err := h.Preprocess(t.Context(), req)
	if err != nil {
		return nil, err
	}
	out, err := h.Inference(t.Context(), in)
	if err != nil {
		return nil, err
	}
	answer, err := h.Postprocess(t.Context(), req, out)
	return answer.Value, err
}

func TestHandler(t *testing.T) {
	t.Parallel()
	handlertest.TestHandler(t, handlertest.Case{
		Handler: text.WithExplain(build(t, bert(), nil), half),
		Good:    []model.Input{body("good good"), inJSON(`"bad"`), inJSON(`{"text": "fair"}`)},
		Bad: []model.Input{
			body(""), body("\xff"), inJSON(""), inJSON("3"), inJSON(`["good"]`), inJSON(`{"texts": "good"}`), inJSON(`{"text": 3}`),
			body(strings.Repeat("a", 1<<20+1)), inJSON(`"` + strings.Repeat("a", 1<<20+1) + `"`), inJSON(`{"text": "good", "text_pair": 3}`),
		},
	})
}

// softmax returns the answer of three logits.
func softmax(logits ...float64) handler.Object {
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(l)
	}
	var o handler.Object
	for i, label := range []string{"bad", "fair", "good"} {
		o = append(o, handler.Member{Key: label, Value: float32(math.Exp(logits[i]) / sum)})
	}
	return o
}

func near(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }

func TestInputs(t *testing.T) {
	t.Parallel()
	words, err := tensor.New([]int64{1}, []string{"good fair"})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tensor.New([]int64{1, 2}, []int64{6, 5})
	if err != nil {
		t.Fatal(err)
	}
	zeros, err := tensor.New([]int64{1, 2}, []int64{0, 0})
	if err != nil {
		t.Fatal(err)
	}
	want := softmax(0, 1, 1)
	tests := []struct {
		name   string
		inputs []model.Input
		want   handler.Object
	}{
		{"raw", []model.Input{body("good fair")}, want},
		{"text", []model.Input{{Name: "body", ContentType: "text/plain; charset=utf-8", Data: []byte("good fair")}}, want},
		{"JSON text", []model.Input{inJSON(`"good fair"`)}, want},
		{"JSON object", []model.Input{inJSON(`{"text": "good fair", "id": 3}`)}, want},
		{"JSON data", []model.Input{inJSON(`{"data": "good fair"}`)}, want},
		{"JSON body", []model.Input{inJSON(`{"body": "good fair"}`)}, want},
		{"data before body", []model.Input{body("bad"), {Name: "data", Data: []byte("good fair")}}, want},
		{"text before data", []model.Input{{Name: "data", Data: []byte("bad")}, {Name: "text", Data: []byte("good fair")}}, want},
		{"any other name", []model.Input{{Name: "file", Data: []byte("good fair")}}, want},
		{"a tensor of text", []model.Input{{Name: "x", Tensor: &words}}, want},
		{"tensors of numbers", []model.Input{{Name: "input_ids", Tensor: &ids}, {Name: "attention_mask", Tensor: &zeros}, {Name: "token_type_ids", Tensor: &zeros}}, want},
		{"a pair", []model.Input{inJSON(`{"text": "good", "text_pair": "good bad"}`)}, softmax(0.5, 0, 1.5)},
		{"a pair of parts", []model.Input{{Name: "text_pair", Data: []byte("good bad")}, {Name: "text", Data: []byte("good")}}, softmax(0.5, 0, 1.5)},
	}
	h := build(t, bert(), nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t, h, nil, test.inputs...)
			if diff := cmp.Diff(test.want, got, cmp.Comparer(near)); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestRefusedInputs(t *testing.T) {
	t.Parallel()
	ids, err := tensor.New([]int64{1, 2}, []int64{6, 5})
	if err != nil {
		t.Fatal(err)
	}
	three, err := tensor.New([]int64{1, 3}, []int64{1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		inputs []model.Input
		kind   fault.Kind
		want   string
	}{
		{"nothing", nil, fault.Invalid, "the request has no text"},
		{"only a second text", []model.Input{{Name: "text_pair", Data: []byte("good")}}, fault.Invalid, "the request has no text"},
		{"empty", []model.Input{body("")}, fault.Invalid, "the text is empty"},
		{"not UTF-8", []model.Input{body("caf\xe9")}, fault.Invalid, "the text is not UTF-8"},
		{"too large", []model.Input{body(strings.Repeat("a", 1<<20+1))}, fault.TooLarge, "the text has 1048577 bytes, at most 1048576 are taken"},
		{"JSON too large", []model.Input{inJSON(strings.Repeat(" ", 12<<20+1))}, fault.TooLarge, "the JSON input has 12582913 bytes"},
		{"a list", []model.Input{inJSON(`["good"]`)}, fault.Invalid, `want "a text", or {"text": "a text"}`},
		{"no text in JSON", []model.Input{inJSON(`{"txt": ""}`)}, fault.Invalid, "the object has no text, no data, no body"},
		{"a tensor missing", []model.Input{{Name: "input_ids", Tensor: &ids}}, fault.Invalid, `input "attention_mask" is missing`},
		{"tensors that differ", []model.Input{
			{Name: "input_ids", Tensor: &ids}, {Name: "attention_mask", Tensor: &three}, {Name: "token_type_ids", Tensor: &ids},
		}, fault.Invalid, "want one text in a request"},
	}
	h := build(t, bert(), nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := h.Preprocess(t.Context(), &model.Request{Inputs: test.inputs})
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Preprocess = %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	all := softmax(1, 0, 2)
	e := math.Exp(2)
	tests := []struct {
		name   string
		config map[string]any
		params map[string]string
		want   handler.Object
	}{
		{"all classes in their order", nil, nil, all},
		{"top_k", nil, map[string]string{"top_k": "2"}, handler.Object{all[2], all[0]}},
		{"topK", map[string]any{"topK": 1}, nil, handler.Object{all[2]}},
		{"more than there are", nil, map[string]string{"top_k": "9"}, handler.Object{all[2], all[0], all[1]}},
		{"sigmoid", map[string]any{"activation": "sigmoid", "topK": 1}, nil, handler.Object{{Key: "good", Value: float32(e / (1 + e))}}},
		{"log_softmax", map[string]any{"activation": "log_softmax", "topK": 1}, nil, handler.Object{{Key: "good", Value: float32(e)}}},
		{"none", map[string]any{"activation": "none", "topK": 1}, nil, handler.Object{{Key: "good", Value: float32(2)}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t, build(t, bert(), test.config), test.params, body("good bad good"))
			if diff := cmp.Diff(test.want, got, cmp.Comparer(near)); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for want, params := range map[string]map[string]string{
		`top_k is "0"`: {"top_k": "0"}, `top_k is "few"`: {"top_k": "few"}, `no parameter "topk", did you mean "top_k"?`: {"topk": "1"},
	} {
		if _, err := ask(t, build(t, bert(), nil), params, body("good")); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
}

// ids returns the numbers that a text becomes, and its mask.
func ids(t *testing.T, h handler.Handler, mode model.Mode, s string) (ids, mask []int64) {
	t.Helper()
	in, err := h.Preprocess(t.Context(), &model.Request{Mode: mode, Inputs: []model.Input{body(s)}})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err = tensor.Data[int64](in["input_ids"]); err != nil {
		t.Fatal(err)
	}
	if m, ok := in["attention_mask"]; ok {
		if mask, err = tensor.Data[int64](m); err != nil {
			t.Fatal(err)
		}
	}
	return ids, mask
}

func TestLengths(t *testing.T) {
	t.Parallel()
	alone := signature(value("input_ids", tensor.Int64, -1))
	fixed := signature(value("input_ids", tensor.Int64, 6), value("attention_mask", tensor.Int64, 6))
	many := strings.Repeat("good ", 600)
	tests := []struct {
		name      string
		signature engine.Signature
		config    map[string]any
		mode      model.Mode
		text      string
		want      int // tokens
		mask      int // of the text
	}{
		{"filled up for batches", bert(), nil, model.ModePredict, "good", 16, 3},
		{"to the next multiple", bert(), nil, model.ModePredict, strings.Repeat("good ", 20), 32, 22},
		{"to another multiple", bert(), map[string]any{"padTo": 4}, model.ModePredict, "good", 4, 3},
		{"never", bert(), map[string]any{"padTo": 1}, model.ModePredict, "good", 3, 3},
		{"not beyond the longest", bert(), map[string]any{"maxLength": 10}, model.ModePredict, "good", 10, 3},
		{"not for an explanation", bert(), nil, model.ModeExplain, "good", 3, 3},
		{"not without a mask", alone, nil, model.ModePredict, "good", 3, 0},
		{"as the network has it", fixed, nil, model.ModePredict, "good", 6, 3},
		{"as the network has it, for an explanation too", fixed, nil, model.ModeExplain, "good", 6, 3},
		{"cut to the network's length", fixed, map[string]any{"maxLength": 100}, model.ModePredict, many, 6, 6},
		{"cut to the longest", bert(), map[string]any{"maxLength": 10}, model.ModePredict, many, 10, 10},
		{"cut to the usual longest", bert(), nil, model.ModePredict, many, 512, 512},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, mask := ids(t, build(t, test.signature, test.config), test.mode, test.text)
			sum := 0
			for _, m := range mask {
				sum += int(m)
			}
			if len(got) != test.want || sum != test.mask {
				t.Errorf("%d tokens, %d of the text, want %d and %d", len(got), sum, test.want, test.mask)
			}
		})
	}
}

func TestTooLongRefused(t *testing.T) {
	t.Parallel()
	h := build(t, bert(), map[string]any{"maxLength": 4, "tooLong": "refuse"})
	if _, err := ask(t, h, nil, body("good bad")); err != nil {
		t.Errorf("a text that fits: %v", err)
	}
	_, err := ask(t, h, nil, body("good bad good"))
	if !errors.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "the text has 5 tokens, the model takes at most 4") {
		t.Errorf("err = %v", err)
	}
}

// The longest text is what the tokenizer's files say.
func TestLongestFromFiles(t *testing.T) {
	t.Parallel()
	for want, files := range map[int]map[string]string{
		7:   {"tokenizer.json": strings.Replace(vocabulary, "{", `{"truncation": {"max_length": 7},`, 1)},
		9:   {"tokenizer.json": vocabulary, "tokenizer_config.json": `{"model_max_length": 9}`},
		512: {"tokenizer.json": vocabulary, "tokenizer_config.json": `{"model_max_length": 1000000000000000019884624838656}`},
	} {
		h, err := text.New(env(t, bert(), files, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := ids(t, h, model.ModePredict, strings.Repeat("good ", 600)); len(got) != want {
			t.Errorf("%d tokens, want %d", len(got), want)
		}
	}
}

func TestOtherTypes(t *testing.T) {
	t.Parallel()
	s := signature(value("words", tensor.Int32, -1), value("seen", tensor.Float32, -1), value("part", tensor.Int32, -1))
	for _, d := range []tensor.DType{tensor.Float32, tensor.Bool, tensor.Int32} {
		s.Inputs[1].DType = d
		h := build(t, s, map[string]any{"inputs": map[string]any{"ids": "words", "mask": "seen", "types": "part"}, "padTo": 1})
		in, err := h.Preprocess(t.Context(), &model.Request{Inputs: []model.Input{body("good")}})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(in["words"], in["seen"], in["part"]); got != fmt.Sprintf("int32[1 3] %v[1 3] int32[1 3]", d) {
			t.Errorf("inputs are %s", got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	usual := map[string]string{"tokenizer.json": vocabulary}
	wide := bert()
	wide.Outputs = []engine.Value{{Name: "logits", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: -1}, {Size: 3}}}}
	four := bert()
	four.Outputs = []engine.Value{value("logits", tensor.Float32, 4)}
	tests := []struct {
		name      string
		signature engine.Signature
		files     map[string]string
		config    map[string]any
		kind      fault.Kind
		want      string
	}{
		{"no tokenizer", bert(), nil, nil, fault.BadModel, "needs its network's tokenizer, as tokenizer.json beside it"},
		{"broken tokenizer", bert(), map[string]string{"tokenizer.json": "{}"}, nil, fault.BadModel, "tokenizer.json: tokenizer: invalid: it has no model"},
		{"unknown tokenizer", bert(), map[string]string{"tokenizer.json": `{"model":{"type":"Neural"}}`}, nil, fault.Unsupported, `tokenizer.json: tokenizer: not supported: model "Neural"`},
		{"an input that is not known", signature(value("input_ids", tensor.Int64, -1), value("pixels", tensor.Float32, -1)), usual, nil, fault.BadModel, "input pixels float32[?,?]: nothing is known to fill it with"},
		{"two of one kind", signature(value("input_ids", tensor.Int64, -1), value("tokens", tensor.Int64, -1)), usual, nil, fault.BadModel, `"input_ids" and "tokens" would both hold the ids`},
		{"no numbers", signature(value("mask", tensor.Int64, -1), value("types", tensor.Int64, -1)), usual, nil, fault.BadModel, "no input for the tokens' numbers"},
		{"numbers with a point", signature(value("input_ids", tensor.Float32, -1)), usual, nil, fault.BadModel, "input input_ids float32[?,?] cannot hold the ids of texts"},
		{"two lengths", signature(value("input_ids", tensor.Int64, 6), value("mask", tensor.Int64, 7)), usual, nil, fault.BadModel, "takes 7 tokens, another one 6"},
		{"unknown role", bert(), usual, map[string]any{"inputs": map[string]any{"idz": "input_ids"}}, fault.BadModel, `"idz" is nothing that a text has, did you mean "ids"?`},
		{"role of no input", bert(), usual, map[string]any{"inputs": map[string]any{"ids": "x"}}, fault.BadModel, `the network has no input "x"`},
		{"output of tokens", wide, usual, nil, fault.BadModel, "gives one row of classes for a text"},
		{"labels", four, usual, nil, fault.BadModel, "4 classes, the model has 3 labels"},
		{"unknown output", bert(), usual, map[string]any{"output": "logit"}, fault.BadModel, `did you mean "logits"?`},
		{"unknown setting", bert(), usual, map[string]any{"maxlength": 1}, fault.BadModel, `did you mean "maxLength"?`},
		{"unknown activation", bert(), usual, map[string]any{"activation": "soft_max"}, fault.BadModel, `did you mean "softmax"?`},
		{"unknown tooLong", bert(), usual, map[string]any{"tooLong": "refused"}, fault.BadModel, `did you mean "refuse"?`},
		{"negative length", bert(), usual, map[string]any{"maxLength": -1}, fault.BadModel, "maxLength is -1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := text.New(env(t, test.signature, test.files, test.config))
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]engine.Signature{"any length": bert(), "one length": signature(value("input_ids", tensor.Int64, 6))} {
		h := build(t, s, nil)
		in, err := h.(handler.Exampler).Example()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Inference(t.Context(), in); err != nil {
			t.Errorf("%s: the network does not run on the example: %v", name, err)
		}
	}
}
