package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
)

// Names within the app's own messages and forms. The buttons' are made by notify's Block Kit.
const (
	actionApprove = "leanloop_" + notify.ActionApprove
	actionReject  = "leanloop_" + notify.ActionReject
	actionDetails = "leanloop_" + notify.ActionDetails
	formReject    = "leanloop_reject_form"
	blockReason   = "leanloop_reason"
	inputReason   = "reason"
)

// maxReason bounds a reason in bytes; the form takes 1,000 characters.
const maxReason = 4000

// maxAge is how old a click or an open form may be: what a sweep of the inbox, by months, is sure to see.
const maxAge = 31 * 24 * time.Hour

// Interaction is one decision that arrived from Slack, as it is stored. Its user is the authenticated envelope's; its
// question is only a route.
type Interaction struct {
	ID       string          `json:"id"`   // of this click or form: a redelivery has the same
	Kind     string          `json:"kind"` // approve | reject
	User     string          `json:"user"` // Slack's id
	Question notify.Question `json:"question"`
	Reason   string          `json:"reason,omitempty"`
	Channel  string          `json:"channel"`
	Message  string          `json:"message"` // time stamp of the message with the buttons
	At       time.Time       `json:"at"`      // of the click; of a form, of the click that opened it
}

// actor is who decides, as a spec names approvers.
func (i Interaction) actor() string { return "slack:" + i.User }

// decision is what the run is told. Its ID is the interaction's, so that a replay counts once.
func (i Interaction) decision() approval.Decision {
	return approval.Decision{
		ID: "slack-" + i.ID[:32], Kind: i.Kind, Actor: i.actor(), Via: "slack", Evidence: i.Question.Evidence, Reason: i.Reason, At: i.At,
	}
}

// What an event wants.
type intent int

const (
	nothing  intent = iota // not ours to act on: a link's button, a form that was closed
	decide                 // approve, or reject with a reason
	askWhy                 // reject was clicked: open the form
	details                // show the evidence
	complain               // the form lacks a reason: say so in it
)

// event is an interaction that was understood.
type event struct {
	intent
	Interaction
	trigger string // opens a form, for three seconds
}

// forgedError is a payload that Slack wouldn't have sent for a message of ours. It is dropped.
type forgedError struct {
	team bool // of another workspace
	why  string
}

func (e *forgedError) Error() string { return "slack interaction refused: " + e.why }

func forged(format string, args ...any) error { return &forgedError{why: fmt.Sprintf(format, args...)} }

// payload is what is read of Slack's interaction; response_url isn't: answers go by the Web API.
type payload struct {
	Type string              `json:"type"`
	Team struct{ ID string } `json:"team"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	TriggerID string              `json:"trigger_id"`
	Channel   struct{ ID string } `json:"channel"`
	Container struct {
		MessageTS string `json:"message_ts"`
		ChannelID string `json:"channel_id"`
	} `json:"container"`
	Actions []struct {
		ID    string `json:"action_id"`
		Value string `json:"value"`
		TS    string `json:"action_ts"`
	} `json:"actions"`
	View struct {
		ID       string `json:"id"`
		Callback string `json:"callback_id"`
		Metadata string `json:"private_metadata"`
		State    struct {
			Values map[string]map[string]struct {
				Value string `json:"value"`
			} `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

var (
	userForm    = regexp.MustCompile(`^[UW][A-Z0-9]{1,24}$`)
	channelForm = regexp.MustCompile(`^[CDG][A-Z0-9]{1,24}$`)
	stampForm   = regexp.MustCompile(`^[0-9]{9,11}\.[0-9]{6}$`)
)

// read understands one payload of the given workspace.
func read(raw []byte, team string, now time.Time) (event, error) {
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return event{}, forged("payload isn't an interaction: %v", err)
	}
	// In a channel that is shared with another company the team is ours and the user is theirs.
	if p.Team.ID != team || (p.User.TeamID != "" && p.User.TeamID != team) {
		return event{}, &forgedError{team: true, why: fmt.Sprintf("team %.24q, user's team %.24q: want %s", p.Team.ID, p.User.TeamID, team)}
	}
	if !userForm.MatchString(p.User.ID) {
		return event{}, forged("user %.40q isn't one", p.User.ID)
	}
	switch p.Type {
	case "block_actions":
		return p.click(now)
	case "view_submission":
		return p.form(now)
	}
	return event{intent: nothing}, nil
}

// click understands a button of a message.
func (p payload) click(now time.Time) (event, error) {
	if len(p.Actions) != 1 {
		return event{}, forged("%d actions in one click", len(p.Actions))
	}
	a := p.Actions[0]
	e := event{trigger: p.TriggerID}
	switch a.ID {
	case actionApprove:
		e.intent, e.Kind = decide, approval.Approve
	case actionReject:
		e.intent, e.Kind = askWhy, approval.Reject
	case actionDetails:
		e.intent = details
	default:
		return event{intent: nothing}, nil
	}
	e.User, e.Channel, e.Message = p.User.ID, p.Container.ChannelID, p.Container.MessageTS
	if e.Channel == "" {
		e.Channel = p.Channel.ID
	}
	if !channelForm.MatchString(e.Channel) || !stampForm.MatchString(e.Message) {
		return event{}, forged("message %.40q in channel %.40q isn't one", e.Message, e.Channel)
	}
	var err error
	if e.Question, err = notify.ParseQuestion(a.Value); err != nil {
		return event{}, forged("value of %s: %v", a.ID, err)
	}
	if e.At, err = moment(a.TS, now); err != nil {
		return event{}, err
	}
	e.ID = identity("click", e.User, e.Channel, e.Message, a.ID, a.TS)
	return e, nil
}

// origin is what a form carries in its private_metadata.
type origin struct {
	Question notify.Question `json:"question"`
	Channel  string          `json:"channel"`
	Message  string          `json:"message"`
	At       time.Time       `json:"at"`
}

// form understands a submitted form. Its context was written by this app, but is trusted no more than a button's value.
func (p payload) form(now time.Time) (event, error) {
	if p.View.Callback != formReject {
		return event{intent: nothing}, nil
	}
	if p.View.ID == "" {
		return event{}, forged("a form without an id")
	}
	var c origin
	if err := json.Unmarshal([]byte(p.View.Metadata), &c); err != nil {
		return event{}, forged("private_metadata: %v", err)
	}
	if err := c.Question.Validate(); err != nil {
		return event{}, forged("private_metadata: %v", err)
	}
	if !channelForm.MatchString(c.Channel) || !stampForm.MatchString(c.Message) {
		return event{}, forged("private_metadata: message %.40q in channel %.40q isn't one", c.Message, c.Channel)
	}
	if err := recent(c.At, now); err != nil {
		return event{}, err
	}
	e := event{intent: decide, Interaction: Interaction{
		ID: identity("form", p.User.ID, p.View.ID), Kind: approval.Reject, User: p.User.ID, Question: c.Question,
		Channel: c.Channel, Message: c.Message, At: c.At.UTC(), Reason: strings.TrimSpace(p.View.State.Values[blockReason][inputReason].Value),
	}}
	if len(e.Reason) > maxReason {
		return event{}, forged("reason of %d bytes > %d", len(e.Reason), maxReason)
	}
	if e.Reason == "" {
		e.intent = complain
	}
	return e, nil
}

// moment reads Slack's time stamp, seconds and microseconds.
func moment(stamp string, now time.Time) (time.Time, error) {
	seconds, micros, ok := strings.Cut(stamp, ".")
	if !ok || !stampForm.MatchString(stamp) {
		return time.Time{}, forged("action_ts %.40q isn't a time stamp", stamp)
	}
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, forged("action_ts %.40q: %v", stamp, err)
	}
	us, err := strconv.ParseInt(micros, 10, 64)
	if err != nil {
		return time.Time{}, forged("action_ts %.40q: %v", stamp, err)
	}
	at := time.Unix(s, us*1000).UTC()
	return at, recent(at, now)
}

func recent(at, now time.Time) error {
	if at.Before(now.Add(-maxAge)) || at.After(now.Add(time.Hour)) {
		return forged("clicked at %s, it is %s", at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// identity is the SHA-256 of what makes one click or form that one.
func identity(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}
