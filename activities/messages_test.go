package activities

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/notify"
)

// mailbox is a provider that keeps what it is sent.
type mailbox struct {
	mu      sync.Mutex
	sent    []notify.Message
	updated []notify.Ref
	ref     notify.Ref
	err     error
}

func (m *mailbox) Notify(_ context.Context, msg notify.Message) (notify.Ref, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := msg.Validate(); err != nil {
		return notify.Ref{}, err
	}
	m.sent = append(m.sent, msg)
	return m.ref, m.err
}

func (m *mailbox) Update(_ context.Context, ref notify.Ref, msg notify.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent, m.updated = append(m.sent, msg), append(m.updated, ref)
	return m.err
}

func (w *world) messenger(box *mailbox) *Messenger {
	return &Messenger{Lake: w.lake, Notifier: box, RunURL: func(id string) string { return "http://temporal/" + id }}
}

func approvalMessage() MessageInput {
	return MessageInput{
		Kind: MessageApproval, Model: theModel, Lifecycle: "lifecycle/flights/7", Round: 2,
		Result: LifecycleResult{Version: 4, Rows: 900}, Evidence: &Evidence{Version: 4, Digest: strings.Repeat("5f2a", 16)},
		Summary: &EvaluateSummary{
			Champion: 3, Verdict: evaluation.Verdict{Outcome: evaluation.Inconclusive, Reasons: []evaluation.Reason{
				{Gate: "judged_rows.min", Outcome: evaluation.Inconclusive, Message: "gate judged_rows.min: observed 12 < 200"},
			}},
			Comparison: &evaluation.Comparison{Metric: "roc_auc", Champion: 0.8, Challenger: 0.85, Difference: 0.05, Lower: 0.01, Rows: 12},
		},
	}
}

func TestMessagesSayWhatHappenedAndWhatToDo(t *testing.T) {
	run := LifecycleResult{Number: 7, Trigger: TriggerDrift, Started: t0, Ended: t0.Add(90 * time.Second)}
	closed := func(outcome string) MessageInput {
		r := run
		r.Outcome = outcome
		return MessageInput{Kind: MessageClosed, Model: theModel, Lifecycle: "lifecycle/flights/7", Text: "why", Result: r}
	}
	for _, c := range []struct {
		name     string
		in       MessageInput
		severity notify.Severity
		title    string
		text     []string
	}{
		{"an approval asks with the numbers and the command", approvalMessage(), notify.Warning, "flights: approve version 4?", []string{
			"gates: inconclusive: gate judged_rows.min: observed 12 < 200",
			"roc_auc 0.8500, champion (version 3) 0.8000 on the same 12 rows; difference +0.0500, lower bound +0.0100",
			"starter approve flights --evidence 5f2a5f2a5f2a",
		}},
		{"a refused file is a warning", MessageInput{Kind: MessageRefused, Model: theModel, Lifecycle: "lifecycle/flights/7", Text: "row 7"}, notify.Warning, "flights: a landed file was refused", []string{"row 7"}},
		{"an alert is a warning", MessageInput{Kind: MessageAlert, Model: theModel, Lifecycle: "drift/flights/3/1", Text: "psi"}, notify.Warning, "flights: production has moved away from the champion", []string{"psi"}},
		{"a promotion is a success", closed(Promoted), notify.Success, "flights: run 7 ended promoted", []string{"why"}},
		{"a run that changed nothing is news", closed(Unchanged), notify.Info, "flights: run 7 ended unchanged", nil},
		{"a run that failed is a failure", closed(Failed), notify.Failure, "flights: run 7 ended failed", nil},
		{"a rollback is a warning", closed(RolledBack), notify.Warning, "flights: run 7 ended rolled_back", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, box := newWorld(t), &mailbox{ref: notify.Ref{Provider: "chat", ID: "1"}}
			out := must(t, w.messenger(box).Send, c.in)
			require.Equal(t, box.ref, out.Ref)
			msg := box.sent[0]
			require.Equal(t, c.severity, msg.Severity)
			require.Equal(t, c.title, msg.Title)
			for _, text := range c.text {
				require.Contains(t, msg.Text, text)
			}
			require.Equal(t, "#flights", msg.Channel, "the applied spec names it")
			again := must(t, w.messenger(box).Send, c.in)
			require.Equal(t, out, again)
			require.Equal(t, msg.Key, box.sent[1].Key, "the same message has the same key")
		})
	}
}

func TestAnApprovalHasButtonsThatOnlyRoute(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	must(t, w.messenger(box).Send, approvalMessage())
	msg := box.sent[0]
	require.Len(t, msg.Actions, 2)
	for _, a := range msg.Actions {
		require.Equal(t, "lifecycle/flights/7 "+strings.Repeat("5f2a", 16), a.Value)
	}
	require.Equal(t, "http://temporal/lifecycle/flights/7", msg.Links[0].URL)
}

func TestRoundsAndKindsAreMessagesOfTheirOwn(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	keys := map[string]bool{}
	for _, kind := range []string{MessageApproval, MessageClosed} {
		for round := range 2 {
			in := approvalMessage()
			in.Kind, in.Round = kind, round
			must(t, w.messenger(box).Send, in)
			keys[box.sent[len(box.sent)-1].Key] = true
		}
	}
	require.Len(t, keys, 4)
}

func TestAMessageMayTakeThePlaceOfAnother(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	in := approvalMessage()
	in.Kind, in.Replace = MessageDecided, &notify.Ref{Provider: "chat", ID: "9"}
	out := must(t, w.messenger(box).Send, in)
	require.Equal(t, *in.Replace, out.Ref)
	require.Equal(t, []notify.Ref{*in.Replace}, box.updated)
	require.Empty(t, box.sent[0].Actions, "what was decided has no buttons")
}

func TestProvidersTroubleIsTyped(t *testing.T) {
	for _, c := range []struct {
		name  string
		ref   notify.Ref
		err   error
		kind  string // "": retried
		after time.Duration
		fine  bool
	}{
		{name: "a provider that asks to wait is waited for", err: &notify.Retryable{Provider: "chat", After: 42 * time.Second, Err: errors.New("slow down")}, after: 42 * time.Second},
		{name: "a provider that is away is asked again", err: &notify.Retryable{Provider: "chat", Err: errors.New("no route")}},
		{name: "a message that it won't take is given up", err: &notify.Rejected{Provider: "chat", Code: "channel_not_found"}, kind: ErrorMessage},
		{name: "a message that arrived somewhere isn't sent twice", ref: notify.Ref{Provider: "multi", ID: "k", Parts: []notify.Ref{{Provider: "log", ID: "k"}, {}}},
			err: &notify.Retryable{Provider: "chat", Err: errors.New("no route")}, fine: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			out, err := try(t, w.messenger(&mailbox{ref: c.ref, err: c.err}).Send, approvalMessage())
			if c.fine {
				require.NoError(t, err)
				require.Equal(t, c.ref, out.Ref)
				return
			}
			requireType(t, c.kind, err)
			if c.after > 0 {
				app, ok := errors.AsType[*temporal.ApplicationError](err)
				require.True(t, ok)
				require.Equal(t, c.after, app.NextRetryDelay())
			}
		})
	}
}

func TestAMessageIsSentWhereTheSpecCantBeRead(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	in := approvalMessage()
	in.Spec = strings.Repeat("0", 64)
	must(t, w.messenger(box).Send, in)
	require.Empty(t, box.sent[0].Channel, "the provider's own")
}
