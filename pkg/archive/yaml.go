package archive

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting is how deep lists and maps of a YAML file may lie in each other.
const maxNesting = 64

// errPlain answers what makes YAML more than a way to write values down.
var errPlain = errors.New("anchors, aliases, merge keys and tags are not read here: write the value out")

// decimal is a number as YAML 1.2 has it; the parser takes only the common ones for numbers.
var decimal = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// placeError is an error at a place in a YAML file.
type placeError struct {
	line int
	path string // the keys that lead there, "model.name"; empty at the top
	err  error
}

// Error names the path, not the line, which goes to the name of the file.
func (e *placeError) Error() string {
	if e.path == "" {
		return e.err.Error()
	}
	return e.path + ": " + e.err.Error()
}

func (e *placeError) Unwrap() error { return e.err }

// at gives an error the line of node, unless it has one.
func at(node ast.Node, err error) error {
	tk := node.GetToken()
	if _, ok := errors.AsType[*placeError](err); ok || tk == nil || tk.Position == nil {
		return err
	}
	return &placeError{line: tk.Position.Line, err: err}
}

// under is an error in the value of a key.
func under(e entry, err error) error {
	in, ok := errors.AsType[*placeError](at(e.node, err))
	if !ok {
		return fmt.Errorf("%s: %w", e.key, err)
	}
	path := e.key
	if in.path != "" {
		path += "." + in.path
	}
	return &placeError{line: in.line, path: path, err: in.err}
}

// parseYAML returns the top of a document, nil where the document is empty.
func parseYAML(data []byte) (ast.Node, error) {
	if err := checkNesting(data); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	var top ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case top != nil:
			return nil, at(doc.Body, errors.New("want one YAML document, not several"))
		default:
			top = doc.Body
		}
	}
	return top, nil
}

// checkNesting refuses brackets within brackets before the parser, which takes long over them, sees them.
func checkNesting(data []byte) error {
	depth := 0
	for i, b := range data {
		switch b {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		if depth > maxNesting {
			line := 1 + bytes.Count(data[:i], []byte("\n"))
			return &placeError{line: line, err: fmt.Errorf("brackets are nested more than %d deep", maxNesting)}
		}
	}
	return nil
}

// syntaxError puts the parser's error, which quotes the file over several lines, in one.
func syntaxError(err error) error {
	if wrong, ok := errors.AsType[yaml.Error](err); ok {
		err = errors.New("it is not YAML: " + oneLine(wrong.GetMessage()))
		if tk := wrong.GetToken(); tk != nil && tk.Position != nil {
			return &placeError{line: tk.Position.Line, err: err}
		}
		return err
	}
	return errors.New("it is not YAML: " + oneLine(err.Error()))
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// entry is one key of a map with its value.
type entry struct {
	key   string
	node  ast.Node // the key, for its line
	value ast.Node
}

// entries returns the keys of a map in the order of the file. A value that is missing counts as an empty map.
func entries(node ast.Node) ([]entry, error) {
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case ast.MapNode:
		var all []entry
		for it := node.MapRange(); it.Next(); {
			key, err := keyText(it.Key())
			if err != nil {
				return nil, at(it.Key(), err)
			}
			all = append(all, entry{key, it.Key(), it.Value()})
		}
		return all, nil
	}
	if !plain(node) {
		return nil, at(node, errPlain)
	}
	return nil, at(node, fmt.Errorf("want a map (key: value), not %s", shown(node)))
}

func keyText(node ast.Node) (string, error) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return node.GetToken().Value, nil
	}
	if !plain(node) {
		return "", errPlain
	}
	return "", errors.New("want a word as the key")
}

func plain(node ast.Node) bool {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.MappingKeyNode:
		return false
	}
	return true
}

// value returns a node as nil, bool, int64, float64, string, []any or map[string]any.
func value(node ast.Node, depth int) (any, error) {
	if depth > maxNesting {
		return nil, at(node, fmt.Errorf("values are nested more than %d deep", maxNesting))
	}
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.BoolNode:
		return node.Value, nil
	case *ast.IntegerNode:
		return integerValue(node)
	case *ast.FloatNode:
		return node.Value, nil
	case *ast.LiteralNode:
		return node.Value.Value, nil
	case *ast.StringNode:
		return stringValue(node), nil
	case *ast.SequenceNode:
		return listValue(node, depth)
	case *ast.MappingNode, *ast.MappingValueNode:
		return mapValue(node, depth)
	case *ast.InfinityNode, *ast.NanNode:
		return nil, at(node, errors.New("want a finite number"))
	}
	return nil, at(node, errPlain)
}

func integerValue(node *ast.IntegerNode) (any, error) {
	switch n := node.Value.(type) {
	case int64:
		return n, nil
	case uint64:
		if n <= math.MaxInt64 {
			return int64(n), nil
		}
	}
	return nil, at(node, errors.New("the number is too large"))
}

func stringValue(node *ast.StringNode) any {
	if node.Token.Type == token.StringType && decimal.MatchString(node.Value) {
		if n, err := strconv.ParseFloat(node.Value, 64); err == nil {
			return n
		}
	}
	return node.Value
}

func listValue(node *ast.SequenceNode, depth int) (any, error) {
	list := make([]any, len(node.Values))
	for i, item := range node.Values {
		var err error
		if list[i], err = value(item, depth+1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func mapValue(node ast.Node, depth int) (any, error) {
	all, err := entries(node)
	if err != nil {
		return nil, err
	}
	values := make(map[string]any, len(all))
	for _, e := range all {
		if values[e.key], err = value(e.value, depth+1); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// shown returns a value as messages quote it.
func shown(node ast.Node) string {
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a map"
	case *ast.StringNode:
		return fmt.Sprintf("%.40q", node.Value)
	case *ast.LiteralNode:
		return "a text of several lines"
	}
	return oneLine(fmt.Sprintf("%.40s", node.GetToken().Value))
}
