//go:build unix

package slots

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func reserve(t *testing.T, d *Desk, queue string) *Ticket {
	t.Helper()
	ticket, err := d.Reserve(t.Context(), queue)
	require.NoError(t, err)
	return ticket
}

// waits says that a queue isn't asked for a task now.
func waits(t *testing.T, d *Desk, queue string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := d.Reserve(ctx, queue)
	require.ErrorIs(t, err, context.DeadlineExceeded, queue)
}

func TestAQueueIsAskedOnlyForWhatFits(t *testing.T) {
	d := NewDesk(pool(t, t.TempDir(), 1, 16, 16), map[string]Need{"one": {GPUs: 1}, "two": {GPUs: 2}, "four": {GPUs: 4}, "none": {}})
	waits(t, d, "four")
	a, b := reserve(t, d, "one"), reserve(t, d, "one")
	waits(t, d, "one") // two tasks of it are asked for already
	two := reserve(t, d, "two")
	require.NoError(t, d.Use(a))
	lease := d.Claim("one")
	require.Len(t, lease.Devices, 1)
	waits(t, d, "two")
	reserve(t, d, "none")
	waits(t, d, "none")

	require.NoError(t, d.Use(two)) // its task came while one GPU was taken
	require.Nil(t, d.Claim("two"))
	d.Return(two)
	d.Return(b)
	lease.Release()
	d.Return(a)
	reserve(t, d, "two")
}

func TestSlotsOfATaskThatNobodyWorksOnAreGivenBack(t *testing.T) {
	d := NewDesk(pool(t, t.TempDir(), 0, 16), map[string]Need{"one": {GPUs: 1}})
	for range 3 {
		ticket := reserve(t, d, "one")
		require.NoError(t, d.Use(ticket))
		waits(t, d, "one")
		d.Return(ticket)
	}
	require.Nil(t, d.Claim("one"), "nothing is left to claim")
}

func TestClaimsDontMixUpWhoseSlotsAreReleased(t *testing.T) {
	p := pool(t, t.TempDir(), 0, 16, 16)
	d := NewDesk(p, map[string]Need{"one": {GPUs: 1}})
	a, b := reserve(t, d, "one"), reserve(t, d, "one")
	require.NoError(t, d.Use(a))
	require.NoError(t, d.Use(b))
	ofB, ofA := d.Claim("one"), d.Claim("one") // b's task is the first to claim
	ofA.Release()
	d.Return(a)
	taken, _ := p.InUse()
	require.Equal(t, 1, taken, "what b works on is still taken")
	ofB.Release()
	d.Return(b)
	taken, _ = p.InUse()
	require.Zero(t, taken)
}

func TestAFolderThatCantHoldLocksAsksForNothing(t *testing.T) {
	d := NewDesk(pool(t, "/nonexistent/folder", 0, 16), map[string]Need{"one": {GPUs: 1}})
	_, err := d.Reserve(t.Context(), "one")
	require.ErrorContains(t, err, "lock of slot")
	require.Equal(t, 0, d.waiting["one"])
}

// Whatever order tasks come and end in, no more is taken than there is, and all is free in the end.
func TestADeskLosesNoSlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := New(Options{CPUs: 3})
		d := NewDesk(p, map[string]Need{"a": {}, "b": {}})
		type task struct {
			ticket *Ticket
			lease  *Lease
			state  int // 0: reserved, 1: used, 2: claimed
		}
		var open []*task
		gone, stop := context.WithCancel(context.Background())
		stop()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			queue := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "queue")
			if len(open) == 0 || rapid.IntRange(0, 2).Draw(t, "new") == 0 {
				ticket, err := d.Reserve(gone, queue)
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if err == nil {
					open = append(open, &task{ticket: ticket})
				}
				continue
			}
			i := rapid.IntRange(0, len(open)-1).Draw(t, "task")
			one := open[i]
			if one.state == 2 || rapid.IntRange(0, 3).Draw(t, "end") == 0 {
				if one.lease != nil {
					one.lease.Release()
				}
				d.Return(one.ticket)
				open = append(open[:i], open[i+1:]...)
				continue
			}
			if one.state == 0 {
				if err := d.Use(one.ticket); err != nil {
					t.Fatal(err)
				}
			} else {
				one.lease = d.Claim(one.ticket.queue)
			}
			one.state++
			if _, taken := p.InUse(); taken > 3 {
				t.Fatalf("%d of 3 slots are taken", taken)
			}
		}
		for _, one := range open {
			if one.lease != nil {
				one.lease.Release()
			}
			d.Return(one.ticket)
		}
		if _, taken := p.InUse(); taken != 0 || d.waiting["a"] != 0 || d.waiting["b"] != 0 || len(d.unseen["a"])+len(d.unseen["b"]) != 0 {
			t.Fatalf("in the end %d taken, %v waiting, %v unseen", taken, d.waiting, d.unseen)
		}
	})
}
