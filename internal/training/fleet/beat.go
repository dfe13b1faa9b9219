package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// How often a worker writes its heartbeat, and how long one counts.
const (
	BeatEvery = 10 * time.Second
	BeatTTL   = 30 * time.Second
)

const (
	prefix    = "workers/"
	maxBeat   = 256 << 10      // bytes
	forgotten = 24 * time.Hour // one that wasn't written for so long while others were isn't read: names of pods come and go
)

// Beat is what one worker says of itself.
type Beat struct {
	ID        string    `json:"id"` // also its identity towards Temporal
	Time      time.Time `json:"time"`
	ExpiresAt time.Time `json:"expires_at"`
	Roles     []string  `json:"roles"`
	Queues    []string  `json:"queues"`    // that it polls
	Offer     Offer     `json:"offer"`     // for training
	GPUsUsed  int       `json:"gpus_used"` // by its attempts, now
	CPUsUsed  int       `json:"cpus_used"` // the same of slots without GPU
}

// Live says whether the worker is there at a time.
func (b Beat) Live(now time.Time) bool { return now.Before(b.ExpiresAt) }

// Key is where a worker's heartbeat is.
func Key(id string) string { return prefix + id + ".json" }

// CheckID says what is wrong with a worker's name: it is a part of a key.
func CheckID(id string) error {
	if id == "" || len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) {
		return fmt.Errorf("worker %q: want a name of at most 200 letters, digits, dashes, dots and underscores", id)
	}
	return nil
}

// Put replaces a worker's heartbeat.
func Put(ctx context.Context, store objectstore.Putter, b Beat) error {
	if err := CheckID(b.ID); err != nil {
		return err
	}
	raw, err := json.Marshal(b)
	if err == nil {
		_, err = store.Put(ctx, Key(b.ID), bytes.NewReader(raw), int64(len(raw)))
	}
	if err != nil {
		return fmt.Errorf("heartbeat of worker %s: %w", b.ID, err)
	}
	return nil
}

// Beats reads every heartbeat, expired ones too, by id. One that can't be read is left out and named in broken: unlike a
// gateway's it decides nothing.
func Beats(ctx context.Context, store interface {
	objectstore.Getter
	objectstore.Lister
}) (all []Beat, broken []string, err error) {
	var listed []objectstore.Info
	var newest time.Time // by the store's clock, like all that it is compared with
	err = store.List(ctx, prefix, func(info objectstore.Info) error {
		if name := strings.TrimPrefix(info.Key, prefix); !strings.Contains(name, "/") && strings.HasSuffix(name, ".json") {
			listed = append(listed, info)
			if info.Modified.After(newest) {
				newest = info.Modified
			}
		}
		return nil
	})
	for _, info := range listed {
		if err != nil {
			break
		}
		if newest.Sub(info.Modified) > forgotten {
			continue
		}
		var raw []byte
		raw, _, err = objectstore.ReadAll(ctx, store, info.Key, maxBeat)
		if errors.Is(err, objectstore.ErrNotFound) {
			err = nil // removed since it was listed
			continue
		}
		if err != nil {
			break
		}
		var b Beat
		if json.Unmarshal(raw, &b) != nil || Key(b.ID) != info.Key {
			broken = append(broken, info.Key)
			continue
		}
		all = append(all, b)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("workers' heartbeats: %w", err)
	}
	return all, broken, nil
}

// Poller is who asked Temporal for tasks of a queue, and when last.
type Poller struct {
	ID   string
	Last time.Time
}

// polls is how long a poller counts after it has asked: a poll waits for a minute.
const polls = 75 * time.Second

// Served says whether a worker that is there can serve a run: one whose heartbeat offers it, or one that asks Temporal for
// such runs and writes no heartbeat, as older versions do.
func Served(r spec.Resources, beats []Beat, pollers []Poller, now time.Time) bool {
	known := map[string]bool{}
	for _, b := range beats {
		known[b.ID] = true
		if trains(b) && b.Live(now) && b.Offer.Can(r) {
			return true
		}
	}
	for _, p := range pollers {
		if !known[p.ID] && now.Sub(p.Last) < polls {
			return true
		}
	}
	return false
}

// Trainers are the heartbeats of live workers that train.
func Trainers(beats []Beat, now time.Time) []Beat {
	var live []Beat
	for _, b := range beats {
		if trains(b) && b.Live(now) {
			live = append(live, b)
		}
	}
	return live
}

func trains(b Beat) bool { return b.Offer.CPUs > 0 || len(b.Offer.GPUs) > 0 }
