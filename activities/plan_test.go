package activities

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

func (w *world) plan(in PlanInput) PlanOutput {
	w.t.Helper()
	in.Model = theModel
	return must(w.t, (&Planner{Lake: w.lake}).Plan, in)
}

// landed is the trigger of a landed file.
func landed(name string) Trigger {
	o := Object{Bucket: landing, Key: "flights/" + name, ETag: "etag-" + name}
	return Trigger{Kind: TriggerData, Key: o.Identity(), Object: &o, At: t0}
}

func asked(actor string) Trigger {
	return Trigger{Kind: TriggerPerson, Key: "person/" + actor, Actor: actor, At: t0}
}

func alerted(kind string) Trigger {
	return Trigger{Kind: kind, Key: kind + "/1", Reason: "psi of delay: observed 3 > 0.2", At: t0}
}

func TestWithoutASpecNothingRuns(t *testing.T) {
	w := newWorld(t)
	out := must(t, (&Planner{Lake: w.lake}).Plan, PlanInput{Model: "unknown", Triggers: []Trigger{landed("a.csv")}})
	require.Nil(t, out.Run)
	require.Contains(t, out.Dropped, "no spec is applied")
}

func TestWhatTrains(t *testing.T) {
	const newDataOnly, nothing = "retrain: {on: [new_data], ", "retrain: {on: [], "
	cooling := t0.Add(-time.Hour) // of a cooldown of a day
	for _, c := range []struct {
		name    string
		on      string // the start of the spec's retrain
		budget  string
		in      PlanInput
		newRows int

		runs, trains bool
		why          string // of the run, or of its absence
		until        time.Time
	}{
		{name: "new data trains where retrain.on names it", in: PlanInput{Triggers: []Trigger{landed("a.csv")}},
			runs: true, trains: true, why: "landed: s3://lake/flights/a.csv"},
		{name: "new data is taken in where retrain.on doesn't name it", on: nothing, in: PlanInput{Triggers: []Trigger{landed("a.csv")}},
			runs: true, why: "retrain.on [] doesn't name new_data"},
		{name: "new data in a cooldown is taken in, and trains at its end", in: PlanInput{Triggers: []Trigger{landed("a.csv")}, LastTrain: cooling},
			runs: true, why: "retrain.cooldown 24h0m0s until", until: cooling.Add(24 * time.Hour)},
		{name: "new data beyond the budget is taken in, and trains in the next month", budget: "{per_month: 10 USD, cost_per_hour: 1}",
			in:   PlanInput{Triggers: []Trigger{landed("a.csv")}, Spent: 10},
			runs: true, why: "budget.per_month: spent 10.00 of 10.00 USD", until: time.Date(2013, 7, 1, 0, 0, 0, 0, time.UTC)},
		{name: "a budget that isn't spent holds nothing", budget: "{per_month: 10 USD, cost_per_hour: 1}",
			in: PlanInput{Triggers: []Trigger{landed("a.csv")}, Spent: 9.99}, runs: true, trains: true, why: "landed"},
		{name: "a person trains, whatever retrain.on says", on: nothing, in: PlanInput{Triggers: []Trigger{asked("cli:ana")}},
			runs: true, trains: true, why: "asked for by cli:ana"},
		{name: "a person trains in a cooldown, beyond the budget and muted", budget: "{per_month: 10 USD, cost_per_hour: 1}",
			in:   PlanInput{Triggers: []Trigger{asked("cli:ana")}, LastTrain: cooling, Spent: 11, Muted: []string{TriggerPerson}},
			runs: true, trains: true, why: "asked for by cli:ana"},
		{name: "a person's run takes new data along that would have waited", in: PlanInput{Triggers: []Trigger{landed("a.csv"), asked("cli:ana")}, LastTrain: cooling},
			runs: true, trains: true, why: "asked for by cli:ana"},
		{name: "drift trains with enough new rows", in: PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}}, newRows: 100,
			runs: true, trains: true, why: "drift: psi of delay"},
		{name: "drift doesn't train with too few new rows", in: PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}}, newRows: 99,
			why: "drift: retrain.min_new_rows: 99 rows newer than the champion's < 100"},
		{name: "quality doesn't train with too few new rows", in: PlanInput{Triggers: []Trigger{alerted(TriggerQuality)}}, newRows: 99,
			why: "quality: retrain.min_new_rows"},
		{name: "drift doesn't train where retrain.on doesn't name it", on: newDataOnly, in: PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}}, newRows: 100,
			why: "drift: retrain.on [new_data] doesn't name drift"},
		{name: "drift doesn't wait for a cooldown: it asks again", in: PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}, LastTrain: cooling}, newRows: 100,
			why: "drift: retrain.cooldown"},
		{name: "a muted monitor doesn't train", in: PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}, Muted: []string{TriggerDrift}}, newRows: 100,
			why: "drift: muted: its last retrain didn't beat the champion"},
		{name: "muting one monitor leaves the other", in: PlanInput{Triggers: []Trigger{alerted(TriggerQuality)}, Muted: []string{TriggerDrift}}, newRows: 100,
			runs: true, trains: true, why: "quality: "},
		{name: "a muted monitor trains where mute_if_no_gain is off", on: "retrain: {mute_if_no_gain: false, on: [drift], ",
			in: PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}, Muted: []string{TriggerDrift}}, newRows: 100, runs: true, trains: true, why: "drift"},
		{name: "cron trains where retrain.on names it", on: `retrain: {on: [cron], cron: "0 3 * * *", `, in: PlanInput{Triggers: []Trigger{alerted(TriggerCron)}},
			runs: true, trains: true, why: "cron: "},
		{name: "cron doesn't train in a cooldown", on: `retrain: {on: [cron], cron: "0 3 * * *", `, in: PlanInput{Triggers: []Trigger{alerted(TriggerCron)}, LastTrain: cooling},
			why: "cron: retrain.cooldown"},
		{name: "a cooldown that is over holds nothing", in: PlanInput{Triggers: []Trigger{landed("a.csv")}, LastTrain: t0.Add(-24 * time.Hour)},
			runs: true, trains: true, why: "landed"},
		{name: "no trigger, no run", in: PlanInput{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var changes []string
			if c.on != "" {
				changes = append(changes, "retrain: {on: [new_data, quality, drift], ", c.on)
			}
			if c.budget != "" {
				changes = append(changes, "notify:", "budget: "+c.budget+"\nnotify:")
			}
			w := newWorld(t, changes...)
			if c.newRows > 0 {
				w.accept("2013-05.csv", flights(january, c.newRows, 1))
			}
			out := w.plan(c.in)
			require.Equal(t, "2013-06", out.Month)
			if !c.runs {
				require.Nil(t, out.Run)
				require.Contains(t, out.Dropped, c.why)
				require.Empty(t, out.Later)
				return
			}
			require.NotNil(t, out.Run)
			require.Equal(t, c.trains, out.Run.Train)
			require.Contains(t, out.Run.Why, c.why)
			require.Equal(t, w.spec, out.Run.Spec)
			require.Equal(t, "ops", out.Run.Team)
			require.Equal(t, c.until, out.Until)
			if c.until.IsZero() {
				require.Empty(t, out.Later)
				return
			}
			require.Len(t, out.Later, 1)
			w.now = c.until
			later := w.plan(PlanInput{Triggers: out.Later, LastTrain: c.in.LastTrain})
			require.NotNil(t, later.Run, "what waited trains when the wait is over")
			require.True(t, later.Run.Train)
			require.Empty(t, later.Run.Objects)
		})
	}
}

func TestNewDataThatWaitsIsOneTriggerHoweverOftenItIsLookedAt(t *testing.T) {
	w := newWorld(t)
	in := PlanInput{Triggers: []Trigger{landed("a.csv"), landed("b.csv")}, LastTrain: t0.Add(-time.Hour)}
	first := w.plan(in)
	require.Len(t, first.Later, 1)
	w.now = w.now.Add(time.Hour)
	second := w.plan(PlanInput{Triggers: first.Later, LastTrain: in.LastTrain})
	require.Nil(t, second.Run)
	require.Equal(t, first.Later[0].Key, second.Later[0].Key)
	require.Equal(t, first.Until, second.Until)
}

func TestRowsNewerThanTheChampionsAreThoseAfterWhatItLearnedFrom(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	drift := PlanInput{Triggers: []Trigger{alerted(TriggerDrift)}}
	require.Contains(t, w.plan(drift).Dropped, "0 rows newer", "the champion's own file doesn't count, its test rows included")
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 99, 2))
	require.Contains(t, w.plan(drift).Dropped, "99 rows newer")
	w.accept("2013-03.csv", flights(january.AddDate(0, 2, 0), 1, 3))
	require.True(t, w.plan(drift).Run.Train)
}

func TestWithoutEventTimesTheAcceptanceSaysWhatIsNew(t *testing.T) {
	c := considered{now: t0, state: registry.State{Champion: 1, Versions: []registry.Version{{Number: 1, RegisteredAt: t0}}}, index: registry.IndexState{Files: []registry.FileRef{
		{Rows: 70, AcceptedAt: t0.Add(-time.Hour)}, {Rows: 30, AcceptedAt: t0.Add(time.Hour)},
	}}}
	require.Equal(t, 30, c.newRows())
}

func TestFilesThatWereDecidedOnAreNotReadAgain(t *testing.T) {
	w := newWorld(t)
	accepted := w.land("2013-01.csv", flights(january, 60, 1))
	w.ingest(accepted)
	refused := w.land("bad.csv", "nothing")
	w.ingest(refused)
	told := func(o Object) Trigger { return Trigger{Kind: TriggerData, Key: o.Identity(), Object: &o, At: t0} }
	out := w.plan(PlanInput{Triggers: []Trigger{told(accepted), told(refused)}})
	require.Nil(t, out.Run)
	require.Empty(t, out.Dropped, "told twice is nothing to tell")

	submitted := func(o Object) Trigger {
		return Trigger{Kind: TriggerPerson, Actor: "cli:ana", Key: o.Identity(), Object: &o, Force: true, At: t0}
	}
	out = w.plan(PlanInput{Triggers: []Trigger{submitted(accepted)}})
	require.True(t, out.Run.Train)
	require.Empty(t, out.Run.Objects, "it is in the data set")
	out = w.plan(PlanInput{Triggers: []Trigger{submitted(refused)}})
	require.Equal(t, []Object{refused}, out.Run.Objects, "a person may ask again about what was refused")
}

func TestTriggersCoalesceIntoOneRun(t *testing.T) {
	w := newWorld(t)
	b, a := landed("b.csv"), landed("a.csv")
	twice := a
	twice.Kind, twice.Actor, twice.Key = TriggerPerson, "cli:ben", "submitted again"
	ana := asked("cli:ana")
	ana.Force = true
	out := w.plan(PlanInput{Triggers: []Trigger{b, a, ana, twice, asked("cli:zoe")}})
	require.Equal(t, []Object{*a.Object, *b.Object}, out.Run.Objects, "by key, each once")
	require.Len(t, out.Run.Triggers, 5)
	require.True(t, out.Run.Force)
	require.Equal(t, "cli:ana", out.Run.RequestedBy, "the first who asked: another who approves makes four eyes")
	require.Contains(t, out.Run.Why, "landed: s3://lake/flights/b.csv; landed: s3://lake/flights/a.csv; asked for by cli:ana; and 2 more")
}

func TestARunTakesAHundredFilesAndTheRestWaits(t *testing.T) {
	w := newWorld(t)
	var in PlanInput
	for i := range 1000 {
		in.Triggers = append(in.Triggers, landed(fmt.Sprintf("%s/%04d.csv", strings.Repeat("folder/", 20), i)))
	}
	in.Triggers = append(in.Triggers, asked("cli:ana"))
	out := w.plan(PlanInput{Triggers: in.Triggers[900:]})
	require.Len(t, out.Run.Objects, 100)
	require.Empty(t, out.Later)

	out = w.plan(in)
	require.Len(t, out.Run.Objects, maxObjects)
	require.Len(t, out.Later, 900)
	require.Equal(t, "cli:ana", out.Run.RequestedBy, "a person isn't behind the files")
	requireSmall(t, out.Run, 256<<10)
}

func TestWhyIsShortEnoughForASummary(t *testing.T) {
	w := newWorld(t)
	noisy := alerted(TriggerDrift)
	noisy.Reason = strings.Repeat("delay & <carrier> ", 500)
	w.accept("2013-05.csv", flights(january, 100, 1))
	out := w.plan(PlanInput{Triggers: []Trigger{noisy, landed(strings.Repeat("é", 400))}})
	require.NotEmpty(t, out.Run.Why)
	requireSmall(t, out.Run.Why, maxWhy+1)
}

func TestADamagedLedgerIsNotAskedForEver(t *testing.T) {
	w := newWorld(t)
	key := "models/flights/ledger/000000000001.json"
	_, err := w.store.Put(t.Context(), key, strings.NewReader("{}"), 2)
	require.NoError(t, err)
	_, err = try(t, (&Planner{Lake: &Lake{Store: w.store, Now: w.lake.Now}}).Plan, PlanInput{Model: theModel})
	requireType(t, ErrorCorrupt, err)
}

func TestAMissingSpecIsNotAskedForEver(t *testing.T) {
	w := newWorld(t)
	w.store.Remove("models/flights/specs/" + w.spec + ".yaml")
	_, err := try(t, (&Planner{Lake: &Lake{Store: w.store, Now: w.lake.Now}}).Plan, PlanInput{Model: theModel})
	requireType(t, ErrorCorrupt, err)
}
