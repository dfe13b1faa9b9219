package spec

import (
	"fmt"

	"github.com/leanloop/leanloop/internal/instant"
)

// Instant is a point in time in Unix nanoseconds.
type Instant int64

// ParseInstant reads 2013-01-01 or 2013-01-01T06:00:00Z, as the cells of a timestamp column are read.
func ParseInstant(text string) (Instant, error) {
	at, ok := instant.Parse(text)
	if !ok {
		return 0, fmt.Errorf("%q isn't %s", text, instant.Form)
	}
	return Instant(at), nil
}

// String is RFC 3339 in UTC.
func (i Instant) String() string { return instant.Text(int64(i)) }

// MarshalText writes a form that ParseInstant reads.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what ParseInstant reads.
func (i *Instant) UnmarshalText(b []byte) (err error) { *i, err = ParseInstant(string(b)); return err }
