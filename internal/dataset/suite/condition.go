package suite

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Condition says which rows a rule judges: a comparison of a column with values, whether it is null, or several
// conditions of which all or any must hold.
type Condition struct {
	Column string
	Op     string  // == != < <= > >= in not_in null not_null and or
	Values []Value // one, but of in and not_in
	Parts  []Condition
}

// maxConditions is Great Expectations' own limit.
const maxConditions = 100

// Columns are the columns that the condition reads, in order, possibly repeated.
func (c *Condition) Columns() []string {
	if c == nil {
		return nil
	}
	var names []string
	if c.Column != "" {
		names = append(names, c.Column)
	}
	for i := range c.Parts {
		names = append(names, c.Parts[i].Columns()...)
	}
	return names
}

// ParseCondition reads a row_condition: the objects that Great Expectations 1.x writes (comparison, nullity, and, or),
// or a text, in which comparisons of a column with a number or a quoted text, and tests for null, may be joined by and.
func ParseCondition(v any) (*Condition, error) {
	switch v := v.(type) {
	case string:
		return parseConditionText(v)
	case map[string]any:
		if filter, ok := v["pass_through_filter"].(string); ok && v["type"] == "pass_through" {
			return parseConditionText(filter)
		}
		count := 0
		return conditionOf(v, &count, 0)
	}
	return nil, fmt.Errorf("expected a condition, found %s", describe(v))
}

// conditionOf reads the object form.
func conditionOf(m map[string]any, count *int, depth int) (*Condition, error) {
	if *count++; *count > maxConditions || depth > maxDepth {
		return nil, fmt.Errorf("more than %d conditions", maxConditions)
	}
	kind, _ := m["type"].(string)
	column, _ := m["column"].(map[string]any)
	name, _ := column["name"].(string)
	switch kind {
	case "and", "or":
		c := &Condition{Op: kind}
		parts, _ := m["conditions"].([]any)
		for _, part := range parts {
			object, _ := part.(map[string]any)
			p, err := conditionOf(object, count, depth+1)
			if err != nil {
				return nil, err
			}
			c.Parts = append(c.Parts, *p)
		}
		if len(c.Parts) == 0 {
			return nil, fmt.Errorf("%q joins no conditions", kind)
		}
		return c, nil
	case "nullity":
		null, ok := m["is_null"].(bool)
		if !ok || name == "" {
			return nil, errors.New("nullity needs a column and is_null")
		}
		if null {
			return &Condition{Column: name, Op: "null"}, nil
		}
		return &Condition{Column: name, Op: "not_null"}, nil
	case "comparison":
		return comparisonOf(m, name)
	}
	return nil, fmt.Errorf("a condition of type %q isn't understood", kind)
}

func comparisonOf(m map[string]any, name string) (*Condition, error) {
	op, _ := m["operator"].(string)
	op = strings.ToLower(op)
	if name == "" || !slices.Contains([]string{"==", "!=", "<", "<=", ">", ">=", "in", "not_in"}, op) {
		return nil, fmt.Errorf("comparison needs a column and an operator, found %q and %q", name, op)
	}
	a := &arguments{}
	c := &Condition{Column: name, Op: op}
	if op == "in" || op == "not_in" {
		c.Values = a.values("parameter", m["parameter"])
	} else if v, ok := a.scalar("parameter", m["parameter"]); ok {
		c.Values = []Value{v}
	}
	if len(a.found) > 0 {
		return nil, errors.New(a.found[0].String())
	}
	return c, nil
}

// parseConditionText reads a text such as col("age") > 5 and city == "Oslo" and gust.notNull().
func parseConditionText(text string) (*Condition, error) {
	p := &conditionParser{rest: text}
	all := &Condition{Op: "and"}
	for {
		c, err := p.term()
		if err != nil {
			return nil, fmt.Errorf("row_condition %.100q: %w", text, err)
		}
		all.Parts = append(all.Parts, *c)
		p.space()
		if p.rest == "" {
			break
		}
		if !p.take("and ", "AND ", "&&", "&") {
			return nil, fmt.Errorf("row_condition %.100q: %.40q isn't understood: comparisons may be joined by and", text, p.rest)
		}
	}
	if len(all.Parts) == 1 {
		return &all.Parts[0], nil
	}
	return all, nil
}

type conditionParser struct{ rest string }

func (p *conditionParser) space() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

// take removes the first of the words that comes next.
func (p *conditionParser) take(words ...string) bool {
	p.space()
	for _, w := range words {
		if strings.HasPrefix(p.rest, w) {
			p.rest = p.rest[len(w):]
			return true
		}
	}
	return false
}

// term is one comparison, maybe in parentheses.
func (p *conditionParser) term() (*Condition, error) {
	open := p.take("(")
	c, err := p.comparison()
	if err == nil && open && !p.take(")") {
		err = errors.New("a parenthesis isn't closed, or holds more than one comparison")
	}
	return c, err
}

func (p *conditionParser) comparison() (*Condition, error) {
	name, err := p.column()
	if err != nil {
		return nil, err
	}
	c := &Condition{Column: name}
	switch {
	case p.take(".notNull()", ".notnull()", ".notna()"):
		c.Op = "not_null"
		return c, nil
	case p.take(".isNull()", ".isnull()", ".isna()"):
		c.Op = "null"
		return c, nil
	}
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if c.Op == "" && p.take(op) {
			c.Op = op
		}
	}
	if c.Op == "" {
		return nil, fmt.Errorf("expected a comparison behind %q, found %.40q", name, p.rest)
	}
	v, err := p.literal()
	c.Values = []Value{v}
	return c, err
}

// column is col("name"), `name` or name.
func (p *conditionParser) column() (string, error) {
	switch {
	case p.take("col("):
		v, err := p.literal()
		if err != nil || v.Kind != TextValue || !p.take(")") {
			return "", errors.New(`expected col("name")`)
		}
		return v.Text, nil
	case p.take("`"):
		name, rest, ok := strings.Cut(p.rest, "`")
		p.rest = rest
		if !ok {
			return "", errors.New("a ` isn't closed")
		}
		return name, nil
	}
	p.space()
	n := strings.IndexFunc(p.rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if n < 0 {
		n = len(p.rest)
	}
	name := p.rest[:n]
	if name == "" || unicode.IsDigit(rune(name[0])) || slices.Contains([]string{"not", "and", "or"}, name) {
		return "", fmt.Errorf("expected a column, found %.40q", p.rest)
	}
	p.rest = p.rest[n:]
	return name, nil
}

// literal is a quoted text, a number, or true or false.
func (p *conditionParser) literal() (Value, error) {
	p.space()
	for _, quote := range []string{`"`, "'"} {
		if !p.take(quote) {
			continue
		}
		text, rest, ok := strings.Cut(p.rest, quote)
		if !ok || strings.Contains(text, `\`) {
			return Value{}, fmt.Errorf("the text behind %s isn't closed, or has a backslash", quote)
		}
		p.rest = rest
		return Value{Kind: TextValue, Text: text}, nil
	}
	switch {
	case p.take("True", "true"):
		return Value{Kind: BooleanValue, Boolean: true}, nil
	case p.take("False", "false"):
		return Value{Kind: BooleanValue}, nil
	}
	n := strings.IndexFunc(p.rest, func(r rune) bool { return !strings.ContainsRune("0123456789.+-eE", r) })
	if n < 0 {
		n = len(p.rest)
	}
	f, err := strconv.ParseFloat(p.rest[:n], 64)
	if err != nil {
		return Value{}, fmt.Errorf("expected a number or a quoted text, found %.40q", p.rest)
	}
	p.rest = p.rest[n:]
	return Value{Kind: NumberValue, Number: f}, nil
}
