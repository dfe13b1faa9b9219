package integration

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/workflows"
)

// phase is a part of a canary's life.
type phase struct {
	name     string
	canary   func(*spec.Model)
	reach    func(*testing.T, *scenario)
	within   time.Duration // a fault happens up to so long after it was reached
	outcomes []string      // that are right when it is over
}

var either = []string{activities.Promoted, activities.RolledBack}

// The phases. What comes after an approval, after the end of a step, or after a person's word takes parts of a second;
// the ledger and the signal mark where it begins.
func starting() phase {
	return phase{"starting", twoSteps, func(t *testing.T, s *scenario) {
		s.approve(t)
		s.entry(t, "the approval", func(h registry.State) bool { return h.Versions[len(h.Versions)-1].Approval != nil })
	}, 500 * time.Millisecond, either}
}

func holding() phase { return phase{"holding", twoSteps, exposed, time.Second, either} }

func advancing() phase {
	return phase{"advancing", twoSteps, func(t *testing.T, s *scenario) {
		s.approve(t)
		s.entry(t, "the second step", func(h registry.State) bool { return h.Weight == float64(s.spec.Canary.Steps[1].Weight) })
	}, 700 * time.Millisecond, either}
}

func promoting() phase {
	return phase{"promoting", oneStep, func(t *testing.T, s *scenario) {
		exposed(t, s)
		s.steer(t, "promote")
	}, 200 * time.Millisecond, []string{activities.Promoted}}
}

func rollingBack() phase {
	return phase{"rolling back", oneStep, func(t *testing.T, s *scenario) {
		exposed(t, s)
		s.steer(t, "abort")
	}, 200 * time.Millisecond, []string{activities.RolledBack}}
}

// waiting is holding in a canary that somebody else has to end.
func waiting(outcome string) phase {
	return phase{"holding", oneStep, exposed, time.Second, []string{outcome}}
}

func copying() phase {
	return phase{"copying", mirrored, func(t *testing.T, s *scenario) {
		before := s.copies(t)
		s.approve(t)
		testkit.Until(t, "copies at every gateway", stageLimit, func() (bool, any) {
			n := s.copies(t)
			return n[0] > before[0] && n[1] > before[1], n
		})
	}, time.Second, either}
}

// exposed approves, and waits until the challenger has its weight everywhere.
func exposed(t *testing.T, s *scenario) {
	s.approve(t)
	s.everywhere(t)
}

func everyPhase() []phase {
	return []phase{starting(), holding(), advancing(), promoting(), rollingBack()}
}

// fault is something that happens.
type fault struct {
	name   string
	phases []phase
	strike func(*testing.T, *scenario)
	lasts  func(*testing.T, *scenario) // waits as long as it should last
	heal   func(*testing.T, *scenario) // nil: it doesn't
	after  func(*testing.T, *scenario) // when the run is over; nil: nothing
	blind  []string                    // gateways that can't read the ledger while it lasts
	down   string                      // gateway that can't answer while it lasts
}

var bothGateways = []string{testkit.PartGateway, testkit.PartGateway2}

// killed is a part that gets SIGKILL, and is started again.
func killed(part string, blind []string, down string, lasts func(*testing.T, *scenario), phases ...phase) fault {
	return fault{
		name: part, phases: phases, blind: blind, down: down, lasts: lasts,
		strike: func(t *testing.T, s *scenario) { s.Kill(t, part) },
		heal:   func(t *testing.T, s *scenario) { s.Start(t, part) },
	}
}

// killings are each part in each phase; while the challenger holds its weight, S3 and the worker stay away until its
// lease has ended.
func killings() []fault {
	return []fault{
		killed(testkit.PartGateway, []string{testkit.PartGateway}, testkit.PartGateway, briefly, everyPhase()...),
		killed(testkit.PartWorker, nil, "", untilTheLeaseEndsWhileHolding, everyPhase()...),
		killed(testkit.PartInflux, nil, "", briefly, everyPhase()...),
		killed(testkit.PartS3, bothGateways, "", untilTheLeaseEndsWhileHolding, everyPhase()...),
		killed(testkit.PartTemporal, nil, "", briefly, holding(), promoting()),
	}
}

// otherFaults are what happens to one gateway, to workflows, to a worker that comes back, and what people do then.
func otherFaults() []fault {
	return []fault{
		{
			name: "a gateway is cut off from S3", phases: []phase{waiting(activities.Promoted)}, blind: []string{testkit.PartGateway},
			strike: func(t *testing.T, s *scenario) { s.Gateways[0].S3.Cut() }, lasts: cutOffUntilItsLeaseEnds,
			heal: func(t *testing.T, s *scenario) {
				s.steer(t, "promote")
				s.result(t, s.number)
				s.Gateways[0].S3.Mend()
			},
		},
		{
			name: "the canary is terminated", phases: []phase{waiting(activities.RolledBack), advancing()},
			strike: func(t *testing.T, s *scenario) { s.terminate(t, workflows.CanaryID(s.name)) }, lasts: untilAlone,
		},
		{
			name: "canary and lifecycle are terminated", phases: []phase{waiting(activities.RolledBack)},
			strike: func(t *testing.T, s *scenario) {
				s.terminate(t, s.lifecycle(s.number))
				s.terminate(t, workflows.CanaryID(s.name))
			}, lasts: untilAlone,
		},
		{
			name: "a worker is stopped, another takes over, and the first goes on", phases: []phase{holding(), promoting()},
			strike: func(t *testing.T, s *scenario) {
				s.Signal(t, testkit.PartWorker, syscall.SIGSTOP)
				s.Start(t, testkit.PartReserve)
			},
			lasts: func(t *testing.T, s *scenario) { s.result(t, s.number) },
			heal:  func(t *testing.T, s *scenario) { s.Signal(t, testkit.PartWorker, syscall.SIGCONT) },
			after: func(t *testing.T, s *scenario) { s.Kill(t, testkit.PartReserve) },
		},
		{
			name: "break-glass", phases: []phase{waiting(activities.RolledBack)},
			strike: func(t *testing.T, s *scenario) { s.breakGlass(t, true) },
			lasts:  briefly, after: nobodyMetTheChallenger,
		},
		{
			name: "break-glass without S3", phases: []phase{waiting(activities.RolledBack)}, blind: bothGateways,
			strike: func(t *testing.T, s *scenario) {
				s.Kill(t, testkit.PartS3)
				s.breakGlass(t, false)
			},
			lasts: briefly, heal: func(t *testing.T, s *scenario) { s.Start(t, testkit.PartS3) }, after: nobodyMetTheChallenger,
		},
		{
			name: "copies for the challenger", phases: []phase{copying()},
			strike: func(*testing.T, *scenario) {}, lasts: briefly, // no fault: the rules alone
		},
		{
			name: "copies for the challenger without S3", phases: []phase{copying()}, blind: bothGateways,
			strike: func(t *testing.T, s *scenario) { s.Kill(t, testkit.PartS3) },
			lasts:  untilCopiesEnd, heal: func(t *testing.T, s *scenario) { s.Start(t, testkit.PartS3) },
		},
	}
}

// briefly is one to three seconds: longer than any retry of a part that was only slow.
func briefly(_ *testing.T, s *scenario) {
	time.Sleep(time.Second + time.Duration(s.random.Int64N(int64(2*time.Second))))
}

// untilTheLeaseEndsWhileHolding is brief, but in a canary that holds its weight for nobody else's sake.
func untilTheLeaseEndsWhileHolding(t *testing.T, s *scenario) {
	if s.holding {
		untilAlone(t, s)
		return
	}
	briefly(t, s)
}

// untilAlone waits until every gateway serves the champion alone: not longer than the lease that they know of.
func untilAlone(t *testing.T, s *scenario) {
	t.Helper()
	var last time.Time
	for _, r := range s.routes(t.Context()) {
		if r.LeaseUntil != nil && r.LeaseUntil.After(last) {
			last = *r.LeaseUntil
		}
	}
	limit := max(0, time.Until(last)) + s.spec.Canary.Interval.D() + stageLimit/4
	testkit.Until(t, "the champion alone at every gateway", limit, func() (bool, any) {
		routes := s.routes(t.Context())
		for _, r := range routes {
			if r.EffectiveWeight > 0 {
				return false, r
			}
		}
		return len(routes) == len(s.Gateways), routes
	})
}

// cutOffUntilItsLeaseEnds waits until the gateway without S3 serves the champion alone, while the other one gives the
// challenger its weight.
func cutOffUntilItsLeaseEnds(t *testing.T, s *scenario) {
	t.Helper()
	testkit.Until(t, "the champion alone at the gateway that is cut off, and there only", stageLimit, func() (bool, any) {
		routes := s.routes(t.Context())
		return len(routes) == 2 && routes[testkit.PartGateway].EffectiveWeight == 0 && routes[testkit.PartGateway2].EffectiveWeight > 0, routes
	})
	cut := time.Now()
	testkit.Until(t, "the challenger's answers by the other gateway", stageLimit, func() (bool, any) {
		n := s.load.from(s.head(t).Challenger, cut)
		return n > 10, n
	})
}

// approve is ana's, by signal: Temporal keeps it, whatever dies in the next moment.
func (s *scenario) approve(t *testing.T) {
	t.Helper()
	id := s.lifecycle(s.number)
	state, ok := s.state(t, id)
	require.True(t, ok)
	d := approval.Decision{ID: fmt.Sprintf("ana-%d", s.number), Kind: approval.Approve, Actor: "cli:ana", Via: "signal", Evidence: state.Approval.Evidence.Digest, Reason: "fine"}
	require.NoError(t, s.Temporal.SignalWorkflow(t.Context(), id, "", workflows.SignalDecision, d))
}

// steer is ana's too.
func (s *scenario) steer(t *testing.T, action string) {
	t.Helper()
	s.holding = false
	word := workflows.Steer{Action: action, Actor: "cli:ana", Via: "signal", Reason: "the test's"}
	require.NoError(t, s.Temporal.SignalWorkflow(t.Context(), workflows.CanaryID(s.name), "", workflows.SignalCanary, word))
}

// terminate ends a workflow, unless that of its parent has ended it already.
func (s *scenario) terminate(t *testing.T, id string) {
	t.Helper()
	err := s.Temporal.TerminateWorkflow(t.Context(), id, "", "the test's")
	if _, gone := errors.AsType[*serviceerror.NotFound](err); !gone {
		require.NoError(t, err)
	}
}

// entry waits until the ledger's head is so.
func (s *scenario) entry(t *testing.T, what string, holds func(registry.State) bool) {
	t.Helper()
	ledger, deadline := s.ledger(), time.Now().Add(runLimit)
	for { // closer than testkit.Until looks: the moment counts
		e, err := ledger.Head(t.Context())
		require.NoError(t, err)
		if holds(e.State) {
			return
		}
		require.True(t, time.Now().Before(deadline), "%s: not within %s; head: %d %s", what, runLimit, e.Seq, e.Command.Kind)
		time.Sleep(10 * time.Millisecond)
	}
}

// everywhere waits until every gateway gives the challenger the weight that the ledger says, and clients have met it.
func (s *scenario) everywhere(t *testing.T) {
	t.Helper()
	s.holding = true
	began := time.Now()
	testkit.Until(t, "the challenger at every gateway", stageLimit, func() (bool, any) {
		head, routes := s.head(t), s.routes(t.Context())
		for _, g := range s.Gateways {
			r, told := routes[g.Part], metric(t, g.Admin, fmt.Sprintf("leanloop_canary_weight{model=%q}", s.name))
			if told == 0 || told != head.Weight || r.EffectiveWeight != head.Weight || r.Challenger.Version != head.Challenger {
				return false, fmt.Sprintf("%+v, metric %.2g, and the ledger says %.2g", r, told, head.Weight)
			}
		}
		return len(routes) == len(s.Gateways) && s.load.from(head.Challenger, began) > 0, routes
	})
}
