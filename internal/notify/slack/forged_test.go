package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/notify/slack"
	"github.com/leanloop/leanloop/internal/notify/slacktest"
	"github.com/leanloop/leanloop/internal/objectstore"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func post(app *slack.App, r *http.Request) int {
	rec := httptest.NewRecorder()
	app.ServeHTTP(rec, r)
	return rec.Code
}

// corpus is requests that mustn't decide anything, made from a good one. In each the run would take the decision if it
// were asked.
func corpus() map[string]struct {
	forge  func(r *http.Request, payload []byte) *http.Request
	status int
} {
	now := time.Now()
	type c = struct {
		forge  func(r *http.Request, payload []byte) *http.Request
		status int
	}
	header := func(name, value string, status int) c {
		return c{func(r *http.Request, _ []byte) *http.Request { r.Header.Set(name, value); return r }, status}
	}
	// changed is a payload that Slack did sign, and that isn't what a click on our message gives.
	changed := func(change func(p map[string]any), status int) c {
		return c{func(_ *http.Request, payload []byte) *http.Request {
			var p map[string]any
			if err := json.Unmarshal(payload, &p); err != nil {
				panic(err)
			}
			change(p)
			raw, err := json.Marshal(p)
			if err != nil {
				panic(err)
			}
			return slacktest.Signed("http://app/", raw, now)
		}, status}
	}
	action := func(name string, value any, status int) c {
		return changed(func(p map[string]any) { p["actions"].([]any)[0].(map[string]any)[name] = value }, status)
	}
	signedBody := func(contentType string, body func(payload []byte) []byte, status int) c {
		return c{func(_ *http.Request, payload []byte) *http.Request {
			b := body(payload)
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(b))
			stamp := strconv.FormatInt(now.Unix(), 10)
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("X-Slack-Request-Timestamp", stamp)
			r.Header.Set("X-Slack-Signature", slacktest.Sign(slacktest.SigningSecret, stamp, b))
			return r
		}, status}
	}
	form := "application/x-www-form-urlencoded"
	at := func(t time.Time, status int) c {
		return c{func(_ *http.Request, payload []byte) *http.Request {
			return slacktest.Signed("http://app/", payload, t)
		}, status}
	}
	question := func(lifecycle, digest string, version int) string {
		return fmt.Sprintf(`{"lifecycle":%q,"evidence":%q,"version":%d}`, lifecycle, digest, version)
	}
	return map[string]c{
		"no signature":           {func(r *http.Request, _ []byte) *http.Request { r.Header.Del("X-Slack-Signature"); return r }, 401},
		"no time stamp":          {func(r *http.Request, _ []byte) *http.Request { r.Header.Del("X-Slack-Request-Timestamp"); return r }, 401},
		"an empty signature":     header("X-Slack-Signature", "", 401),
		"a signature without v0": header("X-Slack-Signature", strings.Repeat("0", 64), 401),
		"an older version's":     header("X-Slack-Signature", "v1="+strings.Repeat("0", 64), 401),
		"no hex":                 header("X-Slack-Signature", "v0="+strings.Repeat("z", 64), 401),
		"zeros":                  header("X-Slack-Signature", "v0="+strings.Repeat("0", 64), 401),
		"half a signature": {func(r *http.Request, _ []byte) *http.Request {
			s := r.Header.Get("X-Slack-Signature")
			r.Header.Set("X-Slack-Signature", s[:35])
			return r
		}, 401},
		"two signatures": {func(r *http.Request, _ []byte) *http.Request { r.Header.Add("X-Slack-Signature", "v0=00"); return r }, 401},
		"two time stamps": {func(r *http.Request, _ []byte) *http.Request {
			r.Header.Add("X-Slack-Request-Timestamp", "1")
			return r
		}, 401},
		"another second's":      header("X-Slack-Request-Timestamp", strconv.FormatInt(now.Unix()+1, 10), 401),
		"a time that isn't one": header("X-Slack-Request-Timestamp", "now", 401),
		"six minutes old":       at(now.Add(-6*time.Minute), 401),
		"six minutes ahead":     at(now.Add(6*time.Minute), 401),
		"the epoch":             at(time.Unix(0, 0), 401),
		"another secret's": {func(r *http.Request, payload []byte) *http.Request {
			body := []byte(url.Values{"payload": {string(payload)}}.Encode())
			r.Header.Set("X-Slack-Signature", slacktest.Sign("other-secret", r.Header.Get("X-Slack-Request-Timestamp"), body))
			return r
		}, 401},
		"another body": {func(r *http.Request, payload []byte) *http.Request {
			forged := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(url.Values{"payload": {strings.ReplaceAll(string(payload), ana, ben)}}.Encode()))
			forged.Header = r.Header
			return forged
		}, 401},
		"a truncated body": {func(r *http.Request, payload []byte) *http.Request {
			body := url.Values{"payload": {string(payload)}}.Encode()
			forged := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body[:len(body)/2]))
			forged.Header = r.Header
			return forged
		}, 401},
		"a huge body": {func(*http.Request, []byte) *http.Request {
			return slacktest.Signed("http://app/", bytes.Repeat([]byte("x"), 2<<20), now)
		}, 413},
		"GET":                  {func(r *http.Request, _ []byte) *http.Request { r.Method = http.MethodGet; return r }, 405},
		"JSON":                 signedBody("application/json", func(p []byte) []byte { return p }, 415),
		"no content type":      signedBody("", func(p []byte) []byte { return []byte(url.Values{"payload": {string(p)}}.Encode()) }, 415),
		"multipart":            signedBody("multipart/form-data; boundary=x", func(p []byte) []byte { return p }, 415),
		"an empty body":        signedBody(form, func([]byte) []byte { return nil }, 400),
		"no payload":           signedBody(form, func([]byte) []byte { return []byte("load=1") }, 400),
		"two payloads":         signedBody(form, func(p []byte) []byte { return []byte(url.Values{"payload": {string(p), string(p)}}.Encode()) }, 400),
		"a form that isn't":    signedBody(form, func([]byte) []byte { return []byte("payload=%zz") }, 400),
		"a truncated payload":  signedBody(form, func(p []byte) []byte { return []byte(url.Values{"payload": {string(p[:len(p)/2])}}.Encode()) }, 400),
		"a payload of another": signedBody(form, func([]byte) []byte { return []byte(url.Values{"payload": {`["block_actions"]`}}.Encode()) }, 400),
		"null":                 signedBody(form, func([]byte) []byte { return []byte("payload=null") }, 403),

		"another team":         changed(func(p map[string]any) { p["team"] = map[string]any{"id": "T0OTHER"} }, 403),
		"no team":              changed(func(p map[string]any) { delete(p, "team") }, 403),
		"a team of null":       changed(func(p map[string]any) { p["team"] = nil }, 403),
		"a guest's team":       changed(func(p map[string]any) { p["user"].(map[string]any)["team_id"] = "T0OTHER" }, 403),
		"no user":              changed(func(p map[string]any) { delete(p, "user") }, 400),
		"a user that isn't":    changed(func(p map[string]any) { p["user"].(map[string]any)["id"] = "cli:ana" }, 400),
		"a user of two lines":  changed(func(p map[string]any) { p["user"].(map[string]any)["id"] = ana + "\nU0BEN" }, 400),
		"a number as user":     changed(func(p map[string]any) { p["user"].(map[string]any)["id"] = 7 }, 400),
		"no actions":           changed(func(p map[string]any) { p["actions"] = []any{} }, 400),
		"two actions":          changed(func(p map[string]any) { a := p["actions"].([]any); p["actions"] = append(a, a[0]) }, 400),
		"no message":           changed(func(p map[string]any) { delete(p, "container") }, 400),
		"a message of a path":  changed(func(p map[string]any) { p["container"].(map[string]any)["message_ts"] = "../../ledger" }, 400),
		"a channel of a path":  changed(func(p map[string]any) { p["container"].(map[string]any)["channel_id"] = "C/../x" }, 400),
		"an unknown action":    action("action_id", "leanloop_promote", 200),
		"another app's action": action("action_id", "approve", 200),
		"an unknown type":      changed(func(p map[string]any) { p["type"] = "shortcut" }, 200),
		"no type":              changed(func(p map[string]any) { delete(p, "type") }, 200),

		"a value that isn't":      action("value", "approve", 400),
		"an empty value":          action("value", "", 400),
		"a number as value":       action("value", 7, 400),
		"another workflow":        action("value", question("model/flight-delay", evidence, 7), 400),
		"a workflow of a path":    action("value", question("lifecycle/../flight-delay/7", evidence, 7), 400),
		"a workflow of two lines": action("value", question("lifecycle/flight-delay/7\n", evidence, 7), 400),
		"no evidence":             action("value", question(lifecycle, "", 7), 400),
		"a prefix of evidence":    action("value", question(lifecycle, evidence[:12], 7), 400),
		"version 0":               action("value", question(lifecycle, evidence, 0), 400),
		"a user in the value":     action("value", strings.TrimSuffix(question(lifecycle, evidence, 7), "}")+`,"user":"`+ana+`"}`, 400),
		"an actor in the value":   action("value", strings.TrimSuffix(question(lifecycle, evidence, 7), "}")+`,"actor":"cli:ana"}`, 400),
		"two values":              action("value", question(lifecycle, evidence, 7)+question(lifecycle, evidence, 7), 400),
		"a long value":            action("value", question(lifecycle, evidence, 7)+strings.Repeat(" ", 2001), 400),
		"a click of last year":    action("action_ts", fmt.Sprintf("%d.000001", now.AddDate(-1, 0, 0).Unix()), 400),
		"a click of next year":    action("action_ts", fmt.Sprintf("%d.000001", now.AddDate(1, 0, 0).Unix()), 400),
		"a click of a path":       action("action_ts", "../../../ledger", 400),

		"a form of another app":      changed(submitted("other_form", `{}`), 200),
		"a form without context":     changed(submitted("leanloop_reject_form", ""), 400),
		"a form's context that isnt": changed(submitted("leanloop_reject_form", "[1"), 400),
		"a form for another flow":    changed(submitted("leanloop_reject_form", formFor("canary/flight-delay", "C0ML", "1700000000.000001", now)), 400),
		"a form of a path":           changed(submitted("leanloop_reject_form", formFor(lifecycle, "C0ML", "../x", now)), 400),
		"a form of last year":        changed(submitted("leanloop_reject_form", formFor(lifecycle, "C0ML", "1700000000.000001", now.AddDate(-1, 0, 0))), 400),
		"a form for another run":     changed(submitted("leanloop_reject_form", formFor("lifecycle/churn/1", "C0ML", "1700000000.000001", now)), 200), // asked, and refused by who it names
	}
}

// submitted makes a view's submission of a click.
func submitted(callback, metadata string) func(p map[string]any) {
	return func(p map[string]any) {
		p["type"] = "view_submission"
		delete(p, "actions")
		p["view"] = map[string]any{"id": "V1", "callback_id": callback, "private_metadata": metadata,
			"state": map[string]any{"values": map[string]any{"leanloop_reason": map[string]any{"reason": map[string]any{"value": "because"}}}}}
	}
}

func formFor(lifecycle, channel, message string, at time.Time) string {
	return fmt.Sprintf(`{"question":{"lifecycle":%q,"evidence":%q,"version":7},"channel":%q,"message":%q,"at":%q}`, lifecycle, evidence, channel, message, at.UTC().Format(time.RFC3339))
}

func TestForgedRequestsDecideNothing(t *testing.T) {
	w := newWorld(t, "http")
	for name, c := range corpus() {
		t.Run(name, func(t *testing.T) {
			payload := w.click(ana, "leanloop_approve")
			require.Equal(t, c.status, post(w.app, c.forge(slacktest.Signed("http://app/", payload, time.Now()), payload)))
		})
	}
	w.until("the one that was asked for", func() bool { _, done := w.inbox(); return done == 1 })
	w.stop() // what was begun has ended
	require.True(t, w.run.outcome().IsOpen(), "%+v", w.run.outcome())
	require.Empty(t, w.run.outcome().Refused, "the run wasn't even asked")
	arrived, done := w.inbox()
	require.Equal(t, [2]int{1, 1}, [2]int{arrived, done}, "one form was for a run that isn't there")
	require.NotEmpty(t, w.Messages()[0].Buttons())

	w.start()
	w.deliver(w.click(ana, "leanloop_approve")) // the same way, unforged
	w.until("the message", func() bool { return strings.Contains(w.title(), "approved") })
}

func TestForgedPayloadsOfASocketAreNotAcknowledged(t *testing.T) {
	w := newWorld(t, "socket")
	payload := w.click(ana, "leanloop_approve")
	forged := bytes.ReplaceAll(payload, []byte(slacktest.Team), []byte("T0OTHER"))
	answers := make(chan slacktest.Answer, 1)
	go func() { answers <- w.Deliver(forged) }()
	require.Error(t, (<-answers).Err)
	arrived, _ := w.inbox()
	require.Zero(t, arrived)
	require.True(t, w.run.outcome().IsOpen())
}

func FuzzInteraction(f *testing.F) {
	f.Add([]byte(`{"type":"block_actions","team":{"id":"T0LEAN"},"user":{"id":"U0ANA"}}`))
	f.Add([]byte(formFor(lifecycle, "C0ML", "1700000000.000001", time.Now())))
	app, err := slack.New(slack.Config{BotToken: slacktest.BotToken, SigningSecret: slacktest.SigningSecret, Team: slacktest.Team, APIURL: "http://127.0.0.1:0", Now: time.Now, Log: discard()},
		objectstore.NewMemory(), &run{now: time.Now, away: errAway})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if code := post(app, slacktest.Signed("http://app/", payload, time.Now())); code != 200 && code != 400 && code != 403 && code != 413 {
			t.Fatalf("answered %d", code)
		}
	})
}
