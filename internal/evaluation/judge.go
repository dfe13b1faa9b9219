package evaluation

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// Judge weighs the evidence against the gates. Every bound gives one Reason, and the worst of them is the verdict:
//
//   - a metric outside its bound, missing or NaN fails;
//   - a latency that can't be measured (NoLatency) is inconclusive;
//   - training rows that nobody knows (UnknownTraining) are inconclusive, and the champion isn't compared;
//   - fewer judged rows than MinRows is inconclusive, and the champion isn't compared on them;
//   - a lower bound of the difference to the champion that is worse than -max_loss fails; no comparison is
//     inconclusive;
//   - no champion: absolute gates only. A champion that can't score: absolute gates only, and NeedsAttention.
func Judge(g spec.Gates, in Input) Verdict {
	v := Verdict{Outcome: Pass}
	for _, name := range slices.Sorted(maps.Keys(g.Metrics)) {
		if in.NoLatency != "" && spec.IsLatency(name) {
			v.add(Reason{Gate: name, Outcome: Inconclusive, Observed: math.NaN(), Limit: math.NaN(),
				Message: "gate " + name + ": " + in.NoLatency + ", a person is asked"})
			continue
		}
		judgeMetric(&v, name, g.Metrics[name], in.Metrics)
	}
	if g.Disparity != nil {
		judgeDisparity(&v, *g.Disparity, in.Disparity)
	}
	if in.UnknownTraining != "" {
		v.add(Reason{Gate: "trained_rows", Outcome: Inconclusive, Observed: math.NaN(), Limit: math.NaN(),
			Message: "gate trained_rows: " + in.UnknownTraining + ": it may have seen any of the rows that it is judged on, a person is asked"})
	}
	enough := judgeRows(&v, in) && in.UnknownTraining == ""
	judgeChampion(&v, g.Champion, in, enough)
	return v
}

func judgeMetric(v *Verdict, name string, bound spec.Bound, metrics Values) {
	observed, present := metrics[name]
	if !present {
		observed = math.NaN()
	}
	trouble := ""
	switch {
	case !present:
		trouble = fmt.Sprintf("missing: the evaluation has %s", listed(slices.Sorted(maps.Keys(metrics))))
	case math.IsNaN(observed):
		trouble = "undefined: " + undefinedBecause(name)
	}
	if bound.Min == nil && bound.Max == nil && trouble != "" {
		v.add(Reason{Gate: name, Outcome: Fail, Observed: observed, Limit: math.NaN(),
			Message: fmt.Sprintf("gate %s: observed NaN (%s)", name, trouble)})
	}
	if bound.Min != nil {
		v.add(compare(name+".min", observed, *bound.Min, trouble, atLeast()))
	}
	if bound.Max != nil {
		v.add(compare(name+".max", observed, *bound.Max, trouble, atMost()))
	}
}

func judgeDisparity(v *Verdict, gate spec.Disparity, d *DisparityResult) {
	name := "disparity." + gate.Metric + ".max"
	if d == nil {
		v.add(compare(name, math.NaN(), gate.Max, "missing: nothing was compared by "+gate.By, atMost()))
		return
	}
	trouble := ""
	if math.IsNaN(d.Value) {
		trouble = fmt.Sprintf("undefined: %d of %d groups of %s could be judged, two are needed; %d too small, %d without a value",
			d.Judged, d.Judged+d.Small+d.Undefined, gate.By, d.Small, d.Undefined)
	}
	r := compare(name, d.Value, gate.Max, trouble, atMost())
	if trouble == "" {
		r.Message += fmt.Sprintf(" (%s: %s %s, %s %s; %d groups judged, %d too small, %d without a value)", gate.By,
			d.Worst.Name, short(d.Worst.Value), d.Best.Name, short(d.Best.Value), d.Judged, d.Small, d.Undefined)
	}
	v.add(r)
}

// judgeRows reports whether there are rows enough to compare with the champion.
func judgeRows(v *Verdict, in Input) bool {
	if in.MinRows <= 0 {
		return true
	}
	r := compare("judged_rows.min", float64(in.JudgedRows), float64(in.MinRows), "", atLeast())
	if r.Outcome == Fail {
		r.Outcome = Inconclusive
		r.Message += ": too few rows that neither model was trained on, a person is asked"
	}
	v.add(r)
	return r.Outcome == Pass
}

func judgeChampion(v *Verdict, gate spec.ChampionGate, in Input, enough bool) {
	name := "champion." + gate.Metric
	r := Reason{Gate: name, Outcome: Pass, Observed: math.NaN(), Limit: -gate.MaxLoss}
	switch c := in.Comparison; {
	case !in.HasChampion:
		r.Message = "gate " + name + ": no champion to compare with, absolute gates only"
	case in.ChampionUnscorable != "":
		v.NeedsAttention = true
		r.Message = "gate " + name + ": the champion can't score these rows (" + in.ChampionUnscorable +
			"), absolute gates only: whoever approves must know that nothing was compared"
	case in.UnknownTraining != "":
		r.Outcome = Inconclusive
		r.Message = "gate " + name + ": not compared, since no row is known to be new to both, a person is asked"
	case !enough:
		r.Outcome = Inconclusive
		r.Message = "gate " + name + ": not compared on so few rows, a person is asked"
	case c == nil:
		r.Outcome = Inconclusive
		r.Message = "gate " + name + ": not compared with the champion, a person is asked"
		if in.ComparisonProblem != "" {
			r.Message += " (" + in.ComparisonProblem + ")"
		}
	default:
		trouble := ""
		if math.IsNaN(c.Lower) {
			trouble = "undefined"
		}
		r = compare(name, c.Lower, -gate.MaxLoss, trouble, atLeast())
		r.Message += fmt.Sprintf(" (lower %g %% bound of the gain on %d rows; champion %s, challenger %s)",
			100*c.Confidence, c.Rows, short(c.Champion), short(c.Challenger))
	}
	v.add(r)
}

// side is one side of an inclusive range, with the signs that its messages use.
type side struct {
	holds        func(observed, limit float64) bool
	kept, broken string
}

func atLeast() side {
	return side{func(observed, limit float64) bool { return observed >= limit }, ">=", "<"}
}

func atMost() side {
	return side{func(observed, limit float64) bool { return observed <= limit }, "<=", ">"}
}

// compare is the reason of one bound. Trouble says why there is nothing to observe, which fails.
func compare(gate string, observed, limit float64, trouble string, s side) Reason {
	r := Reason{Gate: gate, Outcome: Pass, Observed: observed, Limit: limit}
	if trouble == "" && (math.IsNaN(observed) || math.IsNaN(limit)) {
		trouble = "undefined"
	}
	if trouble != "" {
		r.Outcome, r.Observed = Fail, math.NaN()
		r.Message = fmt.Sprintf("gate %s: observed NaN (%s), must be %s %s", gate, trouble, s.kept, exactly(limit))
		return r
	}
	sign := s.kept
	if !s.holds(observed, limit) {
		r.Outcome, sign = Fail, s.broken
	}
	r.Message = fmt.Sprintf("gate %s: observed %s %s %s", gate, against(observed, limit), sign, exactly(limit))
	return r
}

// against is an observed value in four digits, or as many more as it takes to be on the same side of the limit as the
// value itself: 0.69997 is not "0.7000 < 0.7".
func against(observed, limit float64) string {
	for digits := 4; digits < 17; digits++ {
		shown := round(observed, digits)
		if (shown < limit) == (observed < limit) && (shown > limit) == (observed > limit) {
			return exactly(shown)
		}
	}
	return exactly(observed)
}

// short is a value in four digits.
func short(x float64) string { return exactly(round(x, 4)) }

// exactly is the shortest decimal that reads back as the same number, without an exponent where people don't expect
// one.
func exactly(x float64) string {
	if a := math.Abs(x); x == 0 || (a >= 1e-6 && a < 1e15) {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// round keeps the significant digits of a number; whole numbers stay whole.
func round(x float64, digits int) float64 {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return x
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	if err != nil { // beyond the largest float
		return x
	}
	return rounded
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no metrics"
	}
	return strings.Join(names, ", ")
}
