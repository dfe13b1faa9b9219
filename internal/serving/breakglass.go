package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/leanloop/leanloop/internal/registry"
)

// What became of a break-glass rollback.
const (
	outcomeAppended = "appended" // the ledger has it
	outcomeAlready  = "already"  // nothing was left to do
	outcomeStored   = "stored"   // this gateway serves so; the ledger gets it when the store is back
	outcomeConflict = "conflict" // the ledger doesn't allow it, or moved on
)

// maxOrder bounds the body of a rollback.
const maxOrder = 16 << 10

// RollbackOrder is the body of POST /admin/rollback/{model}. It says how things shall be, not what to undo, so that the
// same order twice, or to each gateway in turn, is one rollback.
type RollbackOrder struct {
	Actor  string `json:"actor"`        // who: cli:ana
	Reason string `json:"reason"`       // why; both are kept in the ledger
	To     int    `json:"to,omitempty"` // former champion that shall answer everything; 0: the champion there is
}

// RollbackAnswer is what became of it on one gateway.
type RollbackAnswer struct {
	Gateway     string `json:"gateway"`
	Model       string `json:"model"`
	Outcome     string `json:"outcome"` // appended | already | stored
	Champion    int    `json:"champion"`
	Challenger  int    `json:"challenger,omitempty"` // that lost its traffic
	Seq         int64  `json:"seq"`                  // the ledger's entry; of stored, the one that it was decided upon
	Epoch       int64  `json:"epoch"`
	Durable     bool   `json:"durable"`                // it survives a restart of this gateway
	LedgerError string `json:"ledger_error,omitempty"` // why the ledger doesn't have it
}

func (o RollbackOrder) check() *problem {
	switch {
	case strings.TrimSpace(o.Actor) == "" || len(o.Actor) > 256 || strings.ContainsFunc(o.Actor, unicode.IsControl):
		return badRequest("bad_request", "actor of %d bytes: want who rolls back, in 1 to 256 bytes on one line", len(o.Actor))
	case strings.TrimSpace(o.Reason) == "" || len(o.Reason) > 2000:
		return badRequest("bad_request", "reason of %d bytes: want why, in 1 to 2000 bytes", len(o.Reason))
	case o.To < 0:
		return badRequest("bad_request", "to: %d, want a version", o.To)
	}
	return nil
}

// rollback is POST /admin/rollback/{model}. It needs no Temporal, and no store either.
func (s *Server) rollback(w http.ResponseWriter, req *http.Request) {
	answer, p := s.breakGlass(w, req)
	if p != nil {
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		p.send(w, false)
		return
	}
	status := http.StatusOK
	if answer.Outcome == outcomeStored {
		status = http.StatusAccepted
	}
	body, err := json.Marshal(answer)
	if err != nil {
		s.log().Error("an answer has no JSON", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	body = append(body, '\n')
	s.cfg.AdminToken.signAnswer(w, req, body)
	sendJSON(w, status, body)
}

func (s *Server) breakGlass(w http.ResponseWriter, req *http.Request) (RollbackAnswer, *problem) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxOrder))
	if err != nil {
		return RollbackAnswer{}, badRequest("bad_json", `want {"actor", "reason", "to"}: %v`, err)
	}
	if p := s.authorize(req, raw); p != nil {
		if p.Status == http.StatusUnauthorized {
			s.troubles.noteRequest("admin listener", errors.New("somebody tried to roll back without the admin token"))
		}
		return RollbackAnswer{}, p
	}
	var order RollbackOrder
	body := json.NewDecoder(bytes.NewReader(raw))
	body.DisallowUnknownFields()
	if err := body.Decode(&order); err != nil {
		return RollbackAnswer{}, badRequest("bad_json", `want {"actor", "reason", "to"}: %v`, err)
	}
	if p := order.check(); p != nil {
		return RollbackAnswer{}, p
	}
	model := req.PathValue("model")
	if !s.follows(model) {
		return RollbackAnswer{}, unknownModel(model, s.table.Load().routes)
	}
	f, _ := s.follow(model)
	// Whoever asked may hang up: what was begun is done.
	answer, p := f.rollBack(context.WithoutCancel(req.Context()), order)
	if p != nil {
		s.log().Warn("break-glass rollback failed", "model", model, "actor", order.Actor, "why", p.Message)
		return answer, p
	}
	s.metrics.breakGlass.WithLabelValues(model, answer.Outcome).Inc()
	s.log().Warn("break-glass rollback", "model", model, "actor", order.Actor, "reason", order.Reason, "outcome", answer.Outcome, "seq", answer.Seq)
	return answer, nil
}

// rollBack has the order done by the ledger, or by this gateway alone where the ledger can't be written to.
func (f *follower) rollBack(ctx context.Context, order RollbackOrder) (RollbackAnswer, *problem) {
	f.breaking.Lock() // one after the other: the second finds what the first did
	defer f.breaking.Unlock()
	defer f.withdrawWhileAsking(order)()
	asking, cancel := context.WithTimeout(ctx, f.server.cfg.BreakGlass)
	defer cancel()
	head, err := f.writer.Head(asking)
	base := f.last.Load()
	if err == nil {
		seen := stateOf(head)
		if base = &seen; head.Seq == 0 {
			return RollbackAnswer{}, noChampion(f.model)
		}
	}
	if base == nil {
		return RollbackAnswer{}, &problem{Status: http.StatusServiceUnavailable, Code: "ledger_unreachable",
			Message: fmt.Sprintf("model %q: nothing is served here yet, and the ledger doesn't answer: %v", f.model, err)}
	}
	if have := f.override.Load(); order.To == 0 && have.stored() && have.Base.standing() == base.standing() {
		order.To = have.To.Number // the champion that there is here: another order's, which the ledger doesn't have yet
	}
	o := &override{Base: *base, Actor: order.Actor, Reason: order.Reason, Time: f.server.ports.Clock().UTC()}
	answer := RollbackAnswer{Gateway: f.server.cfg.ID, Model: f.model, Champion: base.Champion.Number,
		Challenger: base.Challenger.Number, Seq: base.Seq, Epoch: base.Epoch, Durable: true}
	if err != nil {
		answer.LedgerError = err.Error()
	}
	if order.To != 0 && order.To != base.Champion.Number {
		at := slices.IndexFunc(base.Former, func(v versionRef) bool { return v.Number == order.To })
		if at < 0 {
			return answer, f.refuse(ctx, o, order.To, fmt.Errorf("version %d was never the champion", order.To))
		}
		o.To, answer.Champion = base.Former[at], order.To
	}
	if o.To.Number == 0 && base.Challenger.Number == 0 {
		answer.Outcome = outcomeAlready
		f.bridge()
		return answer, nil
	}
	if err == nil {
		var e registry.Entry
		if e, err = f.writer.Do(asking, o.command()); err == nil {
			return f.appended(o, e, answer), nil
		}
	}
	if isDecided(err) {
		if head, again := f.writer.Head(asking); again == nil && fulfils(head.State, order) { // another's rollback was first
			answer.Outcome, answer.Seq, answer.Epoch = outcomeAlready, head.Seq, head.State.Epoch
			f.bridge()
			return answer, nil
		}
		return answer, f.refuse(ctx, o, order.To, err)
	}
	return f.overrideHere(ctx, o, answer, err)
}

// fulfils says whether a state is as ordered.
func fulfils(s registry.State, order RollbackOrder) bool {
	return s.Challenger == 0 && (order.To == 0 || order.To == s.Champion)
}

// appended serves by the new entry at once: the challenger is out before the entry is followed.
func (f *follower) appended(o *override, e registry.Entry, answer RollbackAnswer) RollbackAnswer {
	o.appended = true
	if have := f.override.Load(); have.wins(f.asked.Load()) && have.To == o.To && have.version.hold() {
		o.version = have.version // the same was stored before, and answers here already
		defer o.version.letGo(f.server.troubles)
	}
	if last := f.last.Load(); last != nil && last.standing() != o.Base.standing() {
		o.Base = *last // what is served is older than what was decided upon, and is to be left out as well
	}
	f.troubles.note("break-glass file", f.setOverride(o))
	f.wakeUp()
	answer.Outcome, answer.Seq, answer.Epoch, answer.Champion = outcomeAppended, e.Seq, e.State.Epoch, e.State.Champion
	return answer
}

// overrideHere is what remains without the store: this gateway serves as ordered, from what it has on disk.
func (f *follower) overrideHere(ctx context.Context, o *override, answer RollbackAnswer, why error) (RollbackAnswer, *problem) {
	answer.Outcome, answer.LedgerError = outcomeStored, why.Error()
	if have := f.override.Load(); have.stored() && have.command().Key == o.command().Key && have.version.hold() {
		o = have // the same again
	} else if o.To.Number != 0 {
		loading, cancel := context.WithTimeout(ctx, f.server.cfg.LoadTimeout)
		defer cancel()
		v, err := f.server.loadVersion(loading, offline{f.server.ports.Store}, f.model, o.To)
		if err != nil {
			return answer, &problem{Status: http.StatusServiceUnavailable, Code: "not_on_disk",
				Message: fmt.Sprintf("%v, and the store doesn't answer: %v", err, why)}
		}
		o.version = v
	}
	defer o.version.letGo(f.server.troubles)
	if err := f.setOverride(o); err != nil {
		answer.Durable = false
		f.troubles.note("break-glass file", err)
	}
	f.noteOverride(why)
	f.server.wakeHeartbeat()
	return answer, nil
}

// refuse says no, and keeps that somebody asked.
func (f *follower) refuse(ctx context.Context, o *override, to int, why error) *problem {
	o.Refused, o.To.Number = why.Error(), to
	if err := f.audit(ctx, o); err != nil {
		f.troubles.note("audit of a break-glass rollback", err)
	}
	f.server.metrics.breakGlass.WithLabelValues(f.model, outcomeConflict).Inc()
	return &problem{Status: http.StatusConflict, Code: outcomeConflict, Message: fmt.Sprintf("model %q: %v", f.model, why)}
}

// stateOf is the routing state of an entry.
func stateOf(e registry.Entry) routingState {
	slot := func(number int) versionRef {
		v, _ := e.State.Version(number)
		return versionRef{Number: v.Number, Artifact: v.Artifact}
	}
	out := routingState{Model: e.State.Model, Seq: e.Seq, Hash: e.Hash, Epoch: e.State.Epoch,
		Champion: slot(e.State.Champion), Challenger: slot(e.State.Challenger), Spec: e.State.Spec.Digest}
	for _, v := range e.State.Versions {
		if !v.PromotedAt.IsZero() && v.Number != e.State.Champion {
			out.Former = append(out.Former, slot(v.Number))
		}
	}
	return out
}

// OverrideStatus is a rollback that the ledger doesn't have yet.
type OverrideStatus struct {
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	BaseSeq  int64     `json:"base_seq"` // entry that it was decided upon
	To       int       `json:"to,omitempty"`
	Appended bool      `json:"appended"` // the ledger has it, and it is about to be read
}

func (o *override) status() *OverrideStatus {
	if o == nil {
		return nil
	}
	return &OverrideStatus{Actor: o.Actor, Reason: o.Reason, Since: o.Time, BaseSeq: o.Base.Seq, To: o.To.Number, Appended: o.appended}
}
