package workflows_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func newMonitor(t *testing.T) *stage {
	s := newStage(t, "a schedule's run")
	workflows.Register(s)
	return s
}

var watched = activities.MonitorInput{Model: theModel}

func TestDriftCarriesItsWindowsFromRunToRun(t *testing.T) {
	var last *activities.DriftOutput
	for window, over := range []bool{false, true, true, true} {
		s := newMonitor(t)
		s.hearModel()
		if last != nil {
			s.SetLastCompletionResult(*last)
		}
		s.world.judged.do = func(in activities.DriftJudgement) (activities.DriftOutput, error) {
			recent := append(in.Recent, over)
			return activities.DriftOutput{Model: in.Plan.Model, Champion: 3, End: in.Plan.End, Recent: recent, Window: over, Alert: strings.Count(marks(recent), "t") >= 2}, nil
		}
		s.ExecuteWorkflow(workflows.Drift, watched)
		var out activities.DriftOutput
		if err := s.GetWorkflowResult(&out); err != nil {
			t.Fatal(err)
		}
		in := s.world.judged.calls()[0]
		want(t, "windows carried", len(in.Recent), window)
		want(t, "end of the window", s.world.cut.calls()[0].End, start)
		want(t, "end of what is judged", in.Plan.End, start)
		if last != nil {
			want(t, "their champion", in.Champion, 3)
		}
		want(t, "triggers", len(s.asked), map[bool]int{true: 1}[out.Alert])
		// People are told of one cause once.
		want(t, "messages", len(s.kinds()), map[bool]int{true: 1}[window == 2])
		last = &out
	}
}

func marks(recent []bool) string {
	var b strings.Builder
	for _, r := range recent {
		b.WriteString(map[bool]string{true: "t", false: "f"}[r])
	}
	return b.String()
}

// alarm runs a monitor whose window is over its limit, or inconclusive.
func (s *stage) alarm(monitor any, alert bool) error {
	inconclusive := ""
	if !alert {
		inconclusive = "12 rows < min_rows 1000"
	}
	s.world.judged.answers(activities.DriftOutput{Champion: 1, End: start, Alert: alert, Inconclusive: inconclusive, Reason: "PSI 0.31 > 0.2", Page: "s3://lake/page.html"})
	s.world.quality.answers(activities.QualityOutput{Champion: 1, End: start, Alert: alert, Inconclusive: inconclusive, Reason: "f1 0.61 < 0.66"})
	s.ExecuteWorkflow(monitor, watched)
	return s.GetWorkflowError()
}

func TestMonitors(t *testing.T) {
	for _, c := range []struct {
		name    string
		monitor any
		kind    string
		says    string
	}{
		{"drift", workflows.Drift, activities.TriggerDrift, "PSI 0.31 > 0.2"},
		{"quality", workflows.Quality, activities.TriggerQuality, "f1 0.61 < 0.66"},
	} {
		t.Run(c.name+" over its limit asks the model for a run and tells people", func(t *testing.T) {
			s := newMonitor(t)
			s.hearModel()
			want(t, "error", s.alarm(c.monitor, true), nil)
			want(t, "triggers", len(s.asked), 1)
			want(t, "kind", s.asked[0].Kind, c.kind)
			want(t, "reason", s.asked[0].Reason, c.says)
			wantText(t, "key", s.asked[0].Key, c.kind+"/2026-03-15T08:00:00")
			wantAll(t, "messages", s.kinds(), activities.MessageAlert)
			m := s.message(activities.MessageAlert)
			wantText(t, "message", m.Text, c.says)
			want(t, "its monitor", m.Monitor, c.kind)
			want(t, "its workflow", m.Workflow, "a schedule's run")
			want(t, "its page", m.Page, map[string]string{activities.TriggerDrift: "s3://lake/page.html"}[c.kind])
		})
		t.Run(c.name+" that can't tell asks nobody", func(t *testing.T) {
			s := newMonitor(t)
			s.hearModel()
			want(t, "error", s.alarm(c.monitor, false), nil)
			want(t, "triggers", len(s.asked), 0)
			want(t, "messages", len(s.kinds()), 0)
		})
		t.Run(c.name+" doesn't wait for a chat that is down", func(t *testing.T) {
			s := newMonitor(t)
			asked := 0
			s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
				func(_, _, _, _ string, _ any) error {
					asked++
					want(t, "messages before the model was asked", len(s.kinds()), 0)
					return nil
				})
			s.world.send.do = func(activities.MessageInput) (activities.MessageOutput, error) {
				return activities.MessageOutput{}, errAway
			}
			want(t, "error", s.alarm(c.monitor, true), nil)
			want(t, "asked", asked, 1)
		})
		t.Run(c.name+" of a model that isn't applied fails and says so, and people are told all the same", func(t *testing.T) {
			s := newMonitor(t)
			s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(errors.New("workflow not found"))
			err := s.alarm(c.monitor, true)
			if err == nil {
				t.Fatal("no error")
			}
			wantText(t, "error", err.Error(), "is the model applied?")
			wantAll(t, "messages", s.kinds(), activities.MessageAlert, activities.MessageBlind)
		})
	}
}

// Of one cause people are told once, and of its end once, whatever lies between.
func TestPeopleAreToldOfTheBeginningAndTheEndOfAnAlert(t *testing.T) {
	type window struct {
		champion     int
		alert        bool
		inconclusive string
		says         string // the kind of the message
		away         bool   // the chat is
	}
	const alert, calm = activities.MessageAlert, activities.MessageCalm
	for _, c := range []struct {
		name    string
		windows []window
	}{
		{"quiet", []window{{1, false, "", "", false}, {1, false, "", "", false}}},
		{"an alert lasts", []window{{1, true, "", alert, false}, {1, true, "", "", false}, {1, true, "", "", false}}},
		{"it ends and comes again", []window{{1, true, "", alert, false}, {1, false, "", calm, false}, {1, false, "", "", false}, {1, true, "", alert, false}}},
		{"a night with too few rows is no end", []window{{1, true, "", alert, false}, {1, false, "12 rows", "", false}, {1, false, "9 rows", "", false}, {1, true, "", "", false}, {1, false, "", calm, false}}},
		{"an alert of another champion is another one", []window{{1, true, "", alert, false}, {2, true, "", alert, false}, {3, false, "", "", false}}},
		{"who couldn't be told is told by the next one", []window{{1, true, "", alert, true}, {1, true, "", alert, false}, {1, true, "", "", false}}},
		{"who never was told needn't hear of its end", []window{{1, true, "", alert, true}, {1, false, "", "", false}}},
	} {
		for kind, monitor := range map[string]any{activities.TriggerDrift: workflows.Drift, activities.TriggerQuality: workflows.Quality} {
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				var drifted activities.DriftOutput
				var quality activities.QualityOutput
				for i, window := range c.windows {
					s := newMonitor(t)
					s.hearModel()
					if i > 0 && kind == activities.TriggerDrift {
						s.SetLastCompletionResult(drifted)
					} else if i > 0 {
						s.SetLastCompletionResult(quality)
					}
					s.world.judged.answers(activities.DriftOutput{Champion: window.champion, End: start, Alert: window.alert, Inconclusive: window.inconclusive, Reason: "numbers"})
					s.world.quality.answers(activities.QualityOutput{Champion: window.champion, End: start, Alert: window.alert, Inconclusive: window.inconclusive, Reason: "numbers"})
					if window.away {
						s.world.send.do = func(activities.MessageInput) (activities.MessageOutput, error) {
							return activities.MessageOutput{}, temporal.NewNonRetryableApplicationError("no such channel", activities.ErrorMessage, nil)
						}
					}
					s.ExecuteWorkflow(monitor, watched)
					drifted, quality = activities.DriftOutput{}, activities.QualityOutput{}
					var err error
					if kind == activities.TriggerDrift {
						err = s.GetWorkflowResult(&drifted)
					} else {
						err = s.GetWorkflowResult(&quality)
					}
					want(t, "error", err, nil)
					want(t, fmt.Sprintf("triggers of window %d", i), len(s.asked), map[bool]int{true: 1}[window.alert])
					want(t, fmt.Sprintf("messages of window %d", i), strings.Join(s.kinds(), " "), window.says)
					if window.says != "" {
						wantText(t, "message", s.message(window.says).Text, kind+": numbers")
					}
				}
			})
		}
	}
}

// The schedule pauses after a failure: people are told, or silence would look like peace.
func TestACheckThatFailsIsTold(t *testing.T) {
	broken := temporal.NewNonRetryableApplicationError("version 1: model.json: digest", activities.ErrorCorrupt, nil)
	for kind, monitor := range map[string]any{
		activities.TriggerDrift: workflows.Drift, activities.TriggerQuality: workflows.Quality, activities.TriggerCron: workflows.RetrainCheck,
	} {
		for _, version := range []workflow.Version{workflow.DefaultVersion, 1} {
			s := newMonitor(t)
			s.world.cut.do = func(activities.DriftInput) (activities.DriftPlan, error) { return activities.DriftPlan{}, broken }
			s.world.quality.do = func(activities.QualityInput) (activities.QualityOutput, error) {
				return activities.QualityOutput{}, broken
			}
			s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(errors.New("workflow not found")).Maybe()
			s.OnGetVersion("drift-in-shards", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.Version(1)).Maybe()
			s.OnGetVersion("failure-is-told", workflow.DefaultVersion, workflow.Version(1)).Return(version)
			s.ExecuteWorkflow(monitor, watched)
			if s.GetWorkflowError() == nil {
				t.Fatalf("%s: no error", kind)
			}
			if version == workflow.DefaultVersion { // it began before, and nobody was told
				want(t, "messages", len(s.kinds()), 0)
				continue
			}
			wantAll(t, kind+" messages", s.kinds(), activities.MessageBlind)
			want(t, "monitor", s.message(activities.MessageBlind).Monitor, kind)
		}
	}
	s := newMonitor(t)
	s.after(time.Second, s.CancelWorkflow)
	s.world.cut.do = func(activities.DriftInput) (activities.DriftPlan, error) { return activities.DriftPlan{}, errAway }
	_, err := s.compared()
	want(t, "cancelled", temporal.IsCanceledError(err), true)
	want(t, "messages", len(s.kinds()), 0)
}

// A result from before alerts said whether people were told: they were.
func TestAnAlertOfAnOlderWorkerIsKnown(t *testing.T) {
	s := newMonitor(t)
	s.SetLastCompletionResult(activities.DriftOutput{Champion: 1, Alert: true, Recent: []bool{true, true}})
	s.world.judged.answers(activities.DriftOutput{Champion: 1, End: start, Alert: true, Reason: "psi"})
	out, err := s.compared()
	want(t, "error", err, nil)
	want(t, "messages", len(s.kinds()), 0)
	want(t, "told", out.Told, true)
}

// Quality under the limit that may be chance is no end of an alert.
func TestQualityThatMayBeChanceEndsNoAlert(t *testing.T) {
	s := newMonitor(t)
	s.hearModel()
	s.SetLastCompletionResult(activities.QualityOutput{Champion: 1, Alert: true, Told: true})
	s.world.quality.answers(activities.QualityOutput{Champion: 1, End: start, Note: "that may be chance"})
	s.ExecuteWorkflow(workflows.Quality, watched)
	var out activities.QualityOutput
	want(t, "error", s.GetWorkflowResult(&out), nil)
	want(t, "messages", len(s.kinds()), 0)
	want(t, "told", out.Told, true)
}

func TestRetrainCheckAsksForARun(t *testing.T) {
	s := newMonitor(t)
	s.hearModel()
	s.ExecuteWorkflow(workflows.RetrainCheck, watched)
	want(t, "error", s.GetWorkflowError(), nil)
	want(t, "kind", s.asked[0].Kind, activities.TriggerCron)
	want(t, "key", s.asked[0].Key, "cron/2026-03-15T08:00:00Z")
}

// compared runs a drift check and gives its result.
func (s *stage) compared() (activities.DriftOutput, error) {
	s.hearModel()
	s.ExecuteWorkflow(workflows.Drift, watched)
	var out activities.DriftOutput
	return out, s.GetWorkflowResult(&out)
}

// cutsInto lets the plan have so many shards.
func (w *world) cutsInto(shards int) {
	w.cut.answers(activities.DriftPlan{Model: theModel, Champion: 1, End: start, Key: "work/plan.json", Shards: shards})
}

func TestEveryShardIsProfiledOnceAndJudgedInOrder(t *testing.T) {
	for _, shards := range []int{1, 7, 8, 9, 40} {
		s := newMonitor(t)
		s.world.cutsInto(shards)
		// The first eight wait for one another, so that all of them run at once; a ninth would be too many.
		first := min(8, shards)
		var mu sync.Mutex
		started, together, early := 0, make(chan struct{}), false
		s.world.shard.do = func(in activities.DriftShard) (activities.DriftProfiled, error) {
			mu.Lock()
			if started++; started == first {
				close(together)
			}
			early = early || in.Shard >= first && started <= first
			mu.Unlock()
			<-together
			return activities.DriftProfiled{Key: fmt.Sprintf("work/shard-%d.json", in.Shard)}, nil
		}
		_, err := s.compared()
		want(t, "error", err, nil)
		seen := map[int]int{}
		for _, in := range s.world.shard.calls() {
			seen[in.Shard]++
		}
		want(t, "shards profiled", len(seen), shards)
		want(t, "times", len(s.world.shard.calls()), shards)
		want(t, "a shard before one of the first eight was done", early, false)
		in := s.world.judged.calls()[0]
		want(t, "profiles", len(in.Shards), shards)
		for i, p := range in.Shards {
			want(t, "profile", p.Key, fmt.Sprintf("work/shard-%d.json", i))
		}
		want(t, "labels", in.Target.Note, "target not compared")
	}
}

func TestAShardThatFailsIsTriedAgain(t *testing.T) {
	s := newMonitor(t)
	s.world.cutsInto(3)
	s.world.shard.fails(4, errAway)
	_, err := s.compared()
	want(t, "error", err, nil)
	want(t, "attempts", len(s.world.shard.calls()), 3+4)
	want(t, "profiles", len(s.world.judged.calls()[0].Shards), 3)
}

func TestAShardThatCantBeReadEndsTheCheckWithoutAVerdict(t *testing.T) {
	s := newMonitor(t)
	s.world.cutsInto(20)
	s.world.shard.do = func(in activities.DriftShard) (activities.DriftProfiled, error) {
		if in.Shard == 2 {
			return activities.DriftProfiled{}, temporal.NewNonRetryableApplicationError("1-gw-damaged.csv.gz: line 3", activities.ErrorCorrupt, nil)
		}
		return activities.DriftProfiled{Rows: 1}, nil
	}
	_, err := s.compared()
	wantError(t, err, activities.ErrorCorrupt, "1-gw-damaged.csv.gz")
	want(t, "verdicts", len(s.world.judged.calls()), 0)
	want(t, "triggers", len(s.asked), 0)
	wantAll(t, "messages", s.kinds(), activities.MessageBlind)
	wantText(t, "message", s.message(activities.MessageBlind).Text, "1-gw-damaged.csv.gz: line 3")
	if n := len(s.world.shard.calls()); n == 20 {
		t.Error("the other shards were read all the same")
	}
}

func TestAPartThatIsGoneDoesntEndTheCheck(t *testing.T) {
	s := newMonitor(t)
	s.world.cutsInto(2)
	s.world.shard.do = func(in activities.DriftShard) (activities.DriftProfiled, error) {
		if in.Shard == 0 {
			return activities.DriftProfiled{Gone: 3}, nil
		}
		return activities.DriftProfiled{Key: "work/shard-1.json", Rows: 9}, nil
	}
	_, err := s.compared()
	want(t, "error", err, nil)
	want(t, "parts gone", s.world.judged.calls()[0].Shards[0].Gone, 3)
}

func TestNothingLoggedIsJudgedWithoutReading(t *testing.T) {
	s := newMonitor(t)
	s.world.cut.answers(activities.DriftPlan{Model: theModel, Champion: 1, End: start})
	s.world.judged.answers(activities.DriftOutput{Champion: 1, End: start, Inconclusive: "0 predictions"})
	out, err := s.compared()
	want(t, "error", err, nil)
	want(t, "inconclusive", out.Inconclusive, "0 predictions")
	want(t, "shards read", len(s.world.shard.calls())+len(s.world.target.calls()), 0)
	want(t, "triggers", len(s.asked), 0)
}

// A version that is promoted between the plan and the verdict: the verdict is of neither, and the windows of before count
// for nothing once the next plan has another champion.
func TestAPromotionBetweenPlanAndVerdictIsNoAlert(t *testing.T) {
	s := newMonitor(t)
	s.SetLastCompletionResult(activities.DriftOutput{Champion: 1, Recent: []bool{true, true}, Alert: true})
	s.world.judged.do = func(in activities.DriftJudgement) (activities.DriftOutput, error) {
		want(t, "planned champion", in.Plan.Champion, 1)
		return activities.DriftOutput{Champion: 1, End: start, Recent: in.Recent, Inconclusive: "version 2 was promoted"}, nil
	}
	out, err := s.compared()
	want(t, "error", err, nil)
	wantAll(t, "windows", out.Recent, true, true)
	want(t, "triggers", len(s.asked), 0)
	want(t, "messages", len(s.kinds()), 0)
}

func TestACheckThatBeganBeforeShardsReadsAllInOneActivity(t *testing.T) {
	s := newMonitor(t)
	s.OnGetVersion("drift-in-shards", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
	_, err := s.compared()
	want(t, "error", err, nil)
	want(t, "reads", len(s.world.drift.calls()), 1)
	want(t, "plans", len(s.world.cut.calls()), 0)
}

func TestRecordedChecksOfBothKindsReplay(t *testing.T) {
	all := recorded(t)
	for name, activity := range map[string]string{
		"monitors.drift": "Drift", "monitors.drift-inconclusive": "Drift", "monitors.drift-shards": "DriftShard", "monitors.drift-nothing": "DriftJudge",
	} {
		if all[name] == nil {
			t.Fatalf("no history %s", name)
		}
		want(t, name+" has "+activity, schedules(all[name], activity), true)
		want(t, name+" has the old activity", schedules(all[name], "Drift"), activity == "Drift")
	}
}
