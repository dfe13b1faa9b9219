package registry

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

// How often a gateway writes its heartbeat, besides on each change that it applied, and how long one counts. Past
// its expiry a gateway is taken for gone: by then it serves champions alone, since no lease is renewed for it.
const (
	HeartbeatEvery = 5 * time.Second
	HeartbeatTTL   = 15 * time.Second
)

// Bounds of what is read of heartbeats.
const (
	maxHeartbeat = 1 << 20        // bytes of one
	forgotten    = 24 * time.Hour // one that wasn't written for so long while others were isn't read
)

// Heartbeat is what one gateway serves.
type Heartbeat struct {
	ID        string           `json:"id"`
	Address   string           `json:"address"`
	Admin     string           `json:"admin,omitempty"` // URL of its admin listener, for break-glass
	Time      time.Time        `json:"time"`
	ExpiresAt time.Time        `json:"expires_at"`
	Only      []string         `json:"only,omitempty"` // it serves these models and no other; empty: all
	Models    map[string]Serve `json:"models"`
}

// serves says whether a gateway answers for a model at all.
func (h Heartbeat) serves(model string) bool {
	return len(h.Only) == 0 || slices.Contains(h.Only, model)
}

// Serve is what a gateway has applied of one model's ledger.
type Serve struct {
	Seq        int64   `json:"seq"`
	Epoch      int64   `json:"epoch"`
	Champion   int     `json:"champion"`
	Challenger int     `json:"challenger"`
	Weight     float64 `json:"weight"`
	Override   bool    `json:"override,omitempty"` // it serves by a rollback of its own that the ledger does not have yet
	Problem    string  `json:"problem,omitempty"`  // why it doesn't serve what the ledger asks for, shortened
}

// PutHeartbeat replaces a gateway's heartbeat.
func PutHeartbeat(ctx context.Context, store objectstore.Putter, h Heartbeat) error {
	if err := checkGatewayID(h.ID); err != nil {
		return err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("heartbeat of gateway %s: %w", h.ID, err)
	}
	if _, err := store.Put(ctx, gatewaysPrefix+h.ID+".json", bytes.NewReader(raw), int64(len(raw))); err != nil {
		return fmt.Errorf("heartbeat of gateway %s: %w", h.ID, err)
	}
	return nil
}

// Heartbeats reads every gateway's heartbeat, expired ones too, by id. One that can't be read is an error: without
// it nobody knows what that gateway serves. Those of gateways that went a day before the newest was written are left
// out: names of pods come and go, and whoever waits for a confirmation reads all of them several times a second.
func Heartbeats(ctx context.Context, store objectstore.Store) ([]Heartbeat, error) {
	var listed []objectstore.Info
	var newest time.Time // by the store's clock, like all that it is compared with
	err := store.List(ctx, gatewaysPrefix, func(info objectstore.Info) error {
		name := strings.TrimPrefix(info.Key, gatewaysPrefix)
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".json") {
			return nil
		}
		listed = append(listed, info)
		if info.Modified.After(newest) {
			newest = info.Modified
		}
		return nil
	})
	var all []Heartbeat
	for _, info := range listed {
		if err != nil {
			break
		}
		if newest.Sub(info.Modified) > forgotten {
			continue
		}
		var h Heartbeat
		h, err = readHeartbeat(ctx, store, info.Key)
		if errors.Is(err, objectstore.ErrNotFound) {
			err = nil // removed since it was listed
			continue
		}
		all = append(all, h)
	}
	if err != nil {
		return nil, fmt.Errorf("gateways' heartbeats: %w", err)
	}
	return all, nil
}

// readHeartbeat reads leniently: a newer gateway may say more.
func readHeartbeat(ctx context.Context, store objectstore.Getter, key string) (Heartbeat, error) {
	raw, _, err := objectstore.ReadAll(ctx, store, key, maxHeartbeat)
	if err != nil {
		return Heartbeat{}, err
	}
	var h Heartbeat
	if err := json.Unmarshal(raw, &h); err != nil {
		return Heartbeat{}, &Broken{Object: key, Problem: err.Error()}
	}
	if gatewaysPrefix+h.ID+".json" != key {
		return Heartbeat{}, &Broken{Object: key, Problem: fmt.Sprintf("holds the heartbeat of gateway %q", h.ID)}
	}
	return h, nil
}

// Live are the heartbeats that haven't expired.
func Live(all []Heartbeat, now time.Time) []Heartbeat {
	return slices.DeleteFunc(slices.Clone(all), func(h Heartbeat) bool { return !now.Before(h.ExpiresAt) })
}

// Confirmed tells whether every live gateway that serves a model has applied its ledger up to a sequence, and names
// those that haven't. With no such gateway it is true: nobody serves anything older.
func Confirmed(all []Heartbeat, model string, seq int64, now time.Time) (ok bool, missing []string) {
	for _, h := range Live(all, now) {
		if h.serves(model) && h.Models[model].Seq < seq {
			missing = append(missing, h.ID)
		}
	}
	return len(missing) == 0, missing
}
