package activities

import (
	"fmt"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/notify"
)

// CanaryMessage is what people are told of a canary that failed and waits for them.
type CanaryMessage struct {
	Version  int             `json:"version"`
	Champion int             `json:"champion"`
	Weight   float64         `json:"weight"` // of now
	Deadline time.Time       `json:"deadline"`
	Failed   *canary.Failure `json:"failed,omitempty"`
	Last     *canary.Look    `json:"last,omitempty"`
	Answer   string          `json:"answer,omitempty"` // of a MessageAnswered: what became of it
}

// wordCanary says what failed, what users meet meanwhile, what to do, and what happens if nobody does.
func (m *Messenger) wordCanary(msg *notify.Message, in MessageInput) {
	c := in.Canary
	if c == nil {
		c = &CanaryMessage{}
	}
	msg.Severity = notify.Failure
	m.linkMonitor(msg, in)
	if in.Kind == MessageAnswered {
		msg.Severity, msg.Title, msg.Text = notify.Info, fmt.Sprintf("%s: the failed canary of version %d was answered", in.Model, c.Version), c.Answer
		return
	}
	f := c.Failed
	if f == nil {
		f = &canary.Failure{}
	}
	lines := []string{f.Reason}
	until := "no later than the deadline, " + clock(c.Deadline) + ": then it is rolled back"
	if f.Withdrawn {
		msg.Title = fmt.Sprintf("%s: the canary of version %d failed; version %d answers everything", in.Model, c.Version, c.Champion)
		lines = append(lines, "it has no traffic until somebody says how to go on, "+until)
	} else {
		msg.Title = fmt.Sprintf("%s: the canary of version %d failed and keeps %.4g %%: go on?", in.Model, c.Version, 100*c.Weight)
		lines = append(lines, fmt.Sprintf("without an answer by %s it is rolled back", clock(f.Until)))
	}
	if c.Last != nil {
		for _, check := range c.Last.Checks {
			lines = append(lines, fmt.Sprintf("• %s: %s", check.Verdict, check.Message))
		}
	}
	lines = append(lines,
		fmt.Sprintf("back to version %d: starter canary abort %s --reason \"...\"", c.Champion, in.Model),
		fmt.Sprintf("try the step again: starter canary resume %s --reason \"...\"", in.Model),
		fmt.Sprintf("make it the champion all the same: starter canary promote %s --reason \"...\"", in.Model))
	msg.Text = strings.Join(lines, "\n")
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
