package slack_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/slack"
	"github.com/leanloop/leanloop/internal/notify/slacktest"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

const (
	model     = "flight-delay"
	lifecycle = "lifecycle/flight-delay/7"
	ana, ben  = "U0ANA", "U0BEN"
	eve       = "U0EVE"
)

var evidence = strings.Repeat("5f2a", 16)

// run is a Desk as a run is one: approval.Decide judges, the first decision stands, the message is rewritten once it is
// settled. It may be away.
type run struct {
	mu      sync.Mutex
	request approval.Request
	status  approval.Status
	away    error
	asked   int
	now     func() time.Time
	settled func(approval.Status)
}

func (r *run) Decide(ctx context.Context, id string, d approval.Decision) (approval.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.away != nil {
		return approval.Status{}, r.away
	}
	if id != lifecycle {
		return approval.Status{}, &slack.Refused{Why: id + " doesn't run"}
	}
	d.At = r.now()
	before := r.status.IsOpen()
	s, err := approval.Decide(r.request, r.status, d)
	r.status = s
	if err != nil {
		return s, &slack.Refused{Why: err.Error()}
	}
	if before && !s.IsOpen() && r.settled != nil {
		r.settled(s)
	}
	return s, nil
}

func (r *run) Details(context.Context, string) (notify.Message, error) {
	return notify.Message{Title: "Version 7", Text: "gate <!channel> f1: 0.74 >= 0.70\n" + strings.Repeat("line\n", 900)}, nil
}

func (r *run) set(change func(*run)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *run) outcome() approval.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// world is a workspace, an app and a run that asks.
type world struct {
	*slacktest.Server
	t     *testing.T
	store *objectstore.Memory
	run   *run
	app   *slack.App
	ref   notify.Ref
	log   *safeBuffer
	mode  string
	stop  func()
}

// newWorld starts all of it: mode is socket or http.
func newWorld(t *testing.T, mode string) *world {
	w := &world{Server: slacktest.New(t), t: t, store: objectstore.NewMemory(), log: &safeBuffer{}, mode: mode}
	w.run = &run{now: time.Now, request: approval.Request{
		Evidence: evidence, RequestedBy: "slack:" + eve, OpenedAt: time.Now(),
		Policy: spec.Approval{Approvers: []string{"slack:" + ana, "slack:" + ben, "slack:" + eve}, Quorum: 1, FourEyes: true, Timeout: spec.Duration(time.Hour)},
	}}
	posts, err := notify.NewSlack(notify.SlackConfig{Token: slacktest.BotToken, Channel: "#ml", APIURL: w.URL})
	require.NoError(t, err)
	q := notify.Question{Lifecycle: lifecycle, Evidence: evidence, Version: 7}
	message := notify.Message{Key: lifecycle + "/approval/0", Model: model, Lifecycle: lifecycle, Title: "approve version 7?", Actions: []notify.Action{
		{Kind: notify.ActionApprove, Text: "Approve", Value: q.String()}, {Kind: notify.ActionReject, Text: "Reject", Value: q.String()},
		{Kind: notify.ActionDetails, Text: "Details", Value: q.String()},
	}}
	w.ref, err = posts.Notify(t.Context(), message)
	require.NoError(t, err)
	w.run.settled = func(s approval.Status) {
		m := message
		m.Title, m.Actions = "version 7: "+s.Outcome, nil
		require.NoError(t, posts.Update(context.Background(), w.ref, m))
	}
	w.start()
	return w
}

// start runs an app on the world's bucket, workspace and run.
func (w *world) start() {
	c := slack.Config{BotToken: slacktest.BotToken, Team: slacktest.Team, APIURL: w.URL, Sweep: 50 * time.Millisecond, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(w.log, nil))}
	if w.mode == "http" {
		c.SigningSecret = slacktest.SigningSecret
	} else {
		c.AppToken = slacktest.AppToken
	}
	app, err := slack.New(c, w.store, w.run)
	require.NoError(w.t, err)
	w.app = app
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); app.Run(ctx) }()
	stopHTTP := func() {}
	if w.mode == "http" {
		server := httptest.NewServer(http.HandlerFunc(app.ServeHTTP))
		w.Endpoint, stopHTTP = server.URL, server.Close
	} else {
		w.until("the socket", func() bool { return w.Connected() > 0 })
	}
	w.stop = sync.OnceFunc(func() { stopHTTP(); cancel(); <-done })
	w.t.Cleanup(func() { w.stop() })
}

// until waits for a condition.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	require.Eventually(w.t, is, 10*time.Second, 2*time.Millisecond, "waiting for %s\n%s", what, w.log)
}

func (w *world) click(user, action string) []byte {
	w.t.Helper()
	payload, err := w.Click(user, w.ref.Channel, w.ref.ID, action)
	require.NoError(w.t, err)
	return payload
}

// deliver gives a payload to the app, which has to acknowledge it.
func (w *world) deliver(payload []byte) []byte {
	w.t.Helper()
	a := w.Deliver(payload)
	require.NoError(w.t, a.Err, "%s", w.log)
	return a.Body
}

func (w *world) title() string { return strings.SplitN(w.Messages()[0].Text, "\n", 2)[0] }

// done counts the interactions that need nothing more, waiting those that do.
func (w *world) inbox() (arrived, done int) {
	require.NoError(w.t, w.store.List(context.Background(), "inbox/slack/", func(i objectstore.Info) error {
		if strings.HasSuffix(i.Key, ".done.json") {
			done++
		} else {
			arrived++
		}
		return nil
	}))
	return arrived, done
}

func (w *world) refused() (all []registry.RefusedDecision) {
	require.NoError(w.t, registry.RefusedDecisions(context.Background(), w.store, model, func(r registry.RefusedDecision) error {
		all = append(all, r)
		return nil
	}))
	return all
}

// inBothModes runs a test by Socket Mode and by HTTP.
func inBothModes(t *testing.T, test func(t *testing.T, w *world)) {
	for _, mode := range []string{"socket", "http"} {
		t.Run(mode, func(t *testing.T) { t.Parallel(); test(t, newWorld(t, mode)) })
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var errAway = errors.New("temporal is away")
