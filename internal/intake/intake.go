// Package intake finds landed files. Events are hints, which may be lost, doubled or out of order; the truth is a
// listing of each model's landing prefix. An event only makes the listing come sooner.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Landed is one object below a model's landing prefix that its data set has neither accepted nor refused.
type Landed struct {
	Model  string
	Bucket string
	Object objectstore.Info
}

// Sender tells a model's entity of a landed object. The same one may be sent again: the entity drops it.
type Sender func(ctx context.Context, l Landed) error

// Config bounds a sweep. Zero fields mean the defaults.
type Config struct {
	Every    time.Duration // between sweeps: 30 s
	Discover time.Duration // between looks for models: 30 s
	Resend   time.Duration // an object that is still undecided is told of again after this, then after twice as long: 10 min
	Told     int           // a model's objects that are told of and undecided at once; more wait for a later sweep: 200
}

// maxPatience bounds the doubling of Resend: 2^6 times it, 10 h by default. A run may wait days for an approval, and each
// repetition is kept in its entity's history.
const maxPatience = 6

// Sweeper lists landing prefixes and tells of what is new.
type Sweeper struct {
	store   objectstore.Store
	landing objectstore.Buckets
	send    Sender
	config  Config
	log     *slog.Logger
	hints   chan struct{}

	places atomic.Pointer[[]string] // bucket/prefix of every watch, for Handler, which must not wait for a sweep

	mu     sync.Mutex // of one sweep at a time
	models map[string]*watch
	found  time.Time // when models were last looked for
}

// watch is one model's landing prefix.
type watch struct {
	ledger *registry.Ledger
	index  *registry.Index
	digest string
	bucket string
	prefix string
	told   map[string]telling // undecided objects that the model was told of
}

// telling is how often and when a model was last told of an object.
type telling struct {
	times int
	last  time.Time
}

// due says that it is time to tell of it, again or for the first time.
func (t telling) due(now time.Time, resend time.Duration) bool {
	return t.times == 0 || now.Sub(t.last) >= resend<<min(t.times-1, maxPatience)
}

// New makes a sweeper. Nothing runs before Run.
func New(store objectstore.Store, landing objectstore.Buckets, send Sender, c Config, log *slog.Logger) *Sweeper {
	if c.Every <= 0 {
		c.Every = 30 * time.Second
	}
	if c.Discover <= 0 {
		c.Discover = 30 * time.Second
	}
	if c.Resend <= 0 {
		c.Resend = 10 * time.Minute
	}
	if c.Told <= 0 {
		c.Told = 200
	}
	return &Sweeper{store: store, landing: landing, send: send, config: c, log: log, hints: make(chan struct{}, 1), models: map[string]*watch{}}
}

// Hint asks for a sweep soon. It never blocks; hints that come while one is due are one.
func (s *Sweeper) Hint() {
	select {
	case s.hints <- struct{}{}:
	default:
	}
}

// Run sweeps until ctx ends: at once, by the interval, and after hints.
func (s *Sweeper) Run(ctx context.Context) {
	tick := time.NewTicker(s.config.Every)
	defer tick.Stop()
	for hinted := true; ; {
		if err := s.Sweep(ctx, time.Now(), hinted); err != nil && ctx.Err() == nil {
			s.log.Warn("landing prefixes not swept; the next sweep is due", "error", err, "in", s.config.Every)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			hinted = false
		case <-s.hints:
			hinted = true
		}
	}
}

// Sweep lists every model's prefix once and tells of what is new. discover looks for models even before it is due.
func (s *Sweeper) Sweep(ctx context.Context, now time.Time, discover bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var trouble []error
	if discover || now.Sub(s.found) >= s.config.Discover {
		if err := s.discover(ctx); err != nil {
			trouble = append(trouble, err)
		} else {
			s.found = now
		}
	}
	for name, w := range s.models {
		if err := s.sweep(ctx, name, w, now); err != nil {
			trouble = append(trouble, fmt.Errorf("model %s: %w", name, err))
		}
	}
	s.publish()
	return errors.Join(trouble...)
}

// publish tells the handler where files land.
func (s *Sweeper) publish() {
	places := make([]string, 0, len(s.models))
	for _, w := range s.models {
		if w.bucket != "" {
			places = append(places, w.bucket+"/"+w.prefix)
		}
	}
	s.places.Store(&places)
}

// watches says that a key lies where some model's files land, as far as the last sweep knew.
func (s *Sweeper) watches(bucket, key string) bool {
	places := s.places.Load()
	return places != nil && slices.ContainsFunc(*places, func(place string) bool { return strings.HasPrefix(bucket+"/"+key, place) })
}

func (s *Sweeper) discover(ctx context.Context) error {
	names, err := registry.Models(ctx, s.store)
	if err != nil {
		return err
	}
	for name := range s.models {
		if !slices.Contains(names, name) {
			delete(s.models, name)
		}
	}
	for _, name := range names {
		if s.models[name] == nil {
			s.models[name] = &watch{ledger: registry.NewLedger(s.store, name), index: registry.NewIndex(s.store, name), told: map[string]telling{}}
		}
	}
	return nil
}

func (s *Sweeper) sweep(ctx context.Context, name string, w *watch, now time.Time) error {
	if err := w.follow(ctx, s.store, name); err != nil || w.bucket == "" {
		return err
	}
	head, err := w.index.Head(ctx)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	err = s.landing.Bucket(w.bucket).List(ctx, w.prefix, func(i objectstore.Info) error {
		if i.Size == 0 && strings.HasSuffix(i.Key, "/") {
			return nil // a folder's marker
		}
		id := i.Key + "#" + i.ETag + "#" + i.VersionID
		if head.State.Seen(objectstore.URL(w.bucket, i.Key), i.ETag, i.VersionID) {
			delete(w.told, id)
			return nil
		}
		listed[id] = true
		before := w.told[id]
		if !before.due(now, s.config.Resend) || (before.times == 0 && len(w.told) >= s.config.Told) {
			return nil
		}
		if err := s.send(ctx, Landed{Model: name, Bucket: w.bucket, Object: i}); err != nil {
			return fmt.Errorf("tell of %s: %w", i.Key, err)
		}
		w.told[id] = telling{times: before.times + 1, last: now}
		return nil
	})
	if err != nil {
		return err
	}
	maps.DeleteFunc(w.told, func(id string, _ telling) bool { return !listed[id] }) // gone: if it comes back, it is new
	return nil
}

// follow reads where the model's files land from its applied spec, once for each spec.
func (w *watch) follow(ctx context.Context, store objectstore.Store, name string) error {
	head, err := w.ledger.Head(ctx)
	if err != nil {
		return err
	}
	digest := head.State.Spec.Digest
	if digest == "" || digest == w.digest {
		return nil
	}
	raw, err := registry.ReadSpec(ctx, store, name, digest)
	if err != nil {
		return err
	}
	m, err := spec.Parse("spec "+digest, raw)
	if err != nil {
		return err
	}
	bucket, prefix, err := objectstore.ParseURL(m.Data.Prefix)
	if err != nil {
		return err
	}
	w.digest, w.bucket, w.prefix = digest, bucket, prefix
	return nil
}
