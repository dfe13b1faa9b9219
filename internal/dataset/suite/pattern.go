package suite

import (
	"fmt"
	"regexp"
	"strings"
)

// Pattern is a regular expression of a suite, which Python wrote: it is looked for anywhere in a text.
type Pattern struct {
	text string
	re   *regexp.Regexp
}

// ParsePattern translates a pattern of Python's re to RE2. What RE2 can't express (look-around, references to groups)
// is an error.
func ParsePattern(text string) (*Pattern, error) {
	re, err := regexp.Compile(translate(text))
	if err != nil {
		return nil, fmt.Errorf("pattern %.100q: %w", text, err)
	}
	return &Pattern{text: text, re: re}, nil
}

// String is the pattern as it was given.
func (p *Pattern) String() string { return p.text }

// Match reports whether the pattern is found in the text.
func (p *Pattern) Match(text string) bool { return p.re.MatchString(text) }

// Python's classes know Unicode, RE2's only ASCII.
const (
	digitClass = `\p{Nd}`
	wordClass  = `\p{L}\p{N}_`
	spaceClass = `\s\x0b\x1c-\x1f\x{85}\p{Z}`
)

var (
	multiline     = regexp.MustCompile(`\(\?[a-zA-Z]*m`) // where $ is an end of a line, in both
	unicodeEscape = regexp.MustCompile(`^\\u[0-9a-fA-F]{4}`)
)

// translate writes a pattern for RE2. A $ also matches before a last line feed, \Z at the very end, \d \w \s and their
// opposites are about Unicode. The opposites \D \W \S within brackets stay RE2's, about ASCII: there is no way to
// write them.
func translate(text string) string {
	var b strings.Builder
	class := false // within brackets
	lines := multiline.MatchString(text)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && unicodeEscape.MatchString(text[i:]):
			b.WriteString(`\x{` + text[i+2:i+6] + `}`)
			i += 5
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteString(escape(text[i], class))
		case class:
			class = c != ']'
			b.WriteByte(c)
		case c == '[':
			class = true
			b.WriteByte(c)
			// A ] right behind [ or [^ is itself.
			if i+1 < len(text) && text[i+1] == '^' {
				i++
				b.WriteByte('^')
			}
			if i+1 < len(text) && text[i+1] == ']' {
				i++
				b.WriteString(`\]`)
			}
		case c == '{' && strings.HasPrefix(text[i:], "{,"):
			b.WriteString("{0")
		case c == '$' && !lines:
			b.WriteString(`(?:\n?\z)`)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escape translates \c.
func escape(c byte, class bool) string {
	switch {
	case c == 'd' && class:
		return digitClass
	case c == 'd':
		return "[" + digitClass + "]"
	case c == 'w' && class:
		return wordClass
	case c == 'w':
		return "[" + wordClass + "]"
	case c == 's' && class:
		return spaceClass
	case c == 's':
		return "[" + spaceClass + "]"
	case c == 'D' && !class:
		return "[^" + digitClass + "]"
	case c == 'W' && !class:
		return "[^" + wordClass + "]"
	case c == 'S' && !class:
		return "[^" + spaceClass + "]"
	case c == 'Z' && !class:
		return `\z`
	}
	return `\` + string([]byte{c})
}
