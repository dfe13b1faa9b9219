package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// What a suite's file may ask of the reader.
const (
	maxSource = 1 << 20 // bytes; a thousand expectations have 200 KiB
	maxDepth  = 32      // levels of nesting; a suite needs six
)

// positions says on which line each path of a file stands.
type positions map[string]int

// of is the line of a path, or of the nearest one around it.
func (p positions) of(path string) int {
	for path != "" {
		if line, ok := p[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return p[""]
}

// place gives problems the lines of their paths.
func (p positions) place(problems []Problem) []Problem {
	for i := range problems {
		if problems[i].Line == 0 {
			problems[i].Line = p.of(problems[i].Path)
		}
	}
	return problems
}

// entry is one member of an object, in the file's order.
type entry struct {
	name  string
	value any
}

// object is a JSON object as it is written.
type object []entry

// get is a member's value.
func (o object) get(name string) (any, bool) {
	for _, e := range o {
		if e.name == name {
			return e.value, true
		}
	}
	return nil, false
}

// treeReader reads JSON into objects, []any, string, float64, bool and nil, and notes where everything stands. It
// refuses what encoding/json lets pass: a name given twice, numbers that a float64 can't hold, text that isn't UTF-8.
type treeReader struct {
	src      []byte
	decoder  *json.Decoder
	at       positions
	line     int // of offset
	offset   int
	problems []Problem
}

// readTree is the value of a whole file; nil and a problem where it isn't JSON.
func readTree(src []byte) (any, positions, []Problem) {
	switch {
	case len(src) > maxSource:
		return nil, nil, []Problem{{Message: fmt.Sprintf("%d bytes > %d", len(src), maxSource)}}
	case !utf8.Valid(src):
		return nil, nil, []Problem{{Message: "the file isn't valid UTF-8"}}
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	t := &treeReader{src: src, decoder: json.NewDecoder(bytes.NewReader(src)), at: positions{}, line: 1}
	t.decoder.UseNumber()
	root, err := t.value("", 0)
	if err == nil {
		if _, more := t.decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the suite")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.line += bytes.Count(t.src[t.offset:], []byte{'\n'})
			t.offset = len(t.src)
			err = errors.New("the file ends too early")
		}
		return nil, nil, append(t.problems, Problem{Line: t.here(), Message: "not valid JSON: " + err.Error()})
	}
	return root, t.at, t.problems
}

// here is the line that the decoder has reached.
func (t *treeReader) here() int {
	offset := max(t.offset, int(t.decoder.InputOffset()))
	t.line += bytes.Count(t.src[t.offset:offset], []byte{'\n'})
	t.offset = offset
	return t.line
}

func (t *treeReader) problem(path, format string, args ...any) {
	t.problems = append(t.problems, Problem{Path: path, Line: t.here(), Message: fmt.Sprintf(format, args...)})
}

// value reads one value; path is where it stands.
func (t *treeReader) value(path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	token, err := t.decoder.Token()
	if err != nil {
		return nil, err
	}
	t.at[path] = t.here()
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return t.object(path, depth)
		}
		return t.list(path, depth)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			t.problem(path, "number %.40s can't be held", v)
		}
		return f, nil
	default:
		return v, nil // string, bool or nil
	}
}

func (t *treeReader) object(path string, depth int) (any, error) {
	out := object{}
	for t.decoder.More() {
		token, err := t.decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // of an object it is always one
		at := strings.TrimPrefix(path+"."+name, ".")
		if _, twice := out.get(name); twice {
			t.problem(at, "%q is given twice", name)
		}
		v, err := t.value(at, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, entry{name: name, value: v})
	}
	_, err := t.decoder.Token()
	return out, err
}

func (t *treeReader) list(path string, depth int) (any, error) {
	out := []any{}
	for t.decoder.More() {
		v, err := t.value(fmt.Sprintf("%s[%d]", path, len(out)), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := t.decoder.Token()
	return out, err
}

// plain is a value with its objects as maps.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		out := make(map[string]any, len(v))
		for _, e := range v {
			out[e.name] = plain(e.value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	}
	return v
}

// describe names what was found, for a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprintf("%t", v)
	case []any:
		return "a list"
	}
	return "an object"
}
