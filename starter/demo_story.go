package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// errDeclined ends the story where a person said no to something that the rest builds on.
var errDeclined = errors.New("you declined; the rest of the story needs this version")

// story is the demo's six chapters.
type story struct {
	*world
	traffic *traffic
	result  *demoResult
}

func (s *story) tell(ctx context.Context) error {
	for number, c := range []struct {
		title, what string
		do          func(context.Context) (activities.LifecycleResult, error)
		outcome     string
	}{
		{"January lands", "A first version is trained, gated, approved and goes live.", s.january, activities.Promoted},
		{"A corrupted file lands", "A column is missing, and there is text in a number. It is refused; the champion serves on.", s.corrupted, activities.ValidationFailed},
		{"February and March land", "A challenger on the grown snapshot meets the champion on the same newest flights, then a little of April's traffic.", s.spring, activities.Promoted},
		{"A challenger that can't work", "Someone forgot to exclude air_time, which nobody knows at departure. Every gate passes. May's traffic tells.", s.leaked, activities.RolledBack},
		{"The worker is killed", "SIGKILL while it trains on May. Another worker finishes the run.", s.killed, activities.Promoted},
		{"Summer comes", "June doesn't look like winter. Drift is found, and a retrain starts by itself.", s.summer, activities.Promoted},
	} {
		began := time.Now()
		s.say.chapter(number+1, c.title, c.what)
		r, err := c.do(ctx)
		if err != nil {
			return fmt.Errorf("chapter %d, %s: %w", number+1, strings.ToLower(c.title), err)
		}
		s.say.outcome(r)
		s.say.note("  %s", s.app.link(r.ID))
		s.result.Chapters = append(s.result.Chapters, demoChapter{
			Number: number + 1, Title: c.title, Lifecycle: r.ID, Outcome: r.Outcome, Seconds: time.Since(began).Seconds(),
		})
		if r.Outcome != c.outcome {
			return fmt.Errorf("chapter %d, %s: the run ended %s (%s), the story has it %s", number+1, strings.ToLower(c.title), r.Outcome, r.Reason, c.outcome)
		}
	}
	return nil
}

// decided follows a run through its approval to its end, with traffic of a month from the approval on.
func (s *story) decided(ctx context.Context, id string, month int) (activities.LifecycleResult, error) {
	approved, err := s.approve(ctx, id)
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	var r activities.LifecycleResult
	finish := func() error {
		r, err = s.end(ctx, id)
		return err
	}
	if month == 0 {
		err = finish()
	} else {
		err = s.traffic.during(ctx, s.month(month), finish)
	}
	if err != nil {
		return r, err
	}
	s.result.Lifecycles = append(s.result.Lifecycles, lifecycleOf(r))
	if !approved && r.Outcome == activities.Rejected {
		return r, errDeclined
	}
	if r.Outcome == activities.Promoted {
		return r, s.confirmed(ctx, r.HeadSeq)
	}
	return r, nil
}

func (s *story) january(ctx context.Context) (activities.LifecycleResult, error) {
	if err := s.apply(ctx, nil); err != nil {
		return activities.LifecycleResult{}, err
	}
	if err := s.landMonth(ctx, 1); err != nil {
		return activities.LifecycleResult{}, err
	}
	return s.decided(ctx, s.next(), 0)
}

func (s *story) corrupted(ctx context.Context) (activities.LifecycleResult, error) {
	raw, err := corrupt(s.month(2))
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	if err := s.land(ctx, "flights-2013-02-from-the-new-exporter.csv.gz", raw); err != nil {
		return activities.LifecycleResult{}, err
	}
	r, err := s.end(ctx, s.next())
	if err == nil {
		s.result.Lifecycles = append(s.result.Lifecycles, lifecycleOf(r))
	}
	return r, err
}

func (s *story) spring(ctx context.Context) (activities.LifecycleResult, error) {
	for _, month := range []int{2, 3} {
		if err := s.landMonth(ctx, month); err != nil {
			return activities.LifecycleResult{}, err
		}
	}
	return s.decided(ctx, s.next(), 4)
}

func (s *story) leaked(ctx context.Context) (activities.LifecycleResult, error) {
	err := s.apply(ctx, func(m *spec.Model) { m.Data.Features.Exclude = nil })
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	if err := s.landMonth(ctx, 4); err != nil {
		return activities.LifecycleResult{}, err
	}
	return s.decided(ctx, s.next(), 5)
}

// killed trains slowly, so that there is a middle to be killed in.
func (s *story) killed(ctx context.Context) (activities.LifecycleResult, error) {
	err := s.apply(ctx, func(m *spec.Model) {
		m.Train.Params["rounds"], m.Train.Params["eta"] = slowRounds, 0.02
	})
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	if err := s.landMonth(ctx, 5); err != nil {
		return activities.LifecycleResult{}, err
	}
	id := s.next()
	_, err = s.follow(ctx, id, demoStageLimit, func(l workflows.LifecycleState) bool { return l.Stage == "train" && s.trains(ctx, id) })
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	pid := s.stack.Worker().Pid()
	s.stack.Worker().Kill()
	s.result.Kills++
	s.say.note("× kill -9 %d: the worker is gone in the middle of its training", pid)
	if err := s.stack.StartWorker(ctx); err != nil {
		return activities.LifecycleResult{}, err
	}
	s.say.note("  another worker started; the attempt is missed after 10 s without a heartbeat, and tried again")
	return s.decided(ctx, id, 6)
}

// slowRounds make training last a few seconds.
const slowRounds = 400

// trains reports whether a worker has told of progress in training.
func (s *story) trains(ctx context.Context, id string) bool {
	d, err := s.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return false
	}
	for _, a := range d.GetPendingActivities() {
		if a.GetActivityType().GetName() == "Train" && a.GetHeartbeatDetails() != nil {
			return true
		}
	}
	return false
}

func (s *story) summer(ctx context.Context) (activities.LifecycleResult, error) {
	err := s.apply(ctx, func(m *spec.Model) {
		m.Retrain.On = []string{activities.TriggerDrift}
		m.Monitor.Drift.Every = spec.Duration(2 * time.Second)
		m.Monitor.Drift.Window = spec.Duration(time.Minute)
		m.Monitor.Drift.AlertAfter = spec.KOfN{K: 2, N: 3}
	})
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	s.say.note("the spec now retrains on drift only: June's outcomes are taken in and train nothing by themselves")
	if err := s.landMonth(ctx, 6); err != nil {
		return activities.LifecycleResult{}, err
	}
	taken, err := s.end(ctx, s.next())
	if err != nil {
		return taken, err
	}
	s.result.Lifecycles = append(s.result.Lifecycles, lifecycleOf(taken))
	if taken.Outcome != activities.Unchanged {
		return taken, fmt.Errorf("run %d should only have taken June in, and ended %s: %s", taken.Number, taken.Outcome, taken.Reason)
	}
	id := s.next()
	err = s.traffic.during(ctx, s.month(6), func() error {
		_, err := s.follow(ctx, id, demoStageLimit, func(workflows.LifecycleState) bool { return true })
		return err
	})
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	windows, err := s.driftWindows(ctx)
	if err != nil {
		return activities.LifecycleResult{}, err
	}
	if len(windows) > 0 {
		last := windows[len(windows)-1]
		s.say.note("! drift in %s: largest PSI %.1f", strings.Join(last.Drifted, ", "), last.MaxPSI)
	}
	return s.decided(ctx, id, 7)
}

// corrupt is a month as a careless exporter would write it: one column gone, and words where a number was.
func corrupt(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	header := strings.Split(lines[0], ",")
	gone, delay := slices.Index(header, "visib"), slices.Index(header, "dep_delay")
	if gone < 0 || delay < 0 {
		return nil, fmt.Errorf("%s: columns visib and dep_delay not found in %v", path, header)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	for i, line := range lines {
		cells := strings.Split(line, ",")
		if i == 4711 {
			cells[delay] = "half an hour"
		}
		cells = append(cells[:gone], cells[gone+1:]...)
		if _, err := fmt.Fprintln(w, strings.Join(cells, ",")); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}
