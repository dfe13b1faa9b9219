package suite

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// TimeFormat is a format of Python's datetime.strptime.
type TimeFormat struct {
	text   string
	re     *regexp.Regexp
	groups []byte // the directive of each group
}

// directives are what strptime takes for each (CPython's _strptime.py, in the C locale). Weeks, weekdays as numbers,
// zone names and what depends on a locale aren't among them.
func directives() map[byte]string {
	return map[byte]string{
		'Y': `(\d\d\d\d)`, 'y': `(\d\d)`,
		'm': `(1[0-2]|0[1-9]|[1-9])`, 'd': `(3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9])`,
		'j': `(36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9])`,
		'H': `(2[0-3]|[0-1]\d|\d)`, 'I': `(1[0-2]|0[1-9]|[1-9]| [1-9])`, 'M': `([0-5]\d|\d)`, 'S': `(6[0-1]|[0-5]\d|\d)`,
		'f': `(\d{1,6})`, 'p': `(am|pm)`, 'z': `([+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?|Z)`,
		'B': `(january|february|march|april|may|june|july|august|september|october|november|december)`,
		'b': `(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`,
		'A': `(monday|tuesday|wednesday|thursday|friday|saturday|sunday)`, 'a': `(mon|tue|wed|thu|fri|sat|sun)`,
	}
}

// ParseTimeFormat reads a format. A directive that isn't understood, or is given twice, is an error.
func ParseTimeFormat(text string) (*TimeFormat, error) {
	known := directives()
	f := &TimeFormat{text: text}
	var b strings.Builder
	b.WriteString(`(?i)\A`)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '%' && i+1 < len(text) && text[i+1] == '%':
			i++
			b.WriteString("%")
		case c == '%':
			i++
			if i == len(text) || known[text[i]] == "" {
				return nil, fmt.Errorf("format %.100q: directive %%%s isn't supported; those that are: %%Y %%y %%m %%d %%j %%H %%I %%M %%S %%f %%p %%z %%B %%b %%A %%a %%%%",
					text, text[i:min(i+1, len(text))])
			}
			if strings.IndexByte(string(f.groups), text[i]) >= 0 {
				return nil, fmt.Errorf("format %.100q: directive %%%c is given twice", text, text[i])
			}
			f.groups = append(f.groups, text[i])
			b.WriteString(known[text[i]])
		case c == ' ' || c >= '\t' && c <= '\r':
			for i+1 < len(text) && (text[i+1] == ' ' || text[i+1] >= '\t' && text[i+1] <= '\r') {
				i++
			}
			b.WriteString(`\s+`)
		case c < 0x80:
			b.WriteString(regexp.QuoteMeta(string([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	var err error
	f.re, err = regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("format %.100q: %w", text, err)
	}
	return f, nil
}

// String is the format as it was given.
func (f *TimeFormat) String() string { return f.text }

// Match reports whether strptime would read the text.
func (f *TimeFormat) Match(text string) bool {
	at := f.re.FindStringSubmatchIndex(text)
	if at == nil || at[1] != len(text) {
		return false
	}
	year, month, day := 1900, 1, 1
	for i, directive := range f.groups {
		part := strings.TrimSpace(text[at[2*i+2]:at[2*i+3]])
		n, _ := strconv.Atoi(part) // 0 for what is no number
		switch directive {
		case 'Y':
			year = n
		case 'y':
			if year = 1900 + n; n <= 68 {
				year = 2000 + n
			}
		case 'm':
			month = n
		case 'B', 'b':
			month = 1 + strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(part[:3]))/3
		case 'd':
			day = n
		case 'S':
			if n > 59 {
				return false
			}
		case 'z':
			if len(part) > 2 && part[1:3] > "23" {
				return false
			}
		}
	}
	return year > 0 && day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
