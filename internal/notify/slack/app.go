// Package slack takes people's decisions from Slack to the run that waits for them.
//
// A click arrives by Socket Mode or by HTTP, is stored create-once in the bucket, then acknowledged, then decided by the
// run itself: this package must never decide, and never take from a button's value more than where to ask. Whoever
// clicked is who Slack's authenticated envelope says. What was stored and not decided, because this process ended or
// Temporal was away, is found by a sweep.
package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	api "github.com/slack-go/slack"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// Times, all within Slack's three seconds for an acknowledgement and for a trigger, or beyond them for what may be slow.
const (
	storeWithin  = 2 * time.Second
	formWithin   = 3 * time.Second
	decideWithin = 20 * time.Second
	tellWithin   = 10 * time.Second
)

// Desk is where decisions are made: the runs themselves.
type Desk interface {
	// Decide asks a run to take a decision, and waits for its answer. The same decision again gets the first one's answer,
	// after the run's end too. An error is a *Refused where the run won't take it; any other one may pass.
	Decide(ctx context.Context, lifecycle string, d approval.Decision) (approval.Status, error)
	// Details words what a run asks, for a person who wants to see all of it. *Refused: it asks nothing.
	Details(ctx context.Context, lifecycle string) (notify.Message, error)
}

// Refused is a decision that a run didn't take, and why.
type Refused struct{ Why string }

func (e *Refused) Error() string { return "decision refused: " + e.Why }

// Config is how to reach a workspace, and how it reaches us: by Socket Mode with an app-level token, by signed HTTP
// with a signing secret, or by both.
type Config struct {
	BotToken      string        // xoxb-...
	AppToken      string        // xapp-..., of scope connections:write; "": no Socket Mode
	SigningSecret string        // "": no HTTP
	Team          string        // T012AB: interactions of another workspace are refused
	Sweep         time.Duration // between looks into the inbox; 0: a minute
	APIURL        string        // "": Slack's own
	Client        *http.Client  // nil: one of its own
	Now           func() time.Time
	Log           *slog.Logger
}

// App is the listener.
type App struct {
	c     Config
	api   *api.Client
	store objectstore.Store
	inbox inbox
	desk  Desk

	stop context.Context // ends what goes on after an acknowledgement
	end  context.CancelFunc
	work sync.WaitGroup
	mu   sync.Mutex
	busy map[string]bool // interactions that are decided right now, by id
}

// New checks the configuration; it doesn't call Slack.
func New(c Config, store objectstore.Store, desk Desk) (*App, error) {
	switch {
	case !strings.HasPrefix(c.BotToken, "xoxb-"):
		return nil, errors.New("slack: the bot token begins with xoxb-: set SLACK_BOT_TOKEN")
	case c.AppToken == "" && c.SigningSecret == "":
		return nil, errors.New("slack: neither an app-level token (Socket Mode: SLACK_APP_TOKEN) nor a signing secret (HTTP: SLACK_SIGNING_SECRET)")
	case c.AppToken != "" && !strings.HasPrefix(c.AppToken, "xapp-"):
		return nil, errors.New("slack: the app-level token begins with xapp-: see SLACK_APP_TOKEN")
	case !strings.HasPrefix(c.Team, "T"):
		return nil, errors.New("slack: the workspace's id begins with T: set SLACK_TEAM_ID")
	}
	if c.Sweep <= 0 {
		c.Sweep = time.Minute
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 30 * time.Second}
	}
	options := []api.Option{api.OptionHTTPClient(c.Client), api.OptionAppLevelToken(c.AppToken)}
	if c.APIURL != "" {
		options = append(options, api.OptionAPIURL(strings.TrimSuffix(c.APIURL, "/")+"/"))
	}
	a := &App{c: c, api: api.New(c.BotToken, options...), store: store, inbox: inbox{store}, desk: desk, busy: map[string]bool{}}
	a.stop, a.end = context.WithCancel(context.Background())
	return a, nil
}

// Run listens by Socket Mode, if it has a token for it, and sweeps the inbox, at once and then every so often, until ctx
// ends. What is being decided then is left to the next sweep. An App runs once.
func (a *App) Run(ctx context.Context) {
	defer a.work.Wait()
	defer func() {
		a.mu.Lock() // after begins nothing from here on
		defer a.mu.Unlock()
		a.end()
	}()
	var listening sync.WaitGroup
	defer listening.Wait()
	if a.c.AppToken != "" {
		listening.Go(func() { a.socket(ctx) })
	}
	for {
		a.Sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.c.Sweep):
		}
	}
}

// Sweep decides what arrived and wasn't decided, in the order of the clicks.
func (a *App) Sweep(ctx context.Context) {
	waiting, err := a.inbox.waiting(ctx, a.c.Now())
	if err != nil && ctx.Err() == nil {
		a.c.Log.Error("slack inbox", "error", err)
	}
	for _, i := range waiting {
		if ctx.Err() != nil {
			return
		}
		a.settle(ctx, i, false)
	}
}

// accept takes one interaction from either way in: it returns what Slack is answered, and what to do once it is. An
// error means that Slack must not be told that it was taken.
func (a *App) accept(ctx context.Context, raw []byte) (answer any, next func(), err error) {
	e, err := read(raw, a.c.Team, a.c.Now())
	if err != nil {
		return nil, nil, err
	}
	switch e.intent {
	case askWhy:
		return nil, func() { a.openForm(e) }, nil
	case details:
		return nil, func() { a.openDetails(e) }, nil
	case complain:
		return map[string]any{"response_action": "errors", "errors": map[string]string{blockReason: "Say why, for whoever made it."}}, func() {}, nil
	case decide:
		ctx, cancel := context.WithTimeout(ctx, storeWithin)
		defer cancel()
		if err := a.inbox.put(ctx, e.Interaction); err != nil {
			return nil, nil, err
		}
		return nil, func() { a.settle(a.stop, e.Interaction, true) }, nil
	}
	return nil, func() {}, nil
}

// settle has one stored interaction decided, and says what became of it. What can't be decided now stays in the inbox.
func (a *App) settle(ctx context.Context, i Interaction, first bool) {
	if !a.begin(i.ID) {
		return
	}
	defer a.finish(i.ID)
	log := a.c.Log.With("interaction", i.ID[:12], "run", i.Question.Lifecycle, "actor", i.actor(), "decision", i.Kind)
	ctx, cancel := context.WithTimeout(ctx, decideWithin+tellWithin)
	defer cancel()
	if decided, err := a.inbox.decided(ctx, i); err != nil || decided {
		if err != nil {
			log.Warn("slack decision waits in the inbox", "error", err)
		}
		return
	}
	done := Done{ID: i.ID}
	status, err := a.decide(ctx, i)
	refused, no := errors.AsType[*Refused](err)
	switch {
	case no:
		done.Outcome, done.Why = "refused", refused.Why
		if err := a.audit(ctx, i, refused.Why); err != nil {
			log.Warn("slack refusal waits in the inbox", "error", err)
			return
		}
		a.whisper(ctx, i, fmt.Sprintf("Your decision on version %d doesn't count: %s", i.Question.Version, refused.Why))
	case err != nil:
		log.Warn("slack decision waits in the inbox", "error", err)
		if first && a.stop.Err() == nil {
			a.whisper(a.stop, i, fmt.Sprintf("Your decision on version %d is stored. The run doesn't answer yet; it is told as soon as it does.", i.Question.Version))
		}
		return
	default:
		done.Outcome = status.Outcome
	}
	done.At = a.c.Now().UTC()
	if err := a.inbox.done(ctx, i, done); err != nil {
		log.Warn("slack decision is made, and will be asked for again", "error", err)
		return
	}
	log.Info("slack decision", "outcome", done.Outcome, "why", done.Why)
	if !no && status.IsOpen() {
		a.reply(ctx, i, status)
	}
}

func (a *App) decide(ctx context.Context, i Interaction) (approval.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, decideWithin)
	defer cancel()
	return a.desk.Decide(ctx, i.Question.Lifecycle, i.decision())
}

// audit keeps a refused decision. Its time is the click's, so that a repetition is the same entry.
func (a *App) audit(ctx context.Context, i Interaction, why string) error {
	return registry.RecordRefusal(ctx, a.store, i.Question.Model(), registry.RefusedDecision{
		Time: i.At, Actor: i.actor(), Via: "slack", Decision: i.Kind, Key: i.Question.Lifecycle, Version: i.Question.Version,
		Evidence: i.Question.Evidence, Given: i.Reason, Reason: why,
	})
}

// begin says that no other goroutine is at this interaction, and that this one is from now on.
func (a *App) begin(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[id] {
		return false
	}
	a.busy[id] = true
	return true
}

func (a *App) finish(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, id)
}

// after does what follows an acknowledgement, beside whatever else arrives.
func (a *App) after(next func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop.Err() == nil { // else the next sweep does it
		a.work.Go(next)
	}
}

// redact takes this app's secrets out of an error's text: the client puts URLs and answers into its errors.
func (a *App) redact(err error) string {
	text := err.Error()
	for _, secret := range []string{a.c.BotToken, a.c.AppToken, a.c.SigningSecret} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	return text
}

// encode is an answer as Slack's HTTP response takes it; nothing at all is one too.
func encode(answer any) ([]byte, error) {
	if answer == nil {
		return nil, nil
	}
	return json.Marshal(answer)
}
