package spec

import "time"

// Duration is a time.Duration that is written 90s, 15m, 24h, 7d or 2w (a day is 24 h).
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
	Currency string
}
