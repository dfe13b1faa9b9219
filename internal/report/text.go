package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// longName is how many runes of a name or value a page shows; the whole of it is in the title.
	longName = 48
	// longText is the same for an observed value, a limit or a message.
	longText = 240
	// longTitle bounds what a title holds, so that no cell makes a page large.
	longTitle = 1000
	// none stands where there is no number.
	none = "–"
)

// words are what a page shows, and what it says in full when pointed at: "" where it shows everything.
type words struct {
	Text, Title string
}

// name is a name or value from data.
func name(s string) words { return clipped(s, longName) }

// clipped is text from data, made visible and no longer than limit runes.
func clipped(s string, limit int) words {
	text := visible(s, longTitle)
	if short := cut(text, limit); short != text {
		return words{Text: short, Title: text}
	}
	if text == "" {
		return words{Text: "(empty)"}
	}
	return words{Text: text}
}

// cut is the first limit runes, with an ellipsis where something was cut off.
func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// visible is s with what nobody would see, or what would turn the text around it, spelled out: control characters,
// bidirectional marks, zero-width characters, bytes that aren't UTF-8, and spaces around it. It ends where it has become
// limit runes long, with an ellipsis.
func visible(s string, limit int) string {
	var b strings.Builder
	first, last := len(s)-len(strings.TrimLeft(s, " ")), len(strings.TrimRight(s, " "))
	for i, n := 0, 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		shown := s[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1:
			shown = fmt.Sprintf("⟨byte %02X⟩", s[i])
		case r == ' ' && (i < first || i >= last):
			shown = "⟨space⟩"
		case hidden(r):
			shown = fmt.Sprintf("⟨U+%04X⟩", r)
		}
		if n += utf8.RuneCountInString(shown); n > limit {
			b.WriteRune('…')
			break
		}
		b.WriteString(shown)
		i += size
	}
	return b.String()
}

// hidden reports whether a rune has no shape of its own, or looks like a space and isn't: control characters, private
// and unassigned ones, the bidirectional and zero-width ones (category Cf), other spaces, and letters that are blank.
func hidden(r rune) bool {
	switch r {
	case ' ':
		return false
	case '\u034f', '\u115f', '\u1160', '\u3164', '\uffa0': // combining grapheme joiner, Hangul fillers
		return true
	}
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r)
}

// number is x with four significant digits, whole numbers with all of theirs. Thousands are apart from five digits on:
// 2015 may be a year.
func number(x float64) words {
	full := strconv.FormatFloat(x, 'g', -1, 64)
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return words{Text: none}
	case math.IsInf(x, 0):
		return words{Text: strings.Replace(strings.TrimPrefix(full, "+"), "Inf", "∞", 1)}
	case x == 0:
		return words{Text: "0"}
	case size >= 1e15 || size < 1e-4:
		return titled(scientific(x), full)
	case size >= 1000 || x == math.Trunc(x):
		return titled(apart(strconv.FormatFloat(x, 'f', 0, 64)), full)
	}
	return titled(strconv.FormatFloat(rounded(x), 'f', -1, 64), full)
}

// rounded is x, which is far below the largest float, to four significant digits.
func rounded(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64) // what was just formatted parses
	return r
}

// scientific is x as 1.234e20, with four digits.
func scientific(x float64) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', 3, 64), "e")
	mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	return mantissa + "e" + strings.TrimPrefix(strings.Replace(exponent, "-0", "-", 1), "+")
}

func titled(text, full string) words {
	if text == full {
		full = ""
	}
	return words{Text: text, Title: full}
}

// grouped puts commas between the thousands of a whole decimal.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range []byte(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(d)
	}
	return sign + b.String()
}

// apart is grouped for five digits and more.
func apart(digits string) string {
	if len(strings.TrimPrefix(digits, "-")) < 5 {
		return digits
	}
	return grouped(digits)
}

// count is a whole number, in full.
func count(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// counted is a number of things: "1 row", "2 rows".
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// percent is a share for people: 12.3 %, and never 0 % or 100 % for what isn't.
func percent(share float64) words {
	full := strconv.FormatFloat(share, 'g', -1, 64)
	switch {
	case math.IsNaN(share):
		return words{Text: none}
	case share == 0 || share == 1:
		return words{Text: strconv.FormatFloat(100*share, 'f', 0, 64) + "\u00a0%"}
	case share > 0 && share < 0.0005:
		return words{Text: "<\u00a00.1\u00a0%", Title: full}
	case share > 0.9995 && share < 1:
		return words{Text: ">\u00a099.9\u00a0%", Title: full}
	}
	return words{Text: strconv.FormatFloat(100*share, 'f', 1, 64) + "\u00a0%", Title: full}
}

// probability is a p-value.
func probability(p float64) words {
	full := strconv.FormatFloat(p, 'g', -1, 64)
	switch {
	case math.IsNaN(p):
		return words{Text: none}
	case p < 1e-4:
		return words{Text: "<\u00a00.0001", Title: full}
	}
	return titled(strconv.FormatFloat(math.Round(p*1e4)/1e4, 'f', -1, 64), full)
}

// size is a number of bytes in decimal units.
func size(bytes int64) words {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB", "EB"}
	x, unit := float64(bytes), 0
	for x >= 999.5 && unit < len(units)-1 {
		x, unit = x/1000, unit+1
	}
	if unit == 0 {
		return words{Text: count(bytes) + "\u00a0bytes"}
	}
	return words{Text: strconv.FormatFloat(x, 'g', 3, 64) + "\u00a0" + units[unit], Title: count(bytes) + " bytes"}
}

// instant is a time in UTC, to the second; none for the zero time.
func instant(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// day is the shortest form of an instant: without the time where that is midnight.
func day(t time.Time) words {
	t = t.UTC()
	text := t.Format("2006-01-02 15:04")
	if t.Equal(t.Truncate(24 * time.Hour)) {
		text = t.Format(time.DateOnly)
	}
	return titled(text, t.Format(time.RFC3339Nano))
}

// several is the first few names, and how many more there are.
func several(names []string, most int) string {
	shown := make([]string, 0, most)
	for _, n := range names[:min(len(names), most)] {
		shown = append(shown, "“"+name(n).Text+"”")
	}
	out := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		out += fmt.Sprintf(" and %s more", count(int64(more)))
	}
	return out
}
