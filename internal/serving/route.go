package serving

import (
	"encoding/json"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// table is what every request reads: one immutable value, swapped whole.
type table struct {
	routes map[string]*route
}

// with is a copy of the table in which one model's route is another.
func (t *table) with(r *route) *table {
	routes := make(map[string]*route, len(t.routes)+1)
	for name, old := range t.routes {
		routes[name] = old
	}
	routes[r.model] = r
	return &table{routes: routes}
}

// version is a loaded model: it doesn't change, but for its breaker, and is shared by the routes and arms that name it.
type version struct {
	number   int
	artifact string // digest
	model    *inference.Model
	breaker  breaker      // of its time as a challenger
	pace     atomic.Int64 // as a champion: nanoseconds a row takes; 0: not known yet
	holds    holds
}

// settings are what a model's applied spec says about serving.
type settings struct {
	stickyBy string
	id       string   // column that names a row; logged as row_id
	known    []string // columns that a request may carry without any version reading them
	others   []string // the same, of the data's contract
	mirror   float64  // share of the champion's requests that the challenger gets a copy of
	sample   float64  // share of predictions that is logged
}

func settingsOf(m *spec.Model) settings {
	s := settings{stickyBy: m.Serving.StickyBy, id: m.Data.ID, mirror: float64(m.Serving.Mirror), sample: float64(m.Serving.Log.Sample)}
	for _, name := range []string{m.Serving.StickyBy, m.Data.ID, m.Data.Time, m.Data.Group, m.Data.Weight} {
		if name != "" {
			s.known = append(s.known, name)
		}
	}
	if m.Data.Contract != nil {
		for _, c := range m.Data.Contract.Columns {
			s.others = append(s.others, c.Name)
		}
	}
	return s
}

// route is how one model's requests are answered, by one ledger entry. It is immutable but for fresh.
type route struct {
	model      string
	seq, epoch int64     // of the entry that is served completely
	of         standing  // of the entry that it was made by
	override   *override // that it serves in the ledger's place; nil: none
	champion   *arm      // nil: nothing to answer with yet
	challenger *arm      // nil: none
	weight     float64
	leaseUntil time.Time // the weight is 0 from here on, by the clocks of all
	leaseEnds  time.Time // and from here on: the lease's length after its entry was read, by this process's own clock
	settings   settings
	salt       uint64 // of the sticky hash

	names   map[string]int  // what a request may name -> its place in a row
	order   []string        // the same by place: the champion's features first, in its signature's order
	ignored map[string]bool // what a request may name besides, and nothing reads
	least   int             // a row with fewer features than this lacks some for every arm
	sticky  int             // place of the sticky field; -1: at random
	rowID   int             // place of the row's id; -1: none

	fresh *freshness
}

// arm is a version in its part, with the places of its features in a row of the route.
type arm struct {
	*version
	name    string
	inputs  []input
	classes [][]byte // the classes as JSON strings
	buckets []int    // where each class counts among the arm's predictions
	counts  *armCounters
	metrics *armMetrics
}

// input is one feature of an arm.
type input struct {
	place int
	kind  string
	codes map[string]float64 // of a category

	refuses bool // categories that it doesn't know
}

// newRoute lays out the rows of a route. Challenger may be nil; champion only if challenger is.
func newRoute(model string, champion, challenger *version, set settings) *route {
	r := &route{model: model, settings: set, names: map[string]int{}, ignored: map[string]bool{}, sticky: -1, rowID: -1}
	if champion != nil {
		r.champion = r.newArm(timeseries.ArmChampion, champion)
		r.least = len(r.champion.inputs)
	}
	if challenger != nil {
		r.challenger = r.newArm(timeseries.ArmChallenger, challenger)
		r.challenger.alignClasses(r.champion)
		r.salt = stickySalt(model, challenger.number)
		r.least = min(r.least, len(r.challenger.inputs))
	}
	for _, name := range set.known {
		r.place(name)
	}
	if set.stickyBy != "" {
		r.sticky = r.place(set.stickyBy)
	}
	if set.id != "" {
		r.rowID = r.place(set.id)
	}
	r.ignore(set.others)
	return r
}

// ignore lets requests carry names that nothing reads.
func (r *route) ignore(names []string) {
	for _, name := range names {
		r.ignored[name] = true
	}
}

func (r *route) newArm(name string, v *version) *arm {
	a := &arm{version: v, name: name}
	for _, f := range v.model.Signature.Inputs {
		in := input{place: r.place(f.Name), kind: f.Kind, refuses: f.Unknown == inference.UnknownRefuse}
		if f.Kind == inference.KindCategory {
			in.codes = make(map[string]float64, len(f.Categories))
			for code, category := range f.Categories {
				in.codes[category] = float64(code)
			}
		}
		a.inputs = append(a.inputs, in)
	}
	for i, class := range v.model.Signature.Classes {
		quoted, _ := json.Marshal(class) // a string always has JSON
		a.classes = append(a.classes, quoted)
		a.buckets = append(a.buckets, timeseries.ClassBucket(i))
	}
	return a
}

// alignClasses has each class count where the champion's of the same name does, and those that the champion doesn't know
// behind them: one new class moves the places of others in a signature, and isn't a shift of all predictions.
func (a *arm) alignClasses(champion *arm) {
	known := champion.model.Signature.Classes
	next := len(known)
	for i, class := range a.model.Signature.Classes {
		at := slices.Index(known, class)
		if at < 0 {
			at, next = next, next+1
		}
		a.buckets[i] = timeseries.ClassBucket(at)
	}
}

func (r *route) place(name string) int {
	place, ok := r.names[name]
	if !ok {
		place = len(r.order)
		r.names[name] = place
		r.order = append(r.order, name)
	}
	return place
}

// challenged says whether the challenger may answer anything now: it has weight, its lease runs, and the ledger was
// read recently enough to trust both. A clock that is slow, or set back, can't prolong the lease beyond its length.
func (r *route) challenged(now time.Time) bool {
	return r.weight > 0 && r.leased(now)
}

// leased is challenged but for the weight: copies of requests are for a challenger of weight 0, too.
func (r *route) leased(now time.Time) bool {
	return r.challenger != nil && now.Before(r.leaseUntil) && now.Before(r.leaseEnds) && r.fresh.within(now)
}

// encode writes one row to dst, a place per input. Errors are *inference.MissingFeature, *inference.FeatureType and
// *inference.UnknownCategory.
func (a *arm) encode(row []value, dst []float64) error {
	for i := range a.inputs {
		in := &a.inputs[i]
		v := row[in.place]
		switch {
		case v.kind == nullValue:
			dst[i] = math.NaN()
			continue
		case v.kind == absentValue:
			return &inference.MissingFeature{Feature: a.model.Signature.Inputs[i].Name}
		case v.kind == numberValue && in.kind == inference.KindNumber:
			if f, ok := parseNumber(v.raw); ok {
				dst[i] = f
				continue
			}
		case v.kind == textValue && in.kind == inference.KindCategory:
			code, ok := in.codes[string(v.raw)]
			if !ok && !in.refuses {
				code, ok = math.NaN(), true
			}
			if ok {
				dst[i] = code
				continue
			}
		}
		f, err := a.model.EncodeValue(i, v.boxed())
		if err != nil {
			return err
		}
		dst[i] = f
	}
	return nil
}

// freshness is when a ledger was last read, on the monotonic clock.
type freshness struct {
	base  time.Time
	limit time.Duration
	last  atomic.Int64 // nanoseconds after base; neverRead before the first read
}

const neverRead = math.MinInt64

func newFreshness(base time.Time, limit time.Duration) *freshness {
	f := &freshness{base: base, limit: limit}
	f.last.Store(neverRead)
	return f
}

func (f *freshness) read(now time.Time) { f.last.Store(int64(now.Sub(f.base))) }

func (f *freshness) within(now time.Time) bool {
	age, ok := f.age(now)
	return ok && age <= f.limit
}

// age is the time since the last successful read; false if there was none.
func (f *freshness) age(now time.Time) (time.Duration, bool) {
	last := f.last.Load()
	if last == neverRead {
		return 0, false
	}
	return now.Sub(f.base) - time.Duration(last), true
}
