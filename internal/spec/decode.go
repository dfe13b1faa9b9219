package spec

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/instant"
	"github.com/leanloop/leanloop/internal/nearest"
	"github.com/leanloop/leanloop/internal/search/space"
)

// decoder fills a Model from a tree and notes everything that doesn't fit. It leaves alone what the tree doesn't
// name, so the defaults that were there stay.
type decoder struct {
	treeReader
	file   string // "" for the spec's own
	places places // of every field that the file names
}

// place is where a field stands.
type place struct {
	file string
	line int
}

type places map[string]place

// of is where a field stands, or the nearest section around it that the file names.
func (p places) of(path string) place {
	for path != "" {
		if at, ok := p[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return place{}
}

func (d *decoder) mark(path string, line int) { d.places[path] = place{file: d.file, line: line} }

// decodeInto decodes a whole file into v and returns what is wrong with it. ok is false where nothing can be said
// about the fields, since there are none.
func decodeInto(v any, src []byte, file, path string, at places) (problems []Problem, ok bool) {
	root, problems := readTree(src)
	if root != nil {
		d := &decoder{treeReader: treeReader{problems: problems}, file: file, places: at}
		d.decode(root, reflect.ValueOf(v).Elem(), path, false)
		problems, ok = d.problems, root.kind == mapNode
	}
	for i := range problems {
		problems[i].File = file
	}
	return problems, ok
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// forms say how a value of a type with a text form is written.
var forms = map[reflect.Type]string{
	reflect.TypeFor[Duration](): "a duration such as 90s, 24h or 7d",
	reflect.TypeFor[Percent]():  "a share such as 10% or 0.1",
	reflect.TypeFor[Bytes]():    "a size such as 4Gi or 512Mi",
	reflect.TypeFor[Money]():    "an amount such as 20 USD",
	reflect.TypeFor[KOfN]():     "how many of how many, such as 2 of 3",
	reflect.TypeFor[Instant]():  instant.Form,
}

// decode fills v from n. anyScalar lets numbers and booleans stand for texts: a category may be called 1 or true.
func (d *decoder) decode(n *node, v reflect.Value, path string, anyScalar bool) {
	if path != "" {
		d.mark(path, n.line)
	}
	if n.kind == nullNode {
		d.problem(path, n.line, "give a value, or remove the line for the default", "has no value")
		return
	}
	if n.kind == badNode {
		return
	}
	switch target := v.Addr().Interface().(type) {
	case *Gates:
		d.gates(n, target, path)
		return
	case **Contract:
		d.contract(n, target, path)
		return
	case **suite.Suite:
		d.suite(n, target, path)
		return
	case *suite.Kwargs:
		d.kwargs(n, target, path)
		return
	case *ColumnRule:
		d.columnRule(n, target, path)
		return
	case *map[string]any:
		if n.kind != mapNode {
			d.mismatch(n, path, "a mapping of names to values")
			return
		}
		*target = d.param(n, path).(map[string]any) // of a mapping it is always one
		return
	case **Search:
		*target = new(Search)
		**target = defaultSearch()
		d.mapping(n, reflect.ValueOf(*target).Elem(), path)
		return
	case *space.Space:
		d.space(n, target, path)
		return
	case *[]any:
		d.choices(n, target, path)
		return
	case *map[string]string:
		d.words(n, target, path)
		return
	}
	if v.Addr().Type().Implements(textUnmarshaler) {
		d.text(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.decode(n, fresh.Elem(), path, anyScalar)
		v.Set(fresh)
	case reflect.Slice:
		d.list(n, v, path, anyScalar)
	default:
		d.scalar(n, v, path, anyScalar)
	}
}

// field is one field of a struct as YAML names it.
type field struct {
	name      string
	index     int
	anyScalar bool
	omitEmpty bool
}

// fieldsOf lists the fields of a section in the order of the type.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		out = append(out, field{name: name, index: i, omitEmpty: options == "omitempty",
			anyScalar: t.Field(i).Tag.Get("spec") == "anyscalar"})
	}
	return out
}

func names(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.name
	}
	return out
}

func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	if n.kind != mapNode {
		d.mismatch(n, path, "a mapping")
		return
	}
	fields := fieldsOf(v.Type())
	for _, k := range n.keys {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == k.name })
		if i < 0 {
			d.unknown(k, path, names(fields))
			continue
		}
		value := v.Field(fields[i].index)
		d.decode(k.value, value, join(path, k.name), fields[i].anyScalar)
		if fields[i].omitEmpty && isSized(value) && value.Len() == 0 {
			value.SetZero() // an empty list and none are the same spec
		}
		d.mark(join(path, k.name), k.line)
	}
}

func (d *decoder) unknown(k key, path string, valid []string) {
	hint := nearest.Hint(k.name, valid)
	if _, near := nearest.Name(k.name, valid); !near {
		if homes := homesOf(k.name); len(homes) > 0 {
			hint = fmt.Sprintf("it belongs to %s; %s", strings.Join(homes, " or "), hint)
		}
	}
	d.problem(join(path, k.name), k.line, hint, "unknown field %q", k.name)
}

// homesOf lists the sections that have a field of this name.
func homesOf(name string) []string {
	var homes []string
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for _, f := range fieldsOf(t) {
			if f.name == name && path != "" {
				homes = append(homes, path)
			}
			walk(t.Field(f.index).Type, join(path, f.name))
		}
	}
	walk(reflect.TypeFor[Model](), "")
	return homes
}

func (d *decoder) list(n *node, v reflect.Value, path string, anyScalar bool) {
	if n.kind != listNode {
		d.mismatch(n, path, "a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		if step, ok := out.Index(i).Addr().Interface().(*Step); ok {
			*step = defaultStep()
		}
		d.decode(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), anyScalar)
	}
	v.Set(out)
}

func (d *decoder) text(n *node, v reflect.Value, path string) {
	form := forms[v.Type()]
	if n.kind != textNode && n.kind != numberNode {
		d.mismatch(n, path, form)
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		d.problem(path, n.line, "", "%v", err)
	}
}

func (d *decoder) scalar(n *node, v reflect.Value, path string, anyScalar bool) {
	ok := false
	want := ""
	switch v.Kind() {
	case reflect.String:
		want = "a text"
		if ok = n.kind == textNode || (anyScalar && n.kind < listNode); ok {
			v.SetString(n.text)
		} else if n.kind < listNode {
			d.problem(path, n.line, fmt.Sprintf("write it in quotes: %q", n.text), "expected a text, found %s", n.describe())
			return
		}
	case reflect.Bool:
		want = "true or false"
		var b bool
		if b, ok = n.value.(bool); ok {
			v.SetBool(b)
		}
	case reflect.Int, reflect.Uint64:
		want = "a whole number"
		ok = setWhole(v, n)
	case reflect.Float64:
		want = "a number"
		var f float64
		if f, ok = n.float(); ok {
			v.SetFloat(f)
		}
	default:
		panic(fmt.Sprintf("spec: no decoding for %s at %s", v.Type(), path))
	}
	if !ok {
		d.mismatch(n, path, want)
	}
}

// setWhole sets an integer that fits and isn't negative: nothing in a spec counts below zero.
func setWhole(v reflect.Value, n *node) bool {
	var u uint64
	switch x := n.value.(type) {
	case int64:
		if x < 0 {
			return false
		}
		u = uint64(x)
	case uint64:
		u = x
	default:
		return false
	}
	if v.Kind() == reflect.Uint64 {
		v.SetUint(u)
		return true
	}
	if u > math.MaxInt64 || v.OverflowInt(int64(u)) {
		return false
	}
	v.SetInt(int64(u))
	return true
}

// float is the value of a finite number.
func (n *node) float() (float64, bool) {
	switch x := n.value.(type) {
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	case float64:
		return x, !math.IsNaN(x) && !math.IsInf(x, 0)
	}
	return 0, false
}

func (d *decoder) mismatch(n *node, path, want string) {
	d.problem(path, n.line, "", "expected %s, found %s", want, n.describe())
}

// maxExact is the largest integer up to which a float64 holds every one.
const maxExact = 1 << 53

// param is a value of train.params: a text, a boolean, a float64, or a list or mapping of those. It is what JSON
// makes of the same value, so a Model that travels as JSON is unchanged.
func (d *decoder) param(n *node, path string) any {
	d.mark(path, n.line)
	switch n.kind {
	case boolNode, textNode:
		return n.value
	case numberNode:
		f, ok := n.float()
		if !ok || !exact(n.value) {
			d.problem(path, n.line, fmt.Sprintf("write it in quotes: %q", n.text), "number %s can't be held exactly", n.text)
		}
		return f
	case listNode:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = d.param(item, fmt.Sprintf("%s[%d]", path, i))
		}
		return out
	case mapNode:
		out := make(map[string]any, len(n.keys))
		for _, k := range n.keys {
			out[k.name] = d.param(k.value, join(path, k.name))
		}
		return out
	case nullNode:
		d.problem(path, n.line, "give a value, or remove the line", "has no value")
	}
	return nil
}

// words decodes a mapping of names to texts.
func (d *decoder) words(n *node, target *map[string]string, path string) {
	if n.kind != mapNode {
		d.mismatch(n, path, "a mapping of names to texts")
		return
	}
	*target = make(map[string]string, len(n.keys))
	for _, k := range n.keys {
		var text string
		d.decode(k.value, reflect.ValueOf(&text).Elem(), join(path, k.name), false)
		(*target)[k.name] = text
	}
}

// exact says whether a whole number survives becoming a float64. What is written as a fraction or with an exponent is
// a float64 already.
func exact(value any) bool {
	switch x := value.(type) {
	case int64:
		return x >= -maxExact && x <= maxExact
	case uint64:
		return x <= maxExact
	}
	return true
}

func (d *decoder) gates(n *node, g *Gates, path string) {
	if n.kind != mapNode {
		d.mismatch(n, path, "a mapping")
		return
	}
	fields := fieldsOf(reflect.TypeFor[Gates]())
	for _, k := range n.keys {
		at := join(path, k.name)
		if i := slices.IndexFunc(fields, func(f field) bool { return f.name == k.name }); i >= 0 {
			d.decode(k.value, reflect.ValueOf(g).Elem().Field(fields[i].index), at, false)
			d.mark(at, k.line)
			continue
		}
		if !slices.Contains(AllMetrics(), k.name) {
			d.problem(at, k.line, nearest.Hint(k.name, append(AllMetrics(), names(fields)...)), "unknown metric %q", k.name)
			continue
		}
		if k.value.kind == numberNode {
			d.problem(at, k.line, fmt.Sprintf("write %s: {min: %s} or {max: %s}", k.name, k.value.text, k.value.text),
				"expected bounds, found %s", k.value.describe())
			continue
		}
		var b Bound
		d.decode(k.value, reflect.ValueOf(&b).Elem(), at, false)
		if g.Metrics == nil {
			g.Metrics = map[string]Bound{}
		}
		g.Metrics[k.name] = b
		d.mark(at, k.line)
	}
}
