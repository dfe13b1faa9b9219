package dataset

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// How many distinct values an inferred category may have: always the first, up to the second where they repeat.
const (
	fewCategories = 20
	maxCategories = 1000
)

// inference finds the kinds of columns that nobody declared while they are read. It starts from what the first block's
// cells are like, and widens where later ones contradict; the kinds of a whole pass are those of all cells. So the
// second reading of an object has the kinds that its cells ask for, and a third is needed only where a column turned
// out to be names in the middle of the first, and their number decides between category and text.
type inference struct {
	classes []classes                  // per column, of all cells so far
	names   []nameCount                // per column
	specs   atomic.Pointer[[]laneSpec] // what parsers expect of the next block; read by all of them
	seeds   [2]maphash.Seed            // of the hashes that stand for values in names
}

// nameCount counts the distinct values of a coded column up to the number that decides.
type nameCount struct {
	distinct map[[2]uint64]struct{}
	values   int  // that aren't null
	whole    bool // all cells since the pass began were counted
	kind     Kind // decided by all cells of an earlier pass, or by as many as were seen
}

// begin takes the classes of the probed first block.
func (g *inference) begin(c *parsed) {
	g.classes = make([]classes, len(c.lanes))
	g.names = make([]nameCount, len(c.lanes))
	g.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	for i := range c.lanes {
		g.classes[i] = c.lanes[i].seen
	}
}

// apply starts a pass: the plan's columns get the kinds that are known by now.
func (g *inference) apply(p *plan) {
	for i := range p.lanes {
		n := &g.names[i]
		n.distinct, n.values = nil, 0
		n.whole = g.classes[i].kind().coded()
	}
	g.publish(p)
}

// publish tells the parsers what to expect.
func (g *inference) publish(p *plan) {
	specs := slices.Clone(p.lanes)
	for i := range specs {
		kind := g.classes[i].kind()
		specs[i].kind, specs[i].mode, specs[i].known = kind, modeOf(kind), kind == Category
	}
	g.specs.Store(&specs)
}

// settle chooses the kinds that the visitor is told of: where names are, by those of the first block, unless an earlier
// pass counted all.
func (g *inference) settle(p *plan, first *parsed) {
	for i := range p.out {
		kind := g.classes[i].kind()
		if kind == Category {
			if n := &g.names[i]; n.kind.coded() {
				kind = n.kind
			} else {
				kind = namesKind(len(first.lanes[i].dict), named(first.lanes[i].codes[:first.rows]))
			}
		}
		p.out[i].kind = kind
	}
}

// named counts the codes that are no null.
func named(codes []int32) int {
	n := 0
	for _, code := range codes {
		if code >= 0 {
			n++
		}
	}
	return n
}

// namesKind tells categories from text: few values, or not many that repeat.
func namesKind(distinct, values int) Kind {
	if distinct <= fewCategories || (distinct <= maxCategories && 2*distinct <= values) {
		return Category
	}
	return Text
}

// merge adds what a block's cells are like, in the order of blocks. It reports whether the kinds that the visitor was
// told of may still be right.
func (g *inference) merge(p *plan, c *parsed) bool {
	right, widened := true, false
	for i := range c.lanes {
		l := &c.lanes[i]
		before := g.classes[i]
		g.classes[i] |= l.seen
		kind := g.classes[i].kind()
		if kind != before.kind() {
			widened = true
			g.names[i].whole = g.names[i].whole && kind.coded()
		}
		if kind.coded() && l.mode == codedCells && g.names[i].whole {
			g.count(&g.names[i], l, c.rows)
		}
		told := p.out[i].kind
		right = right && (kind == told || kind == Category && told.coded()) &&
			(told != Category || len(g.names[i].distinct) <= maxCategories)
	}
	if widened {
		g.publish(p)
	}
	return right
}

// count adds the values of a coded lane.
func (g *inference) count(n *nameCount, l *lane, rows int) {
	n.values += named(l.codes[:rows])
	if n.distinct == nil {
		n.distinct = map[[2]uint64]struct{}{}
	}
	for _, value := range l.dict {
		if len(n.distinct) > maxCategories {
			return
		}
		n.distinct[[2]uint64{maphash.String(g.seeds[0], value), maphash.String(g.seeds[1], value)}] = struct{}{}
	}
}

// decide ends a pass: it reports whether the visitor was told of a kind that isn't the one of all cells. Where names were
// not all counted they are in the next pass.
func (g *inference) decide(p *plan) (again bool) {
	for i := range p.out {
		kind := g.classes[i].kind()
		if kind == Category {
			n := &g.names[i]
			if n.whole {
				n.kind = namesKind(len(n.distinct), n.values)
			}
			kind = n.kind
			if !n.whole {
				again = true
			}
		}
		again = again || kind != p.out[i].kind
	}
	return again
}
