package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// Limits of a chain.
const (
	maxEntry      = 16 << 20        // bytes of one entry, written or read
	maxSeq        = 999_999_999_999 // 12 digits
	maxContention = 64              // sequence numbers lost to others within one append
	maxTrouble    = 5               // failed requests within one append; then the caller's retries take over
	firstPause    = 10 * time.Millisecond
	longestPause  = 640 * time.Millisecond
)

// chain is a folder of numbered objects, each created once and holding the hash of the one before it. It knows
// nothing of what they say. It is safe for concurrent use.
//
// Only "no such object" means that the chain ends; any other answer means that nobody knows.
type chain struct {
	store  objectstore.Store
	prefix string // ends in a slash

	mu   sync.Mutex
	seen mark // the highest entry ever seen; a chain that doesn't have it any more was cut or rewritten
}

// mark names an entry. An empty hash is that of an entry known by number only.
type mark struct {
	seq  int64
	hash string
}

// link is one entry as stored.
type link struct {
	seq  int64 // 0: before the first
	raw  []byte
	hash string // sha256 (hex) of raw; "" before the first
}

func newChain(store objectstore.Store, prefix string) *chain {
	return &chain{store: store, prefix: prefix}
}

func (c *chain) key(seq int64) string { return fmt.Sprintf("%s%012d.json", c.prefix, seq) }

// saw remembers the highest entry.
func (c *chain) saw(seq int64, hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq > c.seen.seq || (seq == c.seen.seq && c.seen.hash == "") {
		c.seen = mark{seq: seq, hash: hash}
	}
}

func (c *chain) lastSeen() mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// get reads one entry; objectstore.ErrNotFound if there is none. An entry at or before the highest one seen must be
// there, and the highest must be the same: this is how truncation and rewriting are noticed.
func (c *chain) get(ctx context.Context, seq int64) (link, error) {
	seen := c.lastSeen() // before asking: another goroutine may append meanwhile
	raw, _, err := objectstore.ReadAll(ctx, c.store, c.key(seq), maxEntry)
	if errors.Is(err, objectstore.ErrNotFound) && seq <= seen.seq {
		return link{}, &Broken{Object: c.key(seq), Problem: fmt.Sprintf("it is gone, and entry %d was seen before: the chain was truncated", seen.seq)}
	}
	if err != nil {
		return link{}, fmt.Errorf("read entry %d: %w", seq, err)
	}
	at := link{seq: seq, raw: raw, hash: hashOf(raw)}
	if seq == seen.seq && seen.hash != "" && at.hash != seen.hash {
		return link{}, &Broken{Object: c.key(seq), Problem: fmt.Sprintf("its hash is %s, it was seen with %s: it was rewritten", at.hash, seen.hash)}
	}
	return at, nil
}

// head finds the newest entry: from the highest one seen by doubling steps, then by bisecting, so a reader that
// follows a chain asks twice, and one that starts at nothing asks about 2 log2(n) times.
//
// Concurrent appends are fine: the answer was the head at some moment of the call.
func (c *chain) head(ctx context.Context) (link, error) {
	var low link
	if seen := c.lastSeen(); seen.seq > 0 {
		var err error
		if low, err = c.get(ctx, seen.seq); err != nil { // read again: see get
			return link{}, err
		}
	}
	missing := int64(0) // lowest number known to be free
	for step := int64(1); missing == 0; step *= 2 {
		at, err := c.get(ctx, min(low.seq+step, maxSeq))
		switch {
		case errors.Is(err, objectstore.ErrNotFound):
			missing = min(low.seq+step, maxSeq)
		case err != nil:
			return link{}, err
		case at.seq == maxSeq:
			return link{}, &Broken{Object: c.key(maxSeq), Problem: "the chain is full"}
		default:
			low = at
		}
	}
	for missing-low.seq > 1 {
		middle := low.seq + (missing-low.seq)/2
		at, err := c.get(ctx, middle)
		switch {
		case errors.Is(err, objectstore.ErrNotFound):
			missing = middle
		case err != nil:
			return link{}, err
		default:
			low = at
		}
	}
	if low.seq > 0 {
		c.saw(low.seq, low.hash)
	}
	return low, nil
}

// create takes a sequence number; objectstore.ErrExists if it is taken.
func (c *chain) create(ctx context.Context, seq int64, raw []byte) error {
	if _, err := c.store.Create(ctx, c.key(seq), bytes.NewReader(raw), int64(len(raw))); err != nil {
		return fmt.Errorf("write entry %d: %w", seq, err)
	}
	c.saw(seq, hashOf(raw))
	return nil
}

// attempt is one look at the head by an append: done says that the work is over, with or without an error; else
// entry and raw are what to write behind the head.
type attempt[E any] struct {
	done  bool
	entry E
	raw   []byte
}

// appendTo runs the append protocol. A 412, a 409 and a time-out all leave open whose entry is there, so each leads
// back to reading the head: look finds its own key in it (then the entry was written: done), or checks guard and
// rules against it and makes the entry to write next.
//
// The object store decides every race, since it creates a number once. An entry whose answer was lost can still
// arrive late: only behind the head that it was made for, or not at all.
func appendTo[E any](ctx context.Context, c *chain, key string, look func(ctx context.Context, head link) (attempt[E], error)) (E, error) {
	var none E
	contention, trouble := 0, 0
	for {
		head, err := c.head(ctx)
		var next attempt[E]
		if err == nil {
			next, err = look(ctx, head)
		}
		if err == nil && next.done {
			return next.entry, nil
		}
		if err == nil {
			if err = c.create(ctx, head.seq+1, next.raw); err == nil {
				return next.entry, nil
			}
		}
		switch {
		case final(err):
			return none, err
		case errors.Is(err, objectstore.ErrExists):
			contention++
		default:
			trouble++
		}
		if contention > maxContention || trouble >= maxTrouble {
			return none, fmt.Errorf("append %s to %s: gave up after %d lost races and %d failures: %w", key, c.prefix, contention, trouble, err)
		}
		if ctxErr := pause(ctx, key, contention+trouble); ctxErr != nil {
			return none, fmt.Errorf("append %s to %s: %w, after: %w", key, c.prefix, ctxErr, err)
		}
	}
}

// final tells answers that stay the same from trouble that may pass.
func final(err error) bool {
	var conflict *Conflict
	var refused *Refused
	var broken *Broken
	var large *objectstore.TooLarge
	return errors.As(err, &conflict) || errors.As(err, &refused) || errors.As(err, &broken) || errors.As(err, &large)
}

// pause waits before the n-th further try, or until ctx ends. Writers spread by their keys, which differ; so no
// source of randomness is needed.
func pause(ctx context.Context, key string, n int) error {
	longest := min(firstPause<<min(n-1, 16), longestPause)
	h := fnv.New32a()
	fmt.Fprintf(h, "%s#%d", key, n)
	timer := time.NewTimer(longest/4 + time.Duration(uint64(longest)*3/4*uint64(h.Sum32()%1024)/1024))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
