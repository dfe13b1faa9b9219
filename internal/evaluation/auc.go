package evaluation

import (
	"cmp"
	"math"
	"slices"
)

// ranking is rows in the order of their scores, sorted once, so that the area under the ROC curve for any weights is a
// single pass.
type ranking struct {
	entries []int32 // row*2, +1 where the row is positive
	last    []bool  // whether the entry is the last of those with its score
}

func rank(scores []float64, positive func(i int) bool) ranking {
	n := len(scores)
	r := ranking{entries: make([]int32, n), last: make([]bool, n)}
	for i := range r.entries {
		r.entries[i] = int32(i)
	}
	slices.SortFunc(r.entries, func(a, b int32) int { return cmp.Compare(scores[a], scores[b]) })
	for k, i := range r.entries {
		r.last[k] = k == n-1 || scores[i] != scores[r.entries[k+1]]
	}
	for k, i := range r.entries {
		r.entries[k] = i << 1
		if positive(int(i)) {
			r.entries[k]++
		}
	}
	return r
}

// area is the weighted area under the ROC curve: the share of pairs of a positive and a negative row in which the
// positive one has the higher score, a tie counting half (Mann-Whitney U with midranks). It counts pairs in integers,
// hence is exact up to the last division. NaN where one class has no weight.
func (r ranking) area(w []int32) float64 {
	var twice, positives, negatives int64 // twice the pairs won; weights below the current score
	var group [2]int64                    // weights at the current score: negative, positive
	for k, e := range r.entries {
		group[e&1] += int64(w[e>>1])
		if r.last[k] {
			twice += group[1] * (2*negatives + group[0])
			negatives += group[0]
			positives += group[1]
			group = [2]int64{}
		}
	}
	if positives == 0 || negatives == 0 {
		return math.NaN()
	}
	return float64(twice) / 2 / float64(positives) / float64(negatives)
}
