package drift

import (
	"fmt"
	"math"
)

// numbers are both samples of a numeric column, both with values: exact, or as profiles hold them.
type numbers interface {
	// few is the number of distinct values of both together, up to maxValueBins+1.
	few() int
	// counts are the numbers as categories, where there are at most maxValueBins distinct ones.
	counts() (ref, cur Counts)
	// shares are the share of each bin of MethodPSI and MethodJS in either sample.
	shares() (ref, cur []float64)
	// ks and wasserstein are the statistics; the true one is at most bound away.
	ks() (statistic, p, bound float64)
	wasserstein() (statistic, bound float64)
	// byChance is whether the distance of wasserstein is no more than two samples of the reference's distribution often
	// have. It is asked of distances from DistanceLimit on.
	byChance() bool
}

// evidence is what the methods see of one column: both sides' values, and how many are missing.
type evidence struct {
	name     string
	numeric  bool
	numbers  numbers // where numeric and both sides have values
	ref, cur Counts  // where not numeric
	// rows with a value and without one
	refSize, curSize, refMissing, curMissing int64
	problem                                  string
	// unknown is whether the values can't be compared, for the reason in problem.
	unknown bool
}

// compare is the column's rows: one, or with MethodAll one for each method, the one that decides first.
func (e evidence) compare(o Options) ([]ColumnResult, error) {
	base := ColumnResult{
		Name: e.name, Type: Categorical, Problem: e.problem,
		MissingReference: share(e.refMissing, e.refMissing+e.refSize), MissingCurrent: share(e.curMissing, e.curMissing+e.curSize),
		Missing: e.compareMissing(),
	}
	if e.numeric {
		base.Type = Numeric
	}
	method, err := e.wanted(o)
	if err != nil {
		return nil, err
	}
	switch {
	case e.refSize == 0 && e.curSize == 0:
		base.Problem = "no values on either side"
	case e.refSize == 0:
		base.Problem = "no values in the reference"
	case e.curSize == 0:
		base.Problem = "no current values"
	}
	if e.refSize == 0 || e.curSize == 0 || e.unknown {
		return []ColumnResult{base}, nil
	}
	p, q := e.shares()
	base.PSI, base.ByChance = psiOf(p, q), byChance(p, q, e.refSize, e.curSize)
	distinct := e.distinct()
	standard := e.standard(distinct)
	if method != "" && method != MethodAll {
		if limit := e.most(method); distinct > limit {
			base.Problem = fmt.Sprintf("%s compares at most %d distinct values, observed more: %s decides", method, limit, standard)
			method = standard
		}
		standard = method
	}
	first := base
	e.apply(&first, standard, o)
	rows := []ColumnResult{first}
	if method != MethodAll {
		return rows, nil
	}
	for _, other := range e.applicable(distinct) {
		if other != standard {
			row := base
			row.Beside = true
			e.apply(&row, other, o)
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// wanted is the method asked for; "" for the default.
func (e evidence) wanted(o Options) (string, error) {
	if method, ok := o.Methods[e.name]; ok {
		if !e.fits(method) {
			return "", fmt.Errorf("drift: column %q: method %s compares numbers, and the column is categorical: want one of %s, %s, %s, %s",
				e.name, method, MethodChiSquare, MethodZTest, MethodJS, MethodPSI)
		}
		return method, nil
	}
	if o.Method == MethodAll || e.fits(o.Method) {
		return o.Method, nil
	}
	return "", nil
}

// fits reports whether a method can be applied to the column's type.
func (e evidence) fits(method string) bool {
	return e.numeric || (method != MethodKS && method != MethodWasserstein)
}

// most is the number of distinct values that a method takes: a share is one of two, and numbers are categories while
// each may be a bin.
func (e evidence) most(method string) int {
	switch {
	case method == MethodZTest:
		return 2
	case method == MethodChiSquare && e.numeric:
		return maxValueBins
	}
	return math.MaxInt
}

// standard is the default method.
func (e evidence) standard(distinct int) string {
	switch few := !e.numeric || distinct <= FewValues; {
	case few && e.refSize > SmallReference:
		return MethodJS
	case few && distinct > 2:
		return MethodChiSquare
	case few:
		return MethodZTest
	case e.refSize > SmallReference:
		return MethodWasserstein
	}
	return MethodKS
}

// applicable are the methods of MethodAll.
func (e evidence) applicable(distinct int) []string {
	var out []string
	if e.numeric {
		out = append(out, MethodKS, MethodWasserstein)
	}
	if distinct > 1 && (!e.numeric || distinct <= FewValues) {
		out = append(out, MethodChiSquare)
	}
	if distinct == 2 {
		out = append(out, MethodZTest)
	}
	return append(out, MethodPSI, MethodJS)
}

// distinct is the number of distinct values of both sides; of numbers up to maxValueBins+1.
func (e evidence) distinct() int {
	if e.numeric {
		return e.numbers.few()
	}
	return len(union(e.ref, e.cur))
}

func (e evidence) shares() (p, q []float64) {
	if e.numeric {
		return e.numbers.shares()
	}
	return shares(e.ref, e.cur)
}

// categories are the counts of a column that is compared as categories.
func (e evidence) categories() (ref, cur Counts) {
	if e.numeric {
		return e.numbers.counts()
	}
	return e.ref, e.cur
}

// apply fills in a method's numbers.
func (e evidence) apply(c *ColumnResult, method string, o Options) {
	switch method {
	case MethodKS:
		statistic, p, bound := e.numbers.ks()
		c.byPValue(method, statistic, p)
		c.bounded(bound)
	case MethodWasserstein:
		statistic, bound := e.numbers.wasserstein()
		c.byDistance(method, statistic, DistanceLimit)
		c.bounded(bound)
		c.StatisticByChance = c.Drifted && e.numbers.byChance()
	case MethodPSI:
		c.byDistance(method, c.PSI, o.psiLimit())
		c.StatisticByChance = c.Drifted && c.ByChance
	case MethodJS:
		defer func() { c.StatisticByChance = c.Drifted && c.ByChance }()
		if e.numeric && e.numbers.few() > FewValues {
			c.byDistance(method, jsOf(e.numbers.shares()), DistanceLimit)
			return
		}
		c.byDistance(method, JSCategories(e.categories()), DistanceLimit)
	case MethodChiSquare:
		statistic, p, _ := ChiSquare(e.categories())
		c.byPValue(method, statistic, p)
	case MethodZTest:
		ref, cur := e.categories()
		names := union(ref, cur)
		last := names[len(names)-1]
		z, p := ZTest(ref[last], ref.Total(), cur[last], cur.Total())
		c.byPValue(method, z, p)
	}
}

func (c *ColumnResult) byPValue(method string, statistic, p float64) {
	c.Method, c.Statistic, c.PValue, c.Threshold, c.Drifted = method, statistic, &p, PValueLimit, p < PValueLimit
}

func (c *ColumnResult) byDistance(method string, statistic, limit float64) {
	c.Method, c.Statistic, c.Threshold, c.Drifted = method, statistic, limit, statistic >= limit
}

// bounded notes an error that isn't 0.
func (c *ColumnResult) bounded(bound float64) {
	if bound > 0 {
		c.Error = &bound
	}
}

// compareMissing compares the shares of missing values with the tests for two categories.
func (e evidence) compareMissing() MissingTest {
	const absent, present = "missing", "present"
	a := Counts{absent: e.refMissing, present: e.refSize}
	b := Counts{absent: e.curMissing, present: e.curSize}
	if a.Total() > SmallReference {
		distance := JSCategories(a, b)
		return MissingTest{Method: MethodJS, Statistic: distance, Threshold: DistanceLimit, Drifted: distance >= DistanceLimit}
	}
	z, p := ZTest(e.refMissing, a.Total(), e.curMissing, b.Total())
	return MissingTest{Method: MethodZTest, Statistic: z, PValue: &p, Threshold: PValueLimit, Drifted: p < PValueLimit}
}

func share(n, of int64) float64 {
	if of == 0 {
		return math.NaN()
	}
	return float64(n) / float64(of)
}
