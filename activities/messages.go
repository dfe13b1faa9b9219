package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/internal/notify"
)

// Kinds of messages.
const (
	MessageRefused  = "refused"  // a landed file was refused
	MessageApproval = "approval" // a version waits for people
	MessageDecided  = "decided"  // takes the place of MessageApproval
	MessageClosed   = "closed"   // a run ended
	MessageAlert    = "alert"    // a monitor is over its limit
)

// MessageInput is what a message is about; its words are made here, so that they may change at any time.
type MessageInput struct {
	Kind      string           `json:"kind"`
	Model     string           `json:"model"`
	Spec      string           `json:"spec,omitempty"`
	Lifecycle string           `json:"lifecycle"`
	Round     int              `json:"round,omitempty"`
	Text      string           `json:"text,omitempty"`
	Result    LifecycleResult  `json:"result"`
	Evidence  *Evidence        `json:"evidence,omitempty"`
	Summary   *EvaluateSummary `json:"summary,omitempty"`
	Replace   *notify.Ref      `json:"replace,omitempty"` // the message that this one takes the place of
}

// MessageOutput is where it went.
type MessageOutput struct {
	Ref notify.Ref `json:"ref"`
}

// Messenger tells people.
type Messenger struct {
	Lake     *Lake
	Notifier notify.Notifier
	// RunURL is where a workflow is looked at; "" : nowhere.
	RunURL func(workflowID string) string
}

// Send words the message and hands it to the provider.
func (m *Messenger) Send(ctx context.Context, in MessageInput) (MessageOutput, error) {
	msg := m.word(in)
	if in.Spec != "" {
		if s, err := m.Lake.Spec(ctx, in.Model, in.Spec); err == nil {
			msg.Channel = s.Notify.Slack
		}
	} else if head, err := m.Lake.Ledger(in.Model).Head(ctx); err == nil && head.State.Spec.Digest != "" {
		if s, err := m.Lake.Spec(ctx, in.Model, head.State.Spec.Digest); err == nil {
			msg.Channel = s.Notify.Slack
		}
	}
	if in.Replace != nil {
		return MessageOutput{Ref: *in.Replace}, notifyError(m.Notifier.Update(ctx, *in.Replace, msg))
	}
	ref, err := m.Notifier.Notify(ctx, msg)
	if err != nil && (ref.ID != "" || len(ref.Parts) > 0) {
		// It arrived somewhere: to send it again would send it there twice.
		activity.GetLogger(ctx).Warn("message not sent everywhere", "key", msg.Key, "error", err)
		return MessageOutput{Ref: ref}, nil
	}
	return MessageOutput{Ref: ref}, notifyError(err)
}

// notifyError hands the provider's wish to wait on to Temporal.
func notifyError(err error) error {
	if rejected, ok := errors.AsType[*notify.Rejected](err); ok {
		return permanent(ErrorMessage, rejected)
	}
	if wait, ok := errors.AsType[*notify.Retryable](err); ok && wait.After > 0 {
		return temporal.NewApplicationErrorWithOptions(wait.Error(), ErrorMessage, temporal.ApplicationErrorOptions{NextRetryDelay: wait.After})
	}
	return err
}

func (m *Messenger) word(in MessageInput) notify.Message {
	msg := notify.Message{
		Key: fmt.Sprintf("%s/%s/%d", in.Lifecycle, in.Kind, in.Round), Model: in.Model, Lifecycle: in.Lifecycle, Text: in.Text, Severity: notify.Info,
	}
	if m.RunURL != nil && strings.HasPrefix(in.Lifecycle, "lifecycle/") {
		msg.Links = append(msg.Links, notify.Link{Text: "Temporal", URL: m.RunURL(in.Lifecycle)})
	}
	switch in.Kind {
	case MessageRefused:
		msg.Severity, msg.Title = notify.Warning, in.Model+": a landed file was refused"
	case MessageAlert:
		msg.Severity, msg.Title = notify.Warning, in.Model+": production has moved away from the champion"
	case MessageClosed:
		m.wordClosed(&msg, in)
	case MessageDecided:
		msg.Title = fmt.Sprintf("%s: version %d was decided over", in.Model, in.Result.Version)
	case MessageApproval:
		m.wordApproval(&msg, in)
	default:
		msg.Title = in.Model + ": " + in.Kind
	}
	return msg
}

func (m *Messenger) wordClosed(msg *notify.Message, in MessageInput) {
	r := in.Result
	switch r.Outcome {
	case Promoted:
		msg.Severity = notify.Success
	case Unchanged, Superseded:
	case Failed:
		msg.Severity = notify.Failure
	default:
		msg.Severity = notify.Warning
	}
	msg.Title = fmt.Sprintf("%s: run %d ended %s", in.Model, r.Number, r.Outcome)
	msg.Fields = []notify.Field{{Name: "trigger", Value: r.Trigger}, {Name: "took", Value: r.Ended.Sub(r.Started).Round(time.Second).String()}}
}

func (m *Messenger) wordApproval(msg *notify.Message, in MessageInput) {
	e, s := in.Evidence, in.Summary
	msg.Title = fmt.Sprintf("%s: approve version %d?", in.Model, e.Version)
	if s.Verdict.NeedsAttention || s.Verdict.Outcome != "pass" {
		msg.Severity = notify.Warning
	}
	lines := []string{"gates: " + s.Verdict.Summary()}
	for _, r := range s.Verdict.Reasons {
		lines = append(lines, "• "+r.Message)
	}
	if c := s.Comparison; c != nil {
		lines = append(lines, fmt.Sprintf("%s %.4f, champion (version %d) %.4f on the same %d rows; difference %+.4f, lower bound %+.4f",
			c.Metric, c.Challenger, s.Champion, c.Champion, c.Rows, c.Difference, c.Lower))
	}
	lines = append(lines, fmt.Sprintf("starter approve %s --evidence %.12s", in.Model, e.Digest))
	msg.Text = strings.Join(lines, "\n")
	msg.Fields = []notify.Field{{Name: "rows", Value: fmt.Sprint(in.Result.Rows)}, {Name: "evidence", Value: fmt.Sprintf("%.12s", e.Digest)}}
	route := in.Lifecycle + " " + e.Digest
	msg.Actions = []notify.Action{
		{Kind: notify.ActionApprove, Text: "Approve", Value: route},
		{Kind: notify.ActionReject, Text: "Reject", Value: route},
	}
}
