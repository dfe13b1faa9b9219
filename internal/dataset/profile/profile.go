package profile

import (
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
)

// Version names the algorithm. It rises when a number in a profile would come out differently; a profile of another
// version is refused.
const Version = 2

// Profile sums up rows, column by column.
type Profile struct {
	Version int      `json:"version"`
	Rows    int64    `json:"rows"`
	Columns []Column `json:"columns"`

	top int // Options.Top
}

// Column sums up one column. It is safe for concurrent reading, and not to be changed.
//
// Numbers, integers, booleans (false 0, true 1) and timestamps (seconds since 1970) are numbers here. What isn't finite
// counts as a null.
type Column struct {
	Name string
	Kind string // number | integer | category | text | boolean | timestamp
	// Count and Nulls together are the rows.
	Count, Nulls int64
	// Distinct is the number of different values; Estimated is whether it comes from HyperLogLog registers, with a
	// standard error of 1.6 % in profiles of up to 256 columns (docs/data.md).
	Distinct  int64
	Estimated bool
	// Numbers is nil for categories and text, and where there is no value.
	Numbers *Numbers
	// Oldest and Newest are for timestamps with a value.
	Oldest, Newest *time.Time
	// Top lists the most frequent values, ties by value: of categories, text and booleans where all values are counted
	// (see Values), and of numbers where all of them fit. Other counts the values outside Top.
	Top   []ValueCount
	Other int64
	// Bins are those of the column's own deciles, or with Options.Against those of the reference; nil without a value.
	Bins *Bins

	moments   moments
	sketch    sketch       // of numbers
	registers []byte       // HyperLogLog; nil while Distinct is exact
	values    []ValueCount // all categories, ascending by value; nil beyond the limit
	overflow  bool         // of categories: there were more than the limit
}

// Numbers sums up numbers.
type Numbers struct {
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"` // of the values as a population (ddof 0)
	// Quantiles are at the shares of QuantileShares.
	Quantiles []float64 `json:"quantiles"`
}

// ValueCount is a value and how many rows have it.
type ValueCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Bins are counts between edges, or of listed categories, each of them exact. Counts has one more than there are edges
// or values.
type Bins struct {
	// Edges ascend. Counts[i] is of the values over Edges[i-1] and up to Edges[i]; the outer bins are open.
	Edges []float64 `json:"edges,omitempty"`
	// Values are a reference's categories, ascending; the last of Counts is of all other values.
	Values []string `json:"values,omitempty"`
	Counts []int64  `json:"counts"`
	// Exact is whether the edges are the deciles to the bit, and not to the sketch's resolution.
	Exact bool `json:"exact"`
	// Borrowed is whether edges or values are another profile's: Options.Against.
	Borrowed bool `json:"borrowed,omitempty"`
}

// Bucket is a range of numbers and how many there are in it. Where Low is High it is that value.
type Bucket struct {
	Low, High float64 // both inclusive
	Count     int64
}

// Options say what a profile holds. The zero value has the defaults.
type Options struct {
	// Top is how many values are listed per column; default 50. It must be the same in profiles that are merged.
	Top int
	// Against is a reference: its bins and its categories are what this profile counts, in Column.Bins.
	Against *Profile
	// Workers is how many columns are worked on at once; 0: GOMAXPROCS, 1: no goroutine is started. The profile is the same.
	Workers int
}

// defaultTop is how many values are listed where Options don't say.
const defaultTop = 50

// Column finds a column by name.
func (p *Profile) Column(name string) (*Column, bool) {
	for i := range p.Columns {
		if p.Columns[i].Name == name {
			return &p.Columns[i], true
		}
	}
	return nil, false
}

// QuantileShares are the shares of Numbers.Quantiles.
func QuantileShares() []float64 {
	return []float64{0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99}
}

// numeric reports whether the column's values are numbers.
func (c *Column) numeric() bool {
	return c.Kind != dataset.Category.String() && c.Kind != dataset.Text.String()
}

// Exact reports whether every value is known: each bucket is one value, or all categories are counted.
func (c *Column) Exact() bool {
	if c.numeric() {
		return c.sketch.shift == 0
	}
	return !c.overflow
}
