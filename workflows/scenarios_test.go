package workflows_test

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// scenario is one story that is recorded, under a model of its name.
type scenario struct {
	name    string
	outcome string   // of its first run; "": it isn't looked at
	files   []string // histories it leaves
	given   func(*recorder)
	drive   func(*recorder)
}

// brief is usual with times that a test can wait for.
func brief() activities.RunSettings {
	s := usual()
	s.TrainTimeout = time.Minute
	s.Approval.Timeout = spec.Duration(5 * time.Minute)
	s.Canary.Interval, s.Canary.Deadline = spec.Duration(time.Second), spec.Duration(5*time.Minute)
	for i := range s.Canary.Steps {
		s.Canary.Steps[i].Hold = spec.Duration(2 * time.Second)
	}
	return s
}

func scenarios() []scenario {
	return []scenario{
		{
			name: "first", outcome: activities.Promoted, files: []string{"first.lifecycle"},
			given: func(r *recorder) { r.world.champion = 0 },
			drive: func(r *recorder) {
				r.lands()
				r.approves(1)
				r.write(r.lifecycle(1), "", "first.lifecycle")
			},
		},
		{
			name: "promoted", outcome: activities.Promoted, files: []string{"promoted.canary", "promoted.lifecycle"},
			drive: func(r *recorder) {
				r.lands()
				r.approves(1)
				r.exposes()
				r.write(r.canary(), "", "promoted.canary")
				r.write(r.lifecycle(1), "", "promoted.lifecycle")
			},
		},
		{
			name: "rolled-back", outcome: activities.RolledBack, files: []string{"rolled-back.canary", "rolled-back.lifecycle"},
			given: func(r *recorder) { r.world.served = failing },
			drive: func(r *recorder) {
				r.lands()
				r.approves(1)
				r.exposes()
				r.write(r.canary(), "", "rolled-back.canary")
				r.write(r.lifecycle(1), "", "rolled-back.lifecycle")
			},
		},
		{
			name: "rejected", outcome: activities.Rejected, files: []string{"rejected.lifecycle"},
			given: func(r *recorder) { // the record of the decision waits for the second one
				r.world.decide.takes = func(context.Context) error { <-r.release; return nil }
			},
			drive: func(r *recorder) {
				r.lands()
				r.waits(r.lifecycle(1), 1)
				r.signal(r.lifecycle(1), workflows.SignalDecision, decision(approval.Approve, "cli:eve", 1))
				r.must("reject", r.update(r.lifecycle(1), workflows.UpdateDecide, decision(approval.Reject, ben, 1)))
				err := r.update(r.lifecycle(1), workflows.UpdateDecide, decision(approval.Approve, ana, 1))
				wantError(r.t, err, workflows.ErrorRefused, "already rejected by cli:ben")
				close(r.release)
				r.write(r.lifecycle(1), "", "rejected.lifecycle")
			},
		},
		{
			name: "gate-failed", outcome: activities.GateFailed, files: []string{"gate-failed.lifecycle"},
			given: func(r *recorder) {
				r.world.train.fails(1, temporal.NewNonRetryableApplicationError("exit 1", activities.ErrorScript, nil))
				r.world.evaluate.answers(activities.EvaluateOutput{Summary: activities.EvaluateSummary{Verdict: failed(), Champion: 1}})
			},
			drive: func(r *recorder) {
				r.lands()
				r.write(r.lifecycle(1), "", "gate-failed.lifecycle")
			},
		},
		{
			name: "validation-failed", outcome: activities.ValidationFailed, files: []string{"validation-failed.lifecycle"},
			given: func(r *recorder) {
				r.world.validate.answers(activities.ValidateOutput{Reason: "march.csv: no column delay"})
			},
			drive: func(r *recorder) {
				r.lands()
				r.write(r.lifecycle(1), "", "validation-failed.lifecycle")
			},
		},
		{
			name: "script-failed", outcome: activities.Failed, files: []string{"script-failed.lifecycle"},
			given: func(r *recorder) { r.world.train.refuses(activities.ErrorScript, "exit 1") },
			drive: func(r *recorder) {
				r.lands()
				r.write(r.lifecycle(1), "", "script-failed.lifecycle")
			},
		},
		{
			name: "no-worker", outcome: activities.Rejected, files: []string{"no-worker.lifecycle"},
			given: func(r *recorder) { // no worker takes the training until somebody has looked why
				r.world.train.takes = func(ctx context.Context) error {
					for {
						select {
						case <-r.release:
							return nil
						case <-time.After(time.Second):
							activity.RecordHeartbeat(ctx)
						}
					}
				}
				r.world.look.do = func(activities.LookInput) (activities.LookOutput, error) {
					close(r.release)
					return activities.LookOutput{Needs: "2 GPUs"}, nil
				}
			},
			drive: func(r *recorder) {
				r.lands()
				r.waits(r.lifecycle(1), 1)
				r.must("reject", r.update(r.lifecycle(1), workflows.UpdateDecide, decision(approval.Reject, ana, 1)))
				r.write(r.lifecycle(1), "", "no-worker.lifecycle")
			},
		},
		{
			name: "search", outcome: activities.Rejected, files: []string{"search.search", "search.lifecycle"},
			given: func(r *recorder) {
				settings := brief()
				settings.Search = searching().Search
				r.world.settings.answers(settings)
				r.world.trial.do = func(in activities.TrainInput) (activities.TrialOutput, error) {
					switch {
					case in.Trial == 2, in.Trial == 3 && in.Attempt == 1:
						return activities.TrialOutput{}, temporal.NewNonRetryableApplicationError("exit 1", activities.ErrorScript, nil)
					case in.Trial == 5:
						return activities.TrialOutput{State: search.Pruned, Value: 2, Step: 3}, nil
					}
					return tried(in), nil
				}
			},
			drive: func(r *recorder) {
				r.lands()
				r.waits(r.lifecycle(1), 1)
				r.must("reject", r.update(r.lifecycle(1), workflows.UpdateDecide, decision(approval.Reject, ben, 1)))
				r.write(workflows.SearchID(r.model, 1), "", "search.search")
				r.write(r.lifecycle(1), "", "search.lifecycle")
			},
		},
		{
			name: "search-again", files: []string{"search-again.1", "search-again.2"},
			given: func(r *recorder) {
				r.world.trial.takes = func(ctx context.Context) error {
					if len(r.world.trial.calls()) <= 4 {
						return nil
					}
					return untilCancelled(ctx)
				}
			},
			drive: func(r *recorder) {
				in := theSearch()
				in.Model, in.TrialsPerExecution = r.model, 4
				id := workflows.SearchID(r.model, 7)
				first := r.start(id, workflows.Search, in)
				until(r, id, "again", func(s workflows.SearchState) bool { return s.Ended == 4 && len(s.Running) == 3 })
				r.must("cancel", r.client.CancelWorkflow(r.context(), id, ""))
				r.write(id, first.GetRunID(), "search-again.1")
				r.write(id, "", "search-again.2")
			},
		},
		{
			name: "cancelled", outcome: activities.Cancelled, files: []string{"cancelled.lifecycle"},
			given: func(r *recorder) { r.world.train.takes = untilCancelled },
			drive: func(r *recorder) {
				r.lands()
				r.atStage(r.lifecycle(1), "train")
				r.must("cancel", r.client.CancelWorkflow(r.context(), r.lifecycle(1), ""))
				r.write(r.lifecycle(1), "", "cancelled.lifecycle")
			},
		},
		{
			name: "stopped", outcome: activities.Superseded, files: []string{"stopped.canary", "stopped.lifecycle"},
			drive: func(r *recorder) {
				r.lands()
				r.approves(1)
				r.exposes()
				stop := workflows.Stop{Outcome: activities.Superseded, Actor: ana, Via: "cli", Reason: "april is here"}
				r.must("stop", r.update(r.lifecycle(1), workflows.UpdateStop, stop))
				r.write(r.canary(), "", "stopped.canary")
				r.write(r.lifecycle(1), "", "stopped.lifecycle")
			},
		},
		{
			// steered.canary is kept from before what people do had entries in the ledger.
			name: "steered", outcome: activities.Promoted, files: []string{"steered.canary-ledger", "steered.lifecycle"},
			drive: func(r *recorder) {
				r.lands()
				r.approves(1)
				r.exposes()
				r.steers("pause", "resume", "extend", "promote")
				r.write(r.canary(), "", "steered.canary-ledger")
				r.write(r.lifecycle(1), "", "steered.lifecycle")
			},
		},
		failedScenario("paused", spec.OnFailurePause), failedScenario("asked", spec.OnFailureAsk), unansweredScenario(), labelledScenario(),
		{
			name: "void", outcome: activities.TimedOut, files: []string{"void.lifecycle"},
			given: func(r *recorder) {
				settings := brief()
				settings.Approval.Timeout = spec.Duration(8 * time.Second)
				r.world.settings.answers(settings)
				r.world.decide.do = func(in activities.DecisionInput) (activities.LedgerOutput, error) {
					if in.Round == 1 {
						return activities.LedgerOutput{Void: "epoch is 4, expected 3"}, nil
					}
					return activities.LedgerOutput{Seq: 7}, nil
				}
			},
			drive: func(r *recorder) { // approved, void, and the second time nobody decides
				r.lands()
				r.approves(1)
				r.write(r.lifecycle(1), "", "void.lifecycle")
			},
		},
		{
			name: "left-over", outcome: activities.Promoted, files: []string{"left-over.canary", "left-over.lifecycle"},
			drive: func(r *recorder) {
				old := r.start(r.canary(), workflows.Canary, activities.CanaryInput{
					Model: r.model, Version: 9, Champion: 1, Lifecycle: "lifecycle/left-over/0", Spec: theSpec,
				})
				steer := workflows.Steer{Action: "pause", Actor: ana, Via: "cli", Reason: "forgotten"}
				r.exposes()
				r.must("pause", r.update(r.canary(), workflows.UpdateSteer, steer))
				r.lands()
				r.approves(1)
				r.write(r.canary(), old.GetRunID(), "left-over.canary")
				r.write(r.lifecycle(1), "", "left-over.lifecycle")
			},
		},
		drivenScenario(), importedScenario(), modelScenario(), adoptedScenario(), monitorScenario(), blindScenario(),
	}
}

// drivenScenario is a canary of a target that refuses once to confirm, and the check of that target.
func drivenScenario() scenario {
	return scenario{
		name: "driven", outcome: activities.Promoted, files: []string{"driven.canary", "driven.lifecycle", "driven.target"},
		given: func(r *recorder) {
			settings := brief()
			settings.VerbTimeout = time.Second
			r.world.settings.answers(settings)
			r.world.confirm.do = func(in activities.ConfirmInput) (activities.ConfirmOutput, error) {
				if len(r.world.confirm.calls()) == 2 {
					return away(in), nil
				}
				return activities.ConfirmOutput{Confirmed: true, Target: &activities.TargetView{Driven: true}}, nil
			}
		},
		drive: func(r *recorder) {
			r.lands()
			r.approves(1)
			r.exposes()
			r.write(r.canary(), "", "driven.canary")
			r.write(r.lifecycle(1), "", "driven.lifecycle")
			id := workflows.TargetID(r.model, false)
			r.start(id, workflows.TargetCheck, activities.TargetCheckInput{Model: r.model})
			r.write(id, "", "driven.target")
		},
	}
}

// importedScenario is a run in which a model that was trained elsewhere takes the place of training.
func importedScenario() scenario {
	return scenario{
		name: "imported", outcome: activities.Promoted, files: []string{"imported.lifecycle"},
		drive: func(r *recorder) {
			in := theRun()
			in.Model = r.model
			imported(&in)
			r.entity(0)
			r.start(r.lifecycle(in.Number), workflows.Lifecycle, in)
			r.waits(r.lifecycle(in.Number), 1)
			r.must("approve", r.update(r.lifecycle(in.Number), workflows.UpdateDecide, decision(approval.Approve, ana, 1)))
			r.write(r.lifecycle(in.Number), "", "imported.lifecycle")
		},
	}
}

// failedScenario is a canary that fails, waits for a person, and is promoted after another trial.
func failedScenario(name, onFailure string) scenario {
	return scenario{
		name: name, outcome: activities.Promoted, files: []string{name + ".canary"},
		given: func(r *recorder) {
			settings := brief()
			settings.Canary.OnFailure, settings.Canary.AnswerWithin = onFailure, spec.Duration(time.Minute)
			r.world.settings.answers(settings)
			r.world.served = failing
		},
		drive: func(r *recorder) {
			r.lands()
			r.approves(1)
			until(r, r.canary(), "failed", func(s workflows.CanaryState) bool { return s.State.Failed != nil })
			r.world.heals(healthy)
			r.steers("resume")
			r.write(r.canary(), "", name+".canary")
			r.ended(r.lifecycle(1), "")
		},
	}
}

// unansweredScenario is a canary that asks, and nobody answers.
func unansweredScenario() scenario {
	return scenario{
		name: "unanswered", outcome: activities.RolledBack, files: []string{"unanswered.canary"},
		given: func(r *recorder) {
			settings := brief()
			settings.Canary.OnFailure, settings.Canary.AnswerWithin = spec.OnFailureAsk, spec.Duration(3*time.Second)
			r.world.settings.answers(settings)
			r.world.served = failing
		},
		drive: func(r *recorder) {
			r.lands()
			r.approves(1)
			r.exposes()
			r.write(r.canary(), "", "unanswered.canary")
			r.ended(r.lifecycle(1), "")
		},
	}
}

// labelledScenario is a canary that reads labels beside its looks.
func labelledScenario() scenario {
	return scenario{
		name: "labelled", outcome: activities.Promoted, files: []string{"labelled.canary"},
		given: func(r *recorder) {
			settings := brief()
			settings.Canary.Quality = &spec.CanaryQuality{Metric: "accuracy", MaxLoss: 0.02, MinRows: 100}
			r.world.settings.answers(settings)
		},
		drive: func(r *recorder) {
			r.lands()
			r.approves(1)
			r.exposes()
			r.write(r.canary(), "", "labelled.canary")
			r.ended(r.lifecycle(1), "")
		},
	}
}

// steers sends what a person does to the canary, one after the other.
func (r *recorder) steers(actions ...string) {
	r.t.Helper()
	for _, action := range actions {
		steer := workflows.Steer{Action: action, Actor: ana, Via: "cli", Reason: "seen enough"}
		if action == "extend" {
			steer.Deadline = time.Minute
		}
		r.must(action, r.update(r.canary(), workflows.UpdateSteer, steer))
	}
}

// lands starts the entity with a landed file.
func (r *recorder) lands() {
	r.t.Helper()
	r.entity(0)
	r.signal(workflows.ModelID(r.model), workflows.SignalTrigger, landed("march.csv"))
}

func (r *recorder) approves(round int) {
	r.t.Helper()
	r.waits(r.lifecycle(1), round)
	r.must("approve", r.update(r.lifecycle(1), workflows.UpdateDecide, decision(approval.Approve, ana, round)))
}

// untilCancelled is an activity that heartbeats until it is told to end.
func untilCancelled(ctx context.Context) error {
	beat := time.NewTicker(200 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			activity.RecordHeartbeat(ctx)
		}
	}
}

// modelScenario has several runs of one entity: files that land together, a plan that fails, a deferral, a person, and
// a continue-as-new between them.
func modelScenario() scenario {
	return scenario{
		name: "model", outcome: activities.Unchanged, files: []string{"model.1", "model.2"},
		given: func(r *recorder) {
			r.world.snapshot.answers(activities.SnapshotOutput{Digest: "d", Unchanged: 1}) // short runs
			r.world.plan.do = func(in activities.PlanInput) (activities.PlanOutput, error) {
				out, err := r.world.planAll(in)
				if len(r.world.plan.calls()) == 1 {
					out.Later = []activities.Trigger{{Kind: activities.TriggerData, Key: "deferred", Reason: "a cooldown"}}
					out.Until = time.Now().Add(4 * time.Second)
				}
				return out, err
			}
		},
		drive: func(r *recorder) {
			id := workflows.ModelID(r.model)
			r.entity(2)
			first := r.current(id)
			for i := range 3 {
				r.signal(id, workflows.SignalTrigger, landed(fmt.Sprintf("%d.csv", i)))
			}
			r.ended(r.lifecycle(1), "")
			r.ended(r.lifecycle(2), "") // what was deferred; the entity continues as new
			r.ended(id, first)
			r.keep(id, first, "model.1")
			r.must("submit", r.update(id, workflows.UpdateSubmit, person("now")))
			r.ended(r.lifecycle(3), "")
			until(r, id, "idle", func(s workflows.ModelState) bool { return s.Open == nil && s.NextRun == 4 })
			second := r.current(id)
			r.must("cancel", r.client.CancelWorkflow(r.context(), id, ""))
			r.write(id, second, "model.2")
		},
	}
}

// adoptedScenario ends an entity by force while a run is open: the next one adopts it. The run is ended by force too.
func adoptedScenario() scenario {
	return scenario{
		name: "adopted", files: []string{"adopted.terminated", "adopted.model"},
		given: func(r *recorder) {
			r.world.recovers.do = func(activities.RecoverInput) (activities.Recovered, error) {
				if len(r.world.claim.calls()) == 0 {
					return activities.Recovered{}, nil
				}
				return activities.Recovered{Last: 1, Open: 1}, nil
			}
			r.world.status.do = func(in activities.StatusInput) (activities.StatusOutput, error) {
				d, err := r.client.DescribeWorkflowExecution(context.Background(), r.lifecycle(1), "")
				if err != nil || d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
					return activities.StatusOutput{}, err
				}
				return activities.StatusOutput{Closed: true, Result: activities.LifecycleResult{Number: 1, Outcome: activities.Failed}}, nil
			}
		},
		drive: func(r *recorder) {
			id := workflows.ModelID(r.model)
			r.lands()
			r.waits(r.lifecycle(1), 1)
			first := r.current(id)
			r.must("terminate", r.client.TerminateWorkflow(r.context(), id, first, "a test"))
			r.entity(0)
			until(r, id, "adopting", func(s workflows.ModelState) bool { return s.Open != nil && s.Open.Adopted })
			r.must("terminate", r.client.TerminateWorkflow(r.context(), r.lifecycle(1), "", "a test"))
			r.write(r.lifecycle(1), "", "adopted.terminated")
			until(r, id, "idle", func(s workflows.ModelState) bool { return s.Open == nil && s.LastResult != nil })
			r.must("cancel", r.client.CancelWorkflow(r.context(), id, ""))
			r.write(id, "", "adopted.model")
		},
	}
}

func monitorScenario() scenario {
	return scenario{
		// monitors.drift and monitors.drift-inconclusive are kept from before windows were cut into shards.
		name: "monitors", files: []string{"monitors.drift-shards", "monitors.drift-nothing", "monitors.quality", "monitors.retrain"},
		given: func(r *recorder) {
			r.world.snapshot.answers(activities.SnapshotOutput{Digest: "d", Unchanged: 1})
			r.world.cut.do = func(in activities.DriftInput) (activities.DriftPlan, error) {
				if len(r.world.cut.calls()) > 1 {
					return activities.DriftPlan{Model: in.Model, Champion: 1, End: in.End}, nil
				}
				return activities.DriftPlan{Model: in.Model, Champion: 1, End: in.End, Key: "work/plan.json", Shards: 10, Parts: 40}, nil
			}
			r.world.shard.fails(1, errAway)
			r.world.judged.do = func(in activities.DriftJudgement) (activities.DriftOutput, error) {
				if in.Plan.Shards == 0 {
					return activities.DriftOutput{Model: in.Plan.Model, Champion: 1, Inconclusive: "12 rows < min_rows 1000"}, nil
				}
				return activities.DriftOutput{Model: in.Plan.Model, Champion: 1, End: in.Plan.End, Alert: true, Window: true, Recent: []bool{true}, Reason: "PSI 0.31 > 0.2", Page: "s3://lake/page.html"}, nil
			}
			r.world.quality.answers(activities.QualityOutput{Champion: 1, Alert: true, Reason: "f1 0.61 < 0.66"})
		},
		drive: func(r *recorder) {
			r.entity(0)
			in := activities.MonitorInput{Model: r.model}
			for _, m := range []struct {
				name     string
				workflow any
			}{
				{"drift-shards", workflows.Drift}, {"drift-nothing", workflows.Drift}, {"quality", workflows.Quality}, {"retrain", workflows.RetrainCheck},
			} {
				run := r.start("monitors/"+m.name, m.workflow, in)
				r.write("monitors/"+m.name, run.GetRunID(), "monitors."+m.name)
			}
		},
	}
}

// blindScenario is checks that fail, which people are told of.
func blindScenario() scenario {
	return scenario{
		name: "blind", files: []string{"blind.drift", "blind.quality", "blind.retrain"},
		given: func(r *recorder) {
			r.world.cut.refuses(activities.ErrorCorrupt, "version 1: signature.json: digest")
			r.world.quality.refuses(activities.ErrorCorrupt, "version 1: model.json: digest")
		},
		drive: func(r *recorder) { // of a model that isn't applied
			in := activities.MonitorInput{Model: r.model}
			for _, name := range []string{"drift", "quality", "retrain"} {
				w := map[string]any{"drift": workflows.Drift, "quality": workflows.Quality, "retrain": workflows.RetrainCheck}[name]
				run := r.start("monitors/blind-"+name, w, in)
				r.write("monitors/blind-"+name, run.GetRunID(), "blind."+name)
			}
		},
	}
}
