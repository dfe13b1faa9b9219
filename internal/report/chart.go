package report

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/profile"
)

const (
	// bins is the greatest number of bars that a histogram has, but for one more at the end.
	bins = 40
	// plotHeight is the height of a histogram's drawing, in the units of its paths.
	plotHeight = 100
	// tailShare is the share of values on either side that may lie beyond the drawn range, and tailRoom how many times
	// the range within has to fit into the whole for them to be left out: else a single outlier hides all the rest.
	tailShare = 0.005
	tailRoom  = 2.5
	// drawable is the greatest number that is drawn.
	drawable = 1e300
)

// histogram is one distribution, or a reference and a window over the same bars.
type histogram struct {
	Label    string // what a reader that sees no drawing is told
	Paired   bool
	Width    int    // of the drawing: one unit a bar
	Ref, Cur string // outlines, as paths of SVG; Cur "" where not Paired
	MarkRef  string // x of the mean within Width; "" where it isn't in the range
	MarkCur  string
	Ticks    []tick
	Beyond   string // what the range leaves out, in words
}

// tick is a label below a histogram. At is its place in percent.
type tick struct {
	At     string
	Anchor string // start | middle | end
	Text   string
}

// drawn gives a histogram of one or two columns of numbers or times; nil where there is nothing to draw, or numbers so
// large that a few bars of their width are none any more.
func drawn(ref, cur *profile.Column) *histogram {
	sides := [2][]profile.Bucket{bucketsOf(ref), bucketsOf(cur)}
	if len(sides[0]) == 0 && len(sides[1]) == 0 {
		return nil
	}
	low, high := spanned(sides)
	if max(math.Abs(low), math.Abs(high)) > drawable {
		return nil
	}
	instants := isTime(ref) || isTime(cur)
	start, step, n := scale(low, high, instants, isWhole(ref) && isWhole(cur))
	h := &histogram{Paired: cur != nil, Width: n}
	var shares [2][]float64
	var beyond [2]float64
	top := 0.0
	for i, side := range sides {
		shares[i], beyond[i] = binned(side, start, step, n)
		for _, s := range shares[i] {
			top = max(top, s)
		}
	}
	h.Ref = outline(shares[0], top)
	if h.Paired {
		h.Cur = outline(shares[1], top)
	}
	h.Ticks = ticksOf(start, step, n, instants)
	h.mark(ref, cur, start, step)
	h.sayBeyond(beyond)
	return h
}

// bucketsOf are a column's buckets; none for a side that isn't there or has no numbers.
func bucketsOf(c *profile.Column) []profile.Bucket {
	if c == nil {
		return nil
	}
	return c.Buckets()
}

// isWhole reports whether a side has whole numbers only; one that isn't there has no others.
func isWhole(c *profile.Column) bool { return c == nil || c.Kind == "integer" || c.Kind == "boolean" }

func isTime(c *profile.Column) bool { return c != nil && c.Kind == "timestamp" }

// spanned is the range to draw: all of it, or without the outermost tails where those would take most of the room.
func spanned(sides [2][]profile.Bucket) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	inLow, inHigh := low, high
	for _, side := range sides {
		if len(side) == 0 {
			continue
		}
		low, high = min(low, side[0].Low), max(high, side[len(side)-1].High)
		inLow, inHigh = min(inLow, tail(side, tailShare)), max(inHigh, tail(side, 1-tailShare))
	}
	if inHigh > inLow && high-low > tailRoom*(inHigh-inLow) {
		return inLow, inHigh
	}
	return low, high
}

// tail is the value below which about the given share of a distribution lies.
func tail(side []profile.Bucket, share float64) float64 {
	var all, below float64
	for _, b := range side {
		all += float64(b.Count)
	}
	for _, b := range side {
		if below += float64(b.Count); below >= share*all {
			if share < 0.5 {
				return b.Low
			}
			return b.High
		}
	}
	return side[len(side)-1].High
}

// scale is where bars start, how wide they are and how many there are: widths of 1, 2 or 5 times a power of ten, or
// of a second, minute, hour, day or week, so that the labels below are round numbers.
func scale(low, high float64, instants, whole bool) (start, step float64, n int) {
	width := (high - low) / bins
	if width <= 0 || low+width == low { // one value, or as good as one
		step = 1
		if size := math.Abs(low); size >= 1<<52 || (size < 1e-4 && size > 0) {
			step = size
		}
		return low - 1.5*step, step, 3
	}
	switch {
	case instants:
		step = timeStep(width)
	case whole:
		step = roundStep(max(width, 1)) // narrower bars would be empty between whole numbers
	default:
		step = roundStep(width)
	}
	start = math.Floor(low/step) * step
	n = int(math.Floor((high-start)/step)) + 1
	return start, step, max(min(n, bins+2), 1)
}

// roundStep is the least 1, 2 or 5 times a power of ten that is no less than the width.
func roundStep(width float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(width)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= width {
			return m * power
		}
	}
	return 10 * power
}

// timeStep is a width in seconds that a calendar has.
func timeStep(width float64) float64 {
	for _, d := range []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
		time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 28 * 24 * time.Hour} {
		if d.Seconds() >= width && width >= 0.1 {
			return d.Seconds()
		}
	}
	return roundStep(width)
}

// binned is the share of a distribution in each bar, and what lies outside. A bucket that spans bars is spread evenly.
func binned(side []profile.Bucket, start, step float64, n int) (shares []float64, beyond float64) {
	shares = make([]float64, n)
	var all float64
	for _, b := range side {
		all += float64(b.Count)
	}
	if all == 0 {
		return shares, 0
	}
	put := func(at, share float64) {
		if i := math.Floor(at); i >= 0 && i < float64(n) {
			shares[int(i)] += share
			return
		}
		beyond += share
	}
	for _, b := range side {
		share := float64(b.Count) / all
		from, to := (b.Low-start)/step, (b.High-start)/step
		if to-from < 1e-9 || math.Floor(from) == math.Floor(to) {
			put(from, share)
			continue
		}
		from, to = max(from, -1e6), min(to, 1e6)
		for at := from; at < to; {
			next := min(math.Floor(at)+1, to)
			if at < 0 {
				next = min(0, to)
			} else if at >= float64(n) {
				next = to
			}
			put(at, share*(next-at)/(to-from))
			at = next
		}
	}
	return shares, beyond
}

// outline is the path around bars: one unit wide each, the greatest as high as the plot.
func outline(shares []float64, top float64) string {
	if top == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("M0 " + coordinate(plotHeight))
	last := math.NaN()
	for i, s := range shares {
		y := plotHeight - s/top*(plotHeight-4)
		if s > 0 {
			y = min(y, plotHeight-0.6) // what is there is seen
		}
		if y == last {
			continue
		}
		if i > 0 {
			b.WriteString("H" + strconv.Itoa(i))
		}
		b.WriteString("V" + coordinate(y))
		last = y
	}
	b.WriteString("H" + strconv.Itoa(len(shares)) + "V" + coordinate(plotHeight))
	return b.String()
}

func coordinate(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}

// ticksOf labels about five of the edges, in even steps.
func ticksOf(start, step float64, n int, instants bool) []tick {
	every := max(1, (n+3)/4)
	widest := 0
	for _, i := range []int{0, every, n} {
		widest = max(widest, len(edge(start+float64(i)*step, step)))
	}
	if instants || widest > 7 { // long labels have room for fewer
		every = max(1, (n+1)/2)
	}
	var out []tick
	for i := 0; i <= n; i += every {
		at := start + float64(i)*step
		if math.Abs(at) < step/1e6 {
			at = 0
		}
		t := tick{At: coordinate(100*float64(i)/float64(n)) + "%", Anchor: "middle", Text: edge(at, step)}
		if instants {
			t.Text = calendar(at, step*float64(n))
		}
		switch {
		case i == 0:
			t.Anchor = "start"
		case 20*i > 19*n:
			t.Anchor = "end"
		case 10*i > 9*n:
			continue // there is no room beside the edge
		}
		out = append(out, t)
	}
	return out
}

// edge is an edge of bars that are step wide, with the digits that tell it from its neighbours.
func edge(at, step float64) string {
	if size := math.Abs(at); at == 0 || size >= 1e15 || (size < 1e-4 && step < 1e-4) {
		return number(at).Text
	}
	decimals := min(max(0, int(math.Ceil(-math.Log10(step)-1e-9))), 12)
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(at, 'f', decimals, 64), ".")
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		fraction = "." + fraction
	}
	return apart(whole) + fraction
}

// calendar is an instant of a range as long as span, both in seconds, as short as that allows.
func calendar(seconds, span float64) string {
	if math.Abs(seconds) > 1e11 { // beyond the year 5000
		return number(seconds).Text
	}
	t := time.Unix(int64(math.Floor(seconds)), 0).UTC()
	switch days := span / (24 * 3600); {
	case days > 3:
		return t.Format(time.DateOnly)
	case days > 0.01:
		return t.Format("01-02 15:04")
	}
	return t.Format("15:04:05")
}

// mark places the means.
func (h *histogram) mark(ref, cur *profile.Column, start, step float64) {
	place := func(c *profile.Column) string {
		if c == nil || c.Numbers == nil {
			return ""
		}
		at := (c.Numbers.Mean - start) / step
		if !(at >= 0 && at <= float64(h.Width)) {
			return ""
		}
		return strconv.FormatFloat(at, 'f', 2, 64)
	}
	h.MarkRef = place(ref)
	if h.Paired {
		h.MarkCur = place(cur)
	}
}

// sayBeyond says what isn't drawn.
func (h *histogram) sayBeyond(beyond [2]float64) {
	if beyond[0] < 1e-9 && beyond[1] < 1e-9 {
		return
	}
	h.Beyond = "Not drawn: the outermost " + percent(beyond[0]).Text
	if h.Paired {
		h.Beyond += " of the reference and " + percent(beyond[1]).Text + " of the window"
	} else {
		h.Beyond += " of the values"
	}
	h.Beyond += ", far from the rest."
}
