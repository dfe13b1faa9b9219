package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
)

// Syncer brings a target to what a ledger says.
type Syncer struct {
	Head func(context.Context) (registry.State, error) // the ledger's newest state
	Port Port
	Now  func() time.Time
	// Pause is the first wait for what doesn't read back yet; it doubles up to 20 times that. 0: half a second.
	Pause time.Duration
}

// Result is what was found and done.
type Result struct {
	Entry    int64     `json:"entry"` // of the ledger, that it is by
	Want     Weights   `json:"want"`
	Versions []Version `json:"versions"`        // as read last
	Agrees   bool      `json:"agrees"`          // they are as wanted
	Moved    bool      `json:"moved,omitempty"` // weights had to be set
	Did      []string  `json:"did,omitempty"`   // what was done, in order
	Left     []string  `json:"left,omitempty"`  // versions that couldn't be removed, and why
}

// resend is how many reads a set routing may take to show before it is set again.
const resend = 8

// most bounds what a Result tells.
const most = 20

// Look compares without changing anything.
func (s Syncer) Look(ctx context.Context) (Result, error) {
	state, err := s.Head(ctx)
	if err != nil {
		return Result{}, err
	}
	w := wantOf(state, s.Now())
	out := Result{Entry: w.entry, Want: w.weights}
	out.Versions, err = s.Port.Read(ctx, w.entry)
	out.Agrees = err == nil && w.weights.met(out.Versions) && len(w.missing(out.Versions)) == 0
	return out, err
}

// Deploy makes a version ready that the ledger knows and that isn't served yet.
func (s Syncer) Deploy(ctx context.Context, version int) (Result, error) {
	state, err := s.Head(ctx)
	if err != nil {
		return Result{}, err
	}
	v, ok := state.Version(version)
	if !ok {
		return Result{}, &Refused{Verb: Deploy, Err: fmt.Errorf("the ledger has no version %d", version)}
	}
	w := want{entry: state.Seq, weights: wantOf(state, s.Now()).weights, deployed: []Deployment{{Version: version, Artifact: v.Artifact}}}
	out := Result{Entry: w.entry, Want: w.weights}
	for {
		if out.Versions, err = s.Port.Read(ctx, w.entry); err != nil {
			return out, err
		}
		if len(w.missing(out.Versions)) == 0 {
			return out, nil
		}
		if len(out.Did) > 0 {
			return out, fmt.Errorf("target: version %d was deployed and doesn't read back: %s", version, Text(out.Versions))
		}
		if err := s.deploy(ctx, w, &out); err != nil {
			return out, err
		}
	}
}

// Sync changes the target until it reads back what the ledger says, or ctx ends: then the error is *Unconfirmed. What the
// ledger says is read again each time, and once more at the end, so that a call which was held up (a slow program, a
// process that was stopped) doesn't leave what has been overtaken.
func (s Syncer) Sync(ctx context.Context) (Result, error) {
	var out Result
	var set Weights // what was set last
	var reads int   // since
	var deployed bool
	pause := s.Pause
	if pause <= 0 {
		pause = 500 * time.Millisecond
	}
	longest := 20 * pause
	for {
		state, err := s.Head(ctx)
		if err != nil {
			return out, s.ended(ctx, out, err)
		}
		w := wantOf(state, s.Now())
		if out.Entry != 0 && w.weights == out.Want && out.Agrees {
			out.Entry = w.entry
			return out, nil // as before, and the ledger hasn't moved to another routing meanwhile
		}
		out.Entry, out.Want, out.Agrees = w.entry, w.weights, false
		if out.Versions, err = s.Port.Read(ctx, w.entry); err != nil {
			return out, s.ended(ctx, out, err)
		}
		reads++
		switch {
		case len(w.missing(out.Versions)) > 0:
			if deployed { // and it doesn't read back yet
				if err := wait(ctx, pause); err != nil {
					return out, s.ended(ctx, out, err)
				}
				pause = min(2*pause, longest)
			}
			if err := s.deploy(ctx, w, &out); err != nil {
				return out, s.ended(ctx, out, err)
			}
			deployed = true
		case w.weights.met(out.Versions):
			out.Agrees = true
			s.remove(ctx, w, &out)
		case set == w.weights && reads < resend:
			if err := wait(ctx, pause); err != nil {
				return out, s.ended(ctx, out, err)
			}
			pause = min(2*pause, longest)
		default:
			if err := s.Port.SetWeights(ctx, w.weights, w.entry); err != nil {
				return out, s.ended(ctx, out, err)
			}
			set, reads, out.Moved = w.weights, 0, true
			out.did("set %s", w.weights)
		}
	}
}

// deploy deploys what is missing.
func (s Syncer) deploy(ctx context.Context, w want, out *Result) error {
	for _, d := range w.missing(out.Versions) {
		if err := s.Port.Deploy(ctx, d, w.entry); err != nil {
			return err
		}
		out.did("deployed version %d", d.Version)
	}
	return nil
}

// remove takes away what isn't needed any more. One that can't be removed costs money and answers nothing: it is told.
func (s Syncer) remove(ctx context.Context, w want, out *Result) {
	out.Left = nil
	for _, version := range w.leftover(out.Versions) {
		if err := s.Port.Remove(ctx, version, w.entry); err != nil {
			if len(out.Left) < most {
				out.Left = append(out.Left, fmt.Sprintf("version %d: %v", version, err))
			}
			continue
		}
		out.did("removed version %d", version)
	}
}

func (r *Result) did(format string, args ...any) {
	if len(r.Did) < most {
		r.Did = append(r.Did, fmt.Sprintf(format, args...))
	}
}

// ended is the error of a Sync that was cut off: what the target read back last says more than that the time is over.
func (s Syncer) ended(ctx context.Context, out Result, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if _, refused := errors.AsType[*Refused](err); refused {
		return err
	}
	return &Unconfirmed{Want: out.Want, Read: out.Versions, Err: err}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
