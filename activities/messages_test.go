package activities

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
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
			`starter reject flights --evidence 5f2a5f2a5f2a --reason "..."`,
		}},
		{"a refused file is a warning", MessageInput{Kind: MessageRefused, Model: theModel, Lifecycle: "lifecycle/flights/7", Text: "row 7"}, notify.Warning, "flights: a landed file was refused", []string{"row 7"}},
		{"an alert is a warning", MessageInput{Kind: MessageAlert, Model: theModel, Lifecycle: "drift/flights/3/1", Text: "psi"}, notify.Warning, "flights: production has moved away from the champion", []string{"psi"}},
		{"a check that failed is a failure", MessageInput{Kind: MessageBlind, Model: theModel, Lifecycle: "drift/flights/0/1", Text: "drift: 1-gw-2.csv.gz: line 3", Monitor: TriggerDrift}, notify.Failure,
			"flights: drift check failed, and its schedule is paused", []string{"line 3", "starter schedules resume drift/flights"}},
		{"so is a cron line's", MessageInput{Kind: MessageBlind, Model: theModel, Lifecycle: "cron/flights/0/1", Text: "cron: not applied", Monitor: TriggerCron}, notify.Failure,
			"flights: retrain.cron failed, and its schedule is paused", []string{"starter schedules resume retrain/flights"}},
		{"drift that ended is good news", MessageInput{Kind: MessageCalm, Model: theModel, Lifecycle: "drift/flights/3/1", Text: "psi", Monitor: TriggerDrift, Page: "s3://lake/x.html"}, notify.Success,
			"flights: production is again within the limits of the champion", []string{"psi", "report: s3://lake/x.html"}},
		{"quality that is back is good news", MessageInput{Kind: MessageCalm, Model: theModel, Lifecycle: "quality/flights/3/1", Text: "f1", Monitor: TriggerQuality}, notify.Success,
			"flights: the champion does as well again as it must", []string{"f1"}},
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

func TestAnAlertSaysWhereItsReportIsAndWhatToDo(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	alert := MessageInput{
		Kind: MessageAlert, Model: theModel, Lifecycle: "drift/flights/3/1", Text: "drift: psi of delay: observed 0.4 > 0.2", Monitor: TriggerDrift,
		Page: "s3://lake/monitor/flights/drift/20130601T220000Z-5f2a.html", Workflow: "drift/flights-workflow-2013-06-01T22:00:00Z",
	}
	must(t, w.messenger(box).Send, alert)
	for _, says := range []string{
		"psi of delay", "report: s3://lake/monitor/flights/drift/20130601T220000Z-5f2a.html",
		"aws s3 cp s3://lake/monitor/flights/drift/20130601T220000Z-5f2a.html .", "what to do now: see whether the world changed", "starter submit flights",
	} {
		require.Contains(t, box.sent[0].Text, says)
	}
	require.Equal(t, "http://temporal/drift/flights-workflow-2013-06-01T22:00:00Z", box.sent[0].Links[0].URL)

	alert.Monitor, alert.Page = TriggerQuality, "" // it has no page
	must(t, w.messenger(box).Send, alert)
	require.Equal(t, "flights: the champion does worse than it did", box.sent[1].Title)
	require.NotContains(t, box.sent[1].Text, "report:")
	require.Contains(t, box.sent[1].Text, "starter rollback flights --reason TEXT")
	alert.Page = "monitor/flights/drift/x.html"
	must(t, w.messenger(box).Send, alert)
	require.NotContains(t, box.sent[2].Text, "aws", "a key without its bucket can't be fetched by it")
}

func TestAnApprovalLinksToItsRunAndAsksByButtons(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	must(t, w.messenger(box).Send, approvalMessage())
	msg := box.sent[0]
	var kinds []string
	for _, a := range msg.Actions {
		kinds = append(kinds, a.Kind)
		q, err := notify.ParseQuestion(a.Value)
		require.NoError(t, err)
		require.Equal(t, notify.Question{Lifecycle: "lifecycle/flights/7", Evidence: approvalMessage().Evidence.Digest, Version: 4}, q)
	}
	require.Equal(t, []string{notify.ActionApprove, notify.ActionReject, notify.ActionDetails}, kinds)
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
}

func TestProvidersTroubleIsTyped(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		kind  string // "": retried
		after time.Duration
	}{
		{name: "a provider that asks to wait is waited for", err: &notify.Retryable{Provider: "chat", After: 42 * time.Second, Err: errors.New("slow down")}, after: 42 * time.Second},
		{name: "a provider that is away is asked again", err: &notify.Retryable{Provider: "chat", Err: errors.New("no route")}},
		{name: "a message that it won't take is given up", err: &notify.Rejected{Provider: "chat", Code: "channel_not_found"}, kind: ErrorMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := try(t, w.messenger(&mailbox{err: c.err}).Send, approvalMessage())
			requireType(t, c.kind, err)
			if c.after > 0 {
				app, ok := errors.AsType[*temporal.ApplicationError](err)
				require.True(t, ok)
				require.Equal(t, c.after, app.NextRetryDelay())
			}
		})
	}
}

// attempt is one of several of the same activity: it starts from what the one before recorded.
func attempt(t *testing.T, m *Messenger, in MessageInput, recorded *notify.Ref) (MessageOutput, error) {
	t.Helper()
	env := newEnvironment()
	if recorded.Parts != nil {
		env.SetHeartbeatDetails(*recorded)
	}
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		if err := details.Get(recorded); err != nil {
			t.Error(err)
		}
	})
	return tryIn(t, env, m.Send, in)
}

func TestARetryReachesOnlyTheProvidersThatLackTheMessage(t *testing.T) {
	wait := &notify.Retryable{Provider: "chat", After: 42 * time.Second, Err: errors.New("slow down")}
	replaced := approvalMessage()
	replaced.Replace = &notify.Ref{Provider: "multi", ID: "k", Parts: []notify.Ref{{Provider: "log", ID: "k"}, {Provider: "chat", ID: "1"}}}
	for name, in := range map[string]MessageInput{"sent": approvalMessage(), "replaced": replaced} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			log, chat := &mailbox{ref: notify.Ref{Provider: "log", ID: "k"}}, &mailbox{ref: notify.Ref{Provider: "chat", ID: "1"}, err: wait}
			both, err := notify.NewMulti(log, chat)
			require.NoError(t, err)
			m := &Messenger{Lake: w.lake, Notifier: both}
			var recorded notify.Ref
			for range 2 {
				_, err = attempt(t, m, in, &recorded)
				requireType(t, "", err)
				app, ok := errors.AsType[*temporal.ApplicationError](err)
				require.True(t, ok)
				require.Equal(t, wait.After, app.NextRetryDelay())
			}
			chat.err = nil
			out, err := attempt(t, m, in, &recorded)
			require.NoError(t, err)
			require.Equal(t, []notify.Ref{log.ref, chat.ref}, out.Ref.Parts)
			require.Len(t, log.sent, 1)
			require.Len(t, chat.sent, 3)
		})
	}
}

func TestARefusalIsFinalWhereAnotherProviderTookTheMessage(t *testing.T) {
	refused := &notify.Rejected{Provider: "chat", Code: "channel_not_found"}
	w := newWorld(t)
	log, chat := &mailbox{ref: notify.Ref{Provider: "log", ID: "k"}}, &mailbox{err: refused}
	both, err := notify.NewMulti(log, chat)
	require.NoError(t, err)
	out := must(t, (&Messenger{Lake: w.lake, Notifier: both}).Send, approvalMessage())
	require.Equal(t, []notify.Ref{log.ref, {Refused: true}}, out.Ref.Parts)

	away := &mailbox{ref: notify.Ref{Provider: "pager", ID: "2"}, err: &notify.Retryable{Provider: "pager", Err: errors.New("no route")}}
	both, err = notify.NewMulti(chat, away)
	require.NoError(t, err)
	m, recorded := &Messenger{Lake: w.lake, Notifier: both}, notify.Ref{}
	_, err = attempt(t, m, approvalMessage(), &recorded)
	requireType(t, "", err)
	away.err = nil
	_, err = attempt(t, m, approvalMessage(), &recorded)
	require.NoError(t, err)
	require.Len(t, chat.sent, 2, "once for each message")
}

func TestAMessageIsSentWhereTheSpecCantBeRead(t *testing.T) {
	w, box := newWorld(t), &mailbox{}
	in := approvalMessage()
	in.Spec = strings.Repeat("0", 64)
	must(t, w.messenger(box).Send, in)
	require.Empty(t, box.sent[0].Channel, "the provider's own")
}
