package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// barTable is categories with the share of each, of one column or of a reference and a window.
type barTable struct {
	Paired bool
	Rows   []bar
}

// bar is a category, or the sum of those that aren't drawn.
type bar struct {
	Label    words
	Other    bool
	Ref, Cur share
}

// share is a bar's length in percent of the longest, and its share in words.
type share struct {
	Length string
	Text   words
}

// categories gives the bars of one or two columns; nil where there are no values. cur is nil for one.
func categories(ref, cur *profile.Column) *barTable {
	paired := cur != nil
	p, q := sidesOf(ref, cur)
	if len(p.of) == 0 && len(q.of) == 0 {
		return nil
	}
	labels := mostTelling(p.of, q.of)
	t := &barTable{Paired: paired}
	top := 0.0
	restP, restQ := 1.0, 1.0
	for _, label := range labels {
		top = max(top, p.of[label], q.of[label])
		restP, restQ = restP-p.of[label], restQ-q.of[label]
	}
	rest := max(p.distinct, q.distinct) - int64(len(labels))
	for _, label := range labels {
		t.Rows = append(t.Rows, bar{Label: name(label), Ref: p.bar(label, top), Cur: q.bar(label, top)})
	}
	if rest > 0 {
		atLeast := ""
		if p.estimated || q.estimated {
			atLeast = "about "
		}
		label := words{Text: fmt.Sprintf("other (%s%s)", atLeast, count(rest))}
		// It has no bar: a sum of many is longer than any of those drawn, and would squeeze them.
		t.Rows = append(t.Rows, bar{Label: label, Other: true, Ref: length(restP, 0), Cur: length(restQ, 0)})
	}
	return t
}

// sideShares are the shares of a column's known categories.
type sideShares struct {
	of        map[string]float64
	whole     bool // all categories are known
	distinct  int64
	estimated bool
}

// sidesOf are the shares of two columns under the same labels: booleans have words unless the other side has numbers.
func sidesOf(ref, cur *profile.Column) (p, q sideShares) {
	spoken := true
	for _, c := range []*profile.Column{ref, cur} {
		spoken = spoken && (c == nil || c.Numbers == nil || c.Kind == "boolean")
	}
	return sharesOf(ref, spoken), sharesOf(cur, spoken)
}

func sharesOf(c *profile.Column, spoken bool) sideShares {
	if c == nil || c.Count == 0 {
		return sideShares{whole: true}
	}
	out := sideShares{of: map[string]float64{}, distinct: c.Distinct, estimated: c.Estimated}
	if values, ok := valuesOf(c, spoken); ok {
		out.whole = true
		for label, n := range values {
			out.of[label] = float64(n) / float64(c.Count)
		}
		return out
	}
	for _, v := range c.Top {
		out.of[v.Value] = float64(v.Count) / float64(c.Count)
	}
	return out
}

// valuesOf are a column's values and their counts, where all are known: a category's, or numbers' where they are few.
func valuesOf(c *profile.Column, spoken bool) (map[string]int64, bool) {
	if c.Numbers == nil {
		return c.Values()
	}
	if !c.Exact() || c.Distinct > 2*maxBars {
		return nil, false
	}
	values := map[string]int64{}
	for _, b := range c.Buckets() {
		label := strconv.FormatFloat(b.Low+0, 'g', -1, 64) // +0: minus zero is zero
		if spoken {
			label = strconv.FormatBool(b.Low != 0)
		}
		values[label] += b.Count
	}
	return values, len(values) > 0
}

// mostTelling are the categories to draw: those with the greatest share on either side, and among them those whose
// share moved most; the greatest first.
func mostTelling(p, q map[string]float64) []string {
	var all []string
	for label := range p {
		all = append(all, label)
	}
	for label := range q {
		if _, both := p[label]; !both {
			all = append(all, label)
		}
	}
	size := func(label string) float64 { return max(p[label], q[label]) }
	weight := func(label string) float64 { return size(label) + 2*math.Abs(p[label]-q[label]) }
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a, b)) })
	if len(q) == 0 || len(p) == 0 { // one side: by share alone
		slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(a, b)) })
	}
	if len(all) > maxBars+1 { // a rest of one is drawn as itself
		all = all[:maxBars]
	}
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(a, b)) })
	return all
}

// bar is a category's share; one that isn't known is none, not 0.
func (s sideShares) bar(label string, top float64) share {
	if x, ok := s.of[label]; ok || s.whole {
		return length(x, top)
	}
	return share{Length: "0", Text: words{Text: none, Title: "not among the most frequent values"}}
}

func length(x, top float64) share {
	x = max(x, 0)
	if x < 1e-12 { // what remains of 1 after taking all shares away
		x = 0
	}
	if top <= 0 {
		return share{Length: "0", Text: percent(x)}
	}
	return share{Length: coordinate(100*x/top) + "%", Text: percent(x)}
}

// moved is the category whose share changed most, in words; "" where none is known to have.
func moved(ref, cur *profile.Column) string {
	p, q := sidesOf(ref, cur)
	best, by := "", 0.0
	for _, label := range mostTelling(p.of, q.of) {
		_, inP := p.of[label]
		_, inQ := q.of[label]
		if (!inP && !p.whole) || (!inQ && !q.whole) {
			continue
		}
		if d := math.Abs(p.of[label] - q.of[label]); d > by {
			best, by = label, d
		}
	}
	if by == 0 {
		return ""
	}
	return fmt.Sprintf("“%s” went from %s to %s of the values.", name(best).Text, percent(p.of[best]).Text, percent(q.of[best]).Text)
}
