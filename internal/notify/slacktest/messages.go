package slacktest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// channelID is the id of a channel that is named, as #team or by its id already.
func channelID(name string) string {
	if plain, ok := strings.CutPrefix(name, "#"); ok {
		return "C0000" + strings.ToUpper(regexp.MustCompile(`[^a-zA-Z0-9]`).ReplaceAllString(plain, ""))
	}
	return name
}

func (s *Server) post(a args) (map[string]any, string) {
	channel := channelID(a.get("channel"))
	if channel == "" || channel == "C0000NOWHERE" {
		return nil, "channel_not_found"
	}
	if code := check(a); code != "" {
		return nil, code
	}
	thread := a.get("thread_ts")
	if thread != "" && s.find(channel, thread) == nil {
		return nil, "thread_not_found"
	}
	s.serial++
	now := time.Now
	if s.Clock != nil {
		now = s.Clock
	}
	m := &Message{Channel: channel, TS: fmt.Sprintf("%d.%06d", now().Unix(), s.serial), Thread: thread, Text: a.get("text"),
		Blocks: json.RawMessage(a.get("blocks")), Metadata: raw(a.get("metadata"))}
	s.messages = append(s.messages, m)
	return map[string]any{"channel": channel, "ts": m.TS}, ""
}

func (s *Server) update(a args) (map[string]any, string) {
	m := s.find(a.get("channel"), a.get("ts"))
	if m == nil {
		return nil, "message_not_found"
	}
	if code := check(a); code != "" {
		return nil, code
	}
	m.Text, m.Blocks, m.Metadata = a.get("text"), json.RawMessage(a.get("blocks")), raw(a.get("metadata"))
	m.Edits++
	return map[string]any{"channel": m.Channel, "ts": m.TS, "text": m.Text}, ""
}

func (s *Server) whisper(a args) (map[string]any, string) {
	if code := check(a); code != "" {
		return nil, code
	}
	if a.get("user") == "" {
		return nil, "user_not_in_channel"
	}
	s.whispers = append(s.whispers, Whisper{a.get("channel"), a.get("user"), a.get("text")})
	return map[string]any{"message_ts": "1.000001"}, ""
}

func (s *Server) find(channel, ts string) *Message {
	for _, m := range s.messages {
		if m.Channel == channel && m.TS == ts {
			return m
		}
	}
	return nil
}

// history lists a channel's messages newest first, or a thread's oldest first. Metadata is shown only if it is asked for.
func (s *Server) history(a args, replies bool) (map[string]any, string) {
	var found []map[string]any
	for _, m := range s.messages {
		if m.Channel != a.get("channel") || (replies && m.TS != a.get("ts") && m.Thread != a.get("ts")) || (!replies && m.Thread != "") || m.TS <= a.get("oldest") {
			continue
		}
		one := map[string]any{"type": "message", "ts": m.TS, "text": m.Text}
		if m.Thread != "" {
			one["thread_ts"] = m.Thread
		}
		if all := a.get("include_all_metadata"); (all == "1" || all == "true") && m.Metadata != nil {
			one["metadata"] = m.Metadata
		}
		found = append(found, one)
	}
	if !replies {
		slices.Reverse(found)
	}
	return map[string]any{"messages": found, "has_more": false}, ""
}

// check holds a message to Slack's limits.
func check(a args) string {
	if a.get("text") == "" && a.get("blocks") == "" {
		return "no_text"
	}
	if utf8.RuneCountInString(a.get("text")) > 40000 {
		return "msg_too_long"
	}
	if m := a.get("metadata"); m != "" {
		var meta struct {
			Type    string         `json:"event_type"`
			Payload map[string]any `json:"event_payload"`
		}
		if json.Unmarshal([]byte(m), &meta) != nil || !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(meta.Type) || meta.Payload == nil {
			return "invalid_metadata_format"
		}
	}
	if b := a.get("blocks"); b != "" {
		if _, _, code := checkBlocks([]byte(b), 50); code != "" {
			return code
		}
	}
	return ""
}

type label struct{ Type, Text string }

type block struct {
	Type     string
	ID       string `json:"block_id"`
	Text     *label
	Label    *label
	Fields   []label
	Elements []struct {
		Type   string
		Action string `json:"action_id"`
		Value  string
		Text   json.RawMessage
	}
	Element json.RawMessage
}

// checkBlocks holds blocks to Slack's limits, and gives the text of their sections and whether they ask for input.
func checkBlocks(raw []byte, most int) (text string, input bool, code string) {
	var blocks []block
	if json.Unmarshal(raw, &blocks) != nil {
		return "", false, "invalid_blocks_format"
	}
	if len(blocks) > most {
		return "", false, "invalid_blocks"
	}
	limits := map[string]int{"header": 150, "section": 3000}
	for _, b := range blocks {
		if b.Text != nil {
			n := utf8.RuneCountInString(b.Text.Text)
			if n == 0 || n > limits[b.Type] || (b.Type == "header" && b.Text.Type != "plain_text") {
				return "", false, "invalid_blocks"
			}
			text += b.Text.Text + "\n"
		}
		if len(b.Fields) > 10 || len(b.Elements) > 25 || (b.Type == "section" && b.Text == nil && len(b.Fields) == 0) {
			return "", false, "invalid_blocks"
		}
		for _, f := range b.Fields {
			if n := utf8.RuneCountInString(f.Text); n == 0 || n > 2000 {
				return "", false, "invalid_blocks"
			}
		}
		for _, e := range b.Elements {
			var l label
			if e.Type == "button" && (json.Unmarshal(e.Text, &l) != nil || l.Text == "" || utf8.RuneCountInString(l.Text) > 75 || len(e.Value) > 2000 || e.Action == "") {
				return "", false, "invalid_blocks"
			}
		}
		input = input || b.Type == "input"
	}
	return text, input, ""
}

// raw is JSON, or nothing.
func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// Buttons are a message's, as action id and value.
func (m Message) Buttons() map[string]string {
	var blocks []block
	out := map[string]string{}
	if json.Unmarshal(m.Blocks, &blocks) == nil {
		for _, b := range blocks {
			for _, e := range b.Elements {
				if e.Type == "button" {
					out[e.Action] = e.Value
				}
			}
		}
	}
	return out
}

// Key is the idempotency key in a message's metadata.
func (m Message) Key() string {
	var meta struct {
		Payload struct{ Key string } `json:"event_payload"`
	}
	_ = json.Unmarshal(m.Metadata, &meta)
	return meta.Payload.Key
}

// view is what views.open and views.update are given.
type view struct {
	Type     string
	Callback string `json:"callback_id"`
	Metadata string `json:"private_metadata"`
	Title    label
	Submit   *label
	Close    *label
	Blocks   json.RawMessage
}

func checkView(text string) (view, *View, string) {
	var v view
	if json.Unmarshal([]byte(text), &v) != nil || v.Type != "modal" || v.Title.Type != "plain_text" {
		return v, nil, "invalid_arguments"
	}
	for _, l := range []*label{&v.Title, v.Submit, v.Close} {
		if l != nil && (l.Text == "" || utf8.RuneCountInString(l.Text) > 24) {
			return v, nil, "invalid_arguments"
		}
	}
	body, input, code := checkBlocks(v.Blocks, 100)
	if code != "" || len(v.Metadata) > 3000 || (input && v.Submit == nil) {
		return v, nil, "invalid_arguments"
	}
	return v, &View{Callback: v.Callback, Metadata: v.Metadata, Title: v.Title.Text, Text: body, Input: input}, ""
}

func (s *Server) openView(a args) (map[string]any, string) {
	t, ok := s.triggers[a.get("trigger_id")]
	if !ok {
		return nil, "invalid_trigger_id"
	}
	delete(s.triggers, a.get("trigger_id")) // it opens one view
	if time.Now().After(t.until) {
		return nil, "expired_trigger_id"
	}
	_, v, code := checkView(a.get("view"))
	if code != "" {
		return nil, code
	}
	s.serial++
	v.ID, v.User = fmt.Sprintf("V%d", s.serial), t.user
	s.views = append(s.views, v)
	return map[string]any{"view": map[string]any{"id": v.ID}}, ""
}

func (s *Server) updateView(a args) (map[string]any, string) {
	_, v, code := checkView(a.get("view"))
	if code != "" {
		return nil, code
	}
	for _, old := range s.views {
		if old.ID == a.get("view_id") {
			v.ID, v.User, v.Updates = old.ID, old.User, old.Updates+1
			*old = *v
			return map[string]any{"view": map[string]any{"id": v.ID}}, ""
		}
	}
	return nil, "not_found"
}
