package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// The inbox in the bucket: inbox/slack/<month of the click>/<id>.json is a decision that arrived, and <id>.done.json
// beside it says that it was made. Both are created once. A month is a folder, so that a sweep lists two.
const (
	inboxPrefix = "inbox/slack/"
	arrivedEnd  = ".json"
	doneEnd     = ".done.json"
	maxStored   = 64 << 10 // bytes
)

type inbox struct{ store objectstore.Store }

func inboxKey(i Interaction) string { return inboxPrefix + i.At.UTC().Format("2006-01") + "/" + i.ID }

// put stores an interaction, once. A redelivery finds the one that was stored first.
func (b inbox) put(ctx context.Context, i Interaction) error {
	return b.create(ctx, inboxKey(i)+arrivedEnd, i)
}

// Done is what an interaction came to.
type Done struct {
	ID      string    `json:"id"`
	Outcome string    `json:"outcome"` // of the request afterwards, or "refused"
	Why     string    `json:"why,omitempty"`
	At      time.Time `json:"at"`
}

// done notes that an interaction needs nothing more.
func (b inbox) done(ctx context.Context, i Interaction, d Done) error {
	return b.create(ctx, inboxKey(i)+doneEnd, d)
}

// decided says whether an interaction was done before.
func (b inbox) decided(ctx context.Context, i Interaction) (bool, error) {
	_, err := b.store.Stat(ctx, inboxKey(i)+doneEnd)
	if errors.Is(err, objectstore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (b inbox) create(ctx context.Context, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("slack inbox: %w", err)
	}
	if _, err := b.store.Create(ctx, key, bytes.NewReader(raw), int64(len(raw))); err != nil && !errors.Is(err, objectstore.ErrExists) {
		return fmt.Errorf("slack inbox: %w", err)
	}
	// A crossing Create (409) may still fail, and then nothing would be stored.
	if _, err := b.store.Stat(ctx, key); err != nil {
		return fmt.Errorf("slack inbox: %w", err)
	}
	return nil
}

// waiting gives what arrived and isn't done, in the order of the clicks. One that can't be read is an error beside the others.
func (b inbox) waiting(ctx context.Context, now time.Time) ([]Interaction, error) {
	var all []Interaction
	var problems []error
	this := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, month := range []time.Time{this.AddDate(0, -1, 0), this, this.AddDate(0, 1, 0)} { // Slack's clock may be ahead
		open, err := b.open(ctx, inboxPrefix+month.Format("2006-01")+"/")
		if err != nil {
			return nil, err
		}
		for _, key := range open {
			i, err := b.read(ctx, key)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b Interaction) int { return a.At.Compare(b.At) })
	return all, errors.Join(problems...)
}

// open lists a month's keys that have no done beside them.
func (b inbox) open(ctx context.Context, prefix string) ([]string, error) {
	done := map[string]bool{}
	var arrived []string
	err := b.store.List(ctx, prefix, func(info objectstore.Info) error {
		if id, ok := strings.CutSuffix(info.Key, doneEnd); ok {
			done[id] = true
		} else if id, ok := strings.CutSuffix(info.Key, arrivedEnd); ok {
			arrived = append(arrived, id)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("slack inbox: %w", err)
	}
	return slices.DeleteFunc(arrived, func(id string) bool { return done[id] }), nil
}

// read opens one interaction, and holds it to its name: what is decided is what was stored when it arrived.
func (b inbox) read(ctx context.Context, id string) (Interaction, error) {
	raw, _, err := objectstore.ReadAll(ctx, b.store, id+arrivedEnd, maxStored)
	if err != nil {
		return Interaction{}, fmt.Errorf("slack inbox: %w", err)
	}
	var i Interaction
	if err := json.Unmarshal(raw, &i); err != nil {
		return Interaction{}, fmt.Errorf("slack inbox: %s: %w", id, err)
	}
	if len(i.ID) != 64 || inboxKey(i) != id || i.Question.Validate() != nil || !userForm.MatchString(i.User) {
		return Interaction{}, fmt.Errorf("slack inbox: %s doesn't hold the interaction of its name", id)
	}
	return i, nil
}
