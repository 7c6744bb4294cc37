package config

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// maxFile is how many bytes a file of settings may have: far more than anyone writes, and a snapshot of ten thousands of models.
const maxFile = 16 << 20

// File is a file of settings in Java's properties syntax, TorchServe's config.properties.
type File struct {
	Name       string
	Properties []Property // in their order; of a key that comes twice, the last one counts
}

// Property is one line of a File, its escapes resolved.
type Property struct {
	Key, Value string
	Line       int // the first one, from 1
}

// Load reads a file of settings. It returns [fault.NotFound] where there is none.
func Load(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		kind := fault.Invalid
		if os.IsNotExist(err) {
			kind = fault.NotFound
		}
		return nil, fmt.Errorf("config file %s: %w: %w", path, kind, err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("config file %s: %w: %w", path, fault.Invalid, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("config file %s: %w: it has more than %d bytes, is it another file?", path, fault.TooLarge, maxFile)
	}
	return Parse(path, text)
}

// Parse reads settings as java.util.Properties does: comments after # and !, a backslash at the end of a line that goes on,
// keys that end at =, : or a space, and escapes. Text that is not UTF-8 is taken for Latin-1, as Java takes all. The name
// is the file's, for messages.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Name: name}
	lines := strings.Split(newlines().Replace(decode(text)), "\n")
	for i := 0; i < len(lines); i++ {
		first := i + 1
		if start := strings.TrimLeft(lines[i], blank); start == "" || start[0] == '#' || start[0] == '!' || start == `\` {
			continue // in Java too, what nothing goes on in may be a comment
		}
		var line string
		line, i = logical(lines, i)
		key, value := split(line)
		key, err := unescape(key)
		value, also := unescape(value)
		if err != nil || also != nil {
			return nil, fmt.Errorf(`config file %s:%d: %w: want four hexadecimal digits after \u, or \\u for a backslash`, name, first, fault.Invalid)
		}
		f.Properties = append(f.Properties, Property{Key: key, Value: value, Line: first})
	}
	return f, nil
}

// blank is what may stand before a key and around its value.
const blank = " \t\f"

// logical returns the line that begins at lines[i], with those that it goes on in, and the index of the last of them.
func logical(lines []string, i int) (line string, last int) {
	var all strings.Builder
	for ; ; i++ {
		part := strings.TrimLeft(lines[i], blank)
		slashes := len(part) - len(strings.TrimRight(part, `\`))
		all.WriteString(part[:len(part)-slashes%2])
		if slashes%2 == 0 || i+1 == len(lines) {
			return all.String(), i
		}
	}
}

func newlines() *strings.Replacer { return strings.NewReplacer("\r\n", "\n", "\r", "\n") }

// decode returns text, which is in UTF-8 or in Latin-1.
func decode(text []byte) string {
	if utf8.Valid(text) {
		return strings.TrimPrefix(string(text), "\uFEFF")
	}
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
	}
	return string(runes)
}

// split cuts a logical line behind its key.
func split(line string) (key, value string) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	key, value = line[:end], strings.TrimLeft(line[end:], blank)
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], blank)
	}
	return key, value
}

// unescape resolves the escapes of a key or a value. A backslash that means nothing is dropped.
func unescape(text string) (string, error) {
	var out []uint16 // as Java has it: an escape may be half a rune
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		if r != '\\' {
			out = utf16.AppendRune(out, r)
			continue
		}
		if i == len(text) {
			break
		}
		r, size = utf8.DecodeRuneInString(text[i:])
		i += size
		if r == 'u' {
			if len(text) < i+4 {
				return "", fault.Invalid
			}
			code, err := strconv.ParseUint(text[i:i+4], 16, 16)
			if err != nil {
				return "", fault.Invalid
			}
			out = append(out, uint16(code))
			i += 4
			continue
		}
		if at := strings.IndexRune("tnrf", r); at >= 0 {
			r = rune("\t\n\r\f"[at])
		}
		out = utf16.AppendRune(out, r)
	}
	return string(utf16.Decode(out)), nil
}

// variable is how a value names a variable of the environment: TorchServe's $$NAME$$.
var variable = regexp.MustCompile(`\$\$([^$]{2,})\$\$`)

// expand puts the environment's variables into a value. It returns [fault.Invalid] for one that is not set.
func expand(value string, env func(name string) string) (string, error) {
	var missing error
	value = variable.ReplaceAllStringFunc(value, func(found string) string {
		name := strings.Trim(found, "$")
		text := env(name)
		if text == "" && missing == nil {
			missing = fmt.Errorf("%w: environment variable %s, which the value names, is not set", fault.Invalid, name)
		}
		return text
	})
	return value, missing
}

// index returns the lines of each key, and the keys in the order of the lines that count.
func (f *File) index() (lines map[string][]Property, keys []string) {
	lines = map[string][]Property{}
	if f == nil {
		return lines, nil
	}
	for _, p := range f.Properties {
		lines[p.Key] = append(lines[p.Key], p)
	}
	for _, p := range f.Properties {
		if all := lines[p.Key]; all[len(all)-1].Line == p.Line {
			keys = append(keys, p.Key)
		}
	}
	return lines, keys
}

func (f *File) at(p Property) string { return fmt.Sprintf("%s:%d", f.Name, p.Line) }
