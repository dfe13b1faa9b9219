// Package drift says whether two samples of one column, or of many, come from the same distribution: Kolmogorov-Smirnov,
// chi-square, population stability index, Jensen-Shannon distance, normalised Wasserstein distance and the z-test of two
// proportions, and the rule that makes an alert of them. docs/drift.md defines each exactly.
//
// It is pure: samples and limits are arguments. It must never do I/O, read a clock or draw a random number, and never
// call too little data "no drift": that is Inconclusive.
//
// Samples of numbers are slices without NaN; samples of categories are counts by name. A statistic of an empty sample
// is NaN. Every function gives the same bits for the same input, whatever the order of the values.
package drift

import (
	"maps"
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// The methods, as ColumnResult names them.
const (
	MethodKS          = "ks"
	MethodChiSquare   = "chi2"
	MethodJS          = "js"
	MethodWasserstein = "wasserstein"
	MethodZTest       = "ztest"
	MethodPSI         = "psi"
	// MethodAll is every method that can be applied to a column, a row each.
	MethodAll = "all"
)

// CorrectionBH is the correction of Y. Benjamini & Y. Hochberg ("Controlling the false discovery rate", Journal of the
// Royal Statistical Society B 57(1), 1995), as Options names it.
const CorrectionBH = spec.CorrectionBH

// The limits of the default choice of methods: https://docs.evidentlyai.com, "How data drift detection works".
const (
	// SmallReference is the number of reference values up to which p-values decide. Above it they find differences
	// that are real and too small to matter, so effect sizes do.
	SmallReference = 1000
	// FewValues is the number of distinct values up to which numbers are compared as categories.
	FewValues = 5
	// PValueLimit is the p-value under which a column has drifted.
	PValueLimit = 0.05
	// DistanceLimit is the Jensen-Shannon or normalised Wasserstein distance from which a column has drifted.
	DistanceLimit = 0.1
	// PSILimit is the index from which a column has drifted by MethodPSI, where no other is asked for: the credit
	// scorecards' customary "significant change" is over 0.2 or 0.25.
	PSILimit = 0.2
)

// Counts are how often each category occurs.
type Counts map[string]int64

// Total is the number of values.
func (c Counts) Total() int64 {
	var n int64
	for _, k := range c {
		n += k
	}
	return n
}

// union are the categories that occur in either sample, sorted, so that sums over them don't depend on the order of a
// map.
func union(ref, cur Counts) []string {
	names := make([]string, 0, len(ref)+len(cur))
	for name, n := range ref {
		if n > 0 {
			names = append(names, name)
		}
	}
	for name, n := range cur {
		if n > 0 && ref[name] <= 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// shares are the share of each category of the union in either sample; nil where a sample is empty.
func shares(ref, cur Counts) (p, q []float64) {
	n, m := ref.Total(), cur.Total()
	if n == 0 || m == 0 {
		return nil, nil
	}
	for _, name := range union(ref, cur) {
		p = append(p, float64(ref[name])/float64(n))
		q = append(q, float64(cur[name])/float64(m))
	}
	return p, q
}

// sorted is a sorted copy.
func sorted(values []float64) []float64 {
	out := slices.Clone(values)
	sortNumbers(out)
	return out
}

// sortedKeys are the keys of a map, in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
