package serving

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// maxDepth bounds the nesting of a value that is skipped.
const maxDepth = 64

// scanner reads one JSON text strictly (RFC 8259) and without reflection: a request is read straight into the places
// of its model's features, and strings and numbers stay where they are in the body. The text must be valid UTF-8.
type scanner struct {
	data []byte
	pos  int
}

// syntaxError says where a request stops being JSON.
type syntaxError struct {
	offset int
	what   string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("not JSON at byte %d: %s", e.offset+1, e.what)
}

func (s *scanner) fail(format string, args ...any) error {
	return &syntaxError{offset: s.pos, what: fmt.Sprintf(format, args...)}
}

// peek skips white space and gives the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if got := s.peek(); got != c {
		return s.fail("%s, want %q", s.seen(), c)
	}
	s.pos++
	return nil
}

// seen describes the next byte for an error.
func (s *scanner) seen() string {
	if s.pos >= len(s.data) {
		return "the text ends"
	}
	return fmt.Sprintf("observed %q", s.data[s.pos])
}

// end says whether only white space is left.
func (s *scanner) end() error {
	if s.peek() != 0 || s.pos < len(s.data) {
		return s.fail("%s after the end of the value", s.seen())
	}
	return nil
}

// object calls each with every key, positioned at the key's value, which each must consume.
func (s *scanner) object(each func(key []byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		key, err := s.text()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := each(key); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.fail("%s, want ',' or '}'", s.seen())
		}
	}
}

// array calls each at every element, which each must consume.
func (s *scanner) array(each func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.fail("%s, want ',' or ']'", s.seen())
		}
	}
}

// text reads a string. Without escapes it is a part of the body, not a copy.
func (s *scanner) text() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("%s, want a string", s.seen())
	}
	start := s.pos
	s.pos++
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start+1 : s.pos-1], nil
		case c == '\\':
			return s.escapedText(start)
		case c < ' ':
			return nil, s.fail("control character %#x in a string", c)
		default:
			s.pos++
		}
	}
	return nil, s.fail("a string has no end")
}

// escapedText reads on from the first backslash of the string that begins at start.
func (s *scanner) escapedText(start int) ([]byte, error) {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			var out string
			if err := json.Unmarshal(s.data[start:s.pos], &out); err != nil {
				s.pos = start
				return nil, s.fail("a string with a wrong escape")
			}
			return []byte(out), nil
		case c == '\\':
			s.pos += 2
		case c < ' ':
			return nil, s.fail("control character %#x in a string", c)
		default:
			s.pos++
		}
	}
	s.pos = len(s.data)
	return nil, s.fail("a string has no end")
}

// number reads a number's text.
func (s *scanner) number() ([]byte, error) {
	s.peek()
	start := s.pos
	s.skipByte('-')
	if s.pos < len(s.data) && s.data[s.pos] == '0' {
		s.pos++
	} else if s.digits() == 0 {
		return nil, s.fail("%s, want a digit", s.seen())
	}
	if s.skipByte('.') && s.digits() == 0 {
		return nil, s.fail("%s, want a digit after the point", s.seen())
	}
	if s.skipByte('e') || s.skipByte('E') {
		if !s.skipByte('+') {
			s.skipByte('-')
		}
		if s.digits() == 0 {
			return nil, s.fail("%s, want a digit in the exponent", s.seen())
		}
	}
	return s.data[start:s.pos], nil
}

func (s *scanner) skipByte(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) digits() (n int) {
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
		n++
	}
	return n
}

func (s *scanner) literal(word string) error {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return s.fail("%s, want a value", s.seen())
	}
	s.pos += len(word)
	return nil
}

// skip passes over any value.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.fail("nested deeper than %d", maxDepth)
	}
	switch c := s.peek(); c {
	case '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	default:
		_, err := s.scalar()
		return err
	}
}

// valueKind is what a scalar is in JSON.
type valueKind uint8

const (
	absentValue valueKind = iota
	nullValue
	numberValue
	textValue
	trueValue
	falseValue
)

// value is one scalar of a request: a number's text, a string's content.
type value struct {
	kind valueKind
	raw  []byte
}

// scalar reads a number, string, boolean or null.
func (s *scanner) scalar() (value, error) {
	switch c := s.peek(); {
	case c == '"':
		raw, err := s.text()
		return value{textValue, raw}, err
	case c == '-' || c-'0' <= 9:
		raw, err := s.number()
		return value{numberValue, raw}, err
	case c == 't':
		return value{kind: trueValue}, s.literal("true")
	case c == 'f':
		return value{kind: falseValue}, s.literal("false")
	case c == 'n':
		return value{kind: nullValue}, s.literal("null")
	case c == '{' || c == '[':
		return value{}, s.fail("%s, want a number, a string, a boolean or null", s.seen())
	}
	return value{}, s.fail("%s, want a value", s.seen())
}

// boxed is the value as encoding/json gives it with UseNumber.
func (v value) boxed() any {
	switch v.kind {
	case numberValue:
		return json.Number(v.raw)
	case textValue:
		return string(v.raw)
	case trueValue, falseValue:
		return v.kind == trueValue
	}
	return nil
}

// text is the value as a cell of a table: null and absent are empty.
func (v value) text() []byte {
	switch v.kind {
	case trueValue:
		return []byte("true")
	case falseValue:
		return []byte("false")
	}
	return v.raw
}

// parseNumber is the float64 nearest to a JSON number's text; false when it is out of range. A mantissa below 2^53
// and a power of ten up to 22 are both exact as float64, so one division or multiplication rounds correctly.
func parseNumber(raw []byte) (float64, bool) {
	mantissa, exponent, ok := uint64(0), 0, len(raw) > 0 && len(raw) <= 17
	negative := ok && raw[0] == '-'
	digits := raw
	if negative {
		digits = raw[1:]
	}
	point := false
	for _, c := range digits {
		switch {
		case c == '.':
			point = true
		case c-'0' <= 9:
			mantissa = mantissa*10 + uint64(c-'0')
			if point {
				exponent--
			}
		default:
			ok = false
		}
	}
	if !ok || mantissa >= 1<<53 {
		f, err := strconv.ParseFloat(string(raw), 64)
		return f, err == nil
	}
	f := float64(mantissa)
	if exponent < 0 {
		f /= powersOfTen[-exponent]
	}
	if negative {
		f = -f
	}
	return f, true
}

var powersOfTen = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17}
