package dataset

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// maxInteger is the largest magnitude up to which every whole number is a float64.
const maxInteger = 1 << 53

// isNull reports whether a cell stands for "no value" where a number, boolean or timestamp is declared: empty, NA,
// null or NULL. In a category or text only the empty cell does, since NA is a country and a name there. NaN is no
// null: whoever wrote it divided by zero, and should hear of it.
func isNull(cell []byte) bool {
	switch len(cell) {
	case 0:
		return true
	case 2:
		return cell[0] == 'N' && cell[1] == 'A'
	case 4:
		return string(cell) == "null" || string(cell) == "NULL"
	}
	return false
}

// parseNumber is strconv.ParseFloat, to the bit, on decimal text. Hexadecimal, underscores, NaN, infinities, spaces
// and what overflows to infinity are no numbers.
func parseNumber(cell []byte) (float64, bool) {
	for _, b := range cell {
		if (b < '0' || b > '9') && b != '.' && b != '-' && b != '+' && b != 'e' && b != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(text(cell), 64)
	return v, err == nil
}

// parseAs parses a cell of a numeric kind.
func parseAs(k Kind, cell []byte) (float64, bool) {
	switch k {
	case Integer:
		return parseInteger(cell)
	case Boolean:
		return parseBoolean(cell)
	}
	return parseNumber(cell)
}

// parseInteger takes whole numbers up to 2^53 in magnitude, however they are written: pandas writes 3.0 in a column
// that has nulls.
func parseInteger(cell []byte) (float64, bool) {
	v, ok := parseNumber(cell)
	return v, ok && v == math.Trunc(v) && wholeExactly(v, cell)
}

// wholeExactly reports whether a whole number is within ±2^53 as it is written: 9007199254740993 becomes 2^53 too.
func wholeExactly(v float64, cell []byte) bool {
	if math.Abs(v) != maxInteger {
		return math.Abs(v) < maxInteger
	}
	digits := strings.TrimLeft(strings.TrimLeft(text(cell), "+-"), "0")
	whole, fraction, _ := strings.Cut(digits, ".")
	return whole == "9007199254740992" && strings.Trim(fraction, "0") == ""
}

// parseBoolean takes true and false in lower, upper or title case, 1 and 0. Yes, no, t and f are categories.
func parseBoolean(cell []byte) (float64, bool) {
	switch string(cell) {
	case "true", "True", "TRUE", "1":
		return 1, true
	case "false", "False", "FALSE", "0":
		return 0, true
	}
	return 0, false
}

// parseTimestamp takes 2006-01-02, and 2006-01-02T15:04:05 with a T or a space, an optional fraction of at most nine
// digits, and an optional zone Z or ±hh:mm; UTC without one. The result is in Unix nanoseconds, so years are 1678
// to 2261. Other orders (02/01/2006) are ambiguous and refused.
func parseTimestamp(cell []byte) (int64, bool) {
	if len(cell) < 10 {
		return 0, false
	}
	date, ok := parseDate(cell[:10])
	if !ok {
		return 0, false
	}
	return parseClock(date, cell[10:])
}

// parseDate is the Unix seconds of 2006-01-02.
func parseDate(cell []byte) (int64, bool) {
	if cell[4] != '-' || cell[7] != '-' {
		return 0, false
	}
	year, month, day := digits(cell[0:4]), digits(cell[5:7]), digits(cell[8:10])
	if year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix(), true
}

// parseClock is the instant that what follows a date, which may be nothing, says, in Unix nanoseconds.
func parseClock(date int64, cell []byte) (int64, bool) {
	if len(cell) == 0 {
		return date * 1e9, true
	}
	if len(cell) < 9 || (cell[0] != 'T' && cell[0] != ' ') || cell[3] != ':' || cell[6] != ':' {
		return 0, false
	}
	hour, minute, second := digits(cell[1:3]), digits(cell[4:6]), digits(cell[7:9])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, false
	}
	nanos, rest, ok := fraction(cell[9:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	seconds := date + int64(hour*3600+minute*60+second) - offset
	return seconds*1e9 + nanos, ok
}

// fraction reads .123 at the start of b as nanoseconds, and is what follows.
func fraction(b []byte) (nanos int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	scale := int64(1e8)
	i := 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		nanos += int64(b[i]-'0') * scale
		scale /= 10
	}
	return nanos, b[i:], i > 1 && i <= 10
}

// zone reads all of b as a zone: nothing, Z, or ±hh:mm, in seconds east of UTC.
func zone(b []byte) (seconds int64, ok bool) {
	if len(b) == 0 || (len(b) == 1 && b[0] == 'Z') {
		return 0, true
	}
	if len(b) != 6 || (b[0] != '+' && b[0] != '-') || b[3] != ':' {
		return 0, false
	}
	hours, minutes := digits(b[1:3]), digits(b[4:6])
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	seconds = int64(hours*3600 + minutes*60)
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// digits is the number that a few digits spell, or -1.
func digits(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// daysIn is the length of a month.
func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// looksInteger reports whether a cell is written as a whole number.
func looksInteger(cell []byte) bool {
	cell = bytes.TrimPrefix(cell, []byte{'-'})
	for _, b := range cell {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(cell) > 0
}

// looksNumber reports whether a cell is written as a quantity. Long runs of digits are names (card and tracking
// numbers): as numbers they would lose their last digits.
func looksNumber(cell []byte) bool {
	v, ok := parseNumber(cell)
	if !ok || !plainNumber(cell) {
		return false
	}
	return !looksInteger(cell) || wholeExactly(v, cell)
}

// plainNumber reports whether a number is written as people write quantities: no plus sign and no leading zero, so
// that zip codes and flight numbers such as 007 are inferred as names.
func plainNumber(cell []byte) bool {
	cell = bytes.TrimPrefix(cell, []byte("-"))
	return len(cell) > 0 && cell[0] != '+' && (cell[0] != '0' || len(cell) == 1 || cell[1] < '0' || cell[1] > '9')
}

// text is b as a string without a copy. It must not outlive the next change of b.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
