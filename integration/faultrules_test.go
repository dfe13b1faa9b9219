package integration

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

// followWithin is how long after an entry a gateway that reads the ledger may still answer by the one before it. It
// follows each second or two; the rest is for machines that have more to do.
const followWithin = 20 * time.Second

// answer is a prediction as a client got it.
type answer struct {
	sent, received time.Time
	gateway        string
	row            int
	version        int
	arm            string
	score          float64
}

// failure is a request that a gateway didn't answer.
type failure struct {
	sent, received time.Time
	gateway        string
	err            error
}

// outage is a time in which gateways were kept from what they need.
type outage struct {
	from, to time.Time
	blind    []string // gateways that couldn't read the ledger
	down     string   // the gateway that couldn't answer; "": none
}

// testimony is all that is known of one scenario when it is over.
type testimony struct {
	ledger  []registry.Entry  // from the first entry on
	right   map[int][]float64 // by version: the score of each row, by the model itself
	answers []answer
	failed  []failure // by gateways
	lost    []failure // by both gateways in turn: what a client met
	outages []outage
}

// blindAt says that a gateway may not know what the ledger said lately.
func (w *testimony) blindAt(gateway string, at time.Time) bool {
	for _, o := range w.outages {
		for _, blind := range o.blind {
			if blind == gateway && !at.Before(o.from) && at.Before(o.to.Add(followWithin)) {
				return true
			}
		}
	}
	return false
}

// violations are what must never happen, whatever fails.
func (w *testimony) violations() []string {
	var out []string
	for _, rule := range []func() []string{w.wrongScores, w.wrongVersions, w.unavailable, w.wrongLedger} {
		found := rule()
		if len(found) > 5 {
			found = append(found[:5], fmt.Sprintf("... and %d more", len(found)-5))
		}
		out = append(out, found...)
	}
	return out
}

// wrongScores holds each answer to what the version that it names gives for its row.
func (w *testimony) wrongScores() (out []string) {
	for _, a := range w.answers {
		scores, ok := w.right[a.version]
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("%s answered by version %d, which doesn't exist", a.gateway, a.version))
		case scores[a.row] != a.score:
			out = append(out, fmt.Sprintf("%s: version %d gives %v for row %d, not %v", a.gateway, a.version, scores[a.row], a.row, a.score))
		}
	}
	return out
}

// wrongVersions holds each answer to the ledger: by the champion, or by the challenger while it had a lease.
func (w *testimony) wrongVersions() (out []string) {
	for _, a := range w.answers {
		why := ""
		if a.arm == "challenger" {
			why = w.wrongChallenger(a)
		} else {
			why = w.wrongChampion(a)
		}
		if why != "" {
			out = append(out, fmt.Sprintf("%s answered a request of %s as %s: %s", a.gateway, a.sent.Format("15:04:05.000"), a.arm, why))
		}
	}
	return out
}

// until is when the entry at a place stopped being true of its slot: the time of the first one behind it of which the
// slot says something else.
func (w *testimony) until(place int, slot func(registry.State) int) time.Time {
	for _, later := range w.ledger[place+1:] {
		if slot(later.State) != slot(w.ledger[place].State) {
			return later.Time
		}
	}
	return time.Unix(math.MaxInt32, 0)
}

func (w *testimony) wrongChampion(a answer) string {
	why := fmt.Sprintf("version %d was no champion by then", a.version)
	for i, e := range w.ledger {
		if e.State.Champion != a.version || e.Time.After(a.received) {
			continue
		}
		if end := w.until(i, func(s registry.State) int { return s.Champion }); end.Add(followWithin).After(a.sent) || w.blindAt(a.gateway, a.sent) {
			return ""
		}
		why = fmt.Sprintf("version %d had been succeeded by then, and the gateway could read so", a.version)
	}
	return why
}

// wrongChallenger: nothing excuses an answer past the lease, since no gateway needs anybody to see that it is over.
func (w *testimony) wrongChallenger(a answer) string {
	why := fmt.Sprintf("version %d had no weight by then", a.version)
	for i, e := range w.ledger {
		if e.State.Challenger != a.version || e.State.Weight == 0 || e.Time.After(a.received) {
			continue
		}
		if a.sent.After(e.State.Lease.Until) {
			why = fmt.Sprintf("version %d had a lease until %s", a.version, e.State.Lease.Until.Format("15:04:05.000"))
			continue
		}
		if end := w.until(i, func(s registry.State) int { return s.Challenger }); end.Add(followWithin).After(a.sent) || w.blindAt(a.gateway, a.sent) {
			return ""
		}
		why = fmt.Sprintf("version %d had been taken back by then, and the gateway could read so", a.version)
	}
	return why
}

// unavailable: a request fails on a gateway that is down, and nowhere else. Whoever asks the other one gets an answer.
func (w *testimony) unavailable() (out []string) {
	for _, f := range w.lost {
		out = append(out, fmt.Sprintf("a client got no answer from either gateway at %s: %v", f.sent.Format("15:04:05.000"), f.err))
	}
	for _, f := range w.failed {
		excused := false
		for _, o := range w.outages {
			excused = excused || o.down == f.gateway && f.received.After(o.from) && f.sent.Before(o.to)
		}
		if !excused {
			out = append(out, fmt.Sprintf("%s failed a request of %s, and wasn't down: %v", f.gateway, f.sent.Format("15:04:05.000"), f.err))
		}
	}
	return out
}

// wrongLedger holds the history to one champion at a time, and each step to have been done once.
func (w *testimony) wrongLedger() (out []string) {
	keys, once := map[string]int64{}, map[string]int64{}
	var before registry.State
	for _, e := range w.ledger {
		say := func(format string, args ...any) {
			out = append(out, fmt.Sprintf("entry %d (%s): ", e.Seq, e.Command.Kind)+fmt.Sprintf(format, args...))
		}
		if e.Seq != before.Seq+1 {
			say("follows entry %d", before.Seq)
		}
		if at, twice := keys[e.Key]; twice {
			say("has the key of entry %d, %s", at, e.Key)
		}
		keys[e.Key] = e.Seq
		moves := e.Command.Kind == registry.KindPromoted || e.Command.Kind == registry.KindRolledBack
		if e.State.Champion != before.Champion && !moves {
			say("made version %d the champion", e.State.Champion)
		}
		if moves != (e.State.Epoch == before.Epoch+1) {
			say("took the epoch from %d to %d", before.Epoch, e.State.Epoch)
		}
		champions := 0
		for _, v := range e.State.Versions {
			if v.Status == registry.StatusChampion {
				champions++
			}
		}
		if champions > 1 || champions == 1 != (e.State.Champion != 0) {
			say("leaves %d champions", champions)
		}
		if step, ok := onceOf(e); ok {
			if at, twice := once[step]; twice {
				say("does again what entry %d did: %s", at, step)
			}
			once[step] = e.Seq
		}
		before = e.State
	}
	return out
}

// onceOf names what a run does at most once: a version, a canary, a promotion; and a version that was promoted isn't
// taken back by the same run.
func onceOf(e registry.Entry) (step string, ok bool) {
	switch run, stage, _ := strings.Cut(strings.TrimPrefix(e.Key, "lifecycle/"), "/"); e.Command.Kind {
	case registry.KindRegistered:
		return "registers " + e.Command.Registered.Lifecycle, true
	case registry.KindCanaryStarted:
		return "starts the canary of " + e.Command.Canary.Run, true
	case registry.KindPromoted:
		return "decides " + run + "/" + firstOf(stage), true
	case registry.KindRolledBack:
		return "decides " + run + "/" + firstOf(stage), strings.HasPrefix(e.Key, "lifecycle/")
	}
	return "", false
}

// firstOf is the run's number in the rest of a key.
func firstOf(stage string) string {
	number, _, _ := strings.Cut(stage, "/")
	return number
}

func TestTheRulesOfFaultsAreBrokenByWhatBreaksThem(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }
	version := func(number int, status registry.Status) registry.Version {
		return registry.Version{Number: number, Status: status}
	}
	entry := func(seq int64, seconds int, kind registry.Kind, key string, s registry.State) registry.Entry {
		s.Seq = seq
		return registry.Entry{Seq: seq, Time: at(seconds), Key: key, Command: registry.Command{Kind: kind, Canary: &registry.CanaryWeight{Run: "lifecycle/m/2"}}, State: s}
	}
	one, lease := []registry.Version{version(1, registry.StatusChampion)}, &registry.Lease{Until: at(140)}
	sound := func() *testimony {
		return &testimony{
			right: map[int][]float64{1: {0.1, 0.2}, 2: {0.3, 0.4}},
			ledger: []registry.Entry{
				entry(1, 0, registry.KindPromoted, "lifecycle/m/1/promote", registry.State{Champion: 1, Epoch: 1, Versions: one}),
				entry(2, 100, registry.KindCanaryStarted, "lifecycle/m/2/canary/1", registry.State{Champion: 1, Epoch: 1, Challenger: 2, Weight: 0.5, Lease: lease, Versions: one}),
				entry(3, 130, registry.KindPromoted, "lifecycle/m/2/promote", registry.State{Champion: 2, Epoch: 2, Versions: []registry.Version{version(2, registry.StatusChampion)}}),
			},
			outages: []outage{{from: at(200), to: at(210), blind: []string{"a"}, down: "b"}},
			answers: []answer{
				{sent: at(50), received: at(51), gateway: "a", version: 1, arm: "champion", score: 0.1},
				{sent: at(110), received: at(111), gateway: "a", row: 1, version: 2, arm: "challenger", score: 0.4},
				{sent: at(140), received: at(141), gateway: "b", version: 1, arm: "champion", score: 0.1}, // it follows soon
				{sent: at(205), received: at(206), gateway: "a", version: 1, arm: "champion", score: 0.1}, // it can't know
			},
			failed: []failure{{sent: at(205), received: at(206), gateway: "b"}},
		}
	}
	require.Empty(t, sound().violations())
	for _, c := range []struct {
		rule string
		lie  func(*testimony)
		says string
	}{
		{"a score of another version", func(w *testimony) { w.answers[1].score = 0.2 }, "gives 0.4 for row 1"},
		{"a version that isn't", func(w *testimony) { w.answers[0].version = 7 }, "version 7, which doesn't exist"},
		{"a champion before its promotion", func(w *testimony) { w.answers[0].version, w.answers[0].score = 2, 0.3 }, "no champion by then"},
		{"a champion long after its successor's", func(w *testimony) { w.answers[2].sent = at(190) }, "had been succeeded"},
		{"a challenger before its weight", func(w *testimony) { w.answers[1].sent, w.answers[1].received = at(90), at(91) }, "had no weight"},
		{"a challenger past its lease", func(w *testimony) { w.answers[1].sent, w.answers[1].received = at(141), at(142) }, "had a lease until"},
		{"one past its lease on a gateway that is cut off", func(w *testimony) { w.answers[1].sent, w.answers[1].received = at(205), at(206) }, "had a lease until"},
		{"a failure of a gateway that wasn't down", func(w *testimony) { w.failed[0].gateway = "a" }, "a failed a request"},
		{"a failure after it was back", func(w *testimony) { w.failed[0].sent = at(211) }, "b failed a request"},
		{"a client without any answer", func(w *testimony) { w.lost = w.failed }, "either gateway"},
		{"a step done twice under other keys", func(w *testimony) {
			w.ledger = append(w.ledger, entry(4, 131, registry.KindRolledBack, "lifecycle/m/2/rollback/2", registry.State{Champion: 2, Epoch: 3, Versions: w.ledger[2].State.Versions}))
		}, "does again what entry 3 did"},
		{"a key twice", func(w *testimony) { w.ledger[1].Key = w.ledger[0].Key }, "has the key of entry 1"},
		{"a champion without a promotion", func(w *testimony) { w.ledger[1].State.Champion = 2 }, "made version 2 the champion"},
		{"two champions", func(w *testimony) { w.ledger[2].State.Versions = append(one, w.ledger[2].State.Versions...) }, "leaves 2 champions"},
		{"an epoch that stands still", func(w *testimony) { w.ledger[2].State.Epoch = 1 }, "took the epoch from 1 to 1"},
		{"a hole", func(w *testimony) { w.ledger = append(w.ledger[:1:1], w.ledger[2]) }, "follows entry 1"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := sound()
			c.lie(w)
			require.Contains(t, strings.Join(w.violations(), "\n"), c.says)
		})
	}
}
