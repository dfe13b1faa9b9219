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

// maxHeartbeat bounds one heartbeat in bytes.
const maxHeartbeat = 1 << 20

// Heartbeat is what one gateway serves.
type Heartbeat struct {
	ID        string           `json:"id"`
	Address   string           `json:"address"`
	Time      time.Time        `json:"time"`
	ExpiresAt time.Time        `json:"expires_at"`
	Models    map[string]Serve `json:"models"`
}

// Serve is what a gateway has applied of one model's ledger.
type Serve struct {
	Seq        int64   `json:"seq"`
	Epoch      int64   `json:"epoch"`
	Champion   int     `json:"champion"`
	Challenger int     `json:"challenger"`
	Weight     float64 `json:"weight"`
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
// it nobody knows what that gateway serves.
func Heartbeats(ctx context.Context, store objectstore.Store) ([]Heartbeat, error) {
	var all []Heartbeat
	err := store.List(ctx, gatewaysPrefix, func(info objectstore.Info) error {
		name := strings.TrimPrefix(info.Key, gatewaysPrefix)
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".json") {
			return nil
		}
		raw, _, err := objectstore.ReadAll(ctx, store, info.Key, maxHeartbeat)
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil // removed since it was listed
		}
		if err != nil {
			return err
		}
		var h Heartbeat
		if err := json.Unmarshal(raw, &h); err != nil {
			return &Broken{Object: info.Key, Problem: err.Error()}
		}
		if h.ID+".json" != name {
			return &Broken{Object: info.Key, Problem: fmt.Sprintf("holds the heartbeat of gateway %q", h.ID)}
		}
		all = append(all, h)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("gateways' heartbeats: %w", err)
	}
	return all, nil
}

// Live are the heartbeats that haven't expired.
func Live(all []Heartbeat, now time.Time) []Heartbeat {
	return slices.DeleteFunc(slices.Clone(all), func(h Heartbeat) bool { return !now.Before(h.ExpiresAt) })
}

// Confirmed tells whether every live gateway has applied a model's ledger up to a sequence, and names those that
// haven't. With no live gateway it is true: nobody serves anything older.
func Confirmed(all []Heartbeat, model string, seq int64, now time.Time) (ok bool, missing []string) {
	for _, h := range Live(all, now) {
		if h.Models[model].Seq < seq {
			missing = append(missing, h.ID)
		}
	}
	return len(missing) == 0, missing
}
