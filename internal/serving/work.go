package serving

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// work is one request on its way through: buffers that are used again for the next one.
type work struct {
	held    int64 // bytes that the gate counts for it
	entered bool  // it is one of the requests at once

	body    []byte
	values  []value // rows of as many places as the route has
	rows    int
	unknown []string // names that no version reads

	together bool // all rows go to one arm
	pinned   bool // the champion's version was asked for: no row goes to the challenger

	challenged, champion []int // rows by the arm they go to; champion also holds those that fell back
	x                    []float64
	out                  [2][]float64 // scores of the challenger's rows, of the champion's
	results              []result
	ids                  []byte
	answer               []byte

	binary     []byte // infer: what of the body stands behind the JSON
	binarySize int
	numbers    []byte // text of binary numbers
	tail       []byte // of the answer: binary outputs
	header     int    // length of the answer's JSON, where binary outputs follow it; else 0
}

// result is one row's answer. Its scores stay in the work's buffers.
type result struct {
	arm      *arm
	scores   []float64
	latency  time.Duration // of the arm's part of the request
	fallback bool          // the challenger was asked first, and failed
}

// maxUnknown bounds how many unknown names are told.
const maxUnknown = 10

// maxKept bounds the buffers that are kept for the next request.
const maxKept = 1 << 20

func (w *work) reset() {
	clear(w.values) // they point into the body
	clear(w.results)
	w.body, w.values, w.unknown, w.results = w.body[:0], w.values[:0], nil, w.results[:0]
	w.challenged, w.champion = w.challenged[:0], w.champion[:0]
	w.together, w.pinned = false, false
	w.binary, w.binarySize, w.numbers, w.tail, w.header = nil, 0, w.numbers[:0], w.tail[:0], 0
	w.rows, w.x, w.ids, w.answer = 0, w.x[:0], w.ids[:0], w.answer[:0]
	w.out[0], w.out[1] = w.out[0][:0], w.out[1][:0]
}

// reusable says whether the buffers are small enough to keep.
func (w *work) reusable() bool {
	return cap(w.body) <= maxKept && cap(w.answer) <= maxKept && cap(w.numbers) <= maxKept && cap(w.tail) <= maxKept && cap(w.values) <= maxKept/32 && cap(w.x) <= maxKept/8 &&
		cap(w.out[0]) <= maxKept/8 && cap(w.out[1]) <= maxKept/8
}

// addRow makes place for one more row.
func (w *work) addRow(places int) []value {
	start := len(w.values)
	for range places {
		w.values = append(w.values, value{})
	}
	w.rows++
	return w.values[start:]
}

func (w *work) row(i, places int) []value { return w.values[i*places : (i+1)*places] }

func (w *work) addUnknown(name []byte) {
	if len(w.unknown) < maxUnknown {
		w.unknown = append(w.unknown, string(name))
	}
}

// scores answers every row of w by one route. It is where a request's arms are chosen, asked and counted.
func (s *Server) scores(ctx context.Context, w *work, r *route, now time.Time) *problem {
	w.results = append(w.results, make([]result, w.rows)...)
	s.assign(w, r, now)
	var asked armOutcome
	if len(w.challenged) > 0 {
		asked = s.askChallenger(ctx, w, r)
	}
	own := w.rows - len(w.challenged)
	p, latency := s.askChampion(ctx, w, r)
	if p != nil && p.Status < http.StatusInternalServerError {
		r.champion.metrics.code(p.Status).Add(float64(w.rows))
		return p // the client's mistake: it counts against no one
	}
	if asked.rows > 0 {
		r.challenger.observe(asked.rows, asked.failed, asked.failed > 0 && p == nil, asked.latency, asked.predicted)
		if asked.failed > 0 {
			s.troubles.noteRequest("challenger of "+r.model, withoutValues(asked.err))
		}
	}
	if own > 0 || p != nil {
		failed, predicted := 0, noPrediction
		if p != nil {
			failed = len(w.champion)
		} else {
			predicted = r.champion.bucket(w.results[w.champion[0]].scores) // its own rows come before those that fell back
		}
		r.champion.observe(max(own, failed), failed, false, latency, predicted)
	}
	return p
}

// assign gives each row to an arm: by the sticky field's hash where it has a value, else at random.
func (s *Server) assign(w *work, r *route, now time.Time) {
	split := r.challenged(now) && !w.pinned
	places := len(r.order)
	for i := range w.rows {
		if split && w.together && i > 0 {
			if len(w.challenged) > 0 {
				w.challenged = append(w.challenged, i)
			} else {
				w.champion = append(w.champion, i)
			}
			continue
		}
		if split {
			var point float64
			if v := w.stickyKey(r, i, places); len(v) > 0 {
				point = stickyPoint(r.salt, v)
			} else {
				point = s.ports.Random()
			}
			if point < r.weight {
				w.challenged = append(w.challenged, i)
				continue
			}
		}
		w.champion = append(w.champion, i)
	}
}

func (w *work) stickyKey(r *route, row, places int) []byte {
	if r.sticky < 0 {
		return nil
	}
	return w.values[row*places+r.sticky].text()
}

// armOutcome is what became of the rows that one arm was asked for.
type armOutcome struct {
	rows, failed int
	latency      time.Duration
	err          error // the first failure
	predicted    int   // bucket of its first answer
}

// askChallenger scores the rows that were given to the challenger. A row that it can't read, or all of them if it
// fails, go to the champion.
func (s *Server) askChallenger(ctx context.Context, w *work, r *route) armOutcome {
	start := s.ports.Clock()
	asked := armOutcome{rows: len(w.challenged), predicted: noPrediction}
	places, width := len(r.order), len(r.challenger.inputs)
	good := w.challenged[:0]
	w.x = w.x[:0]
	for _, i := range w.challenged {
		at := len(w.x)
		w.x = grow(w.x, width)
		if err := r.challenger.encode(w.row(i, places), w.x[at:]); err != nil {
			w.x = w.x[:at]
			w.fallBack(i, &asked, err)
			continue
		}
		good = append(good, i)
	}
	if len(good) > 0 && w.together && asked.failed > 0 {
		for _, i := range good {
			w.fallBack(i, &asked, asked.err)
		}
		good = good[:0]
	}
	if len(good) > 0 {
		err := errOpen
		if breaker := &r.challenger.breaker; breaker.allow(start) {
			err = s.askWithin(ctx, w, r, len(good))
			breaker.note(s.ports.Clock(), err == nil)
		}
		if err != nil {
			for _, i := range good {
				w.fallBack(i, &asked, err)
			}
			good = good[:0]
		}
	}
	asked.latency = s.ports.Clock().Sub(start)
	w.deliver(r.challenger, 0, good, asked.latency)
	if len(good) > 0 {
		asked.predicted = r.challenger.bucket(w.results[good[0]].scores)
	}
	w.challenged = w.challenged[:asked.rows]
	return asked
}

// withoutValues is an error of an arm without what the request said.
func withoutValues(err error) error {
	if bad, ok := err.(*inference.RowError); ok {
		err = bad.Err
	}
	switch e := err.(type) {
	case *inference.FeatureType:
		return fmt.Errorf("feature %q: want %s", e.Feature, e.Want)
	case *inference.UnknownCategory:
		return fmt.Errorf("feature %q: want one of its %d known categories", e.Feature, e.Known)
	}
	return err
}

func (w *work) fallBack(row int, asked *armOutcome, err error) {
	asked.failed++
	if asked.err == nil {
		asked.err = err
	}
	w.results[row].fallback = true
	w.champion = append(w.champion, row)
}

// askChampion scores the champion's own rows and those that fell back to it.
func (s *Server) askChampion(ctx context.Context, w *work, r *route) (*problem, time.Duration) {
	if len(w.champion) == 0 {
		return nil, 0
	}
	start := s.ports.Clock()
	places, width := len(r.order), len(r.champion.inputs)
	w.x = grow(w.x[:0], width*len(w.champion))
	for k, i := range w.champion {
		if err := r.champion.encode(w.row(i, places), w.x[k*width:(k+1)*width]); err != nil {
			if _, missing := err.(*inference.MissingFeature); missing {
				return w.missing(r, i, w.rows), 0 // all of them, not only the first
			}
			return rowProblem(err, i, w.rows), 0
		}
	}
	var err error
	if r.champion.model.Waits() {
		within, end := context.WithTimeout(ctx, s.cfg.ChampionTimeout+time.Duration(len(w.champion))*perRow)
		defer end()
		ctx = within
	}
	w.out[1], err = r.champion.ask(ctx, w.x, len(w.champion), w.out[1])
	latency := s.ports.Clock().Sub(start)
	if bad, ok := err.(*inference.RowError); ok {
		return rowProblem(bad.Err, w.champion[bad.Row], w.rows), 0
	}
	if err != nil {
		s.troubles.noteRequest("champion of "+r.model, err)
		return &problem{Status: http.StatusInternalServerError, Code: "scoring_failed",
			Message: fmt.Sprintf("model %q version %d could not score the request", r.model, r.champion.number)}, latency
	}
	r.champion.learn(len(w.champion), latency)
	w.deliver(r.champion, 1, w.champion, latency)
	return nil, latency
}

func (w *work) deliver(a *arm, buffer int, rows []int, latency time.Duration) {
	outputs := a.model.Scorer.Outputs()
	for k, i := range rows {
		w.results[i].arm = a
		w.results[i].scores = w.out[buffer][k*outputs : (k+1)*outputs]
		w.results[i].latency = latency
	}
}

// observe counts one request of the arm.
func (a *arm) observe(rows, failed int, fellBack bool, latency time.Duration, predicted int) {
	a.counts.count(rows, failed > 0, fellBack, latency, predicted)
	a.metrics.latency.Observe(latency.Seconds())
	if good := rows - failed; good > 0 {
		a.metrics.ok.Add(float64(good))
	}
	if failed > 0 {
		a.metrics.failed.Add(float64(failed))
	}
}

// bucket is where a row's scores count in the arm's histogram of predictions.
func (a *arm) bucket(scores []float64) int {
	switch a.model.Signature.Task {
	case spec.Binary:
		return timeseries.ProbabilityBucket(scores[0])
	case spec.Multiclass:
		class, _ := a.decide(scores)
		return a.buckets[class]
	}
	return timeseries.ValueBucket(scores[0])
}

// rowProblem tells the client what is wrong with one row.
func rowProblem(err error, row, rows int) *problem {
	p := badRequest("bad_feature", "%v", err)
	if _, missing := err.(*inference.MissingFeature); missing {
		p.Code = "missing_feature"
	}
	if rows > 1 {
		p.Message = fmt.Sprintf("row %d of %d: %s", row+1, rows, p.Message)
	}
	switch e := err.(type) {
	case *inference.MissingFeature:
		p.Features = []featureHint{{Name: e.Feature}}
	case *inference.FeatureType:
		p.Features = []featureHint{{Name: e.Feature}}
	case *inference.UnknownCategory:
		p.Code, p.Features = "unknown_category", []featureHint{{Name: e.Feature}}
	}
	return p
}

// grow lengthens a buffer by n places, whose content is whatever it was.
func grow(b []float64, n int) []float64 {
	if need := len(b) + n; need <= cap(b) {
		return b[:need]
	}
	longer := make([]float64, len(b)+n, max(2*cap(b), len(b)+n))
	copy(longer, b)
	return longer
}
