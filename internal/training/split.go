package training

import (
	"cmp"
	"slices"
)

// bitset is a set of bins.
type bitset [4]uint64

func (s *bitset) set(bin int)          { s[bin>>6] |= 1 << (bin & 63) }
func (s *bitset) has(bin uint8) uint64 { return s[bin>>6] >> (bin & 63) & 1 }

// split is a way to part a node's rows.
type split struct {
	feature     int
	gain        float64 // of the objective, without the half; 0: no split
	cut         int     // number: bins below it go left
	left        bitset  // bins that go left, with that of missing values
	missingLeft bool
	sumLeft     sums
	sumRight    sums
}

// minGain is the least gain worth a split, as XGBoost's kRtEps.
const minGain = 1e-6

// splitter finds the best split of a node; one per goroutine, for its scratch.
type splitter struct {
	p     treeParams
	order []int // category bins by gradient
}

// score is what a node with these sums contributes to the objective.
func (p *treeParams) score(s sums) float64 { return s.g * s.g / (s.h + p.lambda) }

// value is a leaf's value before shrinkage.
func (p *treeParams) value(s sums) float64 { return -s.g / (s.h + p.lambda) }

// candidate is the best way found so far to part one feature's bins; at says where, in the feature's own order.
type candidate struct {
	gain        float64
	at          int
	missingLeft bool
	left, right sums
}

// offer takes a way to part a node if it is better: base is what the node contributes unsplit, extra is added to
// lambda.
func (c *candidate) offer(p *treeParams, at int, left, right sums, missingLeft bool, base, extra float64) {
	if left.h < p.minChildWeight || right.h < p.minChildWeight || left.h <= 0 || right.h <= 0 {
		return
	}
	lambda := p.lambda + extra
	gain := left.g*left.g/(left.h+lambda) + right.g*right.g/(right.h+lambda) - base
	if gain > c.gain {
		*c = candidate{gain, at, missingLeft, left, right}
	}
}

// offerBoth offers a cut with missing values on either side. Where there are none, later ones go where most rows go.
func (c *candidate) offerBoth(p *treeParams, at int, left, right, missing sums, base, extra float64) {
	if missing.h == 0 {
		c.offer(p, at, left, right, left.h > right.h, base, extra)
		return
	}
	c.offer(p, at, left.plus(missing), right, true, base, extra)
	c.offer(p, at, left, right.plus(missing), false, base, extra)
}

// best gives the better of s and the best split of a feature. Equal gains keep s, so that the first feature wins.
func (sp *splitter) best(s split, feature int, f *binFeature, h *[256]sums, total sums) split {
	c := candidate{gain: s.gain}
	base := sp.p.score(total) + max(sp.p.gamma, minGain)
	missing := h[f.bins]
	present := total.minus(missing)
	var left bitset
	if f.isCategory() {
		left = sp.bestCategory(&c, f, h, present, missing, base)
	} else {
		left = sp.bestCut(&c, f, h, present, missing, base)
	}
	if c.gain <= s.gain {
		return s
	}
	if c.missingLeft {
		left.set(f.bins)
	}
	out := split{feature: feature, gain: c.gain, left: left, missingLeft: c.missingLeft, sumLeft: c.left, sumRight: c.right}
	if !f.isCategory() {
		out.cut = c.at
	}
	return out
}

// bestCut tries each cut of a number: bins below it go left. The last one parts what is present from what is missing.
func (sp *splitter) bestCut(c *candidate, f *binFeature, h *[256]sums, present, missing sums, base float64) (left bitset) {
	if missing.h == 0 {
		sp.bestPlainCut(c, f, h, present, base)
	} else {
		var below sums
		for cut := 1; cut < f.bins; cut++ {
			if s := h[cut-1]; s.h > 0 { // else the cut is the one before
				below = below.plus(s)
				c.offerBoth(&sp.p, cut, below, present.minus(below), missing, base, 0)
			}
		}
		c.offer(&sp.p, f.bins, present, missing, false, base, 0)
	}
	for bin := range c.at {
		left.set(bin)
	}
	return left
}

// bestPlainCut is bestCut where no value is missing, with everything at hand: most of a search is spent here.
func (sp *splitter) bestPlainCut(c *candidate, f *binFeature, h *[256]sums, present sums, base float64) {
	lambda, least, found := sp.p.lambda, sp.p.minChildWeight, c.gain
	at := 0
	var below, left sums
	for cut, s := range h[:f.bins-1] {
		if s.h <= 0 {
			continue // the cut is the one before
		}
		below = below.plus(s)
		above := present.minus(below)
		if above.h < least || above.h <= 0 {
			break // and so are all that follow
		}
		if below.h < least {
			continue
		}
		if gain := below.g*below.g/(below.h+lambda) + above.g*above.g/(above.h+lambda) - base; gain > found {
			found, at, left = gain, cut+1, below
		}
	}
	if at > 0 { // values that are missing later go where most rows go
		right := present.minus(left)
		*c = candidate{found, at, left.h > right.h, left, right}
	}
}

// bestCategory tries each category alone against the rest when there are few, else the parts of the categories sorted
// by gradient, which contain the best part of a convex loss (Fisher 1958, "On grouping for maximum homogeneity").
// Categories without rows here go with missing values.
func (sp *splitter) bestCategory(c *candidate, f *binFeature, h *[256]sums, present, missing sums, base float64) (left bitset) {
	sp.order = sp.order[:0]
	for bin := range f.bins {
		if h[bin].h > 0 {
			sp.order = append(sp.order, bin)
		}
	}
	var right []int
	if found := c.gain; len(sp.order) <= sp.p.maxCatToOneHot {
		for i, bin := range sp.order {
			c.offerBoth(&sp.p, i, present.minus(h[bin]), h[bin], missing, base, 0)
		}
		if c.gain > found {
			right = sp.order[c.at : c.at+1]
		}
	} else {
		sp.sortByGradient(h)
		var before sums
		for i, bin := range sp.order[:len(sp.order)-1] {
			before = before.plus(h[bin])
			if min(i+1, len(sp.order)-i-1) <= sp.p.maxCatThreshold {
				c.offerBoth(&sp.p, i+1, before, present.minus(before), missing, base, sp.p.catL2)
			}
		}
		if c.gain > found {
			right = sp.order[c.at:]
		}
	}
	for bin := range f.bins {
		if h[bin].h > 0 || c.missingLeft {
			left.set(bin)
		}
	}
	for _, bin := range right {
		left[bin>>6] &^= 1 << (bin & 63)
	}
	return left
}

func (sp *splitter) sortByGradient(h *[256]sums) {
	slices.SortStableFunc(sp.order, func(a, b int) int {
		return cmp.Compare(h[a].g/(h[a].h+sp.p.catSmooth), h[b].g/(h[b].h+sp.p.catSmooth))
	})
}
