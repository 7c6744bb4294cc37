package archive_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

func labels(t *testing.T, name, data string) ([]string, error) {
	t.Helper()
	m, err := open(t, write(t, t.TempDir(), file{"net.onnx", "x"}, file{name, data}), archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Labels()
}

func TestLabels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, data string
		want             []string
	}{
		{"lines", "labels.txt", "tench\ngreat white shark\n", []string{"tench", "great white shark"}},
		{"no newline at the end", "labels.txt", "a\nb", []string{"a", "b"}},
		{"from Windows", "labels.txt", "\ufeffa\r\n b \r\n\r\n", []string{"a", "b"}},
		{"a gap", "labels.txt", "a\n\nc\n", []string{"a", "1", "c"}},
		{"the first missing", "labels.txt", "\nb\n", []string{"0", "b"}},
		{"the same twice", "labels.txt", "crane\ncrane\n", []string{"crane", "crane"}},
		{"names", "index_to_name.json", `{"0": "a", "1": "b"}`, []string{"a", "b"}},
		{"lists", "index_to_name.json", `{"1": ["n1", "b"], "0": ["x", "n0", "a"]}`, []string{"a", "b"}},
		{"mixed, with gaps", "index_to_name.json", `{"3": "d", "1": ["b"]}`, []string{"0", "b", "2", "d"}},
		{"object types", "index_to_name.json", `{"object_type_names": ["bg", "", "cat"], "0": "no"}`, []string{"bg", "1", "cat"}},
		{"beyond ASCII", "index_to_name.json", `{"0": "chat \u00e9l\u00e9gant"}`, []string{"chat élégant"}},
		{"with a mark", "index_to_name.json", "\ufeff{\"0\": \"a\"}", []string{"a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := labels(t, test.file, test.data)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestBrokenLabels(t *testing.T) {
	t.Parallel()
	const txt, json = "labels.txt", "index_to_name.json"
	for i, test := range []struct{ file, data, want string }{
		{txt, " \n\t\n", "it holds no label"},
		{txt, "a\n\xff\n", "class 1: it is not UTF-8"},
		{txt, "a\nb\x1b[31m\n", "class 1: it holds a control character"},
		{txt, strings.Repeat("a\n", 1<<20+1), "more than 1048576 labels"},
		{txt, strings.Repeat("a", 16<<20+1), "larger than 16 MiB"},
		{json, " ", "it is empty"},
		{json, "{}", "it holds no label"},
		{json, "null", "it holds no label"},
		{json, "{\n\"0\": \"a\",\n}", "line 3: it is not JSON"},
		{json, `["a", "b"]`, "want an object"},
		{json, `{"0": 1}`, `key "0": want a string, or a list of strings`},
		{json, `{"0": null}`, `key "0": want a string`},
		{json, `{"0": []}`, `key "0": want a string`},
		{json, `{"0": ["a", 1]}`, `key "0": want a string`},
		{json, `{"zero": "a"}`, `key "zero": want the index of a class`},
		{json, `{"-1": "a"}`, `key "-1": want the index`},
		{json, `{"1048576": "a"}`, `key "1048576": want the index of a class, from 0 to 1048575`},
		{json, `{"object_type_names": {"0": "a"}}`, "object_type_names: want a list"},
		{json, `{"0": "a\nb"}`, "control character"},
	} {
		t.Run(fmt.Sprint(i, " ", test.want), func(t *testing.T) {
			t.Parallel()
			_, err := labels(t, test.file, test.data)
			checkError(t, err, fault.BadModel, test.want, test.file)
		})
	}
}

func TestLabelsTxtLeads(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"net.onnx", "x"}, file{"labels.txt", "txt"}, file{"index_to_name.json", `{"0":"json"}`})
	m, err := open(t, dir, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Labels(); err != nil || len(got) != 1 || got[0] != "txt" {
		t.Errorf("Labels = %q, %v", got, err)
	}
}
