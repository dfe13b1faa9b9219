package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// The outbox in the bucket: outbox/slack/<id>.json is a message that couldn't be sent when it was due, as it should read
// by now, and <id>.done.json beside it where it went. Only what an outage held back is ever here. Who delivers in which
// minute is who creates outbox/slack-turns/<minute>.json.
const (
	outboxPrefix = "outbox/slack/"
	turnPrefix   = "outbox/slack-turns/"
	outboxDone   = ".done.json"
	maxEntry     = 256 << 10 // bytes
	outboxPlace  = "outbox"  // the Channel of a Ref to a message that waits
)

// Times of the outbox. A turn is longer than what is done in it by more than workers' clocks may differ.
const (
	sendWithin  = 8 * time.Second
	turn        = time.Minute
	turnWorking = 40 * time.Second
)

// Outbox is a Notifier that never waits for its provider: what the provider can't take now is stored, and delivered by
// Deliver, in the order in which it was due, once. Of a message that changed meanwhile only the last state is sent.
type Outbox struct {
	to    Notifier
	store objectstore.Store
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	asleep time.Time // the provider asked to be left alone until then
}

// NewOutbox stands before a provider, which must look for a message with a Since before it posts it.
func NewOutbox(to Notifier, store objectstore.Store, now func() time.Time, log *slog.Logger) *Outbox {
	return &Outbox{to: to, store: store, now: now, log: log}
}

// entry is one message that waits.
type entry struct {
	Message Message   `json:"message"`
	Target  *Ref      `json:"target,omitempty"`  // the message that this one takes the place of; nil: a new one
	Due     time.Time `json:"due"`               // when it was first tried
	Revised bool      `json:"revised,omitempty"` // it changed while it waited
	id      string
}

// delivered is where it went.
type delivered struct {
	Ref     Ref       `json:"ref"`
	Refused string    `json:"refused,omitempty"`
	At      time.Time `json:"at"`
}

func outboxID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:16])
}

// stream is what keeps its order: a thread, or a message by itself.
func (m Message) stream() string { return either(m.Thread, m.Key) }

func either(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// Notify sends m, or stores it: behind what its thread waits for already, and where the provider may take it later.
func (o *Outbox) Notify(ctx context.Context, m Message) (Ref, error) {
	if err := m.Validate(); err != nil {
		return Ref{}, err
	}
	due := o.now().UTC()
	if !m.Since.IsZero() {
		due = m.Since
	}
	e := entry{Message: m, Due: due, id: outboxID("new", m.Key)}
	waiting, known, err := o.waiting(ctx, e.id)
	if err != nil {
		return Ref{}, err
	}
	queued := Ref{Provider: "slack", Channel: outboxPlace, ID: e.id}
	if known {
		return queued, nil // an earlier attempt stored it
	}
	if o.quiet() || slices.ContainsFunc(waiting, func(w entry) bool { return w.Message.stream() == m.stream() }) {
		return queued, o.create(ctx, e.id+".json", e)
	}
	sending, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	ref, err := o.to.Notify(sending, m)
	if o.later(ctx, err) {
		o.log.Warn("message waits in the outbox", "key", m.Key, "error", err)
		return queued, o.create(ctx, e.id+".json", e)
	}
	return ref, err
}

// Update replaces a message, wherever it is by now.
func (o *Outbox) Update(ctx context.Context, ref Ref, m Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if ref.Channel == outboxPlace {
		d, err := o.done(ctx, ref.ID)
		if errors.Is(err, objectstore.ErrNotFound) {
			return o.revise(ctx, ref.ID, m)
		}
		if err != nil || d.Refused != "" {
			return err // what was refused isn't there to be changed
		}
		ref = d.Ref
	}
	if ref.Channel == "" || ref.ID == "" {
		return ErrNoRef
	}
	return o.replace(ctx, ref, m)
}

// revise changes a message that still waits. Deliver looks again after it has sent one; if it did so before the change,
// the message is there to be replaced.
func (o *Outbox) revise(ctx context.Context, id string, m Message) error {
	e, err := o.read(ctx, id)
	if err != nil {
		return err
	}
	m.Key = e.Message.Key // by which a post whose answer was lost is found
	e.Message, e.Revised = m, true
	if err := o.put(ctx, id+".json", e); err != nil {
		return err
	}
	d, err := o.done(ctx, id)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil
	}
	if err != nil || d.Refused != "" {
		return err
	}
	return o.replace(ctx, d.Ref, m)
}

// replace updates a message that was sent, or stores that it must be.
func (o *Outbox) replace(ctx context.Context, ref Ref, m Message) error {
	due := o.now().UTC()
	e := entry{Message: m, Target: &ref, Due: due, id: outboxID("update", ref.Channel, ref.ID, due.String())}
	waiting, _, err := o.waiting(ctx, e.id)
	if err != nil {
		return err
	}
	if o.quiet() || slices.ContainsFunc(waiting, func(w entry) bool { return w.Target != nil && w.Target.Channel == ref.Channel && w.Target.ID == ref.ID }) {
		return o.create(ctx, e.id+".json", e)
	}
	sending, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	err = o.to.Update(sending, ref, m)
	if o.later(ctx, err) {
		o.log.Warn("change of a message waits in the outbox", "key", m.Key, "error", err)
		return o.create(ctx, e.id+".json", e)
	}
	return err
}

// Run delivers what waits, every so often, until ctx ends.
func (o *Outbox) Run(ctx context.Context, every time.Duration) {
	for {
		if err := o.Deliver(ctx); err != nil && ctx.Err() == nil {
			o.log.Warn("outbox", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// Deliver sends what waits, the oldest first, until the provider fails. One of all processes does it in a minute; one
// that ended between sending and noting so is followed by one that looks for the message before it posts it.
func (o *Outbox) Deliver(ctx context.Context) error {
	waiting, _, err := o.waiting(ctx, "")
	if err != nil || len(waiting) == 0 || o.quiet() {
		return err
	}
	begin := o.now()
	key := fmt.Sprintf("%s%d.json", turnPrefix, begin.UnixNano()/int64(turn))
	if _, err := o.store.Create(ctx, key, bytes.NewReader(nil), 0); err != nil {
		if errors.Is(err, objectstore.ErrExists) {
			return nil // somebody else's turn
		}
		return err
	}
	end := begin.Add(turnWorking)
	last := map[string]string{} // of the changes to one message, the newest
	for _, e := range waiting {
		if e.Target != nil {
			last[e.Target.Channel+" "+e.Target.ID] = e.id
		}
	}
	for _, e := range waiting {
		if o.now().After(end) {
			return nil // the next turn goes on
		}
		if e.Target != nil && last[e.Target.Channel+" "+e.Target.ID] != e.id {
			err = o.create(ctx, e.id+outboxDone, delivered{Ref: *e.Target, At: o.now().UTC()})
		} else {
			err = o.deliver(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deliver sends one entry. An error means that the others wait as well.
func (o *Outbox) deliver(ctx context.Context, e entry) error {
	sending, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	d := delivered{At: o.now().UTC()}
	var err error
	if e.Target != nil {
		d.Ref, err = *e.Target, o.to.Update(sending, *e.Target, e.Message)
	} else {
		e.Message.Since = e.Due
		d.Ref, err = o.to.Notify(sending, e.Message)
	}
	if o.later(ctx, err) {
		return err
	}
	if err != nil {
		d.Refused = err.Error()
		o.log.Warn("message refused", "key", e.Message.Key, "error", err)
	}
	if err := o.create(ctx, e.id+outboxDone, d); err != nil {
		return err
	}
	if e.Target != nil || d.Refused != "" {
		return nil
	}
	now, err := o.read(ctx, e.id)
	if err != nil {
		return err
	}
	if !now.Revised {
		return nil
	}
	// It changed while it was sent, or after a post whose answer was lost, which is what was found now.
	return o.replace(ctx, d.Ref, now.Message)
}

// later says that a provider may take what it didn't, and keeps its wish to be left alone.
func (o *Outbox) later(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	wait, ok := errors.AsType[*Retryable](err)
	if ok && wait.After > 0 {
		o.mu.Lock()
		o.asleep = o.now().Add(wait.After)
		o.mu.Unlock()
	}
	return ok || errors.Is(err, context.DeadlineExceeded)
}

func (o *Outbox) quiet() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now().Before(o.asleep)
}

// waiting reads what isn't delivered, the oldest first, and says whether an id is known, delivered or not.
func (o *Outbox) waiting(ctx context.Context, id string) (all []entry, known bool, err error) {
	done := map[string]bool{}
	var ids []string
	err = o.store.List(ctx, outboxPrefix, func(info objectstore.Info) error {
		name := strings.TrimPrefix(info.Key, outboxPrefix)
		if of, ok := strings.CutSuffix(name, outboxDone); ok {
			done[of] = true
		} else if of, ok := strings.CutSuffix(name, ".json"); ok {
			ids, known = append(ids, of), known || of == id
		}
		return nil
	})
	for _, of := range ids {
		if err != nil || done[of] {
			continue
		}
		var e entry
		if e, err = o.read(ctx, of); err == nil {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.Due.Compare(b.Due) })
	if err != nil {
		return nil, false, &Retryable{Provider: "outbox", Err: err}
	}
	return all, known, nil
}

func (o *Outbox) read(ctx context.Context, id string) (entry, error) {
	e := entry{id: id}
	err := o.get(ctx, id+".json", &e)
	return e, err
}

func (o *Outbox) done(ctx context.Context, id string) (delivered, error) {
	var d delivered
	err := o.get(ctx, id+outboxDone, &d)
	return d, err
}

func (o *Outbox) get(ctx context.Context, name string, into any) error {
	raw, _, err := objectstore.ReadAll(ctx, o.store, outboxPrefix+name, maxEntry)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("outbox: %s: %w", name, err)
	}
	return nil
}

func (o *Outbox) create(ctx context.Context, name string, value any) error {
	return o.write(ctx, name, value, o.store.Create)
}

func (o *Outbox) put(ctx context.Context, name string, value any) error {
	return o.write(ctx, name, value, o.store.Put)
}

func (o *Outbox) write(ctx context.Context, name string, value any, write func(context.Context, string, io.ReadSeeker, int64) (objectstore.Info, error)) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if _, err := write(ctx, outboxPrefix+name, bytes.NewReader(raw), int64(len(raw))); err != nil && !errors.Is(err, objectstore.ErrExists) {
		return &Retryable{Provider: "outbox", Err: err}
	}
	return nil
}
