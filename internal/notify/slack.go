package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/slack-go/slack"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// SlackConfig is how to reach a Slack workspace.
type SlackConfig struct {
	Token   string // of the bot: xoxb-... ; needs chat:write
	Channel string // where a message goes that names no channel: "#team" or C012AB
	APIURL  string // "": Slack's own
	Mute    bool   // nobody takes clicks: leave the buttons out
	// Store keeps which message began a thread; nil: no threads.
	Store  objectstore.Store
	Client *http.Client // nil: a client of its own, without time-out; contexts bound the calls
}

// Slack posts messages to channels and rewrites them.
//
// Each post carries its Key in the message's metadata. One that may have been posted before, which its Since says, is
// looked for by it, and isn't posted again. Messages of one Thread are replies to its first.
type Slack struct {
	api     *slack.Client
	channel string
	token   string
	mute    bool
	store   objectstore.Store

	mu  sync.Mutex
	ids map[string]string // of channels, by name
}

// NewSlack checks the configuration; it doesn't call Slack.
func NewSlack(c SlackConfig) (*Slack, error) {
	if c.Token == "" {
		return nil, errors.New("notify: slack needs a bot token")
	}
	if c.Channel == "" {
		return nil, errors.New("notify: slack needs a default channel")
	}
	client := c.Client
	if client == nil {
		client = &http.Client{}
	}
	options := []slack.Option{slack.OptionHTTPClient(client)}
	if c.APIURL != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(c.APIURL, "/")+"/"))
	}
	return &Slack{api: slack.New(c.Token, options...), channel: c.Channel, token: c.Token, mute: c.Mute, store: c.Store, ids: map[string]string{}}, nil
}

// Notify posts m to its channel, or to the default one.
func (s *Slack) Notify(ctx context.Context, m Message) (Ref, error) {
	if err := m.Validate(); err != nil {
		return Ref{}, err
	}
	channel := m.Channel
	if channel == "" {
		channel = s.channel
	}
	root := s.root(ctx, m.Thread)
	if !m.Since.IsZero() {
		ref, err := s.find(ctx, channel, m, root)
		if err != nil || ref.ID != "" {
			if root.ID == "" && ref.ID != "" {
				s.keepRoot(ctx, m.Thread, ref)
			}
			return ref, err
		}
	}
	ref, err := s.post(ctx, channel, m, root)
	if err != nil {
		return Ref{}, s.failure(ctx, channel, err)
	}
	s.learn(channel, ref.Channel)
	if root.ID == "" {
		s.keepRoot(ctx, m.Thread, ref)
	}
	return ref, nil
}

// post sends a message, as a reply where its thread has begun. What wants a person is shown in the channel too.
func (s *Slack) post(ctx context.Context, channel string, m Message, root Ref) (Ref, error) {
	options := s.options(m)
	if root.ID != "" {
		channel = root.Channel
		options = append(options, slack.MsgOptionTS(root.ID))
		if len(m.Actions) > 0 || m.Severity == Warning || m.Severity == Failure {
			options = append(options, slack.MsgOptionBroadcast())
		}
	}
	posted, at, err := s.api.PostMessageContext(ctx, channel, options...)
	return Ref{Provider: "slack", Channel: posted, ID: at}, err
}

// Update rewrites the message at ref, its buttons too: a message without actions has none afterwards.
func (s *Slack) Update(ctx context.Context, ref Ref, m Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if ref.Channel == "" || ref.ID == "" {
		return ErrNoRef
	}
	if _, _, _, err := s.api.UpdateMessageContext(ctx, ref.Channel, ref.ID, s.options(m)...); err != nil {
		return s.failure(ctx, ref.Channel, err)
	}
	return nil
}

func (s *Slack) options(m Message) []slack.MsgOption {
	if s.mute {
		m.Actions = nil
	}
	return []slack.MsgOption{
		slack.MsgOptionText(slackText(m), false),
		slack.MsgOptionBlocks(slackBlocks(m)...),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: eventType, EventPayload: map[string]any{"key": m.Key, "model": m.Model}}),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
}

// passing are the codes of Slack that another attempt may not meet.
var passing = map[string]bool{
	"internal_error": true, "fatal_error": true, "service_unavailable": true, "request_timeout": true, "ratelimited": true, "rate_limited": true,
}

// hints say what to do about the codes that people meet first.
var hints = map[string]string{
	"not_in_channel":      "invite the bot to the channel",
	"channel_not_found":   "check notify.slack; a private channel has to invite the bot",
	"invalid_auth":        "check the bot token",
	"not_authed":          "check the bot token",
	"token_revoked":       "install the app again",
	"account_inactive":    "install the app again",
	"missing_scope":       "the bot needs chat:write",
	"is_archived":         "the channel is archived",
	"message_not_found":   "the message was deleted",
	"cant_update_message": "the message was posted by another app",
}

// failure types an error of the client: *Retryable, *Rejected, or the context's own. The token is in none of them.
func (s *Slack) failure(ctx context.Context, channel string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("slack %s: %w", channel, ctx.Err())
	}
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return &Retryable{Provider: "slack", After: limited.RetryAfter, Err: errors.New("rate limit exceeded")}
	}
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) && !passing[refused.Err] {
		return &Rejected{Provider: "slack", Code: refused.Err, Hint: hints[refused.Err]}
	}
	var status slack.StatusCodeError
	if errors.As(err, &status) && status.Code < 500 && status.Code != http.StatusRequestTimeout {
		return &Rejected{Provider: "slack", Code: status.Status}
	}
	return &Retryable{Provider: "slack", Err: fmt.Errorf("channel %s: %s", channel, strings.ReplaceAll(err.Error(), s.token, "[token]"))}
}
