package training

import "math"

// treeNode is one node of a grown tree.
type treeNode struct {
	left, right int32 // -1: a leaf
	split       split // inner nodes
	sum         sums
	value       float32 // after shrinkage; of a leaf what it adds
	weight      float32 // before shrinkage
}

// grownTree is a tree, its root first.
type grownTree struct{ nodes []treeNode }

// leaf finds the leaf of a row.
func (t *grownTree) leaf(b *binned, row int) *treeNode {
	n := &t.nodes[0]
	for n.left >= 0 {
		next := n.right
		if n.split.left.has(b.bin(row, n.split.feature)) != 0 {
			next = n.left
		}
		n = &t.nodes[next]
	}
	return n
}

// grower grows trees on one table. It keeps its buffers between trees.
type grower struct {
	p        treeParams
	features []binFeature
	data     *binned

	gradients []gradient
	rows      []int32 // of the tree, kept together by node
	spare     []int32
	used      []bool // by feature: may split this tree
	free      []histogram
	splitters []splitter // by block
	found     []split    // by block
	tree      *grownTree
	leaves    []leafRows
}

// leafRows is where the rows of a leaf are.
type leafRows struct {
	node     int32
	from, to int
}

// parallelWork is how many bin updates make goroutines worth starting: about 50 microseconds of them.
const parallelWork = 1 << 15

func newGrower(p treeParams, features []binFeature, data *binned) *grower {
	g := &grower{p: p, features: features, data: data, gradients: make([]gradient, data.rows), spare: make([]int32, data.rows)}
	g.splitters = make([]splitter, len(data.blocks))
	g.found = make([]split, len(data.blocks))
	for i := range g.splitters {
		g.splitters[i].p = p
	}
	return g
}

// grow makes a tree of the gradients at rows, which it reorders. used says which features may split.
func (g *grower) grow(rows []int32, used []bool) *grownTree {
	g.rows, g.used, g.tree, g.leaves = rows, used, &grownTree{}, g.leaves[:0]
	h := g.take()
	g.accumulate(h, rows)
	var total sums // any feature's bins are all rows
	for _, s := range h[0][0] {
		total = total.plus(s)
	}
	root := g.newNode(total)
	g.divide(root, 0, len(rows), 0, h)
	return g.tree
}

func (g *grower) newNode(s sums) int32 {
	weight := g.p.value(s)
	g.tree.nodes = append(g.tree.nodes, treeNode{left: -1, right: -1, sum: s, weight: float32(weight), value: float32(g.p.eta * weight)})
	return int32(len(g.tree.nodes) - 1)
}

// divide splits a node over rows[from:to] and its descendants, depth first, so that at most one histogram per level
// is alive. It consumes h.
func (g *grower) divide(at int32, from, to, depth int, h histogram) {
	s := g.findSplit(h, g.tree.nodes[at].sum, to-from)
	middle := from
	if s.gain > 0 {
		middle = g.partition(from, to, &s)
	}
	if middle == from || middle == to { // no split, or rounding made a side that no row is on
		g.leaves = append(g.leaves, leafRows{at, from, to})
		g.give(h)
		return
	}
	left, right := g.newNode(s.sumLeft), g.newNode(s.sumRight)
	node := &g.tree.nodes[at]
	node.left, node.right, node.split = left, right, s
	if depth+1 >= g.p.maxDepth {
		g.leaves = append(g.leaves, leafRows{left, from, middle}, leafRows{right, middle, to})
		g.give(h)
		return
	}
	// The smaller child's histogram is counted, the larger one's is what remains of the parent's.
	small, large := [2]int{from, middle}, [2]int{middle, to}
	if swapped := middle-from > to-middle; swapped {
		small, large = large, small
	}
	counted := g.take()
	g.accumulate(counted, g.rows[small[0]:small[1]])
	g.subtract(h, counted)
	hLeft, hRight := counted, h
	if small[0] != from {
		hLeft, hRight = h, counted
	}
	g.divide(left, from, middle, depth+1, hLeft)
	g.divide(right, middle, to, depth+1, hRight)
}

// accumulate fills a histogram, which must be zero, with rows. Blocks are independent, so it is the same whatever the
// number of goroutines.
func (g *grower) accumulate(h histogram, rows []int32) {
	threads := g.p.threads
	if len(rows)*len(g.features) < parallelWork {
		threads = 1
	}
	parallel(len(h), threads, func(b int) {
		if len(g.features)-b*blockFeatures <= 4 {
			h[b].addFour(g.data.blocks[b], rows, g.gradients)
		} else {
			h[b].add(g.data.blocks[b], rows, g.gradients)
		}
	})
}

// subtract takes a child's sums from its parent's. What should be nothing is made nothing: a rounding residue in an
// empty bin would look like rows.
func (g *grower) subtract(parent, child histogram) {
	for i := range g.features {
		p, c := &parent[i/blockFeatures][i%blockFeatures], &child[i/blockFeatures][i%blockFeatures]
		for bin := range g.features[i].bins + 1 {
			rest := p[bin].minus(c[bin])
			if rest.h <= residue*p[bin].h {
				rest = sums{}
			}
			p[bin] = rest
		}
	}
}

// residue is how much of a bin's weight may be left by rounding.
const residue = 1e-10

func (g *grower) findSplit(h histogram, total sums, rows int) split {
	if rows < 2 || total.h < 2*g.p.minChildWeight {
		return split{}
	}
	threads := g.p.threads
	if rows*len(g.features) < parallelWork { // as good a measure of whether two goroutines pay here too
		threads = 1
	}
	parallel(len(h), threads, func(b int) {
		best := split{}
		for i := b * blockFeatures; i < min((b+1)*blockFeatures, len(g.features)); i++ {
			if g.used[i] {
				best = g.splitters[b].best(best, i, &g.features[i], &h[b][i%blockFeatures], total)
			}
		}
		g.found[b] = best
	})
	best := split{}
	for _, s := range g.found {
		if s.gain > best.gain {
			best = s
		}
	}
	if math.IsInf(best.gain, 0) {
		return split{}
	}
	return best
}

// partition orders rows[from:to] by side, keeping the order on each, and gives where the right side starts. Both
// sides are written at each row, which is cheaper than a branch that half of the rows miss.
func (g *grower) partition(from, to int, s *split) int {
	words, shift := g.data.blocks[s.feature/blockFeatures], s.feature%blockFeatures*8
	var side [256]uint8
	for bin := range side {
		side[bin] = uint8(s.left.has(uint8(bin)))
	}
	rows, spare := g.rows[from:to], g.spare[:to-from]
	left, right := 0, 0
	for _, row := range rows {
		goes := int(side[uint8(words[row]>>shift)])
		rows[left] = row
		spare[right] = row
		left += goes
		right += 1 - goes
	}
	copy(rows[left:], spare[:right])
	return from + left
}

// take gives a zero histogram.
func (g *grower) take() histogram {
	if n := len(g.free); n > 0 {
		h := g.free[n-1]
		g.free = g.free[:n-1]
		clear(h)
		return h
	}
	return make(histogram, len(g.data.blocks))
}

func (g *grower) give(h histogram) { g.free = append(g.free, h) }
