package dataset

import (
	"cmp"
	"math"
)

// maxInteger is the largest magnitude below which every whole number is a float64.
const maxInteger = 1 << 53

func signbit(v float64) bool { return math.Signbit(v) }

func compareStrings(a, b string) int { return cmp.Compare(a, b) }
