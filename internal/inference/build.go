package inference

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// xgbTree is one tree of the "trees" list. Nodes are positions in the lists, the root is 0, and -1 is no child.
type xgbTree struct {
	Left       []int32         `json:"left_children"`
	Right      []int32         `json:"right_children"`
	Index      []int32         `json:"split_indices"`
	Condition  float32s        `json:"split_conditions"` // threshold; a leaf's value
	Default    json.RawMessage `json:"default_left"`     // 0 and 1, or false and true
	SplitType  []int32         `json:"split_type"`       // 0 numeric, 1 category; absent before 1.3
	Categories []int32         `json:"categories"`       // the categories that go right, of all nodes in a row
	Nodes      []int32         `json:"categories_nodes"`
	Segments   []int64         `json:"categories_segments"` // where a node's categories start
	Sizes      []int64         `json:"categories_sizes"`
	Param      struct {
		LeafVector string `json:"size_leaf_vector"`
	} `json:"tree_param"`

	defaultLeft []bool
	sets        map[int32][]int32 // by node
}

// forestBuilder flattens trees into a forest.
type forestBuilder struct {
	forest  *forest
	lim     Limits
	weights []float32 // dart
	groups  []int32   // by tree
	pending []pendingSet
	members int            // of all pending sets
	index   map[int]uint32 // feature -> index in forest.categories
}

// pendingSet is a category split whose bits can't be laid out before its feature's width is known.
type pendingSet struct {
	node        uint32
	category    uint32
	members     []int32 // go right
	missingLeft bool
}

func newForestBuilder(f *forest, lim Limits, weights []float32, groups []int32) *forestBuilder {
	return &forestBuilder{forest: f, lim: lim, weights: weights, groups: groups, index: map[int]uint32{}}
}

// read flattens the "trees" list.
func (b *forestBuilder) read(raw json.RawMessage) error {
	if err := decodeEach(raw, "trees", b.lim.MaxTrees, func(i int, t *xgbTree) error {
		if err := b.add(i, t); err != nil {
			return fmt.Errorf("trees[%d]: %w", i, err)
		}
		return nil
	}); err != nil {
		return err
	}
	if len(b.groups) != len(b.forest.trees) {
		return fmt.Errorf("tree_info: observed %d entries for %d trees", len(b.groups), len(b.forest.trees))
	}
	if b.weights != nil && len(b.weights) != len(b.forest.trees) {
		return fmt.Errorf("weight_drop: observed %d weights for %d trees", len(b.weights), len(b.forest.trees))
	}
	return b.layOut()
}

// add flattens one tree, breadth first from its root, so that nodes nobody reaches are dropped, and a node that two
// parents share, or that is its own ancestor, is found.
func (b *forestBuilder) add(i int, t *xgbTree) error {
	if i >= len(b.groups) || b.groups[i] < 0 || int(b.groups[i]) >= len(b.forest.base) {
		return fmt.Errorf("tree_info: no group from 0 to %d", len(b.forest.base)-1)
	}
	if err := t.check(); err != nil {
		return err
	}
	f := b.forest
	if err := within("nodes of all trees", len(f.nodes)+len(t.Left), b.lim.MaxNodes); err != nil {
		return err
	}
	out := tree{root: uint32(len(f.nodes)), group: b.groups[i], numeric: true}
	weight := float32(1)
	if i < len(b.weights) {
		weight = b.weights[i]
	}
	seen := make([]bool, len(t.Left))
	seen[0] = true
	type visit struct{ from, to, depth int32 } // node of t, place after out.root, edges from the root
	queue := []visit{{}}
	f.nodes, f.values = append(f.nodes, node{}), append(f.values, 0)
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		out.depth = max(out.depth, v.depth)
		if err := within("depth", int(v.depth), b.lim.MaxDepth); err != nil {
			return err
		}
		at := out.root + uint32(v.to)
		if t.Left[v.from] == -1 && t.Right[v.from] == -1 {
			value := weight * t.Condition[v.from]
			if !finite32(value) {
				return fmt.Errorf("node %d: split_conditions: a leaf's value is %v", v.from, value)
			}
			f.nodes[at], f.values[at] = node{key: math.MinInt32, base: at}, value
			continue
		}
		right := int32(len(f.nodes)) - int32(out.root)
		for side, child := range []int32{t.Right[v.from], t.Left[v.from]} {
			if child < 0 || int(child) >= len(seen) {
				return fmt.Errorf("node %d: child %d is none of %d nodes", v.from, child, len(seen))
			}
			if seen[child] {
				return fmt.Errorf("node %d: child %d has another parent: a cycle or a shared node", v.from, child)
			}
			seen[child] = true
			f.nodes, f.values = append(f.nodes, node{}), append(f.values, 0)
			queue = append(queue, visit{child, right + int32(side), v.depth + 1})
		}
		numeric, err := b.split(t, v.from, at, out.root+uint32(right))
		if err != nil {
			return fmt.Errorf("node %d: %w", v.from, err)
		}
		out.numeric = out.numeric && numeric
	}
	f.trees = append(f.trees, out)
	return nil
}

// split fills an inner node.
func (b *forestBuilder) split(t *xgbTree, from int32, at, right uint32) (numeric bool, err error) {
	f := b.forest
	feature := int(t.Index[from])
	if feature < 0 || feature >= f.features {
		return false, fmt.Errorf("split_indices: observed %d, the model has %d features", feature, f.features)
	}
	if len(t.SplitType) == 0 || t.SplitType[from] == 0 {
		if t.Condition[from] != t.Condition[from] {
			return false, errors.New("split_conditions: a threshold is not a number")
		}
		slot := uint32(2 * feature)
		if t.defaultLeft[from] {
			slot++
		}
		f.nodes[at] = node{key: orderKey(t.Condition[from]), slot: slot, base: right}
		return true, nil
	}
	if t.SplitType[from] != 1 {
		return false, fmt.Errorf("split_type: observed %d, want 0 or 1", t.SplitType[from])
	}
	members, ok := t.sets[from]
	if !ok {
		return false, errors.New("categories_nodes: a category split without categories")
	}
	b.members += len(members)
	if err := within("categories of all sets", b.members, b.lim.MaxNodes); err != nil {
		return false, err
	}
	k, ok := b.index[feature]
	if !ok {
		k = uint32(len(f.categories))
		b.index[feature] = k
		f.categories = append(f.categories, category{feature: feature})
	}
	for _, m := range members {
		if m < 0 || int(m) >= b.lim.MaxCategories {
			return false, fmt.Errorf("categories: observed %d, want 0 to %d", m, b.lim.MaxCategories-1)
		}
		f.categories[k].width = max(f.categories[k].width, uint32(m)+3) // missing before the codes, unseen after
	}
	f.nodes[at] = node{key: math.MinInt32, slot: categoryNode | (uint32(2*f.features) + k), base: right}
	b.pending = append(b.pending, pendingSet{at, k, members, t.defaultLeft[from]})
	return false, nil
}

// layOut writes the bits of every category split.
func (b *forestBuilder) layOut() error {
	f := b.forest
	total := 1 // the first word stays 0, for nodes that test no category
	for i := range f.categories {
		f.categories[i].width = max(f.categories[i].width, 2)
	}
	for _, p := range b.pending {
		total += words(f.categories[p.category].width)
	}
	if err := within("words of all category sets", total, b.lim.MaxNodes); err != nil {
		return err
	}
	f.sets = make([]uint32, total)
	next := 1
	for _, p := range b.pending {
		n := words(f.categories[p.category].width)
		set := f.sets[next : next+n]
		f.nodes[p.node].aux = uint32(next)
		next += n
		for i := range set {
			set[i] = math.MaxUint32 // XGBoost sends what isn't in the set to the left
		}
		for _, m := range p.members {
			set[(m+1)>>5] &^= 1 << ((m + 1) & 31)
		}
		if !p.missingLeft {
			set[0] &^= 1
		}
	}
	return nil
}

func words(bits uint32) int { return int(bits+31) / 32 }

// check holds the lists of a tree to one another.
func (t *xgbTree) check() error {
	if t.Param.LeafVector != "" && t.Param.LeafVector != "0" && t.Param.LeafVector != "1" {
		return fmt.Errorf("size_leaf_vector: observed %q: leaves of several values (multi_output_tree) can't be scored", t.Param.LeafVector)
	}
	n := len(t.Left)
	if n == 0 {
		return errors.New("left_children: a tree without nodes")
	}
	if err := t.decodeDefault(); err != nil {
		return err
	}
	for _, list := range []struct {
		name   string
		length int
	}{
		{"right_children", len(t.Right)}, {"split_indices", len(t.Index)},
		{"split_conditions", len(t.Condition)}, {"default_left", len(t.defaultLeft)},
	} {
		if list.length != n {
			return fmt.Errorf("%s: observed %d entries for %d nodes", list.name, list.length, n)
		}
	}
	if len(t.SplitType) != 0 && len(t.SplitType) != n {
		return fmt.Errorf("split_type: observed %d entries for %d nodes", len(t.SplitType), n)
	}
	return t.decodeSets()
}

func (t *xgbTree) decodeDefault() error {
	if json.Unmarshal(t.Default, &t.defaultLeft) == nil {
		return nil
	}
	var numbers []int32
	if err := json.Unmarshal(t.Default, &numbers); err != nil {
		return errors.New("default_left: want a list of 0 and 1 or of false and true")
	}
	t.defaultLeft = make([]bool, len(numbers))
	for i, v := range numbers {
		t.defaultLeft[i] = v != 0
	}
	return nil
}

func (t *xgbTree) decodeSets() error {
	if len(t.Nodes) != len(t.Segments) || len(t.Nodes) != len(t.Sizes) {
		return fmt.Errorf("categories_nodes: observed %d nodes, %d segments and %d sizes", len(t.Nodes), len(t.Segments), len(t.Sizes))
	}
	if len(t.Nodes) == 0 {
		return nil
	}
	t.sets = make(map[int32][]int32, len(t.Nodes))
	for i, n := range t.Nodes {
		from, size := t.Segments[i], t.Sizes[i]
		if from < 0 || size < 0 || from > int64(len(t.Categories)) || size > int64(len(t.Categories))-from {
			return fmt.Errorf("categories_segments: observed %d values from %d of %d", size, from, len(t.Categories))
		}
		t.sets[n] = t.Categories[from : from+size]
	}
	return nil
}
