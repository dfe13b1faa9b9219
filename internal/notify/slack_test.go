package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/notify/notifytest"
)

const token = "xoxb-very-secret"

// workspace is a Slack server that checks what it receives as Slack's documentation says it does.
type workspace struct {
	*httptest.Server
	mu       sync.Mutex
	posts    []post
	messages map[string]bool // channel and time
	fail     func(http.ResponseWriter) bool
}

type post struct {
	Method, Channel, TS, Text string
	Metadata                  struct {
		EventType    string            `json:"event_type"`
		EventPayload map[string]string `json:"event_payload"`
	}
	Blocks []block
}

type text struct{ Type, Text string }

type block struct {
	Type     string
	Text     *text
	Fields   []text
	Elements []struct {
		Type     string
		ActionID string `json:"action_id"`
		Value    string
		Style    string
		Text     json.RawMessage
	}
}

func newWorkspace(t *testing.T) *workspace {
	w := &workspace{messages: map[string]bool{}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *workspace) slack(t *testing.T) *notify.Slack {
	n, err := notify.NewSlack(notify.SlackConfig{Token: token, Channel: "#ml", APIURL: w.URL, Client: w.Client()})
	require.NoError(t, err)
	return n
}

func (w *workspace) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil && w.fail(rw) {
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse(rw, "invalid_form_data")
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token && r.PostForm.Get("token") != token {
		refuse(rw, "invalid_auth")
		return
	}
	p := post{Method: strings.TrimPrefix(r.URL.Path, "/"), Channel: r.PostForm.Get("channel"), TS: r.PostForm.Get("ts"), Text: r.PostForm.Get("text")}
	if json.Unmarshal([]byte(r.PostForm.Get("metadata")), &p.Metadata) != nil {
		refuse(rw, "invalid_metadata_format")
		return
	}
	if json.Unmarshal([]byte(r.PostForm.Get("blocks")), &p.Blocks) != nil {
		refuse(rw, "invalid_blocks_format")
		return
	}
	if code := w.accept(&p); code != "" {
		refuse(rw, code)
		return
	}
	w.posts = append(w.posts, p)
	_, _ = fmt.Fprintf(rw, `{"ok":true,"channel":%q,"ts":%q}`, p.Channel, p.TS)
}

// accept gives a new message its time, finds an updated one, and holds blocks to Slack's limits.
func (w *workspace) accept(p *post) string {
	switch p.Method {
	case "chat.postMessage":
		if p.Channel == "#nowhere" {
			return "channel_not_found"
		}
		p.Channel, p.TS = "C0"+strings.Trim(p.Channel, "#"), fmt.Sprintf("17000000%02d.000100", len(w.messages))
		w.messages[p.Channel+p.TS] = true
	case "chat.update":
		if !w.messages[p.Channel+p.TS] {
			return "message_not_found"
		}
	default:
		return "unknown_method"
	}
	if len(p.Blocks) > 50 || utf8.RuneCountInString(p.Text) > 40000 {
		return "invalid_blocks"
	}
	for _, b := range p.Blocks {
		limit := map[string]int{"header": 150, "section": 3000}[b.Type]
		if b.Text != nil && (utf8.RuneCountInString(b.Text.Text) > limit || b.Text.Text == "") || len(b.Fields) > 10 {
			return "invalid_blocks"
		}
		for _, f := range b.Fields {
			if utf8.RuneCountInString(f.Text) > 2000 {
				return "invalid_blocks"
			}
		}
	}
	return ""
}

func refuse(rw http.ResponseWriter, code string) {
	_, _ = fmt.Fprintf(rw, `{"ok":false,"error":%q}`, code)
}

func TestProvidersKeepTheContract(t *testing.T) {
	providers := map[string]func(t *testing.T) notify.Notifier{
		"log":   func(*testing.T) notify.Notifier { return notify.NewLog(slog.New(slog.DiscardHandler)) },
		"slack": func(t *testing.T) notify.Notifier { return newWorkspace(t).slack(t) },
		"multi": func(t *testing.T) notify.Notifier {
			n, err := notify.NewMulti(notify.NewLog(slog.New(slog.DiscardHandler)), newWorkspace(t).slack(t))
			require.NoError(t, err)
			return n
		},
	}
	for name, newNotifier := range providers {
		t.Run(name, func(t *testing.T) { notifytest.Run(t, newNotifier) })
	}
}

func TestSlackMessageAsksForADecision(t *testing.T) {
	w := newWorkspace(t)
	ref, err := w.slack(t).Notify(context.Background(), notifytest.Message())
	require.NoError(t, err)
	require.Equal(t, notify.Ref{Provider: "slack", Channel: "C0ml", ID: "1700000000.000100"}, ref)
	p := w.posts[0]
	require.Equal(t, ":warning: Version 7 waits for approval\nF1 0.74 &gt;= 0.70 &amp; 12 of 12 &lt;gates&gt; passed", p.Text)
	require.Equal(t, "leanloop_message", p.Metadata.EventType)
	require.Equal(t, map[string]string{"key": "lifecycle/flight-delay/7/approval", "model": "flight-delay"}, p.Metadata.EventPayload)
	var kinds []string
	for _, b := range p.Blocks {
		kinds = append(kinds, b.Type)
	}
	require.Equal(t, []string{"header", "section", "section", "section", "actions", "context"}, kinds)
	require.Equal(t, "*Champion*\nversion 6", p.Blocks[2].Fields[0].Text)
	require.Equal(t, "<http://127.0.0.1:8233/namespaces/default|Workflow>", p.Blocks[3].Text.Text)
	buttons := p.Blocks[4].Elements
	require.Equal(t, "leanloop_approve", buttons[0].ActionID)
	require.Equal(t, "primary", buttons[0].Style)
	require.Equal(t, "leanloop_reject", buttons[1].ActionID)
	require.Equal(t, "7:5f2a", buttons[1].Value)
}

func TestSlackUpdateTakesTheButtonsAway(t *testing.T) {
	w := newWorkspace(t)
	n := w.slack(t)
	ref, err := n.Notify(context.Background(), notifytest.Message())
	require.NoError(t, err)
	m := notifytest.Message()
	m.Title, m.Actions = "Version 7 was approved by slack:U1", nil
	require.NoError(t, n.Update(context.Background(), ref, m))
	p := w.posts[1]
	require.Equal(t, "chat.update", p.Method)
	require.Equal(t, ref.ID, p.TS)
	for _, b := range p.Blocks {
		require.NotEqual(t, "actions", b.Type)
	}
}

func TestSlackShowsMarkupAndRunsNone(t *testing.T) {
	w := newWorkspace(t)
	m := notifytest.Message()
	m.Text = "<!channel> *bold* `code` <https://evil.example|here>"
	m.Fields = []notify.Field{{Name: "<@U1>", Value: "~gone~"}}
	m.Links = []notify.Link{{Text: "a|b>c", URL: "https://ok.example/?a=1&b=2"}, {Text: "x", URL: "javascript:alert(1)"}, {Text: "y", URL: "https://x|y"}}
	_, err := w.slack(t).Notify(context.Background(), m)
	require.NoError(t, err)
	p := w.posts[0]
	for _, b := range p.Blocks {
		if b.Text != nil && b.Type == "section" && !strings.HasPrefix(b.Text.Text, "<https://ok") {
			require.NotContains(t, b.Text.Text, "<")
			require.NotContains(t, strings.ReplaceAll(b.Text.Text, "\u2060*", ""), "*")
		}
	}
	require.Equal(t, "<https://ok.example/?a=1&amp;b=2|a/b&gt;c>", p.Blocks[3].Text.Text)
	require.NotContains(t, p.Text, "<")
}

func TestSlackFailuresSayWhetherARetryHelps(t *testing.T) {
	w := newWorkspace(t)
	n := w.slack(t)
	send := func(m notify.Message) error {
		_, err := n.Notify(context.Background(), m)
		return err
	}
	var retry *notify.Retryable
	var rejected *notify.Rejected

	w.fail = func(rw http.ResponseWriter) bool {
		rw.Header().Set("Retry-After", "7")
		rw.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	err := send(notifytest.Message())
	require.ErrorAs(t, err, &retry)
	require.Equal(t, 7*time.Second, retry.After)
	require.EqualError(t, err, "slack asks to wait 7s: rate limit exceeded")

	w.fail = func(rw http.ResponseWriter) bool { rw.WriteHeader(http.StatusBadGateway); return true }
	require.ErrorAs(t, send(notifytest.Message()), &retry)
	require.Zero(t, retry.After)
	w.fail = func(rw http.ResponseWriter) bool { refuse(rw, "internal_error"); return true }
	require.ErrorAs(t, send(notifytest.Message()), &retry)

	w.fail = nil
	m := notifytest.Message()
	m.Channel = "#nowhere"
	err = send(m)
	require.ErrorAs(t, err, &rejected)
	require.EqualError(t, err, "slack refused the message: channel_not_found (check notify.slack; a private channel has to invite the bot)")
	require.ErrorAs(t, n.Update(context.Background(), notify.Ref{Channel: "C0ml", ID: "1"}, m), &rejected)
	require.Equal(t, "message_not_found", rejected.Code)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = n.Notify(cancelled, m)
	require.ErrorIs(t, err, context.Canceled)

	w.Close()
	err = send(notifytest.Message())
	require.ErrorAs(t, err, &retry)
	require.NotContains(t, err.Error(), token)
}

func TestSlackConfigurationIsChecked(t *testing.T) {
	_, err := notify.NewSlack(notify.SlackConfig{Channel: "#ml"})
	require.EqualError(t, err, "notify: slack needs a bot token")
	_, err = notify.NewSlack(notify.SlackConfig{Token: token})
	require.EqualError(t, err, "notify: slack needs a default channel")
	_, err = notify.NewMulti()
	require.EqualError(t, err, "notify: no provider")
}

func TestLogSaysEverythingAtTheSeveritysLevel(t *testing.T) {
	var out bytes.Buffer
	_, err := notify.NewLog(slog.New(slog.NewJSONHandler(&out, nil))).Notify(context.Background(), notifytest.Message())
	require.NoError(t, err)
	var record map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &record))
	require.Equal(t, "WARN", record["level"])
	for key, want := range map[string]string{"model": "flight-delay", "title": "Version 7 waits for approval", "field.Champion": "version 6",
		"lifecycle": "lifecycle/flight-delay/7", "link.Workflow": "http://127.0.0.1:8233/namespaces/default"} {
		require.Equal(t, want, record[key])
	}
}
