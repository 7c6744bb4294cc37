package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/fault"
)

// TestParse reads each part of the syntax as Java does.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []config.Property
	}{
		"nothing":              {"", nil},
		"blank":                {" \t\f\n\r\n\r", nil},
		"comments":             {"# a=1\n  ! b=2 \\\nc=3\n", []config.Property{{"c", "3", 3}}},
		"separators":           {"a=1\nb:2\nc 3\nd\t4\ne = 5\nf : 6\ng  7", []config.Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 4}, {"e", "5", 5}, {"f", "6", 6}, {"g", "7", 7}}},
		"one separator":        {"a==1\nb=:2\nc = = 3\nd : =4", []config.Property{{"a", "=1", 1}, {"b", ":2", 2}, {"c", "= 3", 3}, {"d", "=4", 4}}},
		"no value":             {"a\nb=\nc:  \n", []config.Property{{"a", "", 1}, {"b", "", 2}, {"c", "", 3}}},
		"no key":               {"=1", []config.Property{{"", "1", 1}}},
		"spaces":               {"  a=1  \n", []config.Property{{"a", "1  ", 1}}},
		"line ends":            {"a=1\rb=2\r\nc=3\n\nd=4", []config.Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 5}}},
		"continued":            {"a=1,\\\n   2,\\\r\n\t3\nb=4", []config.Property{{"a", "1,2,3", 1}, {"b", "4", 4}}},
		"continued key":        {"a\\\n  b = 1", []config.Property{{"ab", "1", 1}}},
		"continued by blank":   {"a=1\\\n\nb=2", []config.Property{{"a", "1", 1}, {"b", "2", 3}}},
		"continued by comment": {"a=1\\\n#2\n", []config.Property{{"a", "1#2", 1}}},
		"continued to the end": {`a=1\`, []config.Property{{"a", "1", 1}}},
		"continued by nothing": {"\\\n\\\na=1\n\\\n#b\n\\", []config.Property{{"a", "1", 3}}},
		"not continued":        {"a=1\\\\\nb=2\\\\\\\n3", []config.Property{{"a", `1\`, 1}, {"b", `2\3`, 2}}},
		"escapes":              {`a=\t\n\r\f\\\"\z\ \:\=`, []config.Property{{"a", "\t\n\r\f\\\"z :=", 1}}},
		"escapes in a key":     {`a\ b\:c\=d\\=1`, []config.Property{{`a b:c=d\`, "1", 1}}},
		"unicode":              {`a=\u00e9\u0041\uD83D\uDE00\u20AC`, []config.Property{{"a", "éA😀€", 1}}},
		"half a rune":          {`a=\uD83Dx`, []config.Property{{"a", "\uFFFDx", 1}}},
		"UTF-8":                {"\uFEFFa=é😀", []config.Property{{"a", "é😀", 1}}},
		"Latin-1":              {"a=\xe9\xa0", []config.Property{{"a", "é\u00a0", 1}}},
		"twice":                {"a=1\na=2", []config.Property{{"a", "1", 1}, {"a", "2", 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Properties); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`a=\u12`, `a=\u12G4`, `\uzzzz=1`, `a=\u`, `a=\u+123`, `a=\u12é`} {
		_, err := config.Parse("f", []byte("x=1\n"+text))
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "f:2: ") {
			t.Errorf("%s: %v, want %v on line 2", text, err, fault.Invalid)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("a", "x=1")
	got, err := config.Load(path)
	if diff := cmp.Diff(&config.File{Name: path, Properties: []config.Property{{"x", "1", 1}}}, got); err != nil || diff != "" {
		t.Errorf("%v, file (-want +got):\n%s", err, diff)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "none"): fault.NotFound, dir: fault.Invalid, write("b", strings.Repeat("#\n", 16<<20)): fault.TooLarge,
	} {
		if _, err := config.Load(path); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

// FuzzParse reads anything. What was read and is written again reads the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a=1", "a\\\n b:2", "#x\n!y\nz \\u0041", `\ \:=\\`, "a=\xff", "=\\", "a=\\uD83D"} {
		f.Add([]byte(seed))
	}
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`, " ", `\ `, ":", `\:`, "=", `\=`, "#", `\#`, "!", `\!`)
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := config.Parse("f", text)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%v, want %v", err, fault.Invalid)
			}
			return
		}
		var again strings.Builder
		again.WriteString("#\n") // a mark of the byte order counts at the beginning alone
		for _, p := range first.Properties {
			again.WriteString(escape.Replace(p.Key) + "=" + escape.Replace(p.Value) + "\n")
		}
		second, err := config.Parse("f", []byte(again.String()))
		if err != nil || len(first.Properties) != len(second.Properties) {
			t.Fatalf("%q: %v, %d properties, want %d", again.String(), err, len(second.Properties), len(first.Properties))
		}
		for i, p := range first.Properties {
			if q := second.Properties[i]; p.Key != q.Key || p.Value != q.Value {
				t.Errorf("%q=%q reads again as %q=%q", p.Key, p.Value, q.Key, q.Value)
			}
		}
		if _, err := config.Read(config.Sources{File: first}); err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%v, want %v", err, fault.Invalid)
		}
	})
}
