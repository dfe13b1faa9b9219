package evaluation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// DefaultDisparityRows is how many rows a group needs to be judged where nobody says.
const DefaultDisparityRows = 50

// maxListedGroups bounds DisparityResult.Groups, which travels in payloads.
const maxListedGroups = 100

// Group is one group's value of a metric.
type Group struct {
	Name  string  `json:"name"`
	Rows  int     `json:"rows"`
	Value float64 `json:"value"`
}

// DisparityResult is how much a metric differs between groups of rows.
type DisparityResult struct {
	Metric string
	// Value is the greatest minus the smallest value among the groups judged; NaN where fewer than two are.
	Value float64
	// Worst and Best are the ends, by what is better for the metric.
	Worst, Best Group
	// Groups are the groups judged, worst first, at most 100.
	Groups []Group
	// Judged counts them all. Small counts groups with fewer rows than asked, Undefined those in which the metric has
	// no value. Ungrouped counts rows without a group.
	Judged, Small, Undefined, Ungrouped int
}

// DisparityOf compares a metric across groups. groups has the group of each row as an index of names, negative: none.
// Groups with fewer than minRows rows (<= 0: DefaultDisparityRows) and groups in which the metric is undefined are left
// out and counted. The other arguments are those of Metrics.
func DisparityOf(task spec.Task, classes int, y, p []float64, threshold float64, groups []int32, names []string, metric string, minRows int) (DisparityResult, error) {
	if minRows <= 0 {
		minRows = DefaultDisparityRows
	}
	if len(groups) != len(y) {
		return DisparityResult{}, fmt.Errorf("disparity %s: groups: observed %d, expected one for each of %d rows", metric, len(groups), len(y))
	}
	out := DisparityResult{Metric: metric, Value: math.NaN()}
	members := make([][]int, len(names))
	for i, g := range groups {
		switch {
		case g < 0:
			out.Ungrouped++
		case int(g) >= len(names):
			return DisparityResult{}, fmt.Errorf("disparity %s: row %d: group: observed %d, there are %d names", metric, i+1, g, len(names))
		default:
			members[g] = append(members[g], i)
		}
	}
	whole := sample{task, classes, y, p, threshold}
	if _, err := whole.statistic(metric); err != nil {
		return DisparityResult{}, fmt.Errorf("disparity: %w", err)
	}
	for g, rows := range members {
		if len(rows) == 0 {
			continue
		}
		if len(rows) < minRows {
			out.Small++
			continue
		}
		value, err := whole.rows(rows).statistic(metric)
		if err != nil {
			return DisparityResult{}, fmt.Errorf("disparity: group %q: %w", names[g], err)
		}
		if v := value(ones(len(rows))); finite(v) {
			out.Groups = append(out.Groups, Group{names[g], len(rows), v})
		} else {
			out.Undefined++
		}
	}
	out.conclude()
	return out, nil
}

// conclude orders the groups and fills what follows from them.
func (d *DisparityResult) conclude() {
	sign := 1.0
	if SmallerIsBetter(d.Metric) {
		sign = -1
	}
	slices.SortStableFunc(d.Groups, func(a, b Group) int { return cmp.Compare(sign*a.Value, sign*b.Value) })
	d.Judged = len(d.Groups)
	if d.Judged > 0 {
		d.Worst, d.Best = d.Groups[0], d.Groups[d.Judged-1]
	}
	if d.Judged > 1 {
		d.Value = math.Abs(d.Best.Value - d.Worst.Value)
	}
	if d.Judged > maxListedGroups {
		d.Groups = slices.Clone(d.Groups[:maxListedGroups])
	}
}

// rows is the sample of some of its rows.
func (s sample) rows(rows []int) sample {
	outputs := len(s.p) / len(s.y)
	out := s
	out.y, out.p = make([]float64, 0, len(rows)), make([]float64, 0, len(rows)*outputs)
	for _, i := range rows {
		out.y = append(out.y, s.y[i])
		out.p = append(out.p, s.p[i*outputs:(i+1)*outputs]...)
	}
	return out
}

// disparityJSON is DisparityResult as JSON carries it.
type disparityJSON struct {
	Metric    string    `json:"metric"`
	Value     jsonFloat `json:"value"`
	Worst     Group     `json:"worst"`
	Best      Group     `json:"best"`
	Groups    []Group   `json:"groups,omitempty"`
	Judged    int       `json:"judged"`
	Small     int       `json:"small"`
	Undefined int       `json:"undefined"`
	Ungrouped int       `json:"ungrouped"`
}

// MarshalJSON writes an undefined value as "NaN".
func (d DisparityResult) MarshalJSON() ([]byte, error) {
	return json.Marshal(disparityJSON{d.Metric, jsonFloat(d.Value), d.Worst, d.Best, d.Groups, d.Judged, d.Small, d.Undefined, d.Ungrouped})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *DisparityResult) UnmarshalJSON(b []byte) error {
	in := disparityJSON{Value: jsonFloat(math.NaN())}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*d = DisparityResult{in.Metric, float64(in.Value), in.Worst, in.Best, in.Groups, in.Judged, in.Small, in.Undefined, in.Ungrouped}
	return nil
}
