package approval

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

var t0 = time.Date(2013, 6, 1, 12, 0, 0, 0, time.UTC)

const seen = "5f2a"

func request(change func(*spec.Approval)) Request {
	p := spec.Approval{Approvers: []string{"cli:ana", "cli:bo", "slack:U1"}, Quorum: 1, FourEyes: true,
		Timeout: spec.Duration(72 * time.Hour), OnTimeout: "reject"}
	if change != nil {
		change(&p)
	}
	return Request{Evidence: seen, RequestedBy: "cli:ana", Policy: p, OpenedAt: t0}
}

func said(id, kind, actor string) Decision {
	return Decision{ID: id, Kind: kind, Actor: actor, Via: "cli", Evidence: seen, At: t0.Add(time.Hour)}
}

func TestAnEdgeMayBeNamedAsAWhole(t *testing.T) {
	open := request(func(p *spec.Approval) { p.Approvers = []string{"cli:*"} })
	for actor, allowed := range map[string]bool{"cli:eve": true, "slack:U1": false, "cli:": false, "cli:*": false, "eve": false} {
		s, err := Decide(open, Status{}, said("1", Approve, actor))
		require.Equal(t, allowed, err == nil, actor)
		require.Equal(t, allowed, s.Outcome == Approved, actor)
	}
	_, err := Decide(open, Status{}, said("1", Approve, open.RequestedBy))
	require.ErrorContains(t, err, "four_eyes", "the requester is no exception")
}

func TestWhoMayDecide(t *testing.T) {
	stranger, requester, other := said("1", Approve, "cli:eve"), said("1", Approve, "cli:ana"), said("1", Approve, "cli:bo")
	late, elsewhere, noID, shrug := other, other, other, other
	late.At = t0.Add(72 * time.Hour)
	elsewhere.Evidence = "0000"
	noID.ID = ""
	shrug.Kind = "shrug"
	cases := []struct {
		name     string
		policy   func(*spec.Approval)
		decision Decision
		outcome  string
		refused  Code
		says     string
	}{
		{name: "an approver approves", decision: other, outcome: Approved},
		{name: "an approver rejects", decision: said("1", Reject, "cli:bo"), outcome: Rejected},
		{name: "somebody else may not", decision: stranger, outcome: Open, refused: NotAllowed,
			says: `approve by "cli:eve" refused: "cli:eve" isn't an approver: cli:ana, cli:bo, slack:U1`},
		{name: "nor reject", decision: said("1", Reject, "cli:eve"), outcome: Open, refused: NotAllowed},
		{name: "a name of another edge is another person", decision: said("1", Approve, "slack:bo"), outcome: Open, refused: NotAllowed},
		{name: "without approvers nobody may", policy: func(p *spec.Approval) { p.Approvers = nil }, decision: other,
			outcome: Open, refused: NotAllowed, says: "approval.approvers is empty, so nobody may decide"},
		{name: "the requester can't approve alone", decision: requester, outcome: Open, refused: FourEyes},
		{name: "the requester may reject", decision: said("1", Reject, "cli:ana"), outcome: Rejected},
		{name: "the requester may approve where the spec says so", policy: func(p *spec.Approval) { p.FourEyes = false },
			decision: requester, outcome: Approved},
		{name: "one of two approvals leaves it open", policy: func(p *spec.Approval) { p.Quorum = 2 }, decision: other, outcome: Open},
		{name: "a policy without quorum still asks one", policy: func(p *spec.Approval) { p.Quorum = 0 }, decision: stranger,
			outcome: Open, refused: NotAllowed},
		{name: "other evidence doesn't count", decision: elsewhere, outcome: Open, refused: WrongEvidence,
			says: "the decision is about evidence 0000, asked is about 5f2a"},
		{name: "the deadline itself is too late", decision: late, outcome: Expired, refused: Late,
			says: "the deadline was 2013-06-04T12:00:00Z, the decision came at 2013-06-04T12:00:00Z"},
		{name: "a decision needs an id", decision: noID, outcome: Open, refused: Malformed},
		{name: "a decision approves or rejects", decision: shrug, outcome: Open, refused: Malformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := Decide(request(c.policy), Status{}, c.decision)
			require.Equal(t, c.outcome, s.Outcome)
			if c.refused == "" {
				require.NoError(t, err)
				return
			}
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, c.refused, refusal.Code)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, []Refusal{*refusal}, s.Refused)
		})
	}
}

func TestFirstDecisionWins(t *testing.T) {
	r := request(nil)
	s, err := Decide(r, Status{}, said("1", Approve, "cli:bo"))
	require.NoError(t, err)
	after, err := Decide(r, s, said("2", Reject, "slack:U1"))
	require.EqualError(t, err, `reject by "slack:U1" refused: already approved by cli:bo`)
	require.Equal(t, Approved, after.Outcome)

	s, err = Decide(r, Status{}, Decision{ID: "1", Kind: Reject, Actor: "cli:bo", Evidence: seen, Reason: "too slow", At: t0})
	require.NoError(t, err)
	_, err = Decide(r, s, said("2", Approve, "slack:U1"))
	require.EqualError(t, err, `approve by "slack:U1" refused: already rejected by cli:bo: too slow`)
}

func TestQuorumCountsEachActorOnce(t *testing.T) {
	r := request(func(p *spec.Approval) { p.Quorum = 2 })
	s, err := Decide(r, Status{}, said("1", Approve, "cli:ana"))
	require.NoError(t, err, "with a quorum of two the requester's voice counts")
	require.Equal(t, 1, s.Missing(r.Policy))
	s, err = Decide(r, s, said("2", Approve, "cli:ana"))
	require.ErrorContains(t, err, "cli:ana has approved already; 1 of 2 approvals")
	s, err = Decide(r, s, said("3", Approve, "slack:U1"))
	require.NoError(t, err)
	require.Equal(t, Approved, s.Outcome)
	require.Equal(t, []string{"cli:ana", "slack:U1"}, s.Approvers())
	require.Zero(t, s.Missing(r.Policy))
}

func TestSameDecisionTwiceCountsOnce(t *testing.T) {
	r := request(func(p *spec.Approval) { p.Quorum = 2 })
	d := said("click-7", Approve, "cli:bo")
	s, err := Decide(r, Status{}, d)
	require.NoError(t, err)
	d.At = d.At.Add(time.Minute) // a redelivery arrives later
	again, err := Decide(r, s, d)
	require.NoError(t, err)
	require.Equal(t, s, again)
	d.Kind = Reject
	_, err = Decide(r, s, d)
	require.ErrorContains(t, err, `decision "click-7" was taken already with other content`)
}

func TestExpireEndsOnlyAnOpenRequestAtItsDeadline(t *testing.T) {
	r := request(nil)
	require.True(t, Expire(r, Status{}, t0.Add(72*time.Hour-1)).IsOpen())
	require.Equal(t, Expired, Expire(r, Status{}, t0.Add(72*time.Hour)).Outcome)
	require.Equal(t, Approved, Expire(r, Status{Outcome: Approved}, t0.Add(1000*time.Hour)).Outcome)
	r.Deadline = t0.Add(time.Hour)
	require.Equal(t, Expired, Expire(r, Status{}, t0.Add(time.Hour)).Outcome)
}

func TestRefusalsAreKeptOnceAndBounded(t *testing.T) {
	r, s := request(nil), Status{}
	for range 3 {
		s, _ = Decide(r, s, said("same", Approve, "cli:eve"))
	}
	require.Len(t, s.Refused, 1)
	for i := range 3 * maxRefused {
		s, _ = Decide(r, s, said(fmt.Sprint(i), Approve, "cli:eve"))
	}
	require.Len(t, s.Refused, maxRefused)
	require.Equal(t, fmt.Sprint(3*maxRefused-1), s.Refused[maxRefused-1].Decision.ID)
}

func TestEvidenceDigestMovesWithEachField(t *testing.T) {
	base := Evidence{Model: "m", Snapshot: "s", Artifact: "a", Metrics: "x", Report: "r", Spec: "y", Champion: 3, Epoch: 4}
	seen := map[string]string{base.Digest(): "none"}
	for i := range reflect.TypeFor[Evidence]().NumField() {
		e := base
		switch f := reflect.ValueOf(&e).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("other")
		default:
			f.SetInt(99)
		}
		name := reflect.TypeFor[Evidence]().Field(i).Name
		require.NotContains(t, seen, e.Digest(), "%s isn't part of the digest", name)
		seen[e.Digest()] = name
	}
}

// Over any decisions: an outcome never changes once taken, it is approved only by a quorum of distinct approvers that
// isn't the requester alone, all about the evidence asked for and in time, and the given status is never changed.
func TestDecideKeepsItsPromises(t *testing.T) {
	actors := []string{"cli:ana", "cli:bo", "slack:U1", "cli:eve", ""}
	rapid.Check(t, func(t *rapid.T) {
		r := request(func(p *spec.Approval) {
			p.Quorum = rapid.IntRange(0, 4).Draw(t, "quorum")
			p.FourEyes = rapid.Bool().Draw(t, "four eyes")
			p.Approvers = p.Approvers[:rapid.IntRange(0, 3).Draw(t, "approvers")]
		})
		s := Status{}
		for range rapid.IntRange(1, 12).Draw(t, "decisions") {
			d := Decision{ID: rapid.SampledFrom([]string{"", "1", "2", "3", "4", "5"}).Draw(t, "id"),
				Kind:  rapid.SampledFrom([]string{Approve, Approve, Reject, "?"}).Draw(t, "kind"),
				Actor: rapid.SampledFrom(actors).Draw(t, "actor"), Evidence: rapid.SampledFrom([]string{seen, seen, "old"}).Draw(t, "evidence"),
				At: t0.Add(time.Duration(rapid.IntRange(0, 80).Draw(t, "hours")) * time.Hour)}
			before := fmt.Sprintf("%+v", s)
			next, err := Decide(r, s, d)
			if fmt.Sprintf("%+v", s) != before {
				t.Fatal("Decide changed the status it was given")
			}
			if !s.IsOpen() && next.Outcome != s.Outcome {
				t.Fatalf("%s became %s", s.Outcome, next.Outcome)
			}
			if err != nil && (len(next.Approvals) != len(s.Approvals) || (next.Rejection == nil) != (s.Rejection == nil)) {
				t.Fatal("a refused decision counted")
			}
			s = next
		}
		checkApproved(t, r, s)
	})
}

func checkApproved(t *rapid.T, r Request, s Status) {
	if s.Outcome != Approved {
		return
	}
	distinct := map[string]bool{}
	for _, d := range s.Approvals {
		distinct[d.Actor] = true
		if d.Evidence != r.Evidence || !d.At.Before(r.EndsAt()) || d.Kind != Approve {
			t.Fatalf("counted: %+v", d)
		}
	}
	if len(distinct) < max(1, r.Policy.Quorum) || len(distinct) != len(s.Approvals) {
		t.Fatalf("%d distinct approvers of %d, quorum %d", len(distinct), len(s.Approvals), r.Policy.Quorum)
	}
	if r.Policy.FourEyes && len(distinct) == 1 && distinct[r.RequestedBy] {
		t.Fatal("the requester approved alone")
	}
	for a := range distinct {
		if a == "cli:eve" || a == "" {
			t.Fatalf("%q isn't an approver", a)
		}
	}
}
