package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
)

const (
	maxAxes = 12 // parameters drawn side by side
	// searchWidth and searchHeight are the size of a search's drawings, in units of their paths.
	searchWidth, searchHeight = 1000, 260
	// searchMargin is what is left free above and below.
	searchMargin = 8
)

// searchHistory is a drawing of every trial's value and of the best so far.
type searchHistory struct {
	Label  string
	Dots   []dot
	Best   string // a path
	Ticks  []tick
	Ends   []string // of the values' axis: the upper, the lower
	Beyond string
}

// dot is a trial at a place within the drawing.
type dot struct {
	X, Y  string
	Class string // dotrest | dotbest: better than all before | dotpruned
	Title string
}

// parallelAxes draws each complete trial as a line over the parameters' axes.
type parallelAxes struct {
	Label string
	Axes  []parallelAxis
	Lines []parallelLine // the best last, so that they lie above the others
	More  string
}

type parallelAxis struct {
	X         string
	At        string // in percent, for the labels
	Anchor    string
	Name      words
	Low, High string
}

type parallelLine struct {
	Path  string
	Class string // linerest | linebest: among the best fifth
}

// part is where a value lies between two others, from 0 to 1.
func part(v, low, high float64) float64 {
	if !(high > low) {
		return 0.5
	}
	return min(max((v-low)/(high-low), 0), 1)
}

// height is the y of a part.
func height(part float64) string {
	return coordinate(searchMargin + (searchHeight-2*searchMargin)*(1-part))
}

// shown is the range of values that is drawn: without the worst ones where they would hide the rest. beyond is how many
// those are.
func shown(values []float64, goal search.Goal) (low, high float64, beyond int) {
	s := slices.Sorted(slices.Values(values))
	low, high = s[0], s[len(s)-1]
	at := func(share float64) float64 { return s[int(share*float64(len(s)-1))] }
	if middle := at(0.75) - at(0.25); middle > 0 && goal == search.Maximize {
		low = max(low, at(0.25)-3*middle)
	} else if middle > 0 {
		high = min(high, at(0.75)+3*middle)
	}
	for _, v := range s {
		if v < low || v > high {
			beyond++
		}
	}
	return low, high, beyond
}

// drawableValue says that a value fits into a drawing.
func drawableValue(v float64) bool { return !math.IsNaN(v) && math.Abs(v) < drawable }

// completeOf are the complete trials that can be drawn, and their values.
func completeOf(trials []SearchTrial) (out []SearchTrial, values []float64) {
	for _, t := range trials {
		if t.State == search.Complete && drawableValue(t.Value) {
			out, values = append(out, t), append(values, t.Value)
		}
	}
	return out, values
}

// historyOf draws the values of trials that have one; nil where none is complete.
func historyOf(p SearchPage) *searchHistory {
	trials := slices.Clone(p.Trials)
	slices.SortStableFunc(trials, func(a, b SearchTrial) int { return a.Number - b.Number })
	_, values := completeOf(trials)
	if len(values) == 0 {
		return nil
	}
	last := trials[len(trials)-1].Number
	low, high, beyond := shown(values, p.Goal)
	h := &searchHistory{
		Label: fmt.Sprintf("%s of %d trials in their order, and the best so far; all of it is in the table", visible(p.Metric, longName), len(values)),
		Ends:  []string{number(high).Text, number(low).Text},
	}
	across := func(n int) float64 { return part(float64(n), 0.5, float64(last)+0.5) }
	best, so := search.Trial{}, strings.Builder{}
	for _, t := range trials {
		if (t.State != search.Complete && t.State != search.Pruned) || !drawableValue(t.Value) {
			continue
		}
		x, y := coordinate(searchWidth*across(t.Number)), height(part(t.Value, low, high))
		d := dot{X: x, Y: y, Class: "dotrest", Title: fmt.Sprintf("trial %d: %s", t.Number, number(t.Value).Text)}
		if t.State == search.Pruned {
			d.Class = "dotpruned"
		} else if now, _ := p.Goal.Best([]search.Trial{best, t.Trial}); now.Number == t.Number {
			if best = t.Trial; so.Len() == 0 {
				so.WriteString("M" + x + " " + y)
			} else {
				so.WriteString("H" + x + "V" + y)
			}
			d.Class = "dotbest"
		}
		if t.Value >= low && t.Value <= high && len(h.Dots) < maxListed {
			h.Dots = append(h.Dots, d)
		}
	}
	h.Best = so.String() + "H" + coordinate(searchWidth*across(last))
	for _, n := range slices.Compact([]int{1, (last + 1) / 2, last}) {
		h.Ticks = append(h.Ticks, tick{At: coordinate(100*across(n)) + "%", Anchor: "middle", Text: strconv.Itoa(n)})
	}
	if beyond > 0 {
		h.Beyond = "Not drawn: " + counted(int64(beyond), "trial") + " far worse than the rest."
	}
	return h
}

// parallelOf draws complete trials, sorted, over the parameters and the metric; nil where there is nothing to compare.
func parallelOf(p SearchPage, sorted []SearchTrial) *parallelAxes {
	complete, values := completeOf(sorted)
	if p.Space == nil || len(complete) < 2 {
		return nil
	}
	params := p.Space.Params[:min(len(p.Space.Params), maxAxes)]
	low, high, _ := shown(values, p.Goal)
	out := &parallelAxes{Label: fmt.Sprintf("%d trials as lines over %d parameters; all of it is in the table", len(complete), len(params))}
	if more := len(p.Space.Params) - len(params); more > 0 {
		out.More = counted(int64(more), "parameter") + " more not drawn."
	}
	across := func(i int) float64 { return float64(i) / float64(len(params)) }
	axis := func(i int, name, low, high string) {
		a := parallelAxis{
			X: coordinate(searchWidth * across(i)), At: coordinate(100*across(i)) + "%", Anchor: "middle",
			Name: clipped(name, 14), Low: low, High: high,
		}
		if i == 0 {
			a.Anchor = "start"
		} else if i == len(params) {
			a.Anchor = "end"
		}
		out.Axes = append(out.Axes, a)
	}
	for i := range params {
		low, high := endsOf(&params[i])
		axis(i, params[i].Name, low, high)
	}
	axis(len(params), p.Metric, number(low).Text, number(high).Text)
	drawn := complete[:min(len(complete), maxListed)]
	for k, t := range slices.Backward(drawn) {
		line, pen := parallelLine{Class: "linerest"}, "M"
		if k < max(1, len(complete)/5) {
			line.Class = "linebest"
		}
		for i := range params {
			v, ok := t.Params[params[i].Name]
			if !ok { // the trial hasn't got it: the line has a gap
				pen = "M"
				continue
			}
			line.Path += pen + coordinate(searchWidth*across(i)) + " " + height(partOf(&params[i], v))
			pen = "L"
		}
		line.Path += pen + coordinate(searchWidth) + " " + height(part(t.Value, low, high))
		out.Lines = append(out.Lines, line)
	}
	return out
}

// endsOf labels the ends of a parameter's axis.
func endsOf(p *space.Param) (low, high string) {
	if p.Kind == space.Choice {
		first, last := paramText(p.Choices[0]), paramText(p.Choices[len(p.Choices)-1])
		return clipped(first, 10).Text, clipped(last, 10).Text
	}
	return paramText(p.Low), paramText(p.High)
}

// partOf is where a value lies on a parameter's axis, from 0 to 1.
func partOf(p *space.Param, v any) float64 {
	if p.Kind == space.Choice {
		return part(float64(p.IndexOf(v)), 0, float64(len(p.Choices)-1))
	}
	f, _ := v.(float64)
	if p.Kind == space.Log || p.Kind == space.LogInt {
		return part(math.Log(f), math.Log(p.Low), math.Log(p.High))
	}
	return part(f, p.Low, p.High)
}
