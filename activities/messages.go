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
	MessageCalm     = "calm"     // it was, and isn't any more
	MessageBlind    = "blind"    // it couldn't look
	MessageCanary   = "canary"   // a canary failed, and waits for people
	MessageAnswered = "answered" // takes the place of MessageCanary
	MessageNoWorker = "noworker" // a training waits, and no live worker can run it
	MessageRepaired = "repaired" // a target served otherwise than decided, and was set right
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
	// Of a MessageAlert, MessageCalm or MessageBlind: which monitor (a trigger's kind), where its report is, and the workflow that looked.
	Monitor  string `json:"monitor,omitempty"`
	Page     string `json:"page,omitempty"`
	Workflow string `json:"workflow,omitempty"`
	// Of a MessageCanary or MessageAnswered.
	Canary *CanaryMessage `json:"canary,omitempty"`
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

// Send words the message and hands it to the provider. A message that is missing somewhere is an error that is retried,
// and the retry sends it there alone; a provider that refuses it is only warned of, where another took it.
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
	if info := activity.GetInfo(ctx); info.Attempt > 1 {
		msg.Since = info.ScheduledTime // an earlier attempt may have sent it, and lost the answer
	}
	ref, err := m.deliver(ctx, msg, in.Replace)
	partial, ok := errors.AsType[*notify.Partial](err)
	if !ok {
		return MessageOutput{Ref: ref}, notifyError(err)
	}
	activity.GetLogger(ctx).Warn("message not sent everywhere", "key", msg.Key, "missing", len(partial.Missing), "error", err)
	if len(partial.Missing) == 0 {
		return MessageOutput{Ref: ref}, nil
	}
	// The next attempt goes on from here: it sends nothing twice to where the message arrived.
	activity.RecordHeartbeat(ctx, partial.Rest)
	return MessageOutput{}, notifyError(err)
}

// sendLimit ends an attempt while there is time to record where the message arrived: it is below the activity's
// start-to-close timeout.
const sendLimit = 15 * time.Second

// deliver sends msg, or puts it in the place of another, where earlier attempts didn't.
func (m *Messenger) deliver(ctx context.Context, msg notify.Message, replace *notify.Ref) (notify.Ref, error) {
	var earlier notify.Ref
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &earlier); err != nil {
			return notify.Ref{}, fmt.Errorf("message %s: where earlier attempts sent it: %w", msg.Key, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	if replace != nil {
		rest := *replace
		if len(earlier.Parts) > 0 {
			rest = earlier
		}
		return *replace, m.Notifier.Update(ctx, rest, msg)
	}
	if resumer, ok := m.Notifier.(notify.Resumer); ok {
		return resumer.Resume(ctx, earlier, msg)
	}
	return m.Notifier.Notify(ctx, msg)
}

// notifyError hands the provider's wish to wait on to Temporal. Where a part may still arrive, another that was refused
// doesn't end the retries.
func notifyError(err error) error {
	var after time.Duration
	if partial, ok := errors.AsType[*notify.Partial](err); ok {
		after = partial.After()
	} else if rejected, ok := errors.AsType[*notify.Rejected](err); ok {
		return permanent(ErrorMessage, rejected)
	} else if wait, ok := errors.AsType[*notify.Retryable](err); ok {
		after = wait.After
	}
	if after > 0 {
		return temporal.NewApplicationErrorWithOptions(err.Error(), ErrorMessage, temporal.ApplicationErrorOptions{NextRetryDelay: after})
	}
	return err
}

func (m *Messenger) word(in MessageInput) notify.Message {
	msg := notify.Message{
		Key: fmt.Sprintf("%s/%s/%d", in.Lifecycle, in.Kind, in.Round), Model: in.Model, Lifecycle: in.Lifecycle, Text: in.Text, Severity: notify.Info,
	}
	if strings.HasPrefix(in.Lifecycle, "lifecycle/") {
		msg.Thread = in.Lifecycle
	}
	if m.RunURL != nil && strings.HasPrefix(in.Lifecycle, "lifecycle/") {
		msg.Links = append(msg.Links, notify.Link{Text: "Temporal", URL: m.RunURL(in.Lifecycle)})
	}
	switch in.Kind {
	case MessageRefused:
		msg.Severity, msg.Title = notify.Warning, in.Model+": a landed file was refused"
	case MessageNoWorker:
		msg.Severity, msg.Title = notify.Warning, in.Model+": no worker can train it"
	case MessageRepaired:
		m.wordTarget(&msg, in)
	case MessageAlert:
		m.wordAlert(&msg, in)
	case MessageCalm:
		m.wordCalm(&msg, in)
	case MessageBlind:
		m.wordBlind(&msg, in)
	case MessageCanary, MessageAnswered:
		m.wordCanary(&msg, in)
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

// wordAlert says what was found, where to look, and what to do.
func (m *Messenger) wordAlert(msg *notify.Message, in MessageInput) {
	msg.Severity, msg.Title = notify.Warning, in.Model+": production has moved away from the champion"
	lines := []string{in.Text}
	if in.Page != "" {
		lines = append(lines, "report: "+in.Page)
		if strings.HasPrefix(in.Page, "s3://") {
			lines = append(lines, "get it: aws s3 cp "+in.Page+" .")
		}
	}
	switch in.Monitor {
	case TriggerDrift:
		lines = append(lines, "what to do now: "+DriftAdvice(in.Model))
	case TriggerQuality:
		msg.Title = in.Model + ": the champion does worse than it did"
		lines = append(lines, "what to do now: "+QualityAdvice(in.Model))
	case MonitorTarget:
		m.wordTarget(msg, in)
		return
	}
	msg.Text = strings.Join(lines, "\n")
	m.linkMonitor(msg, in)
}

// wordCalm says that nothing is left to do.
func (m *Messenger) wordCalm(msg *notify.Message, in MessageInput) {
	msg.Severity, msg.Title = notify.Success, in.Model+": production is again within the limits of the champion"
	switch in.Monitor {
	case TriggerQuality:
		msg.Title = in.Model + ": the champion does as well again as it must"
	case MonitorTarget:
		msg.Title = in.Model + ": its target serves again what was decided"
	}
	if in.Page != "" {
		msg.Text += "\nreport: " + in.Page
	}
	m.linkMonitor(msg, in)
}

// wordBlind says that nobody looks any more, and how to begin again.
func (m *Messenger) wordBlind(msg *notify.Message, in MessageInput) {
	msg.Severity = notify.Failure
	what, schedule := in.Monitor+" check", in.Monitor+"/"+in.Model
	if in.Monitor == TriggerCron {
		what, schedule = "retrain.cron", "retrain/"+in.Model
	}
	msg.Title = fmt.Sprintf("%s: %s failed, and its schedule is paused", in.Model, what)
	msg.Text += "\nwhat to do now: nothing looks until the cause is gone and the schedule goes on: starter schedules resume " + schedule
	m.linkMonitor(msg, in)
}

func (m *Messenger) linkMonitor(msg *notify.Message, in MessageInput) {
	if m.RunURL != nil && in.Workflow != "" {
		msg.Links = append(msg.Links, notify.Link{Text: "Temporal", URL: m.RunURL(in.Workflow)})
	}
}

// DriftAdvice is what to do about drift.
func DriftAdvice(model string) string {
	return fmt.Sprintf("see whether the world changed or the feed broke (missing values, another unit, a new code): a feed is repaired at its source, "+
		"a world that changed is learned by retraining. starter status %s says whether a run began by itself, starter submit %s asks for one.", model, model)
}

// QualityAdvice is what to do about predictions that come true less often.
func QualityAdvice(model string) string {
	return fmt.Sprintf("starter status %s says whether a run began by itself, starter submit %s asks for one, "+
		"starter rollback %s --reason TEXT goes back to the version before.", model, model, model)
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
	lines = append(lines,
		fmt.Sprintf("starter approve %s --evidence %.12s", in.Model, e.Digest),
		fmt.Sprintf("starter reject %s --evidence %.12s --reason \"...\"", in.Model, e.Digest))
	msg.Text = strings.Join(lines, "\n")
	msg.Fields = []notify.Field{{Name: "rows", Value: fmt.Sprint(in.Result.Rows)}, {Name: "evidence", Value: fmt.Sprintf("%.12s", e.Digest)}}
	msg.Actions = approvalActions(in)
}
