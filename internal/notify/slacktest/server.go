// Package slacktest is a Slack workspace for tests: its Web API, Socket Mode and signed interactions. It refuses what
// Slack's documentation says that Slack refuses, so that a message, form or answer that a real workspace wouldn't take
// fails a test.
package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// What an app is configured with to reach this workspace, and it the app.
const (
	BotToken      = "xoxb-bot-secret"
	AppToken      = "xapp-app-secret"
	SigningSecret = "signing-secret"
	Team          = "T0LEAN"
)

// AckWithin is how long Slack waits for an interaction's acknowledgement, and how long a trigger opens a form.
const AckWithin = 3 * time.Second

// maxConnections is how many sockets Slack gives an app.
const maxConnections = 10

// Message is one that was posted, as it is now.
type Message struct {
	Channel  string          `json:"-"`
	TS       string          `json:"ts"`
	Thread   string          `json:"thread_ts,omitempty"`
	Text     string          `json:"text"`
	Blocks   json.RawMessage `json:"blocks,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Edits    int             `json:"-"`
}

// Whisper is an ephemeral message.
type Whisper struct{ Channel, User, Text string }

// View is a form or a page that was opened.
type View struct {
	ID, User, Callback, Metadata, Title string
	Text                                string // of its sections
	Input                               bool   // it asks for something
	Updates                             int
}

// Server is the workspace.
type Server struct {
	*httptest.Server
	// Endpoint is the app's interactivity URL; "": Socket Mode.
	Endpoint string
	// Clock stamps messages; nil: the real one.
	Clock func() time.Time

	mu       sync.Mutex
	messages []*Message
	whispers []Whisper
	views    []*View
	groups   map[string][]string // user ids by user group
	calls    map[string]int      // by method
	triggers map[string]trigger
	sockets  []*socket
	serial   int
	fail     func(method string, call int) *Failure
}

type trigger struct {
	user  string
	until time.Time
}

// Failure is how a call fails, instead of or after being done.
type Failure struct {
	Status     int    // of HTTP; 0: 200
	RetryAfter int    // seconds, of a 429
	Code       string // Slack's own, in an answer of ok: false
	Lost       bool   // the call is done, and its answer never arrives
}

// New starts a workspace that lives as long as the test.
func New(t *testing.T) *Server {
	s := &Server{groups: map[string][]string{}, calls: map[string]int{}, triggers: map[string]trigger{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.Disconnect("test ended")
		s.Close()
	})
	return s
}

// Fail makes calls of the Web API fail by plan; call counts a method's calls from 1. nil ends it.
func (s *Server) Fail(plan func(method string, call int) *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = plan
}

// Group sets who is in a user group.
func (s *Server) Group(id string, users ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[id] = users
}

// Calls is how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Messages are the posted ones, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Message, len(s.messages))
	for i, m := range s.messages {
		out[i] = *m
	}
	return out
}

// Whispers are the ephemeral ones, oldest first.
func (s *Server) Whispers() []Whisper {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.whispers)
}

// Views are those that were opened, oldest first.
func (s *Server) Views() []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]View, len(s.views))
	for i, v := range s.views {
		out[i] = *v
	}
	return out
}

// serve answers one call of the Web API, or makes a socket of it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/socket" {
		s.connect(w, r)
		return
	}
	method := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	var f *Failure
	if s.fail != nil {
		f = s.fail(method, s.calls[method])
	}
	if f != nil && !f.Lost {
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(f.RetryAfter))
		}
		if f.Status > 0 {
			w.WriteHeader(f.Status)
			return
		}
		reply(w, nil, f.Code)
		return
	}
	out, code := s.call(method, r)
	if f != nil {
		panic(http.ErrAbortHandler) // done, and the connection ends before the answer
	}
	reply(w, out, code)
}

// call does what a method says. Slack takes forms and, for some methods, JSON.
func (s *Server) call(method string, r *http.Request) (out map[string]any, code string) {
	a, code := arguments(r)
	if code != "" {
		return nil, code
	}
	want := BotToken
	if method == "apps.connections.open" {
		want = AppToken
	}
	if r.Header.Get("Authorization") != "Bearer "+want && a.get("token") != want {
		return nil, "invalid_auth"
	}
	switch method {
	case "auth.test":
		return map[string]any{"team_id": Team, "user_id": "U0BOT", "bot_id": "B0BOT"}, ""
	case "apps.connections.open":
		if len(s.sockets) >= maxConnections {
			return nil, "too_many_websockets"
		}
		return map[string]any{"url": "ws" + strings.TrimPrefix(s.URL, "http") + "/socket"}, ""
	case "chat.postMessage":
		return s.post(a)
	case "chat.update":
		return s.update(a)
	case "chat.postEphemeral":
		return s.whisper(a)
	case "views.open":
		return s.openView(a)
	case "views.update":
		return s.updateView(a)
	case "conversations.history":
		return s.history(a, false)
	case "conversations.replies":
		return s.history(a, true)
	case "conversations.list":
		var all []map[string]any
		for _, name := range []string{"general", "ml", "flights"} {
			all = append(all, map[string]any{"id": channelID("#" + name), "name": name})
		}
		return map[string]any{"channels": all}, ""
	case "usergroups.users.list":
		users, ok := s.groups[a.get("usergroup")]
		if !ok {
			return nil, "no_such_subteam"
		}
		return map[string]any{"users": users}, ""
	}
	return nil, "unknown_method"
}

func reply(w http.ResponseWriter, out map[string]any, code string) {
	if out == nil {
		out = map[string]any{}
	}
	out["ok"] = code == ""
	if code != "" {
		out["error"] = code
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// args are a call's arguments, by form or by JSON.
type args map[string]string

func (a args) get(name string) string { return a[name] }

func arguments(r *http.Request) (args, string) {
	a := args{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var body map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil && err != io.EOF { // a call may have no arguments
			return nil, "invalid_json"
		}
		for name, raw := range body {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			a[name] = text
		}
		return a, ""
	}
	if err := r.ParseForm(); err != nil {
		return nil, "invalid_form_data"
	}
	for name := range r.Form {
		a[name] = r.Form.Get(name)
	}
	return a, ""
}

// socket is one connection of the app.
type socket struct {
	conn *websocket.Conn
	send sync.Mutex
	acks map[string]chan json.RawMessage // by envelope
}
