package slacktest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// Answer is what an app said to an interaction. Err is why Slack would tell the person that it failed: no
// acknowledgement within three seconds, or one that isn't.
type Answer struct {
	Body []byte
	Err  error
}

// Click is a user's click on a button of a message, as Slack words it.
func (s *Server) Click(user, channel, ts, action string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(channel, ts)
	if m == nil {
		return nil, fmt.Errorf("no message %s in %s", ts, channel)
	}
	value, ok := m.Buttons()[action]
	if !ok {
		return nil, fmt.Errorf("message %s has no button %s: %v", ts, action, m.Buttons())
	}
	s.serial++
	return json.Marshal(map[string]any{
		"type": "block_actions", "team": map[string]any{"id": Team, "domain": "lean"}, "user": map[string]any{"id": user, "username": "somebody", "team_id": Team},
		"api_app_id": "A0LEAN", "trigger_id": s.triggerFor(user), "response_url": "https://hooks.slack.com/actions/" + Team + "/1/x",
		"channel": map[string]any{"id": channel, "name": "ml"}, "container": map[string]any{"type": "message", "message_ts": ts, "channel_id": channel},
		"message": map[string]any{"type": "message", "ts": ts, "text": m.Text},
		"actions": []any{map[string]any{"type": "button", "action_id": action, "block_id": "decision", "value": value,
			"action_ts": fmt.Sprintf("%d.%06d", time.Now().Unix(), s.serial), "text": map[string]any{"type": "plain_text", "text": "x"}}},
	})
}

// triggerFor makes a trigger that opens one view for three seconds.
func (s *Server) triggerFor(user string) string {
	id := fmt.Sprintf("%d.trigger", s.serial)
	s.triggers[id] = trigger{user: user, until: time.Now().Add(AckWithin)}
	return id
}

// Submit is a view's submission by its user, with a text in the one input that it has.
func (s *Server) Submit(v View, block, input, text string) ([]byte, error) {
	if !v.Input {
		return nil, errors.New("the view asks for nothing")
	}
	return json.Marshal(map[string]any{
		"type": "view_submission", "team": map[string]any{"id": Team}, "user": map[string]any{"id": v.User, "team_id": Team}, "api_app_id": "A0LEAN",
		"view": map[string]any{"id": v.ID, "type": "modal", "callback_id": v.Callback, "private_metadata": v.Metadata, "hash": "1.x",
			"blocks": []any{}, "state": map[string]any{"values": map[string]any{block: map[string]any{input: map[string]any{"type": "plain_text_input", "value": text}}}}},
	})
}

// Deliver gives a payload to the app, by its way in, and waits for the acknowledgement.
func (s *Server) Deliver(payload []byte) Answer {
	if s.Endpoint != "" {
		return s.byHTTP(payload)
	}
	return s.bySocket(payload)
}

// Signed is a request of a payload as Slack sends and signs it.
func Signed(endpoint string, payload []byte, at time.Time) *http.Request {
	body := []byte(url.Values{"payload": {string(payload)}}.Encode())
	r, err := http.NewRequest(http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		panic(err) // a test's own URL
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", Sign(SigningSecret, stamp, body))
	return r
}

// Sign is Slack's signature of a body.
func Sign(secret, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

func (s *Server) byHTTP(payload []byte) Answer {
	client := http.Client{Timeout: AckWithin}
	res, err := client.Do(Signed(s.Endpoint, payload, time.Now()))
	if err != nil {
		return Answer{Err: fmt.Errorf("no acknowledgement: %w", err)}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the app answers %s", res.Status)
	}
	return Answer{Body: body, Err: err}
}

// Connected says how many sockets the app holds.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

// connect makes a socket of a request.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "https://api.slack.com" }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	k := &socket{conn: conn, acks: map[string]chan json.RawMessage{}}
	k.write(map[string]any{"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": "A0LEAN"}})
	s.mu.Lock()
	s.sockets = append(s.sockets, k)
	s.mu.Unlock()
	for {
		var ack struct {
			Envelope string          `json:"envelope_id"`
			Payload  json.RawMessage `json:"payload"`
		}
		if err := conn.ReadJSON(&ack); err != nil {
			s.drop(k)
			return
		}
		s.mu.Lock()
		if waits := k.acks[ack.Envelope]; waits != nil {
			delete(k.acks, ack.Envelope)
			waits <- ack.Payload
		}
		s.mu.Unlock()
	}
}

func (k *socket) write(v any) {
	k.send.Lock()
	defer k.send.Unlock()
	_ = k.conn.WriteJSON(v) // its reader sees the end
}

func (s *Server) drop(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.sockets {
		if o == k {
			s.sockets = append(s.sockets[:i:i], s.sockets[i+1:]...)
			break
		}
	}
	_ = k.conn.Close()
}

// Disconnect tells the app on every socket that it ends, as Slack does every few hours, and ends it.
func (s *Server) Disconnect(reason string) {
	s.mu.Lock()
	all := s.sockets
	s.mu.Unlock()
	for _, k := range all {
		k.write(map[string]any{"type": "disconnect", "reason": reason})
		s.drop(k)
	}
}

func (s *Server) bySocket(payload []byte) Answer {
	s.mu.Lock()
	if len(s.sockets) == 0 {
		s.mu.Unlock()
		return Answer{Err: errors.New("the app isn't connected")}
	}
	s.serial++
	k, id, waits := s.sockets[0], fmt.Sprintf("envelope-%d", s.serial), make(chan json.RawMessage, 1)
	k.acks[id] = waits
	s.mu.Unlock()
	k.write(map[string]any{"type": "interactive", "envelope_id": id, "accepts_response_payload": true, "payload": json.RawMessage(payload)})
	select {
	case body := <-waits:
		return Answer{Body: body}
	case <-time.After(AckWithin):
		return Answer{Err: errors.New("no acknowledgement within " + AckWithin.String())}
	}
}
