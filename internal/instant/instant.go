// Package instant reads points in time as people write them in data, specs and suites: one form everywhere.
package instant

import (
	"strings"
	"time"
)

// Form is how an instant is written, for messages.
const Form = "a time such as 2006-01-02 or 2006-01-02T15:04:05Z"

// Parse takes 2006-01-02, and 2006-01-02T15:04:05 with a T or a space, an optional fraction of at most nine digits, and
// an optional zone Z or ±hh:mm; UTC without one. The result is in Unix nanoseconds, so years are 1678 to 2261.
// Other orders (02/01/2006) are ambiguous and refused. It takes what a cell of a timestamp column may hold, exactly.
func Parse(text string) (nanoseconds int64, ok bool) {
	layout := time.DateOnly
	if len(text) > len(layout) {
		if text[10] != 'T' && text[10] != ' ' {
			return 0, false
		}
		text = text[:10] + "T" + text[11:]
		layout = "2006-01-02T15:04:05"
		if strings.ContainsRune(text, ',') {
			return 0, false // time.Parse takes it for a fraction's point
		}
		switch rest := zoneOf(text); {
		case strings.HasSuffix(rest, "Z"):
			layout += "Z"
		case strings.ContainsAny(rest, "+-"):
			layout += "-07:00"
		}
		if _, fraction, has := strings.Cut(strings.TrimRight(text, "Z"), "."); has && digits(fraction) > 9 {
			return 0, false
		}
	}
	at, err := time.Parse(layout, text)
	if err != nil || at.UTC().Year() < 1678 || at.UTC().Year() > 2261 {
		return 0, false
	}
	return at.UnixNano(), true
}

// zoneOf is what follows the seconds.
func zoneOf(text string) string {
	if len(text) < 19 {
		return ""
	}
	return text[19:]
}

// digits counts the digits that text begins with.
func digits(text string) int {
	for i, r := range text {
		if r < '0' || r > '9' {
			return i
		}
	}
	return len(text)
}

// Text writes an instant as Parse reads it: RFC 3339 in UTC, without a fraction where there is none.
func Text(nanoseconds int64) string { return time.Unix(0, nanoseconds).UTC().Format(time.RFC3339Nano) }
