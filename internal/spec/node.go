package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxSource = 1 << 20 // bytes of a spec, a contract, and of both and a suite in one; a contract of a thousand columns has 80 KiB
	maxDepth  = 32      // levels of nesting; a spec needs five
)

// nodeKind is what a node of the YAML tree is.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	badNode           // refused already
	boolNode
	numberNode
	textNode
	listNode
	mapNode
)

// String names the kind for a message.
func (k nodeKind) String() string {
	return [...]string{"nothing", "something", "a boolean", "a number", "a text", "a list", "a mapping"}[k]
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
	if n.kind <= badNode || n.kind >= listNode {
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
	docs, err := parseYAML(src)
	if err != nil {
		return nil, []Problem{syntaxProblem(err)}
	}
	if len(docs) == 0 {
		return nil, []Problem{{Message: "the file has no content", Hint: "a spec needs metadata.name, data.prefix and data.target"}}
	}
	if len(docs) > 1 {
		return nil, []Problem{{Line: docs[1].Line, Message: "more than one document in the file"}}
	}
	t := &treeReader{}
	root := t.read(docs[0], "", 0)
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

// parseYAML reads at most two documents, enough to refuse the second. A panic of the parser, which wild input has
// caused before, becomes an error.
func parseYAML(src []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	reader := yaml.NewDecoder(bytes.NewReader(src))
	for len(docs) < 2 {
		var doc yaml.Node
		if err := reader.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
	return docs, nil
}

// syntaxForm takes the line out of the parser's messages.
var syntaxForm = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)`)

func syntaxProblem(err error) Problem {
	p := Problem{Message: "not valid YAML: " + err.Error()}
	if parts := syntaxForm.FindStringSubmatch(err.Error()); parts != nil {
		p.Line, _ = strconv.Atoi(parts[1]) // no line: 0
		p.Message = "not valid YAML: " + parts[2]
	}
	return p
}

// treeReader makes nodes of the parser's tree and notes what a spec may not contain.
type treeReader struct{ problems []Problem }

func (t *treeReader) problem(path string, line int, hint, format string, args ...any) {
	t.problems = append(t.problems, Problem{Path: path, Line: line, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (t *treeReader) read(n *yaml.Node, path string, depth int) *node {
	out := &node{line: n.Line, kind: badNode}
	switch {
	case depth > maxDepth:
		t.problem(path, out.line, "", "nested deeper than %d levels", maxDepth)
		return out
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		t.problem(path, out.line, "write the value out", "anchors and aliases aren't allowed")
		return out
	case n.Style&yaml.TaggedStyle != 0:
		t.problem(path, out.line, "remove the tag", "YAML tags aren't allowed")
		return out
	}
	switch n.Kind {
	case yaml.ScalarNode:
		t.scalar(out, n, path)
	case yaml.SequenceNode:
		out.kind = listNode
		for i, item := range n.Content {
			out.items = append(out.items, t.read(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case yaml.MappingNode:
		out.kind = mapNode
		t.entries(out, n.Content, path, depth)
	}
	return out
}

func (t *treeReader) scalar(out *node, n *yaml.Node, path string) {
	out.text = n.Value
	switch n.ShortTag() {
	case "!!null":
		out.kind = nullNode
	case "!!bool", "!!int", "!!float":
		out.kind = numberNode
		if n.ShortTag() == "!!bool" {
			out.kind = boolNode
		}
		if err := n.Decode(&out.value); err != nil {
			out.kind = badNode
			t.problem(path, n.Line, "", "%q can't be read: %v", n.Value, err)
		}
		if i, ok := out.value.(int); ok {
			out.value = int64(i)
		}
	default: // texts, dates among them
		out.kind, out.value = textNode, n.Value
	}
}

// entries reads the keys and values that alternate in content.
func (t *treeReader) entries(out *node, content []*yaml.Node, path string, depth int) {
	seen := map[string]int{}
	for i := 0; i+1 < len(content); i += 2 {
		k := content[i]
		if k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Style&yaml.TaggedStyle != 0 {
			t.problem(path, k.Line, "a key is a plain name", "a list, mapping, anchor or tag can't be a key")
			continue
		}
		at := join(path, k.Value)
		if first, twice := seen[k.Value]; twice {
			t.problem(at, k.Line, "remove one of them", "%q is given twice, first on line %d", k.Value, first)
			continue
		}
		seen[k.Value] = k.Line
		out.keys = append(out.keys, key{name: k.Value, line: k.Line, value: t.read(content[i+1], at, depth+1)})
	}
}

// join is the path of a field.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
