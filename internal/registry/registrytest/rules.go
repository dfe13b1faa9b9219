package registrytest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

// Digest is a SHA-256 that differs by its arguments, for artifacts and evidence that need no content.
func Digest(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return hex.EncodeToString(sum[:])
}

// Clock is the n-th second of a day.
func Clock(n int) time.Time {
	return time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
}

// Invariants says what must hold in every state, written down apart from the code that it judges.
func Invariants(s registry.State) error {
	byStatus := map[string][]int{}
	for i, v := range s.Versions {
		if v.Number != i+1 {
			return fmt.Errorf("version %d at place %d", v.Number, i+1)
		}
		byStatus[v.Status] = append(byStatus[v.Status], v.Number)
	}
	want := func(slot string, number int, holders []int) error {
		if number == 0 && len(holders) == 0 || slices.Equal(holders, []int{number}) {
			return nil
		}
		return fmt.Errorf("%s is %d, versions with that status: %v", slot, number, holders)
	}
	if err := want("champion", s.Champion, byStatus[registry.StatusChampion]); err != nil {
		return err
	}
	if err := want("challenger", s.Challenger, byStatus[registry.StatusCanary]); err != nil {
		return err
	}
	if s.Challenger == 0 && (s.Weight != 0 || s.Lease != nil) {
		return fmt.Errorf("weight %v and lease %v without a challenger", s.Weight, s.Lease)
	}
	if s.Challenger != 0 {
		v, _ := s.Version(s.Challenger)
		if v.Verdict == registry.VerdictFail || v.Approval == nil || v.Approval.Evidence != v.Evidence ||
			v.Approval.Epoch != s.Epoch || v.Approval.Champion != s.Champion || s.Lease == nil {
			return fmt.Errorf("challenger %d with verdict %q, approval %+v, lease %v at epoch %d", s.Challenger, v.Verdict, v.Approval, s.Lease, s.Epoch)
		}
	}
	if v, ok := s.Version(s.Champion); ok && (v.PromotedAt.IsZero() || s.ChampionSeq == 0 || s.Epoch == 0) {
		return fmt.Errorf("champion %d promoted at %v by entry %d in epoch %d", s.Champion, v.PromotedAt, s.ChampionSeq, s.Epoch)
	}
	return nil
}

// NotOverRollback requires that between a promotion and the approval that it stands on nothing moved the champion.
func NotOverRollback(t *testing.T, before []registry.Entry, promoted registry.Entry) {
	t.Helper()
	number := promoted.Command.Promoted.Version
	for _, e := range slices.Backward(before) {
		switch e.Command.Kind {
		case registry.KindPromoted, registry.KindRolledBack:
			require.Failf(t, "promotion over a decision", "entry %d promotes version %d over entry %d (%s)", promoted.Seq, number, e.Seq, e.Command.Kind)
		case registry.KindApproved:
			if e.Command.Approved.Version == number {
				v, _ := e.State.Version(number)
				require.NotEqual(t, registry.VerdictFail, v.Verdict)
				require.NotEmpty(t, e.Command.Approved.Approvers)
				return
			}
		}
	}
	require.Failf(t, "promotion without approval", "entry %d promotes version %d", promoted.Seq, number)
}

// linearizable checks finished calls on an append-only chain: once a call that ended had seen or made entry n, no
// call that starts later may see less; and nobody may see an entry before the call that made it had started.
func linearizable(ops []observation) error {
	started := map[int64]time.Time{} // entry -> start of the write that made it
	for _, o := range ops {
		if o.write {
			if _, twice := started[o.seq]; twice {
				return fmt.Errorf("entry %d was granted twice", o.seq)
			}
			started[o.seq] = o.start
		}
	}
	byEnd := slices.SortedFunc(slices.Values(ops), func(a, b observation) int { return a.end.Compare(b.end) })
	byStart := slices.SortedFunc(slices.Values(ops), func(a, b observation) int { return a.start.Compare(b.start) })
	highest, ended := int64(0), 0
	for _, o := range byStart {
		for ended < len(byEnd) && byEnd[ended].end.Before(o.start) {
			highest = max(highest, byEnd[ended].seq)
			ended++
		}
		if o.seq < highest || (o.write && o.seq == highest) {
			return fmt.Errorf("a call that started after entry %d was known got entry %d (write: %v)", highest, o.seq, o.write)
		}
		if made, ok := started[o.seq]; ok && o.end.Before(made) {
			return fmt.Errorf("entry %d was seen before the call that made it started", o.seq)
		}
	}
	return nil
}
