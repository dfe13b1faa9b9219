package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

const (
	// courseAge is how old what a trial knows of the others may be. Others that report seldom change less.
	courseAge = time.Second
	// courseWithin bounds a look at the others, for which the trainer waits: a store that is away prunes nobody.
	courseWithin = 5 * time.Second
)

// prunedError is why a trial was ended early.
type prunedError struct{ why string }

func (e *prunedError) Error() string { return "pruned: " + e.why }

// trialJudge follows a trial's reports and ends it where the pruner says so. What the others reported it reads from the
// bucket, so that trials on many workers know of one another without asking a workflow. It is used from one goroutine at
// a time: the trainer's reports.
type trialJudge struct {
	ctx     context.Context
	store   objectstore.Store
	courses *TrialCourses
	in      TrainInput
	metric  string
	pruner  search.Pruner
	now     func() time.Time
	end     context.CancelCauseFunc // of the training

	course search.Course
	others []search.Course
	asOf   time.Time // of others
}

func newTrialJudge(ctx context.Context, t *Trainer, in TrainInput, s *spec.Search, end context.CancelCauseFunc) *trialJudge {
	p := s.Pruner
	return &trialJudge{
		ctx: ctx, store: t.Lake.Store, courses: &t.Courses, in: in, metric: s.Metric.Name, now: t.Lake.Now, end: end,
		course: search.Course{Number: in.Trial, State: search.Running},
		pruner: search.Pruner{
			Kind: p.Kind, Goal: search.Goal(s.Metric.Goal), MinTrials: p.MinTrials, Warmup: p.Warmup, Every: p.Every,
			MinSteps: p.MinSteps, MaxSteps: p.MaxSteps, Factor: p.Factor,
		},
	}
}

// report takes a step that the trainer told of.
func (j *trialJudge) report(p training.Progress) {
	value, ok := p.Metrics[j.metric]
	if !ok {
		return
	}
	before := j.last().Step
	step := p.Step
	if step == 0 {
		step = before + 1
	}
	j.course.Add(search.Report{Step: step, Value: value})
	if !j.pruner.Judges(j.in.Trial, before, step, p.Total) {
		return
	}
	ctx, cancel := context.WithTimeout(j.ctx, courseWithin)
	defer cancel()
	if err := j.look(ctx); err != nil {
		activity.GetLogger(j.ctx).Warn("trial not judged: the others' reports can't be read", "trial", j.in.Trial, "step", step, "error", err)
		return
	}
	if prune, why := j.pruner.Prune(j.course, j.others, p.Total); prune {
		j.end(&prunedError{why})
	}
}

// look tells the others of this trial where it has come to, if the pruner compares trials that run, and reads theirs:
// once a second at most, however often the trainer reports.
func (j *trialJudge) look(ctx context.Context) error {
	if j.now().Sub(j.asOf) < courseAge {
		return nil
	}
	running := j.pruner.Kind == search.PruneHyperband
	if running {
		own := j.course
		own.Reports = j.finiteReports()
		raw, err := json.Marshal(own)
		if err != nil {
			return err
		}
		key := trialCourseKey(j.in.Model, j.in.Number, j.in.Trial)
		if _, err := j.store.Put(ctx, key, bytes.NewReader(raw), int64(len(raw))); err != nil {
			return err
		}
	}
	others, err := j.courses.read(ctx, j.store, j.in.Model, j.in.Number, running)
	if err != nil {
		return err
	}
	j.others, j.asOf = others, j.now()
	return nil
}

// last is the newest report; the zero value before the first.
func (j *trialJudge) last() search.Report {
	if n := len(j.course.Reports); n > 0 {
		return j.course.Reports[n-1]
	}
	return search.Report{}
}

// finiteReports are those that JSON can carry.
func (j *trialJudge) finiteReports() []search.Report {
	var out []search.Report
	for _, r := range j.course.Reports {
		if !math.IsNaN(r.Value) && !math.IsInf(r.Value, 0) {
			out = append(out, r)
		}
	}
	return out
}

// TrialCourses remembers what trials of the newest search reported: one that has ended doesn't change any more.
type TrialCourses struct {
	mu    sync.Mutex
	run   string
	ended map[string]search.Course // by key
}

// read gives the courses of a run's trials that have ended, and with running those of all others as they are now.
func (c *TrialCourses) read(ctx context.Context, store objectstore.Store, model string, number int, running bool) ([]search.Course, error) {
	prefix := trialsPrefix(model, number)
	var out []search.Course
	known := map[int]bool{}
	err := store.List(ctx, prefix+"result/", func(o objectstore.Info) error {
		course, err := c.endedAt(ctx, store, prefix, o.Key)
		out = append(out, course)
		known[course.Number] = true
		return err
	})
	if err != nil || !running {
		return out, err
	}
	err = store.List(ctx, prefix+"progress/", func(o objectstore.Info) error {
		var course search.Course
		if err := getJSON(ctx, store, o.Key, &course); err != nil {
			return err
		}
		if !known[course.Number] {
			out = append(out, course)
		}
		return nil
	})
	return out, err
}

func (c *TrialCourses) endedAt(ctx context.Context, store objectstore.Store, run, key string) (search.Course, error) {
	c.mu.Lock()
	if c.run != run {
		c.run, c.ended = run, map[string]search.Course{}
	}
	course, ok := c.ended[key]
	c.mu.Unlock()
	if ok {
		return course, nil
	}
	var r TrialRecord
	if err := getJSON(ctx, store, key, &r); err != nil {
		return course, err
	}
	course = search.Course{Number: r.Number, State: r.State, Reports: r.Reports}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == run {
		c.ended[key] = course
	}
	return course, nil
}
