package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// columnsView is the profile of each column: drawn, or in a table where there are too many to draw.
type columnsView struct {
	Cards []columnCard
	Rest  []columnRow
	More  string // how many columns aren't listed at all
}

// columnCard is a column's profile, drawn.
type columnCard struct {
	ID        string
	Name      words
	Kind      string
	Histogram *histogram
	Bars      *barTable
	Empty     string // why nothing is drawn
	Stats     []stat
}

// columnRow is a column's profile in a table.
type columnRow struct {
	Name  words
	Kind  string
	Cells []words // values, missing, distinct, least, average, greatest
}

// stat is a number with its name; Now is the window's beside the reference's.
type stat struct {
	Name  string
	Value words
	Now   words
}

// columnsOf draws the first columns of a profile, lists more, and counts the rest.
func columnsOf(p *profile.Profile) columnsView {
	var v columnsView
	if p == nil {
		return v
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		switch {
		case i < maxDrawn:
			v.Cards = append(v.Cards, cardOf(i, c))
		case i < maxDrawn+maxListed:
			v.Rest = append(v.Rest, rowOf(c))
		}
	}
	if more := len(p.Columns) - maxDrawn - maxListed; more > 0 {
		v.More = fmt.Sprintf("The profile has %s more columns, which aren't listed here.", count(int64(more)))
	}
	return v
}

// tooLarge stands where drawn gives nothing for a column with values.
const tooLarge = "The numbers are too large to be drawn."

func cardOf(i int, c *profile.Column) columnCard {
	card := columnCard{ID: "p" + strconv.Itoa(i+1), Name: name(c.Name), Kind: c.Kind, Stats: statsOf(c)}
	switch {
	case c.Count == 0:
		card.Empty = "No values to draw."
	case asCategories(c):
		card.Bars = categories(c, nil)
		if card.Bars == nil {
			card.Empty = "Too many different values to count each."
		}
	default:
		if card.Histogram = drawn(c, nil); card.Histogram == nil {
			card.Empty = tooLarge
			return card
		}
		card.Histogram.Label = fmt.Sprintf("Histogram of %s: %s values from %s to %s, average %s", card.Name.Text, count(c.Count),
			quantity(c, c.Numbers.Min).Text, quantity(c, c.Numbers.Max).Text, quantity(c, c.Numbers.Mean).Text)
	}
	return card
}

// asCategories reports whether a column is drawn as bars of its values: names, or a few numbers.
func asCategories(c *profile.Column) bool {
	return c.Numbers == nil || c.Kind == "boolean" || (c.Exact() && c.Distinct <= maxBars && c.Kind != "timestamp")
}

// statsOf are a column's numbers.
func statsOf(c *profile.Column) []stat {
	out := []stat{
		{Name: "Values", Value: words{Text: count(c.Count)}},
		{Name: "Missing", Value: missing(c)},
		{Name: "Distinct", Value: distinct(c)},
	}
	n := c.Numbers
	if n == nil || c.Kind == "boolean" {
		return out
	}
	out = append(out, stat{Name: "Least", Value: quantity(c, n.Min)})
	for _, q := range []struct {
		name  string
		share float64
	}{{"5 %", 0.05}, {"25 %", 0.25}, {"Median", 0.5}, {"75 %", 0.75}, {"95 %", 0.95}} {
		if x, ok := quantileOf(n, q.share); ok {
			out = append(out, stat{Name: q.name, Value: quantity(c, x)})
		}
	}
	out = append(out, stat{Name: "Greatest", Value: quantity(c, n.Max)}, stat{Name: "Average", Value: quantity(c, n.Mean)})
	return append(out, stat{Name: "Std. deviation", Value: spread(c, n.Std)})
}

// quantileOf is one of the quantiles that a profile has.
func quantileOf(n *profile.Numbers, share float64) (float64, bool) {
	i := slices.Index(profile.QuantileShares(), share)
	if i < 0 || i >= len(n.Quantiles) {
		return 0, false
	}
	return n.Quantiles[i], true
}

// wholeDays is how long a column's times may span for their time of day to be shown.
const wholeDays = 3 * 24 * time.Hour

// quantity is one of the column's numbers: an instant where those are what it holds.
func quantity(c *profile.Column, x float64) words {
	if c.Kind != "timestamp" {
		return number(x)
	}
	if math.Abs(x) > 1e11 || math.IsNaN(x) {
		return number(x)
	}
	t := time.UnixMilli(int64(math.Round(x * 1000)))
	out := day(t)
	if c.Oldest != nil && c.Newest != nil && c.Newest.Sub(*c.Oldest) > wholeDays {
		out = titled(t.UTC().Format(time.DateOnly), t.UTC().Format(time.RFC3339Nano))
	}
	return out
}

// spread is a distance between the column's numbers: a length of time between instants.
func spread(c *profile.Column, x float64) words {
	if c.Kind != "timestamp" {
		return number(x)
	}
	const hour = 3600.0
	full := strconv.FormatFloat(x, 'g', -1, 64) + " s"
	switch {
	case x >= 24*hour:
		return words{Text: number(x/24/hour).Text + "\u00a0days", Title: full}
	case x >= hour:
		return words{Text: number(x/hour).Text + "\u00a0h", Title: full}
	}
	return words{Text: number(x).Text + "\u00a0s", Title: full}
}

func missing(c *profile.Column) words {
	rows := c.Count + c.Nulls
	if rows == 0 {
		return words{Text: none}
	}
	out := percent(float64(c.Nulls) / float64(rows))
	out.Title = counted(c.Nulls, "row")
	return out
}

func distinct(c *profile.Column) words {
	if c.Estimated {
		return words{Text: "≈\u00a0" + number(float64(c.Distinct)).Text, Title: count(c.Distinct) + ", estimated"}
	}
	return words{Text: count(c.Distinct)}
}

func rowOf(c *profile.Column) columnRow {
	row := columnRow{Name: name(c.Name), Kind: c.Kind, Cells: []words{{Text: count(c.Count)}, missing(c), distinct(c)}}
	blank := words{Text: none}
	if c.Numbers == nil {
		row.Cells = append(row.Cells, blank, blank, blank)
		return row
	}
	for _, x := range []float64{c.Numbers.Min, c.Numbers.Mean, c.Numbers.Max} {
		row.Cells = append(row.Cells, quantity(c, x))
	}
	return row
}
