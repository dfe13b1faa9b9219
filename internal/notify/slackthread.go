package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// eventType is the metadata's, by which the app finds its own messages.
const eventType = "leanloop_message"

// How much of a channel is looked through for a message that may have been posted: it is at most as old as its first
// attempt.
const (
	lookPage  = 200
	lookPages = 10
	lookSlack = time.Minute // Slack's clock may be behind ours
)

var slackChannelID = regexp.MustCompile(`^[CDG][A-Z0-9]{5,}$`)

// threadKey is where the first message of a thread is kept.
func threadKey(thread string) string {
	sum := sha256.Sum256([]byte(thread))
	return "messages/slack/threads/" + hex.EncodeToString(sum[:16]) + ".json"
}

// root is the first message of a thread; zero: none yet, or none that can be looked up. A message that isn't in its
// thread is better than none.
func (s *Slack) root(ctx context.Context, thread string) Ref {
	if s.store == nil || thread == "" {
		return Ref{}
	}
	raw, _, err := objectstore.ReadAll(ctx, s.store, threadKey(thread), 4<<10)
	var ref Ref
	if err != nil || json.Unmarshal(raw, &ref) != nil || ref.Provider != "slack" {
		return Ref{}
	}
	return ref
}

// keepRoot makes a message the first of its thread, unless another one is.
func (s *Slack) keepRoot(ctx context.Context, thread string, ref Ref) {
	if s.store == nil || thread == "" {
		return
	}
	if raw, err := json.Marshal(ref); err == nil {
		_, _ = s.store.Create(ctx, threadKey(thread), bytes.NewReader(raw), int64(len(raw))) // else the next one begins the thread
	}
}

// find looks for a message that an earlier attempt may have posted. Only trouble that may pass is an error: where the
// bot may not look, a message that comes twice is better than one that never does.
func (s *Slack) find(ctx context.Context, channel string, m Message, root Ref) (Ref, error) {
	id, err := s.channelID(ctx, channel)
	if err == nil && id != "" {
		var ref Ref
		if ref, err = s.look(ctx, id, m, root); err == nil {
			return ref, nil
		}
	}
	if err == nil {
		return Ref{}, nil
	}
	err = s.failure(ctx, channel, err)
	if _, refused := errors.AsType[*Rejected](err); refused {
		return Ref{}, nil
	}
	return Ref{}, err
}

// look reads a thread, or a channel, back to the message's first attempt.
func (s *Slack) look(ctx context.Context, id string, m Message, root Ref) (Ref, error) {
	since := m.Since.Add(-lookSlack)
	oldest, cursor := fmt.Sprintf("%d.%06d", since.Unix(), since.Nanosecond()/1000), ""
	for range lookPages {
		var messages []slack.Message
		var err error
		if root.ID != "" {
			messages, _, cursor, err = s.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
				ChannelID: id, Timestamp: root.ID, Oldest: oldest, Cursor: cursor, Limit: lookPage, IncludeAllMetadata: true})
		} else {
			var page *slack.GetConversationHistoryResponse
			page, err = s.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
				ChannelID: id, Oldest: oldest, Cursor: cursor, Limit: lookPage, IncludeAllMetadata: true})
			if err == nil {
				messages, cursor = page.Messages, page.ResponseMetaData.NextCursor
			}
		}
		if err != nil {
			return Ref{}, err
		}
		for _, have := range messages {
			if have.Metadata.EventType == eventType && have.Metadata.EventPayload["key"] == m.Key {
				return Ref{Provider: "slack", Channel: id, ID: have.Timestamp}, nil
			}
		}
		if cursor == "" {
			break
		}
	}
	return Ref{}, nil
}

// channelID is what a history is asked by: a channel may be named, its history only by id. "" : not found.
func (s *Slack) channelID(ctx context.Context, channel string) (string, error) {
	if slackChannelID.MatchString(channel) {
		return channel, nil
	}
	name := strings.TrimPrefix(channel, "#")
	s.mu.Lock()
	id := s.ids[name]
	s.mu.Unlock()
	if id != "" {
		return id, nil
	}
	cursor := ""
	for range 5 * lookPages {
		channels, next, err := s.api.GetConversationsContext(ctx, &slack.GetConversationsParameters{
			Types: []string{"public_channel", "private_channel"}, Limit: lookPage, Cursor: cursor, ExcludeArchived: true})
		if err != nil {
			return "", err
		}
		for _, c := range channels {
			if c.Name == name {
				s.learn(channel, c.ID)
				return c.ID, nil
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	return "", nil
}

// learn keeps the id of a named channel.
func (s *Slack) learn(channel, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[strings.TrimPrefix(channel, "#")] = id
}
