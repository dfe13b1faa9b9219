package spec

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Canonical is the spec as YAML with every default written out, fields in the order of the types and maps in the
// order of their keys. Parse reads it back to the same Model, and equal Models have equal bytes. A contract or suite that
// is still a file's name is an error: the digest would not bind what it says.
func (m *Model) Canonical() ([]byte, error) {
	if c := m.Data.Contract; c != nil && c.File != "" {
		return nil, fmt.Errorf("spec %s: contract %q isn't read yet: use Load", m.Metadata.Name, c.File)
	}
	if s := m.Data.Expectations.Suite; s != nil && s.File != "" {
		return nil, fmt.Errorf("spec %s: suite %q isn't read yet: use Load", m.Metadata.Name, s.File)
	}
	w := &yamlWriter{}
	w.fields(reflect.ValueOf(m).Elem(), 0)
	return w.Bytes(), w.err
}

// yamlWriter writes block style YAML, one scalar a line.
type yamlWriter struct {
	bytes.Buffer
	err error
}

func (w *yamlWriter) indent(depth int) { w.WriteString(strings.Repeat("  ", depth)) }

// fields writes a section's fields; those that are empty and have no other default are left out.
func (w *yamlWriter) fields(v reflect.Value, depth int) {
	if g, ok := v.Addr().Interface().(*Gates); ok {
		for _, name := range g.Names() {
			b := g.Metrics[name]
			w.entry(name, reflect.ValueOf(&b).Elem(), depth)
		}
	}
	rule, _ := v.Addr().Interface().(*ColumnRule)
	for _, f := range fieldsOf(v.Type()) {
		value := v.Field(f.index)
		if f.omitEmpty && (value.IsZero() || (isSized(value) && value.Len() == 0)) {
			continue
		}
		w.entry(f.name, value, depth)
	}
	if rule != nil && rule.MinTime != nil {
		w.entry("min", reflect.ValueOf(rule.MinTime), depth)
	}
	if rule != nil && rule.MaxTime != nil {
		w.entry("max", reflect.ValueOf(rule.MaxTime), depth)
	}
}

func isSized(v reflect.Value) bool { return v.Kind() == reflect.Map || v.Kind() == reflect.Slice }

// entry writes "name: value", with a section or list on the lines below.
func (w *yamlWriter) entry(name string, v reflect.Value, depth int) {
	w.indent(depth)
	w.WriteString(quote(name) + ":")
	w.value(v, depth)
}

// value writes what follows a colon or a dash, up to the end of its last line.
func (w *yamlWriter) value(v reflect.Value, depth int) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if text, ok := w.scalar(v); ok {
		w.WriteString(" " + text + "\n")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if !v.CanAddr() { // it is in a map
			copied := reflect.New(v.Type()).Elem()
			copied.Set(v)
			v = copied
		}
		before := w.Len()
		w.WriteString("\n")
		w.fields(v, depth+1)
		if w.Len() == before+1 {
			w.Truncate(before)
			w.WriteString(" {}\n")
		}
	case reflect.Map:
		w.mapping(v, depth)
	case reflect.Slice:
		if v.Len() == 0 {
			w.WriteString(" []\n")
			return
		}
		w.WriteString("\n")
		for i := range v.Len() {
			w.item(v.Index(i), depth+1)
		}
	default:
		w.err = fmt.Errorf("spec: a value of type %s can't be written", v.Kind())
	}
}

// item writes one entry of a list; a section's first field stands beside the dash.
func (w *yamlWriter) item(v reflect.Value, depth int) {
	w.indent(depth)
	w.WriteString("-")
	start := w.Len()
	w.value(v, depth)
	if rest := w.Bytes()[start:]; len(rest) > 1 && rest[0] == '\n' {
		text := " " + string(bytes.TrimLeft(rest, "\n "))
		w.Truncate(start)
		w.WriteString(text)
	}
}

// mapping writes a map with names as its keys, in their order.
func (w *yamlWriter) mapping(v reflect.Value, depth int) {
	if v.Type().Key().Kind() != reflect.String {
		w.err = fmt.Errorf("spec: a mapping of type %s can't be written", v.Type())
		return
	}
	if v.Len() == 0 {
		w.WriteString(" {}\n")
		return
	}
	w.WriteString("\n")
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		w.entry(name.String(), v.MapIndex(name), depth+1)
	}
}

// scalar is the text of a value that fits on a line.
func (w *yamlWriter) scalar(v reflect.Value) (string, bool) {
	if !v.IsValid() {
		return "null", true
	}
	if t, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := t.MarshalText()
		if err != nil && w.err == nil {
			w.err = err
		}
		return quote(string(b)), true
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String()), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float64:
		return formatFloat(v.Float()), true
	}
	return "", false
}

// formatFloat is the shortest decimal that reads back to f, whole numbers without a point. YAML wants a point before
// an exponent.
func formatFloat(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) <= maxExact {
		return strconv.FormatInt(int64(f), 10) // negative zero becomes zero
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if mantissa, exponent, ok := strings.Cut(text, "e"); ok && !strings.Contains(mantissa, ".") {
		return mantissa + ".0e" + exponent
	}
	return text
}

// plain is what YAML reads as a text without quotes, whatever its version: no indicator, no number, no date.
var plain = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*$|^[0-9]+(w|d|h|m|s|ms|us|ns|Ki|Mi|Gi|Ti)$`)

// reserved words are booleans, nulls or numbers in some version of YAML.
var reserved = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf|_)$`)

// quote writes a text so that YAML reads it back, plain where that is safe.
func quote(text string) string {
	if plain.MatchString(text) && !reserved.MatchString(text) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case !unicode.IsPrint(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case !unicode.IsPrint(r): // control characters, and spaces and marks that YAML or an editor may eat
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
