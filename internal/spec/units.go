package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written 90s, 15m, 24h, 7d or 2w (a day is 24 h). It is never negative.
type Duration time.Duration

// D is the value as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Percent is a share of one, written 10% or 0.1.
type Percent float64

// Bytes is a size, written 4Gi, 512Mi, 1G or a plain number of bytes.
type Bytes int64

// Money is an amount with its currency, written "20 USD".
type Money struct {
	Amount   float64
	Currency string // three upper-case letters; "" in the zero value
}

const day = 24 * time.Hour

// durationUnits are the units from the largest to the smallest.
var durationUnits = []struct {
	name string
	size time.Duration
}{
	{"w", 7 * day}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
	{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
}

// ParseDuration reads numbers with units, such as 90s, 1.5h or 1d12h. Zero needs no unit.
func ParseDuration(text string) (Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "0" {
		return 0, nil
	}
	if rest == "" {
		return 0, fmt.Errorf("an empty duration: write 90s, 15m, 24h, 7d or 2w")
	}
	var total time.Duration
	for rest != "" {
		number := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789."))]
		rest = rest[len(number):]
		unit := rest[:len(rest)-len(strings.TrimLeft(rest, "wdhmsun"))]
		rest = rest[len(unit):]
		part, err := durationPart(number, unit)
		if err != nil {
			return 0, fmt.Errorf("duration %q: %w", text, err)
		}
		if total > math.MaxInt64-part {
			return 0, fmt.Errorf("duration %q is longer than 292 years", text)
		}
		total += part
	}
	return Duration(total), nil
}

func durationPart(number, unit string) (time.Duration, error) {
	if number == "" {
		return 0, fmt.Errorf("expected a number: write 90s, 15m, 24h, 7d or 2w")
	}
	if unit == "" {
		return 0, fmt.Errorf("%s has no unit: write %ss, %sm, %sh or %sd", number, number, number, number, number)
	}
	for _, u := range durationUnits {
		if u.name != unit {
			continue
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			if n > math.MaxInt64/int64(u.size) {
				return 0, fmt.Errorf("%s%s is longer than 292 years", number, unit)
			}
			return time.Duration(n) * u.size, nil
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, fmt.Errorf("%q isn't a number", number)
		}
		if f *= float64(u.size); f >= math.MaxInt64 {
			return 0, fmt.Errorf("%s%s is longer than 292 years", number, unit)
		}
		return time.Duration(math.Round(f)), nil
	}
	return 0, fmt.Errorf("unit %q is unknown: w, d, h, m, s, ms, us or ns", unit)
}

// String is the shortest form that reads back to the same value: 7d, 36h, 90s.
func (d Duration) String() string {
	if d <= 0 {
		return "0s"
	}
	for _, u := range durationUnits[1:] {
		if d.D()%u.size == 0 {
			return strconv.FormatInt(int64(d.D()/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// ParsePercent reads 10% or 0.1.
func ParsePercent(text string) (Percent, error) {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("share %q: write 10%% or 0.1", text)
	}
	if isPercent {
		f /= 100
	}
	return Percent(f), nil
}

// String is the share in percent, for people.
func (p Percent) String() string { return strconv.FormatFloat(float64(p)*100, 'g', 10, 64) + "%" }

// byteUnits are the binary units from the largest to the smallest, then the decimal ones.
var byteUnits = []struct {
	name string
	size int64
}{
	{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
	{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"K", 1e3}, {"k", 1e3}, {"", 1},
}

// ParseBytes reads 4Gi, 512Mi, 1G or a plain number of bytes.
func ParseBytes(text string) (Bytes, error) {
	trimmed := strings.TrimSpace(text)
	number := trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "0123456789."))]
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("size %q: write 4Gi, 512Mi, 1G or a number of bytes", text)
	}
	for _, u := range byteUnits {
		if u.name != trimmed[len(number):] {
			continue
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n <= math.MaxInt64/u.size {
			return Bytes(n * u.size), nil
		}
		if f *= float64(u.size); f >= math.MaxInt64 {
			return 0, fmt.Errorf("size %q is over 8 EiB", text)
		}
		return Bytes(math.Round(f)), nil
	}
	return 0, fmt.Errorf("size %q: unit %q is unknown: Ki, Mi, Gi, Ti, K, M, G or T", text, trimmed[len(number):])
}

// String is the shortest form that reads back to the same value.
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

var moneyForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([A-Z]{3})$`)

// ParseMoney reads an amount and its currency, such as "20 USD".
func ParseMoney(text string) (Money, error) {
	parts := moneyForm.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return Money{}, fmt.Errorf("amount %q: write a number and a currency of three letters, such as 20 USD", text)
	}
	amount, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return Money{}, fmt.Errorf("amount %q: %w", text, err)
	}
	return Money{Amount: amount, Currency: parts[2]}, nil
}

// IsZero says that no bound is set.
func (m Money) IsZero() bool { return m == Money{} }

// String is the amount and its currency; "" for the zero value.
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	return strconv.FormatFloat(m.Amount, 'f', -1, 64) + " " + m.Currency
}

var kOfNForm = regexp.MustCompile(`^([0-9]{1,6}) +of +([0-9]{1,6})$`)

// ParseKOfN reads "2 of 3".
func ParseKOfN(text string) (KOfN, error) {
	parts := kOfNForm.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return KOfN{}, fmt.Errorf("%q: write how many of how many windows, such as 2 of 3", text)
	}
	k, _ := strconv.Atoi(parts[1]) // at most six digits
	n, _ := strconv.Atoi(parts[2])
	return KOfN{K: k, N: n}, nil
}

// String is "2 of 3".
func (k KOfN) String() string { return fmt.Sprintf("%d of %d", k.K, k.N) }

// The text forms serve YAML and JSON alike.

// MarshalText writes the form that ParseDuration reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// MarshalText writes the form that ParseBytes reads.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what ParseBytes reads.
func (b *Bytes) UnmarshalText(t []byte) (err error) { *b, err = ParseBytes(string(t)); return err }

// UnmarshalJSON reads a text, or a number of bytes.
func (b *Bytes) UnmarshalJSON(raw []byte) error { return b.UnmarshalText(unquoted(raw)) }

// MarshalText writes the form that ParseMoney reads.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMoney reads; "" is no amount.
func (m *Money) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*m = Money{}
		return nil
	}
	*m, err = ParseMoney(string(b))
	return err
}

// MarshalText writes the form that ParseKOfN reads.
func (k KOfN) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what ParseKOfN reads.
func (k *KOfN) UnmarshalText(b []byte) (err error) { *k, err = ParseKOfN(string(b)); return err }

// UnmarshalText reads what ParsePercent reads. A share is written as a plain number, so there is no MarshalText.
func (p *Percent) UnmarshalText(b []byte) (err error) { *p, err = ParsePercent(string(b)); return err }

// UnmarshalJSON reads a number, or a text such as "10%".
func (p *Percent) UnmarshalJSON(raw []byte) error { return p.UnmarshalText(unquoted(raw)) }

// unquoted is the text of a JSON string, or the literal of a JSON number.
func unquoted(raw []byte) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}
