package drift

import (
	"math"
	"math/bits"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
)

// largeSamples is the number of values of both sides together from which they are digested instead of sorted.
const largeSamples = 1 << 16

// digest is what the methods need of two large samples. It is found without sorting them: numbers are counted in narrow
// buckets, and only those buckets are sorted in which something depends on the order, which are few. Between its ends a
// bucket's share of the integral of |F-G| is a sum of distances while F-G doesn't change its sign there; the greatest
// |F-G| is within a bucket only if its counts let it be; and a quantile is in a known bucket.
//
// All of it is exact in whole numbers (see integral), so that a digest has the same bits whatever the order of the rows.
type digest struct {
	n, m     int
	gap, lcm int64   // as in pair
	area     float64 // likewise
	unit     float64 // the reference's standard deviation
	distinct int     // likewise, up to maxValueBins+1
	// runs are the distinct values, where they are at most maxValueBins.
	runs []run
	p, q []float64 // the shares of the bins
	// spans are the reference's, where the distance may have to be held against chance.
	spans []span
}

// run is a value and how often it occurs on either side.
type run struct {
	key      uint64
	ref, cur int64
}

func (d *digest) few() int { return d.distinct }

func (d *digest) shares() (ref, cur []float64) { return d.p, d.q }

func (d *digest) counts() (ref, cur Counts) {
	ref, cur = Counts{}, Counts{}
	for _, r := range d.runs {
		name := label(dataset.Number, valueOf(r.key))
		if r.ref > 0 {
			ref[name] += r.ref
		}
		if r.cur > 0 {
			cur[name] += r.cur
		}
	}
	return ref, cur
}

func (d *digest) ks() (statistic, p, bound float64) {
	statistic, p = ksOf(d.n, d.m, d.gap, d.lcm)
	return statistic, p, 0
}

func (d *digest) wasserstein() (distance, bound float64) {
	return min(d.area/max(d.unit, minDeviation), math.MaxFloat64), 0
}

func (d *digest) byChance() bool {
	return distanceByChance(d.spans, float64(d.n), float64(d.m), d.area)
}

// digester makes digests, one after the other, in memory that it keeps.
type digester struct {
	layout
	ref, cur part
	sum      integral
	forms    []form   // of the buckets
	ranks    []int    // of the reference, that quantiles need; ascending
	at       []uint64 // the keys at these ranks
	runs     []run    // the first distinct values
	out      digest
	per      [2]int64 // a value's step of F and of G, in units of 1/lcm
	last     int64    // position up to which the integral has come
	height   int64    // F-G there, in units of 1/lcm
	seen     int      // distinct values, at least, up to maxValueBins+1
}

// form is how a bucket is gone through.
type form uint8

const (
	empty   form = iota
	single       // one value
	skipped      // several, in an order that nothing depends on
	ordered      // its keys are sorted
)

// digest is the digest of two samples; ok is false where they must be sorted instead: one has no values, or they are so
// many, so large or so small that sums leave their range. Numbers that aren't finite are left out and counted.
func (g *digester) digest(ref, cur []float64) (d *digest, ok bool) {
	g.plan(ref, cur)
	g.ref.load(&g.layout, ref)
	g.cur.load(&g.layout, cur)
	if g.ref.size == 0 || g.cur.size == 0 {
		return nil, false
	}
	perRef, perCur, few := steps(int64(g.ref.size), int64(g.cur.size))
	if !few {
		return nil, false
	}
	g.per = [2]int64{perRef, perCur}
	g.out = digest{n: g.ref.size, m: g.cur.size, lcm: int64(g.ref.size) * perRef}
	g.choose()
	g.ref.sort(&g.layout, g.forms)
	g.cur.sort(&g.layout, g.forms)
	g.walk()
	low, high := valueOf(g.at[0]), valueOf(g.at[len(g.at)-1])
	if !moderate(low) || !moderate(high) {
		return nil, false
	}
	if g.out.area = g.sum.value() / float64(g.out.lcm); math.IsInf(g.out.area, 0) {
		return nil, false
	}
	g.out.unit = g.deviation(low, high)
	if distance, _ := g.out.wasserstein(); distance >= DistanceLimit {
		g.out.spans = spansOf(g.ref.size, g.value)
	}
	g.bin()
	out := g.out
	return &out, true
}

// moderate reports whether squares of the number are far from both ends of the floats.
func moderate(x float64) bool {
	x = math.Abs(x)
	return x == 0 || (x > 1e-140 && x < 1e140)
}

// choose decides how each bucket is gone through.
func (g *digester) choose() {
	buckets := len(g.start)
	g.forms = slices.Grow(g.forms[:0], buckets)[:buckets]
	difference, most, used := int64(0), int64(0), 0
	for b := range buckets {
		if x, y := int64(g.ref.loads[b].n), int64(g.cur.loads[b].n); x|y != 0 {
			used++
			difference += x*g.per[0] - y*g.per[1]
			most = max(most, difference, -difference)
		}
	}
	difference = 0
	for b := range buckets {
		x, y := int64(g.ref.loads[b].n), int64(g.cur.loads[b].n)
		if x|y == 0 {
			g.forms[b] = empty
			continue
		}
		g.forms[b] = g.form(b, difference, most)
		if g.forms[b] == skipped && used <= maxValueBins { // their values are counted
			g.forms[b] = ordered
		}
		difference += x*g.per[0] - y*g.per[1]
	}
	g.rank()
}

// form is how a bucket that isn't empty is gone through, which begins with a difference of the distribution functions,
// the greatest between any two buckets being most.
func (g *digester) form(b int, difference, most int64) form {
	x, y := &g.ref.loads[b], &g.cur.loads[b]
	sumX, orX, okX := x.offsets(g.start[b], g.narrow[b])
	sumY, orY, okY := y.offsets(g.start[b], g.narrow[b])
	if !okX || !okY || !g.linear(b) {
		return ordered
	}
	// No offset is over the or of all of them, so they are equal if their sum is as great as it can be.
	if sumX == x.n*orX && sumY == y.n*orY && (x.n == 0 || y.n == 0 || orX == orY) {
		return single
	}
	lowest, highest := difference-int64(y.n)*g.per[1], difference+int64(x.n)*g.per[0]
	if (lowest < 0 && highest > 0) || (x.n > 0 && y.n > 0 && max(highest, -lowest) > most) {
		return ordered
	}
	return skipped
}

// rank notes the ranks that the reference's quantiles and spans need, and has the buckets between two neighbouring ones sorted, in
// which an edge may be.
func (g *digester) rank() {
	g.ranks = append(g.ranks[:0], 0)
	for i := 1; i < quantileBins; i++ {
		low := int(float64(float64(g.ref.size-1) * (float64(i) * (1.0 / quantileBins))))
		g.ranks = append(g.ranks, low, min(low+1, g.ref.size-1))
	}
	g.ranks = append(g.ranks, spanRanks(g.ref.size)...)
	slices.Sort(g.ranks)
	g.ranks = slices.Compact(g.ranks)
	b, previous := 0, -2
	for _, rank := range g.ranks {
		begin := b
		for g.ref.before[b+1] <= rank {
			b++
		}
		if rank != previous+1 {
			begin = b
		}
		for i := begin; i <= b; i++ {
			if g.forms[i] == skipped {
				g.forms[i] = ordered
			}
		}
		previous = rank
	}
}

// walk goes through the buckets in order, once.
func (g *digester) walk() {
	g.sum.reset()
	g.height, g.seen, g.runs, g.at = 0, 0, g.runs[:0], g.at[:0]
	for b := range g.start {
		x, y := &g.ref.loads[b], &g.cur.loads[b]
		switch g.forms[b] {
		case empty:
			continue
		case ordered:
			g.merge(g.ref.of(b), g.cur.of(b))
		case skipped:
			g.skip(b)
		case single:
			g.step(x.or|y.or, int64(x.n), int64(y.n)) // all keys are this one
		}
		for rank := len(g.at); rank < len(g.ranks) && g.ranks[rank] < g.ref.before[b+1]; rank++ {
			key := x.or
			if g.forms[b] == ordered {
				key = g.ref.of(b)[g.ranks[rank]-g.ref.before[b]]
			}
			g.at = append(g.at, key)
		}
	}
	g.out.distinct, g.out.runs = g.seen, nil
	if g.seen <= maxValueBins {
		g.out.runs = slices.Clone(g.runs)
	}
}

// step takes a value.
func (g *digester) step(key uint64, x, y int64) {
	position := positionOf(key)
	g.sum.constant(uint64(max(g.height, -g.height)), g.last, position) // at first the height is 0
	g.last = position
	g.height += x*g.per[0] - y*g.per[1]
	g.out.gap = max(g.out.gap, g.height, -g.height)
	if g.seen <= maxValueBins {
		g.seen++
		g.runs = append(g.runs, run{key, x, y})
	}
}

// merge takes the values of a sorted bucket.
func (g *digester) merge(x, y []uint64) {
	for i, j := 0, 0; i < len(x) || j < len(y); {
		key := uint64(math.MaxUint64)
		if i < len(x) {
			key = x[i]
		}
		if j < len(y) {
			key = min(key, y[j])
		}
		a, b := i, j
		for i < len(x) && x[i] == key {
			i++
		}
		for j < len(y) && y[j] == key {
			j++
		}
		g.step(key, int64(i-a), int64(j-b))
	}
}

// skip takes a bucket without looking at its order: F-G has one sign there, so the integral of |F-G| is that of F-G.
func (g *digester) skip(b int) {
	x, y := &g.ref.loads[b], &g.cur.loads[b]
	start, width := g.start[b], uint64(1)<<g.narrow[b]-1
	sumX, _, _ := x.offsets(start, g.narrow[b])
	sumY, _, _ := y.offsets(start, g.narrow[b])
	from, to := positionOf(start), positionOf(start+width)
	g.sum.constant(uint64(max(g.height, -g.height)), g.last, from)
	begin := g.height
	g.height += int64(x.n)*g.per[0] - int64(y.n)*g.per[1]
	g.last = to
	var positive, negative wide // end height * width - the steps' distances from the start, weighted by their heights
	if g.height >= 0 {
		positive.addProduct(uint64(g.height), width)
	} else {
		negative.addProduct(uint64(-g.height), width)
	}
	negative.addProduct(uint64(g.per[0]), sumX)
	positive.addProduct(uint64(g.per[1]), sumY)
	if begin < 0 || g.height < 0 {
		positive, negative = negative, positive
	}
	g.sum.binade(from).add(positive.minus(negative))
	g.out.gap = max(g.out.gap, g.height, -g.height)
	g.seen = maxValueBins + 1
}

// value is the reference's at one of the ranks.
func (g *digester) value(rank int) float64 {
	at, _ := slices.BinarySearch(g.ranks, rank)
	return valueOf(g.at[at])
}

// quantile is the reference's at i of quantileBins.
func (g *digester) quantile(i int) float64 {
	return quantileOf(g.ref.size, float64(i)*(1.0/quantileBins), g.value)
}

// deviation is the reference's standard deviation. Squares are summed in whole numbers, of distances from the median in
// units that take the greatest to 2^50: the standard deviation is at least the range over 2 sqrt(n), so it keeps 1e-11 of
// itself for a billion rows, and has the same bits whatever their order.
func (g *digester) deviation(low, high float64) float64 {
	middle := g.quantile(quantileBins / 2)
	reach := max(high-middle, middle-low)
	if reach == 0 {
		return 0
	}
	_, exponent := math.Frexp(reach)
	scale := math.Ldexp(1, 50-exponent)
	var squares wide
	var rest wide // two's complement
	for _, x := range g.ref.numbers {
		if x-x != 0 {
			continue
		}
		distance := int64((x - middle) * scale)
		size := uint64(max(distance, -distance))
		squareHigh, squareLow := bits.Mul64(size, size)
		var carry uint64
		squares.low, carry = bits.Add64(squares.low, squareLow, 0)
		squares.high, _ = bits.Add64(squares.high, squareHigh, carry)
		rest.low, carry = bits.Add64(rest.low, uint64(distance), 0)
		rest.high, _ = bits.Add64(rest.high, uint64(distance>>63), carry)
	}
	if rest.high>>63 == 1 {
		rest = wide{}.minus(rest)
	}
	n, off := float64(g.ref.size), rest.float()
	return math.Sqrt(max(squares.float()-off*off/n, 0)/n) / scale
}

// bin finds the shares of the bins.
func (g *digester) bin() {
	n, m := float64(g.ref.size), float64(g.cur.size)
	if g.out.distinct <= maxValueBins {
		for _, r := range g.out.runs {
			g.out.p = append(g.out.p, float64(r.ref)/n)
			g.out.q = append(g.out.q, float64(r.cur)/m)
		}
		return
	}
	edges := make([]float64, 0, quantileBins+1)
	for i := range quantileBins + 1 {
		edges = append(edges, g.quantile(i))
	}
	x, y := 0, 0
	for _, edge := range inner(edges) {
		a, b := g.upTo(&g.ref, edge), g.upTo(&g.cur, edge)
		g.out.p = append(g.out.p, float64(a-x)/n)
		g.out.q = append(g.out.q, float64(b-y)/m)
		x, y = a, b
	}
	g.out.p = append(g.out.p, float64(g.ref.size-x)/n)
	g.out.q = append(g.out.q, float64(g.cur.size-y)/m)
}

// upTo is how many of a side's values are at most the edge.
func (g *digester) upTo(p *part, edge float64) int {
	key := keyOf(edge)
	b := int(g.bucket(key))
	n := p.before[b]
	switch {
	case g.forms[b] == ordered:
		i, _ := slices.BinarySearch(p.of(b), key+1)
		n += i
	case p.loads[b].or <= key: // a single value, or none
		n += int(p.loads[b].n)
	}
	return n
}
