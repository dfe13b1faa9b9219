package inference

import (
	"fmt"
	"math"
	"sync"
)

// node is one node of a flattened tree. A node's children lie side by side, the right one at base and the left one
// at base+1, so that a step is an addition instead of a branch that the processor can't foresee.
type node struct {
	key  int32  // numeric: orderKey of the threshold; otherwise the least int32, which nothing is less than
	slot uint32 // index in scratch.keys; categoryNode is set for a category
	base uint32 // right child; a leaf's own index, so that every step stays on it
	aux  uint32 // category: first word of its set; otherwise 0, a word without bits
}

const categoryNode = 1 << 31

// tree is a range of forest.nodes, its root first.
type tree struct {
	root  uint32
	depth int32 // edges to the deepest leaf
	group int32 // output that its value is added to

	numeric bool // no split tests a category
}

// category is a feature that some split tests for membership. Every set of the feature has the same width, so that
// a code becomes a bit position once per row: 0 is missing, 1+code a code, and width-1 any code over all sets.
type category struct {
	feature int
	width   uint32 // bits of a set
}

// forest is a boosted ensemble: margins are base plus the sum of each tree's leaf, in float32 and in the trees'
// order, as XGBoost adds them.
type forest struct {
	features   int
	base       []float32 // margin per group
	trees      []tree
	batches    []batch
	nodes      []node
	values     []float32 // by node: a leaf's value
	categories []category
	sets       []uint32 // bits that say "go left"; the first word is 0
	link       link

	scratch *sync.Pool
}

// batch is a run of trees that are walked together.
type batch struct {
	first, count int
	depth        int32
	together     bool // four trees, none deep: walked in lockstep
	numeric      bool // no split of them tests a category
}

// scratch is what scoring one row needs.
type scratch struct {
	keys    []int32 // 2 per feature: orderKey with missing as the greatest, then as the least; then a bit position per category
	margins []float32
}

// lockstepDepth is the deepest tree that is walked in lockstep: deeper ones are seldom balanced, and lockstep walks
// every row to the bottom.
const lockstepDepth = 12

// ready finishes a forest whose nodes, trees, sets and link are filled.
func (f *forest) ready() {
	for i := 0; i < len(f.trees); {
		b := batch{first: i, count: 1}
		if i+4 <= len(f.trees) {
			deepest, numeric := int32(0), true
			for _, t := range f.trees[i : i+4] {
				deepest = max(deepest, t.depth)
				numeric = numeric && t.numeric
			}
			if deepest <= lockstepDepth {
				b = batch{first: i, count: 4, depth: deepest, together: true, numeric: numeric}
			}
		}
		f.batches = append(f.batches, b)
		i += b.count
	}
	keys, groups := 2*f.features+len(f.categories), len(f.base)
	f.scratch = &sync.Pool{New: func() any { return &scratch{make([]int32, keys), make([]float32, groups)} }}
}

// Outputs is the number of scores per row.
func (f *forest) Outputs() int { return f.link.outputs(len(f.base)) }

// Score implements Scorer.
func (f *forest) Score(x []float64, rows int, out []float64) error {
	width := f.Outputs()
	if err := checkShape(x, rows, f.features, out, width); err != nil {
		return err
	}
	s := f.scratch.Get().(*scratch)
	for r := range rows {
		f.prepare(x[r*f.features:(r+1)*f.features], s)
		f.sum(s)
		f.link.apply(s.margins, out[r*width:(r+1)*width])
	}
	f.scratch.Put(s)
	return nil
}

func checkShape(x []float64, rows, features int, out []float64, outputs int) error {
	if rows < 0 || len(x) < rows*features || len(out) < rows*outputs {
		return fmt.Errorf("score: observed %d values and %d places for %d rows, want %d and %d",
			len(x), len(out), rows, rows*features, rows*outputs)
	}
	return nil
}

// prepare turns a row into what the nodes compare with.
func (f *forest) prepare(row []float64, s *scratch) {
	keys := s.keys
	for i, v := range row {
		if v != v {
			keys[2*i], keys[2*i+1] = math.MaxInt32, math.MinInt32
			continue
		}
		k := orderKey(float32(v))
		keys[2*i], keys[2*i+1] = k, k
	}
	for i, c := range f.categories {
		keys[2*len(row)+i] = int32(c.position(row[c.feature]))
	}
}

// position is the bit of a value in the sets of its feature.
func (c category) position(v float64) uint32 {
	switch {
	case v != v:
		return 0
	case v < 0 || v >= float64(c.width-2):
		return c.width - 1
	}
	return 1 + uint32(v)
}

// sum adds up the trees' leaves.
func (f *forest) sum(s *scratch) {
	copy(s.margins, f.base)
	for i := range f.batches {
		b := &f.batches[i]
		trees := f.trees[b.first : b.first+b.count]
		switch {
		case b.together && b.numeric:
			f.fourNumeric(trees, b.depth, s)
		case b.together:
			f.four(trees, b.depth, s)
		default:
			s.margins[trees[0].group] += f.one(trees[0], s)
		}
	}
}

// step goes from a node to its child; from a leaf to itself.
func (f *forest) step(n *node, keys []int32) uint32 {
	v := keys[n.slot&^categoryNode]
	position := uint32(v)
	word := position >> 5 & uint32(int32(n.slot)>>31) // 0 unless n is a category
	return n.base + less(v, n.key) + f.sets[n.aux+word]>>(position&31)&1
}

// one walks a tree to its leaf.
func (f *forest) one(t tree, s *scratch) float32 {
	at := t.root
	for {
		next := f.step(&f.nodes[at], s.keys)
		if next == at {
			return f.values[at]
		}
		at = next
	}
}

// four walks four trees in lockstep: their loads overlap, where one tree's would wait for each other.
func (f *forest) four(trees []tree, depth int32, s *scratch) {
	nodes, keys := f.nodes, s.keys
	_ = trees[3]
	a, b, c, d := trees[0].root, trees[1].root, trees[2].root, trees[3].root
	for range depth {
		a, b, c, d = f.step(&nodes[a], keys), f.step(&nodes[b], keys), f.step(&nodes[c], keys), f.step(&nodes[d], keys)
	}
	f.add(trees, a, b, c, d, s)
}

// fourNumeric is four without category splits.
func (f *forest) fourNumeric(trees []tree, depth int32, s *scratch) {
	nodes, keys := f.nodes, s.keys
	_ = trees[3]
	a, b, c, d := trees[0].root, trees[1].root, trees[2].root, trees[3].root
	for range depth {
		na, nb, nc, nd := &nodes[a], &nodes[b], &nodes[c], &nodes[d]
		a = na.base + less(keys[na.slot], na.key)
		b = nb.base + less(keys[nb.slot], nb.key)
		c = nc.base + less(keys[nc.slot], nc.key)
		d = nd.base + less(keys[nd.slot], nd.key)
	}
	f.add(trees, a, b, c, d, s)
}

// add adds four leaves in the trees' order, which is the order of XGBoost's float32 sum.
func (f *forest) add(trees []tree, a, b, c, d uint32, s *scratch) {
	s.margins[trees[0].group] += f.values[a]
	s.margins[trees[1].group] += f.values[b]
	s.margins[trees[2].group] += f.values[c]
	s.margins[trees[3].group] += f.values[d]
}

// less is 1 if a < b, else 0, without a branch.
func less(a, b int32) uint32 { return uint32(uint64(int64(a)-int64(b)) >> 63) }

// orderKey maps a float32 that isn't NaN to an int32 that orders the same: x < y if and only if orderKey(x) <
// orderKey(y). Both zeros have the same key. No key is the least or the greatest int32.
func orderKey(v float32) int32 {
	if v == 0 {
		return 0
	}
	bits := int32(math.Float32bits(v))
	return bits ^ int32(uint32(bits>>31)>>1)
}

// probabilistic implements nativeScorer.
func (f *forest) probabilistic() Scorer {
	g := *f
	g.link = f.link.probabilistic()
	return &g
}
