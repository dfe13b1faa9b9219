package spec

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	maxSource = 256 << 10 // bytes of a spec or a contract; a contract of a thousand columns has 80 KiB
	maxDepth  = 32        // levels of nesting; a spec needs five
)

// nodeKind is what a node of the YAML tree is.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	textNode
	listNode
	mapNode
)

// String names the kind for a message.
func (k nodeKind) String() string {
	return [...]string{"nothing", "a boolean", "a number", "a text", "a list", "a mapping"}[k]
}

// node is a YAML tree without anchors, tags, merges or duplicate keys: only what a spec may contain. value is a bool,
// int64, uint64, float64 or string; text is the scalar as it is written.
type node struct {
	kind  nodeKind
	line  int
	text  string
	value any
	items []*node
	keys  []key
}

// key is one entry of a mapping.
type key struct {
	name  string
	line  int
	value *node
}

// describe names what was found, with the value where it is short.
func (n *node) describe() string {
	if n.kind == nullNode || n.kind >= listNode {
		return n.kind.String()
	}
	text := n.text
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "..."
	}
	return fmt.Sprintf("%s %q", strings.TrimPrefix(n.kind.String(), "a "), text)
}

// readTree parses one YAML document. It returns nil and problems if nothing can be made of it.
func readTree(src []byte) (*node, []Problem) {
	if problem := refuseSource(src); problem != nil {
		return nil, []Problem{*problem}
	}
	file, err := parseYAML(src)
	if err != nil {
		return nil, []Problem{syntaxProblem(err)}
	}
	body := []ast.Node{}
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType && doc.Body.Type() != ast.DirectiveType {
			body = append(body, doc.Body)
		}
	}
	if len(body) == 0 {
		return nil, []Problem{{Message: "the file has no content", Hint: "a spec needs metadata.name, data.prefix and data.target"}}
	}
	if len(body) > 1 {
		return nil, []Problem{{Line: lineOf(body[1]), Message: fmt.Sprintf("%d documents in one file, expected 1", len(body))}}
	}
	t := &treeReader{}
	root := t.read(body[0], "", 0)
	return root, t.problems
}

// refuseSource holds off what the parser may not survive.
func refuseSource(src []byte) *Problem {
	if len(src) > maxSource {
		return &Problem{Message: fmt.Sprintf("%d bytes > %d", len(src), maxSource)}
	}
	if !utf8.Valid(src) {
		return &Problem{Line: 1 + strings.Count(string(src[:validPrefix(src)]), "\n"), Message: "the file isn't valid UTF-8"}
	}
	// The parser recurses on brackets and on "- - -"; both are counted without regard to quotes, which only makes
	// the guard stricter.
	depth, line, dashes := 0, 1, 0
	for i, c := range src {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '-', '?', ':', '!', '&', '*':
			dashes++
		case '\n':
			line, dashes = line+1, 0
		case 0:
			return &Problem{Line: line, Message: fmt.Sprintf("a zero byte at offset %d", i)}
		case ' ':
		default:
			dashes = 0
		}
		if depth > maxDepth*2 || dashes > maxDepth*4 {
			return &Problem{Line: line, Message: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
		}
	}
	return nil
}

// validPrefix is the length of the longest valid prefix.
func validPrefix(src []byte) int {
	n := 0
	for n < len(src) {
		r, size := utf8.DecodeRune(src[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// parseYAML turns a panic of the parser, which wild input can cause, into an error.
func parseYAML(src []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("the YAML can't be read: %v", r)
		}
	}()
	return parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
}

func syntaxProblem(err error) Problem {
	var y yaml.Error
	if errors.As(err, &y) {
		p := Problem{Message: "not valid YAML: " + y.GetMessage()}
		if tk := y.GetToken(); tk != nil && tk.Position != nil {
			p.Line = tk.Position.Line
		}
		return p
	}
	return Problem{Message: "not valid YAML: " + strings.SplitN(err.Error(), "\n", 2)[0]}
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 0
}

// treeReader makes nodes of the parser's tree and notes what a spec may not contain.
type treeReader struct{ problems []Problem }

func (t *treeReader) problem(path string, line int, hint, format string, args ...any) {
	t.problems = append(t.problems, Problem{Path: path, Line: line, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (t *treeReader) read(n ast.Node, path string, depth int) *node {
	out := &node{line: lineOf(n)}
	if depth > maxDepth {
		t.problem(path, out.line, "", "nested deeper than %d levels", maxDepth)
		return out
	}
	switch v := n.(type) {
	case nil, *ast.NullNode:
	case *ast.BoolNode:
		out.kind, out.value, out.text = boolNode, v.Value, v.Token.Value
	case *ast.IntegerNode:
		out.kind, out.value, out.text = numberNode, v.Value, v.Token.Value
	case *ast.FloatNode:
		out.kind, out.value, out.text = numberNode, v.Value, v.Token.Value
	case *ast.InfinityNode:
		out.kind, out.value, out.text = numberNode, v.Value, v.Token.Value
	case *ast.NanNode:
		out.kind, out.value, out.text = numberNode, math.NaN(), v.Token.Value
	case *ast.StringNode:
		out.kind, out.value, out.text = textNode, v.Value, v.Value
	case *ast.LiteralNode:
		out.kind, out.value, out.text = textNode, v.Value.Value, v.Value.Value
	case *ast.SequenceNode:
		out.kind = listNode
		for i, item := range v.Values {
			out.items = append(out.items, t.read(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case *ast.MappingNode:
		out.kind = mapNode
		t.entries(out, v.Values, path, depth)
	case *ast.MappingValueNode:
		out.kind = mapNode
		t.entries(out, []*ast.MappingValueNode{v}, path, depth)
	case *ast.AnchorNode, *ast.AliasNode:
		t.problem(path, out.line, "write the value out", "anchors and aliases aren't allowed")
	case *ast.TagNode:
		t.problem(path, out.line, "remove the tag", "YAML tags aren't allowed")
	default:
		t.problem(path, out.line, "", "%s isn't allowed here", strings.ToLower(n.Type().String()))
	}
	return out
}

func (t *treeReader) entries(out *node, values []*ast.MappingValueNode, path string, depth int) {
	seen := map[string]int{}
	for _, entry := range values {
		line := lineOf(entry.Key)
		var name string
		switch k := entry.Key.(type) {
		case *ast.StringNode:
			name = k.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
			name = entry.Key.GetToken().Value
		default:
			t.problem(path, line, "a key is a plain name", "%s can't be a key", strings.ToLower(entry.Key.Type().String()))
			continue
		}
		at := join(path, name)
		if first, twice := seen[name]; twice {
			t.problem(at, line, "remove one of them", "%q is given twice, first on line %d", name, first)
			continue
		}
		seen[name] = line
		value := t.read(entry.Value, at, depth+1)
		out.keys = append(out.keys, key{name: name, line: line, value: value})
	}
	if len(out.keys) > 0 {
		out.line = out.keys[0].line
	}
}

// join is the path of a field.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
