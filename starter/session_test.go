package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// The sessions in this file are compared, as they would look in a terminal, with testdata/<name>.txt: "$" is the command,
// "!" is stderr. LEANLOOP_UPDATE_GOLDEN=1 rewrites them; read the difference before you commit it.

const modelYAML = `apiVersion: leanloop/v1
kind: Model
metadata: {name: churn, team: crm}
task: binary
data: {prefix: "s3://leanloop/landing/churn/", id: id, target: left, window: {min_rows: 2}}
gates: {f1: {min: 0.7}}
approval: {approvers: [cli:ana, cli:ben], four_eyes: false}
retrain: {on: [new_data, cron], cron: "0 3 * * MON"}
`

const churnCSV = "id,age,plan,left\na,31,basic,0\nb,,gold,1\nc,45,basic,0\nd,23,gold,1\n"

// inFolder runs the test in a folder of its own, so that the names in transcripts are the same everywhere.
func (w *session) inFolder() string {
	w.t.Helper()
	dir, err := filepath.Abs("testdata")
	require.NoError(w.t, err)
	w.t.Setenv("LEANLOOP_TESTDATA", dir)
	folder := w.t.TempDir()
	w.t.Chdir(folder)
	return folder
}

func TestSessionOfAnEmptyBucket(t *testing.T) {
	w := newSession(t)
	require.Equal(t, exitOK, w.starter("list"))
	require.Equal(t, exitOK, w.starter("status"))
	require.Equal(t, exitConflict, w.starter("status", "churn"))
	require.Equal(t, exitConflict, w.starter("history", "churn"))
	require.Equal(t, exitConflict, w.starter("verify", "churn"))
	require.Equal(t, exitOK, w.starter("verify", "--all"))
	require.Equal(t, exitConflict, w.starter("submit", "churn"))
	require.Equal(t, exitOK, w.starter("list", "-o", "json"))
	w.golden("empty")
}

func TestSessionOfASpec(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", modelYAML)
	w.file(dir, "jan.csv", churnCSV)
	require.Equal(t, exitOK, w.starter("validate", "-f", "model.yaml", "--data", "jan.csv"))
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml", "--dry-run"))
	require.Empty(t, w.fake.started)
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"))
	require.Equal(t, []string{"churn"}, w.fake.started)
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"), "the same again changes nothing")
	w.file(dir, "model.yaml", strings.Replace(modelYAML, "0.7", "0.8", 1)+"monitor: {drift: {every: 2h}}\n")
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml", "--as", "ben"))
	w.file(dir, "model.yaml", modelYAML)
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"), "going back is a change of its own")
	require.Equal(t, exitOK, w.starter("schedules", "pause", "churn", "--reason", "holidays"))
	require.Equal(t, exitOK, w.starter("schedules", "diff", "churn"))
	require.Equal(t, exitOK, w.starter("schedules", "resume", "drift/churn"))
	require.Equal(t, exitOK, w.starter("history", "churn"))
	require.Equal(t, exitOK, w.starter("verify", "churn", "--artifacts"))
	require.Equal(t, exitOK, w.starter("list"))
	w.golden("spec")
}

func TestSessionOfBadFiles(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", modelYAML+`
`)
	w.file(dir, "typo.yaml", strings.Replace(modelYAML, "approvers", "aprovers", 1))
	w.file(dir, "strict.yaml", strings.Replace(modelYAML, "window:",
		"contract: {strict: true, columns: [{name: id, type: text}, {name: age, type: integer, min: 18, nullable: true}, {name: plan, type: category, values: [basic, gold]}, {name: left, type: integer}]}, window:", 1))
	w.file(dir, "broken.csv", "id,age,left,extra\na,31,0,1\nb,old,1,1\nc,7,0,1\n")
	w.file(dir, "ragged.csv", "id,age,plan,left\na,31,basic,0\nb,1\n")
	w.file(dir, "oneclass.csv", "id,age,plan,left\na,31,basic,0\nb,22,gold,0\n")
	w.file(dir, "header.csv", "id,age,plan,left\n")
	w.file(dir, "empty.csv", "")
	require.Equal(t, exitUsage, w.starter("validate", "-f", "typo.yaml"))
	require.Equal(t, exitUsage, w.starter("validate", "-f", "typo.yaml", "-o", "json"))
	for _, name := range []string{"broken.csv", "ragged.csv", "oneclass.csv", "header.csv", "empty.csv"} {
		require.Equal(t, exitGate, w.starter("validate", "-f", "strict.yaml", "--data", name), name)
	}
	require.Equal(t, exitUsage, w.starter("validate", "-f", "strict.yaml", "--data", "none.csv"))
	require.Equal(t, exitUsage, w.starter("submit", "-f", "model.yaml", "--data", "empty.csv"))
	w.golden("badfiles")
}

// waiting puts a version of churn before people.
func (w *session) waiting(change func(*workflows.ApprovalState)) {
	w.approved("churn", 1)
	w.do("churn", registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: 1}})
	evidence := activities.Evidence{Version: 2, Digest: hex64(302), Of: approval.Evidence{Model: "churn", Snapshot: hex64(100), Spec: hex64(200), Champion: 1, Epoch: 1}}
	s := workflows.ApprovalState{
		Request: approval.Request{Evidence: evidence.Digest, RequestedBy: "cli:ana", OpenedAt: t0, Deadline: t0.Add(72 * time.Hour),
			Policy: spec.Approval{Approvers: []string{"cli:ana", "cli:ben"}, Quorum: 1, FourEyes: true}},
		Status: approval.Status{Outcome: approval.Open}, Evidence: evidence,
		Summary: activities.EvaluateSummary{
			Verdict: evaluation.Verdict{Outcome: evaluation.Pass, Reasons: []evaluation.Reason{
				{Gate: "f1.min", Outcome: evaluation.Pass, Observed: 0.7412, Limit: 0.7, Message: "gate f1.min: observed 0.7412 >= 0.7"},
				{Gate: "judged_rows.min", Outcome: evaluation.Inconclusive, Observed: 812, Limit: 1000, Message: "gate judged_rows.min: observed 812 < 1000"},
			}},
			Metrics: evaluation.Values{"f1": 0.7412, "roc_auc": 0.91}, Previous: evaluation.Values{"f1": 0.7301, "roc_auc": 0.905},
			Comparison: &evaluation.Comparison{Metric: "roc_auc", Champion: 0.905, Challenger: 0.91, Difference: 0.005, Lower: 0.001, Rows: 812, Confidence: 0.95},
			JudgedRows: 812, LeftOut: 3, Champion: 1, Epoch: 1,
		},
	}
	if change != nil {
		change(&s)
	}
	w.record(activities.Record{Input: activities.LifecycleInput{Model: "churn", Number: 1, Why: "landed: s3://leanloop/landing/churn/jan.csv"},
		Result: &activities.LifecycleResult{ID: "lifecycle/churn/1", Model: "churn", Number: 1, Outcome: activities.Promoted, Reason: "version 1 is the champion",
			Version: 1, Champion: 1, Rows: 4, Started: t0.Add(-time.Hour), Ended: t0.Add(-time.Hour + 40*time.Second)}})
	w.record(activities.Record{Input: activities.LifecycleInput{Model: "churn", Number: 2, Why: "cli:ana submitted s3://leanloop/landing/churn/feb.csv", RequestedBy: "cli:ana"}})
	w.fake.models["churn"] = workflows.ModelState{Model: "churn", NextRun: 3, Open: &workflows.OpenRun{Number: 2, ID: "lifecycle/churn/2", Since: t0.Add(-90 * time.Second)}}
	w.fake.executions["lifecycle/churn/2"] = execution{Open: true, Status: "running", Started: t0.Add(-90 * time.Second)}
	w.fake.lifecycles["lifecycle/churn/2"] = workflows.LifecycleState{
		ID: "lifecycle/churn/2", Model: "churn", Stage: "approve", Version: 2, Champion: 1, Snapshot: hex64(100), Rows: 812,
		Stages:   []activities.StageResult{{Name: "train", Status: "done", Seconds: 12.3, Detail: "700 rows in 12.3 s, attempt 1"}, {Name: "approve", Status: "waiting", Detail: "for 1 of [cli:ana cli:ben]"}},
		Approval: &s,
	}
	w.fake.decide = func(id string, d approval.Decision) (approval.Status, error) {
		state := w.fake.lifecycles[id]
		if !state.Approval.Status.IsOpen() {
			return approval.Status{}, &refusedError{what: d.Kind, why: "no version waits for a decision in this run"}
		}
		after, err := approval.Decide(state.Approval.Request, state.Approval.Status, d)
		if err != nil {
			return after, refused(d.Kind, err.Error())
		}
		state.Approval.Status = after
		return after, nil
	}
}

func TestSessionOfDecisions(t *testing.T) {
	w := newSession(t)
	w.waiting(nil)
	require.Equal(t, exitOK, w.starter("status", "churn"))
	require.Equal(t, exitConflict, w.starter("approve", "churn", "--evidence", "ffff"), "other evidence than the caller saw")
	require.Equal(t, exitConflict, w.starter("approve", "churn", "--as", "eve"), "not an approver")
	require.Equal(t, exitConflict, w.starter("approve", "churn"), "four eyes")
	require.Equal(t, exitOK, w.starter("approve", "lifecycle/churn/2", "--as", "cli:ben", "--evidence", "0000", "--reason", "fine"))
	require.Equal(t, exitConflict, w.starter("reject", "churn", "--reason", "too slow"), "the first decision stands")
	require.Equal(t, exitOK, w.starter("history", "churn", "--refused"))
	require.Equal(t, exitOK, w.starter("list"))
	require.Equal(t, exitOK, w.starter("list", "churn"))
	w.golden("decisions")
}

func TestSessionOfARollback(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	require.Equal(t, exitConflict, w.starter("rollback", "churn", "--reason", "slow"), "there is nothing to go back to")
	w.champion("churn", 2)
	w.heartbeat("g1", 7)
	require.Equal(t, exitConflict, w.starter("rollback", "churn", "--to", "2", "--reason", "slow"))
	require.Equal(t, exitConflict, w.starter("rollback", "churn", "--to", "9", "--reason", "slow"))
	require.Equal(t, exitOK, w.starter("rollback", "churn", "--reason", "wrong unit", "--wait", "20ms"))
	w.heartbeat("g1", 11)
	require.Equal(t, exitOK, w.starter("rollback", "churn", "--to", "2", "--reason", "it was right"))
	require.Equal(t, exitOK, w.starter("history", "churn"))
	require.Equal(t, exitOK, w.starter("history", "churn", "--limit", "2"))
	require.Equal(t, exitOK, w.starter("verify", "churn"))
	w.golden("rollback")
}

func (w *session) heartbeat(id string, seq int64) {
	w.t.Helper()
	require.NoError(w.t, registry.PutHeartbeat(w.t.Context(), w.bucket, registry.Heartbeat{
		ID: id, Time: t0, ExpiresAt: t0.Add(time.Minute), Models: map[string]registry.Serve{"churn": {Seq: seq}},
	}))
}

func TestStatusSaysWhichGatewayCantServeTheChampion(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	require.NoError(t, registry.PutHeartbeat(t.Context(), w.bucket, registry.Heartbeat{ID: "g1", Time: t0, ExpiresAt: t0.Add(time.Minute),
		Models: map[string]registry.Serve{"churn": {Problem: "champion: load churn version 1: no gateway can load it"}}}))
	require.NoError(t, registry.PutHeartbeat(t.Context(), w.bucket, registry.Heartbeat{ID: "gone", Time: t0, ExpiresAt: t0.Add(-time.Minute),
		Models: map[string]registry.Serve{"churn": {Problem: "an old one"}}}))
	w.heartbeat("g2", 3)
	require.Equal(t, exitOK, w.starter("status", "churn"))
	require.Contains(t, w.transcript.String(), "gateway g1: champion: load churn version 1: no gateway can load it\n")
	require.NotContains(t, w.transcript.String(), "an old one")
	require.NotContains(t, w.transcript.String(), "g2")
}

func TestSessionOfACanary(t *testing.T) {
	w := newSession(t)
	w.waiting(nil)
	w.approved("churn", 2)
	w.canary("churn", 2)
	state := canary.New(spec.Canary{Steps: []spec.Step{{Weight: 0.1, MinRequests: 200}, {Weight: 0.5}}, Deadline: spec.Duration(time.Hour)}, t0.Add(-time.Minute))
	state.Verdicts = []canary.Judgement{{At: t0.Add(-5 * time.Second), Verdict: canary.Inconclusive, Requests: canary.Counts{Champion: 900, Challenger: 96},
		Errors: canary.Counts{Champion: 1}, Checks: []canary.Check{{Verdict: canary.Inconclusive, Message: "96 challenger requests < 200"}}}}
	w.fake.canaries["churn"] = workflows.CanaryState{Model: "churn", Version: 2, Champion: 1, Weight: 0.1, Lease: t0.Add(25 * time.Second), State: state}
	run := w.fake.lifecycles["lifecycle/churn/2"]
	run.Approval.Status = approval.Status{Outcome: approval.Approved, Approvals: []approval.Decision{{ID: "1", Kind: approval.Approve, Actor: "cli:ben"}}}
	run.Stage, run.Stages = "canary", append(run.Stages[:1], activities.StageResult{Name: "canary", Status: "running"})
	w.fake.lifecycles["lifecycle/churn/2"] = run
	w.fake.steer = func(_ string, s workflows.Steer) (canary.State, error) {
		var err error
		switch s.Action {
		case "pause":
			state, err = canary.Pause(state, s.Actor, s.Reason)
		case "resume":
			state, err = canary.Resume(state, s.Actor, s.Reason, t0)
		case "extend":
			state, err = canary.Extend(state, s.Actor, s.Reason, s.Deadline, s.Hold, t0)
		case "promote":
			state, _, err = canary.PromoteNow(state, s.Actor, s.Reason, t0)
		}
		if err != nil {
			return state, refused(s.Action+" of the canary of churn", err.Error())
		}
		return state, nil
	}
	require.Equal(t, exitOK, w.starter("canary", "status", "churn"))
	require.Equal(t, exitOK, w.starter("status", "churn"))
	require.Equal(t, exitConflict, w.starter("approve", "churn"))
	require.Equal(t, exitOK, w.starter("canary", "pause", "churn", "--reason", "let me look"))
	require.Equal(t, exitOK, w.starter("canary", "resume", "churn"))
	require.Equal(t, exitConflict, w.starter("canary", "resume", "churn"))
	require.Equal(t, exitOK, w.starter("promote", "churn", "--as", "ben"))
	require.Equal(t, exitConflict, w.starter("promote", "churn"))
	require.Equal(t, exitConflict, w.starter("canary", "status", "fraud"))
	w.golden("canary")
}

// looked is a canary of three hours with everything that may be looked at, as its last look left it.
func looked(onFailure string, challenger canary.Arm) workflows.CanaryState {
	c := spec.Canary{Steps: []spec.Step{{Weight: 0.1, Hold: spec.Duration(24 * time.Hour), MinRequests: 2000}, {Weight: 0.5, Hold: spec.Duration(12 * time.Hour), MinRequests: 2000}},
		Interval: spec.Duration(5 * time.Minute), Deadline: spec.Duration(72 * time.Hour), OnFailure: onFailure, AnswerWithin: spec.Duration(time.Hour),
		MaxErrorRate: 0.01, MaxSlowdown: 1.5, MaxPSI: 0.5, Limits: spec.CanaryLimits{ErrorRate: 0.03, LatencyP99MS: 50},
		Quality: &spec.CanaryQuality{Metric: "accuracy", MaxLoss: 0.02, MinRows: 200}}
	state := canary.New(c, t0.Add(-3*time.Hour))
	champion := canary.Arm{Requests: 32_400, Errors: 331, LatencyP50: 0.0042, LatencyP95: 0.0121, LatencyP99: 0.0213, Predictions: []int64{16_200, 16_200}}
	state = canary.WithQuality(state, canary.Quality{From: state.StepSince, At: t0.Add(-8 * time.Minute), Metric: "accuracy",
		Champion: canary.Labelled{Rows: 1520, Sum: 151, Squares: 151}, Challenger: canary.Labelled{Rows: 164, Sum: 18, Squares: 18}})
	m := canary.Measurement{From: state.StepSince, To: t0.Add(-2 * time.Minute), Champion: champion, Challenger: challenger}
	state, _, j := canary.Decide(state, m, t0.Add(-2*time.Minute))
	return workflows.CanaryState{Model: "churn", Version: 2, Champion: 1, Weight: state.Weight(), Lease: t0.Add(8 * time.Minute), State: state,
		Last: &canary.Look{Judgement: j, Arms: m.Arms()}}
}

func TestSessionOfACanaryThatIsLookedAt(t *testing.T) {
	w := newSession(t)
	good := canary.Arm{Requests: 3604, Errors: 38, LatencyP50: 0.0044, LatencyP95: 0.0119, LatencyP99: 0.0225, Predictions: []int64{1790, 1814}}
	bad := good
	bad.Errors = 360
	w.fake.canaries["churn"] = looked("rollback", good)
	w.fake.steer = func(_ string, s workflows.Steer) (canary.State, error) {
		state := w.fake.canaries["churn"].State
		return canary.Extend(state, s.Actor, s.Reason, s.Deadline, s.Hold, t0)
	}
	require.Equal(t, exitOK, w.starter("canary", "churn"))
	require.Equal(t, exitUsage, w.starter("canary", "statsu"))
	require.Equal(t, exitUsage, w.starter("canary", "extend", "churn"))
	require.Equal(t, exitUsage, w.starter("canary", "extend", "churn", "--hold", "12"))
	require.Equal(t, exitOK, w.starter("canary", "extend", "churn", "--deadline", "1d", "--hold", "12h", "--reason", "a slow weekend"))
	w.fake.canaries["churn"] = looked("pause", bad)
	require.Equal(t, exitOK, w.starter("canary", "status", "churn"))
	w.fake.canaries["churn"] = looked("ask", bad)
	require.Equal(t, exitOK, w.starter("canary", "status", "churn"))
	w.fake.canaries["churn"] = looked("rollback", bad)
	require.Equal(t, exitRolledBack, w.starter("canary", "status", "churn", "--watch"))
	w.golden("canarylook")
}

func TestACanaryOfATargetSaysWhetherItIsConfirmed(t *testing.T) {
	w := newSession(t)
	good := canary.Arm{Requests: 3604, Errors: 38, LatencyP50: 0.0044, LatencyP95: 0.0119, LatencyP99: 0.0225, Predictions: []int64{1790, 1814}}
	bad := good
	bad.Errors = 360
	shows := func(c workflows.CanaryState, target, says string) {
		t.Helper()
		c.Driven, c.Target = true, target
		w.fake.canaries["churn"] = c
		w.stdout.Reset()
		require.Equal(t, exitOK, w.starter("canary", "status", "churn"))
		require.Contains(t, w.stdout.String(), "\n"+says+"\n")
	}
	shows(looked("rollback", good), "", "target confirmed: it reads back 10%")
	shows(looked("rollback", good), "429", "target not confirmed: 429")
	shows(looked("rollback", bad), "429", "target not confirmed: 429")
	w.fake.canaries["churn"] = looked("rollback", good)
	w.stdout.Reset()
	require.Equal(t, exitOK, w.starter("canary", "status", "churn"))
	require.NotContains(t, w.stdout.String(), "target", "gateways follow by themselves")
}

// To a pipe or a log a page goes out at each look, not at each poll, and what can't be asked for a moment is waited for.
func TestACanaryIsFollowedToItsEnd(t *testing.T) {
	w := newSession(t)
	good := canary.Arm{Requests: 3604, Errors: 38, LatencyP50: 0.0044, LatencyP95: 0.0119, LatencyP99: 0.0225, Predictions: []int64{1790, 1814}}
	polls := 0
	w.app.engine = func(context.Context) (engine, error) {
		return &polled{fakeEngine: w.fake, canary: func() (workflows.CanaryState, error) {
			c := looked("rollback", good)
			switch polls++; {
			case polls == 4:
				return c, errors.New("deadline exceeded")
			case polls > 8:
				ended, _, err := canary.PromoteNow(c.State, "cli:ben", "a holiday", t0)
				require.NoError(t, err)
				c.State, c.Weight = ended, 1
			case polls > 5:
				c.Last.At = c.Last.At.Add(5 * time.Minute)
			}
			return c, nil
		}}, nil
	}
	require.Equal(t, exitOK, w.starter("canary", "status", "churn", "-w"))
	require.Equal(t, 2, strings.Count(w.stderr.String()+w.stdout.String(), "held 3h00m of 1d00h"), "one page a look")
	require.Equal(t, 1, strings.Count(w.stdout.String(), "promoted: promoted by cli:ben: a holiday"))
}

// On a terminal the same view is drawn anew in its place.
func TestACanaryIsDrawnInPlaceOnATerminal(t *testing.T) {
	w := newSession(t)
	w.terminal = func(any) bool { return true }
	good := canary.Arm{Requests: 3604, Errors: 38, LatencyP50: 0.0044, LatencyP95: 0.0119, LatencyP99: 0.0225, Predictions: []int64{1790, 1814}}
	polls := 0
	w.app.engine = func(context.Context) (engine, error) {
		return &polled{fakeEngine: w.fake, canary: func() (workflows.CanaryState, error) {
			c := looked("rollback", good)
			if polls++; polls > 3 {
				c.State, _, _ = canary.Abort(c.State, "cli:ben", "no", t0)
			}
			return c, nil
		}}, nil
	}
	require.Equal(t, exitRolledBack, w.starter("canary", "status", "churn", "-w"))
	require.Equal(t, 3, strings.Count(w.stdout.String(), "\x1b[J"), "drawn anew twice, and cleared for the result")
	require.Contains(t, w.stdout.String(), "\x1b[32mpass\x1b[0m")
}

// polled is an engine whose canary is another one at each question.
type polled struct {
	*fakeEngine
	canary func() (workflows.CanaryState, error)
}

func (p *polled) Canary(context.Context, string) (workflows.CanaryState, error) { return p.canary() }

func TestHistoryShowsWhatPeopleDidToACanary(t *testing.T) {
	w := newSession(t)
	w.waiting(nil)
	w.approved("churn", 2)
	w.canary("churn", 2)
	head, err := registry.NewLedger(w.bucket, "churn").Head(t.Context())
	require.NoError(t, err)
	weight := *head.Command.Canary
	weight.Action = registry.CanaryExtended
	weight.Deadline = t0.Add(24 * time.Hour)
	w.do("churn", registry.Command{Kind: registry.KindCanaryWeight, Reason: "a slow weekend", Canary: &weight})
	weight.Action, weight.Deadline, weight.Weight = registry.CanaryWithdrawn, time.Time{}, 0
	w.do("churn", registry.Command{Kind: registry.KindCanaryWeight, Reason: "error rate 9 %", Canary: &weight})
	require.Equal(t, exitOK, w.starter("history", "churn"))
	require.Contains(t, w.stdout.String(), "extend: deadline 2013-06-02 12:00, version 2 at 10% until")
	require.Contains(t, w.stdout.String(), "a slow weekend")
	require.Contains(t, w.stdout.String(), "withdraw: version 2 at 0% until")
}

func TestCanaryStatusAsADocumentIsComplete(t *testing.T) {
	w := newSession(t)
	w.fake.canaries["churn"] = looked("rollback", canary.Arm{Requests: 3604, LatencyP50: 0.004, LatencyP95: 0.01, LatencyP99: 0.02, Predictions: []int64{1790, 1814}})
	require.Equal(t, exitOK, w.starter("canary", "status", "churn", "-o", "json"))
	for _, has := range []string{`"latency_p95": 0.01`, `"name": "latency_p50"`, `"name": "error_rate_limit"`, `"name": "quality"`, `"deadline":`, `"lease":`,
		`"step_since":`, `164 labelled answers`, `"optional": true`} {
		require.Contains(t, w.stdout.String(), has)
	}
}

func TestInitWritesASpecThatValidates(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "customers_2013.csv", churnCSV)
	require.Equal(t, exitOK, w.starter("init", "customers_2013.csv", "--target", "left"), w.stderr.String())
	require.NoError(t, os.WriteFile("model.yaml", w.stdout.Bytes(), 0o644))
	m, err := spec.Load("model.yaml")
	require.NoError(t, err)
	require.Equal(t, []any{"customers-2013", "left", "s3://leanloop/landing/customers-2013/"}, []any{m.Metadata.Name, m.Data.Target, m.Data.Prefix})
	require.Equal(t, []string{"cli:ana"}, m.Approval.Approvers)
	require.Equal(t, exitOK, w.starter("validate", "-f", "model.yaml", "--data", "customers_2013.csv"), w.stderr.String()+w.stdout.String())
	require.Equal(t, exitUsage, w.starter("init", "customers_2013.csv", "--target", "gone"))
	require.Contains(t, w.stderr.String(), `no column "gone"`)
}

func TestInitReadsParquet(t *testing.T) {
	w := newSession(t)
	b, err := os.ReadFile("../internal/dataset/testdata/parquet/pandas.parquet")
	require.NoError(t, err)
	dir := w.inFolder()
	w.file(dir, "flights.parquet", string(b))
	require.Equal(t, exitOK, w.starter("init", "flights.parquet", "--target", "late"), w.stderr.String())
	require.NoError(t, os.WriteFile("model.yaml", w.stdout.Bytes(), 0o644))
	m, err := spec.Load("model.yaml")
	require.NoError(t, err)
	kinds := map[string]string{}
	for _, c := range m.Data.Contract.Columns {
		kinds[c.Name] = c.Type
	}
	require.Equal(t, map[string]string{"delay": "number", "carrier": "category", "nights": "number", "late": "boolean", "when": "timestamp",
		"__index_level_0__": "category"}, kinds)
	require.Equal(t, exitOK, w.starter("validate", "-f", "model.yaml", "--data", "flights.parquet"), w.stderr.String()+w.stdout.String())
}
