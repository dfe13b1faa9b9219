package inference

import "fmt"

// Limits bound what reading one model may cost. A zero field means its default.
type Limits struct {
	MaxBytes      int64 // of model.json; default 256 MiB
	MaxTrees      int   // default 20,000
	MaxNodes      int   // of all trees together, and 32-bit words of all category sets; default 8 million
	MaxDepth      int   // edges from a tree's root to a leaf; default 512
	MaxFeatures   int   // default 10,000
	MaxOutputs    int   // classes; default 1,000
	MaxCategories int   // of one feature; default 65,536
}

// signatureLimit bounds signature.json: a thousand features of a thousand categories each fit.
const signatureLimit = 32 << 20

// DefaultLimits are the limits that a zero Limits stands for.
func DefaultLimits() Limits {
	return Limits{
		MaxBytes: 256 << 20, MaxTrees: 20_000, MaxNodes: 8 << 20, MaxDepth: 512,
		MaxFeatures: 10_000, MaxOutputs: 1_000, MaxCategories: 1 << 16,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.MaxBytes <= 0 {
		l.MaxBytes = d.MaxBytes
	}
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.MaxTrees, d.MaxTrees}, {&l.MaxNodes, d.MaxNodes}, {&l.MaxDepth, d.MaxDepth},
		{&l.MaxFeatures, d.MaxFeatures}, {&l.MaxOutputs, d.MaxOutputs}, {&l.MaxCategories, d.MaxCategories},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// within says which limit an observed size breaks.
func within(what string, observed, limit int) error {
	if observed > limit {
		return fmt.Errorf("%s: observed %d > limit %d", what, observed, limit)
	}
	return nil
}
