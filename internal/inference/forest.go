package inference

import (
	"fmt"
	"math"
	"sync"
)

// node is one node of a flattened tree. A node's children lie side by side, the right one at base and the left one
// at base+1, so that a step is an addition instead of a branch that the processor can't foresee.
type node struct {
	key  int32  // numeric: orderKey of the threshold; leaf: the least int32, so that every step stays on it
	slot uint32 // numeric: 2 x feature, plus 1 if a missing value goes left; category: categoryNode | index of the feature's code
	base uint32 // right child; a leaf's own index
	aux  uint32 // leaf: float32 bits of its value; category: first word of its set
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
	categories []category
	sets       []uint32 // bits that say "go left"
	link       link

	scratch *sync.Pool
}

// batch is a run of trees that are walked together.
type batch struct {
	first, count int
	depth        int32
	together     bool // four trees of thresholds only, of like depth: walked in lockstep
}

// scratch is what scoring one row needs.
type scratch struct {
	keys    []int32  // 2 per feature: orderKey with missing as the greatest, then as the least
	codes   []uint32 // per category: bit position in its sets
	margins []float32
}

// lockstepDepth is the deepest tree that is walked in lockstep: deeper ones are seldom balanced, and lockstep walks
// every row to the bottom.
const lockstepDepth = 12

// ready finishes a forest whose nodes, trees, sets and link are filled.
func (f *forest) ready() {
	for i := 0; i < len(f.trees); {
		b := batch{first: i, count: 1, depth: f.trees[i].depth}
		if i+4 <= len(f.trees) {
			deepest := int32(0)
			numeric := true
			for _, t := range f.trees[i : i+4] {
				deepest = max(deepest, t.depth)
				numeric = numeric && t.numeric
			}
			if numeric && deepest <= lockstepDepth {
				b = batch{first: i, count: 4, depth: deepest, together: true}
			}
		}
		f.batches = append(f.batches, b)
		i += b.count
	}
	features, categories, groups := f.features, len(f.categories), len(f.base)
	f.scratch = &sync.Pool{New: func() any {
		return &scratch{make([]int32, 2*features), make([]uint32, categories), make([]float32, groups)}
	}}
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
	keys := s.keys[:2*len(row)]
	for i, v := range row {
		if v != v {
			keys[2*i], keys[2*i+1] = math.MaxInt32, math.MinInt32
			continue
		}
		k := orderKey(float32(v))
		keys[2*i], keys[2*i+1] = k, k
	}
	for i, c := range f.categories {
		s.codes[i] = c.position(row[c.feature])
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
		if b.together {
			f.four(trees, b.depth, s)
			continue
		}
		for _, t := range trees {
			s.margins[t.group] += f.one(t, s)
		}
	}
}

// one walks a tree to its leaf.
func (f *forest) one(t tree, s *scratch) float32 {
	nodes := f.nodes
	at := t.root
	for {
		n := &nodes[at]
		next := n.base
		if n.slot&categoryNode == 0 {
			next += less(s.keys[n.slot], n.key)
		} else {
			position := s.codes[n.slot&^categoryNode]
			next += f.sets[n.aux+position>>5] >> (position & 31) & 1
		}
		if next == at {
			return math.Float32frombits(n.aux)
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
		na, nb, nc, nd := &nodes[a], &nodes[b], &nodes[c], &nodes[d]
		a = na.base + less(keys[na.slot], na.key)
		b = nb.base + less(keys[nb.slot], nb.key)
		c = nc.base + less(keys[nc.slot], nc.key)
		d = nd.base + less(keys[nd.slot], nd.key)
	}
	s.margins[trees[0].group] += math.Float32frombits(nodes[a].aux)
	s.margins[trees[1].group] += math.Float32frombits(nodes[b].aux)
	s.margins[trees[2].group] += math.Float32frombits(nodes[c].aux)
	s.margins[trees[3].group] += math.Float32frombits(nodes[d].aux)
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

// probabilistic gives the forest that answers with probabilities where the objective's own answer is something else:
// the sigmoid of a binary:logitraw margin, and the class probabilities of multi:softmax.
func (f *forest) probabilistic() *forest {
	replacement, ok := map[linkKind]linkKind{linkLogitRaw: linkSigmoid, linkArgmax: linkSoftmax}[f.link.kind]
	if !ok {
		return f
	}
	g := *f
	g.link.kind = replacement
	return &g
}
