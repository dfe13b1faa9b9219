package registrytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

// A check that can't fail shows nothing: these are the histories and states that it must refuse.

func at(ms int) time.Time { return Clock(0).Add(time.Duration(ms) * time.Millisecond) }

func TestLinearizable(t *testing.T) {
	write := func(seq int64, from, to int) observation {
		return observation{write: true, seq: seq, start: at(from), end: at(to)}
	}
	read := func(seq int64, from, to int) observation { return observation{seq: seq, start: at(from), end: at(to)} }
	tests := []struct {
		rule string
		ops  []observation
		bad  bool
	}{
		{"one after the other", []observation{write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)}, false},
		{"a read during a write may see it", []observation{write(1, 0, 9), read(1, 2, 3)}, false},
		{"or may not", []observation{write(1, 0, 9), read(0, 2, 3)}, false},
		{"a stale read", []observation{write(1, 0, 1), read(0, 2, 3)}, true},
		{"a read that goes back", []observation{write(1, 0, 9), read(1, 2, 3), read(0, 4, 5)}, true},
		{"a number granted twice", []observation{write(1, 0, 1), write(1, 0, 2)}, true},
		{"a number granted late", []observation{write(2, 0, 1), write(1, 2, 3)}, true},
		{"an entry seen before it was asked for", []observation{read(1, 0, 1), write(1, 2, 3)}, true},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			require.Equal(t, test.bad, linearizable(test.ops) != nil)
		})
	}
}

func TestInvariantsRefuse(t *testing.T) {
	champion := registry.Version{Number: 1, Status: registry.StatusChampion, PromotedAt: Clock(1)}
	second := registry.Version{Number: 2, Status: registry.StatusChampion, PromotedAt: Clock(1)}
	canary := registry.Version{Number: 2, Status: registry.StatusCanary, Evidence: "e", Verdict: registry.VerdictPass,
		Approval: &registry.Approval{Evidence: "e", Champion: 1, Epoch: 1}}
	late := canary
	late.Approval = &registry.Approval{Evidence: "e", Champion: 1, Epoch: 0}
	good := registry.State{Champion: 1, ChampionSeq: 3, Epoch: 1, Versions: []registry.Version{champion}}
	require.NoError(t, Invariants(good))
	for rule, change := range map[string]func(*registry.State){
		"two champions":                 func(s *registry.State) { s.Versions = append(s.Versions, second) },
		"a champion that isn't one":     func(s *registry.State) { s.Champion = 0 },
		"a challenger without a lease":  func(s *registry.State) { s.Challenger, s.Versions = 2, append(s.Versions, canary) },
		"a weight without a challenger": func(s *registry.State) { s.Weight = 0.5 },
		"a challenger of an older epoch": func(s *registry.State) {
			s.Challenger, s.Versions, s.Lease = 2, append(s.Versions, late), &registry.Lease{}
		},
		"a champion that nobody made a champion": func(s *registry.State) { s.ChampionSeq = 0 },
	} {
		s := good
		s.Versions = append([]registry.Version(nil), good.Versions...)
		change(&s)
		require.Error(t, Invariants(s), rule)
	}
}
