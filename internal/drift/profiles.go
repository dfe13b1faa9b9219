package drift

import (
	"fmt"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// CompareProfiles is CompareTables of the rows that two profiles were made from.
//
// Where both profiles hold every distinct value of a column, the result is that of CompareTables to the bit. Else the
// tests of counts (MethodPSI, MethodJS, MethodChiSquare, MethodZTest, missing values) are still exact, on the bins and
// categories that the current profile counted against the reference (profile.Options.Against); MethodKS and
// MethodWasserstein come from buckets and carry the bound of their error. Problem says what couldn't be compared.
func CompareProfiles(ref, cur *profile.Profile, o Options) (Result, error) {
	for _, p := range []*profile.Profile{ref, cur} {
		if p.Version != profile.Version {
			return Result{}, fmt.Errorf("drift: a profile of version %d can't be compared: want version %d", p.Version, profile.Version)
		}
	}
	return compare(profileSide(ref), profileSide(cur), o, func(name string, _ *scratch) evidence {
		a, _ := ref.Column(name)
		b, _ := cur.Column(name)
		return profileEvidence(name, a, b)
	})
}

func profileSide(p *profile.Profile) side {
	names := make([]string, len(p.Columns))
	for i := range p.Columns {
		names[i] = p.Columns[i].Name
	}
	return side{int(p.Rows), names}
}

// profileEvidence takes a column of both profiles apart.
func profileEvidence(name string, ref, cur *profile.Column) evidence {
	e := evidence{
		name: name, numeric: numericKinds(ref.Kind, cur.Kind),
		refSize: ref.Count, curSize: cur.Count, refMissing: ref.Nulls, curMissing: cur.Nulls,
	}
	switch {
	case e.refSize == 0 || e.curSize == 0:
		e.ref, e.cur = Counts{}, Counts{}
	case e.numeric:
		e.takeBuckets(ref, cur)
	default:
		e.takeValues(ref, cur)
	}
	return e
}

// numericKinds is numericPair of kinds by name.
func numericKinds(ref, cur string) bool {
	a, errA := dataset.ParseKind(ref)
	b, errB := dataset.ParseKind(cur)
	return errA == nil && errB == nil && numericPair(&dataset.Column{Kind: a}, &dataset.Column{Kind: b})
}

// takeBuckets takes numbers.
func (e *evidence) takeBuckets(ref, cur *profile.Column) {
	perRef, perCur, ok := steps(ref.Count, cur.Count)
	if !ok {
		e.unknown, e.problem = true, fmt.Sprintf("%d against %d values are too many to compare in whole numbers", ref.Count, cur.Count)
		return
	}
	b := &buckets{ref: ref, cur: cur, pairs: profile.Pair(ref, cur), perRef: perRef, perCur: perCur}
	if e.problem = b.bin(); e.problem == "" && !b.exact() {
		e.problem = "ks and wasserstein are from a profile's buckets, within the error given"
	}
	e.numbers = b
}

// otherValues stands for all categories that the reference lacks. No cell of a table has such a name.
const otherValues = "\xff other values"

// takeValues takes categories, and numbers that stand against categories.
func (e *evidence) takeValues(ref, cur *profile.Column) {
	a, refKnown := ref.Values()
	b, curKnown := cur.Values()
	switch {
	case !refKnown:
		e.unknown, e.problem = true, "the reference has more distinct values than its profile counts: missing values alone are compared"
	case curKnown:
		e.ref, e.cur = a, b
	case cur.Bins != nil && cur.Bins.Borrowed && slices.Equal(cur.Bins.Values, sortedKeys(a)):
		e.problem = "the current rows have more distinct values than a profile counts: those that the reference lacks are compared as one"
		e.ref, e.cur = a, Counts{}
		for i, name := range cur.Bins.Values {
			e.cur[name] = cur.Bins.Counts[i]
		}
		e.cur[otherValues] = cur.Bins.Counts[len(cur.Bins.Values)]
	default:
		e.unknown, e.problem = true, "the current rows have more distinct values than their profile counts, and it wasn't made against the reference: missing values alone are compared"
	}
}
